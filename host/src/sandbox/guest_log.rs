//! What a guest prints: whole lines on stdout and stderr become `tracing` events that name the
//! model.
//!
//! A guest is hostile: a request may print at most a fixed number of bytes (the rest is counted and
//! dropped, the guest is not told), a line is cut at [`LINE_LIMIT`], and it is logged as a quoted
//! field, so that it cannot pass for one of the host's own.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// The longest line that is logged in one piece, in bytes.
const LINE_LIMIT: usize = 4096;

/// What is kept of the first line, in bytes.
const FIRST_LINE: usize = 1024;

/// What a guest may write in one call; it comes back with the rest.
const WRITE_PERMIT: usize = 64 * 1024;

/// The log of one cell.
#[derive(Clone)]
pub struct GuestLog {
    state: Arc<Mutex<State>>,
}

/// Which of the two standard streams a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What is known when a request's log ends.
#[derive(Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// Bytes that went beyond the limit.
    pub dropped: usize,
    /// The last line on stderr, which after a trap is mostly the panic message.
    pub last_error_line: Option<String>,
    /// The first line on stdout, which of `model_fn` is a description of the model.
    pub first_line: Option<String>,
}

struct State {
    model: Arc<str>,
    limit: usize,
    written: usize,
    dropped: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    last_error_line: Option<String>,
    first_line: Option<String>,
}

impl GuestLog {
    /// A log for a cell of `model` that keeps `limit` bytes between two calls of
    /// [`GuestLog::finish`].
    pub fn new(model: Arc<str>, limit: usize) -> Self {
        let state = State {
            model,
            limit,
            written: 0,
            dropped: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
            last_error_line: None,
            first_line: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// One of the streams, to hand to the guest.
    pub fn stream(&self, stream: Stream) -> GuestStream {
        GuestStream {
            log: self.clone(),
            stream,
        }
    }

    /// Ends a request: logs lines without an end, says how much was dropped, and starts counting
    /// anew.
    pub fn finish(&self) -> LogEnd {
        let mut state = self.lock();
        state.emit_rest(Stream::Stdout);
        state.emit_rest(Stream::Stderr);
        if state.dropped > 0 {
            tracing::warn!(
                model = &*state.model,
                dropped_bytes = state.dropped,
                "the model printed more than {} bytes in one request; the rest was dropped",
                state.limit,
            );
        }
        state.written = 0;
        LogEnd {
            dropped: std::mem::take(&mut state.dropped),
            last_error_line: state.last_error_line.take(),
            first_line: state.first_line.take(),
        }
    }

    fn write(&self, stream: Stream, bytes: &[u8]) {
        self.lock().write(stream, bytes);
    }

    /// A panic while the lock was held leaves at worst half a line, so poison is no reason to stop.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn buffer(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let kept = bytes.len().min(self.limit.saturating_sub(self.written));
        self.written += kept;
        self.dropped += bytes.len() - kept;
        for piece in bytes
            .get(..kept)
            .unwrap_or_default()
            .split_inclusive(|&b| b == b'\n')
        {
            self.append(stream, piece);
        }
    }

    /// Adds a piece that has at most one line end, which then is its last byte.
    fn append(&mut self, stream: Stream, piece: &[u8]) {
        let (text, ended) = match piece.split_last() {
            Some((b'\n', text)) => (text, true),
            _ => (piece, false),
        };
        for chunk in text.chunks(LINE_LIMIT) {
            let buffer = self.buffer(stream);
            if buffer.len() + chunk.len() > LINE_LIMIT {
                self.emit_rest(stream);
            }
            self.buffer(stream).extend_from_slice(chunk);
        }
        if ended {
            self.emit_rest(stream);
        }
    }

    fn emit_rest(&mut self, stream: Stream) {
        let buffer = std::mem::take(self.buffer(stream));
        let text = String::from_utf8_lossy(&buffer);
        let line = text.trim_end_matches('\r');
        if line.is_empty() {
            return;
        }
        let model = &*self.model;
        // As fields, which are quoted and escaped: the guest's words must not pass for the host's.
        match stream {
            Stream::Stdout => {
                tracing::info!(model, stream = "stdout", line, "output");
                let short = line
                    .get(..line.floor_char_boundary(FIRST_LINE))
                    .unwrap_or(line);
                self.first_line.get_or_insert_with(|| short.to_owned());
            }
            Stream::Stderr => {
                tracing::info!(model, stream = "stderr", line, "output");
                // Rust's hint about RUST_BACKTRACE follows the line that matters.
                if !line.starts_with("note: ") {
                    self.last_error_line = Some(line.to_owned());
                }
            }
        }
    }
}

/// `text` without control characters, which could forge lines, steer a terminal or turn what stands there.
pub fn printable(text: &str) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() && c != '\t') || turns_text(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Characters that change the direction of what follows, by which `gpj.exe` may look like `exe.jpg`.
/// <https://www.unicode.org/reports/tr9/>
fn turns_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One standard stream of a guest.
#[derive(Clone)]
pub struct GuestStream {
    log: GuestLog,
    stream: Stream,
}

impl IsTerminal for GuestStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_PERMIT)
    }
}

impl AsyncWrite for GuestStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.log.write(self.stream, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(limit: usize) -> GuestLog {
        GuestLog::new("m".into(), limit)
    }

    #[test]
    fn the_last_line_on_stderr_is_kept() {
        let log = log(1000);
        log.write(Stream::Stderr, b"first\npanicked at ");
        log.write(Stream::Stderr, b"src/lib.rs:1:2: no");
        log.write(Stream::Stdout, b"other\n");
        assert_eq!(
            log.finish().last_error_line.as_deref(),
            Some("panicked at src/lib.rs:1:2: no")
        );
        assert_eq!(
            log.finish().last_error_line,
            None,
            "each request starts anew"
        );
    }

    #[test]
    fn what_goes_beyond_the_limit_is_dropped() {
        let log = log(10);
        log.write(Stream::Stderr, b"0123456789abc");
        log.write(Stream::Stderr, b"more");
        assert_eq!(log.lock().dropped, 7);
        assert_eq!(log.finish().last_error_line.as_deref(), Some("0123456789"));
        log.write(Stream::Stderr, b"next");
        assert_eq!(log.finish().last_error_line.as_deref(), Some("next"));
    }

    #[test]
    fn a_line_without_end_does_not_grow_the_buffer() {
        let log = log(10 * LINE_LIMIT);
        for _ in 0..100 {
            log.write(Stream::Stdout, &[b'x'; 1000]);
            assert!(log.lock().stdout.len() <= LINE_LIMIT);
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            printable("a\u{1b}[31mb\rc\tend\r\n"),
            "a\\u{1b}[31mb\\rc\tend"
        );
        assert_eq!(printable("exe.\u{202e}gpj"), "exe.\\u{202e}gpj");
    }
}
