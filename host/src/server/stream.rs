//! A client's socket, with what HTTP/1.1 leaves open: how long a request's head may take to come, and
//! what it means that a client has shut its side down.
//!
//! A client that has nothing more to send may say so and still wait for its answer; one that has gone
//! looks the same. So the end of what it sends is kept back for a moment while a request of it is
//! being answered: quick answers reach the former, and for the latter no model works for long.
//!
//! And a connection that is closed while its client still sends would cost the client the answer that
//! says why (the kernel resets it). So what comes then is thrown away for a while.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::connections::Activity;

/// From the first byte of a request to the last one of its headers.
const HEAD_TIME: Duration = Duration::from_secs(15);

/// How long a request goes on whose client has shut its side down.
const HALF_CLOSED_TIME: Duration = Duration::from_secs(2);

/// How long, and how much, of what comes on a connection that is closed is thrown away.
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 64 << 20;

/// The socket of an HTTP/1.1 connection.
pub(super) struct ClientStream {
    socket: TcpStream,
    activity: Arc<Activity>,
    head: Option<Head>,
    /// Runs since the client shut its side down.
    half_closed: Option<Pin<Box<Sleep>>>,
    /// Runs since this side was shut down while the client was sending.
    lingering: Option<Lingering>,
}

/// A connection whose end its client is to see.
struct Lingering {
    timer: Pin<Box<Sleep>>,
    /// Bytes that may still come.
    left: usize,
}

/// The head of a request, which is coming.
struct Head {
    begin: Instant,
    /// The requests that had come before it. There is one more when it is complete.
    begun: u64,
    /// Runs if it does not come in one piece.
    timer: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    pub(super) fn new(socket: TcpStream, activity: Arc<Activity>) -> Self {
        Self {
            socket,
            activity,
            head: None,
            half_closed: None,
            lingering: None,
        }
    }

    /// Some bytes have come: the first of a head, or more of one.
    fn check_head(&mut self) -> io::Result<()> {
        let begun = self.activity.begun();
        match &self.head {
            Some(head) if head.begun == begun => match head.begin.elapsed() < HEAD_TIME {
                true => Ok(()),
                false => Err(io::ErrorKind::TimedOut.into()),
            },
            _ => {
                self.head = self.activity.is_idle().then(|| Head {
                    begin: Instant::now(),
                    begun,
                    timer: None,
                });
                Ok(())
            }
        }
    }

    /// Fails when the rest of a head has not come in time.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let begun = self.activity.begun();
        match &mut self.head {
            Some(head) if head.begun == begun => {
                let end = head.begin + HEAD_TIME;
                let timer = head.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
                let ended = timer.as_mut().poll(cx);
                ended.map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
            _ => Poll::Pending,
        }
    }

    /// Ready at the end of what the client sends, when it is time to say so.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.is_idle() {
            return Poll::Ready(Ok(()));
        }
        let after = || Box::pin(sleep(HALF_CLOSED_TIME));
        let timer = self.half_closed.get_or_insert_with(after);
        timer.as_mut().poll(cx).map(Ok)
    }

    /// Ready when the client has seen the end, or has had time for it.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 16 << 10];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = Pin::new(&mut self.socket).poll_read(cx, &mut buffer);
            let count = buffer.filled().len();
            match (read, &mut self.lingering) {
                (Poll::Ready(Ok(())), _) if count == 0 => return Poll::Ready(()),
                (Poll::Ready(Ok(())), Some(lingering)) if count < lingering.left => {
                    lingering.left -= count;
                }
                (Poll::Ready(Ok(())), None) => {
                    self.lingering = Some(Lingering {
                        timer: Box::pin(sleep(LINGER_TIME)),
                        left: LINGER_BYTES,
                    });
                }
                (Poll::Pending, Some(lingering)) => return lingering.timer.as_mut().poll(cx),
                // Nothing was left unread, or it is enough.
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.half_closed.is_some() {
            return this.poll_end(cx);
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.socket).poll_read(cx, buf) {
            Poll::Pending => this.poll_head(cx),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) if buf.filled().len() == before => this.poll_end(cx),
            Poll::Ready(Ok(())) => Poll::Ready(this.check_head()),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
        }
        this.poll_linger(cx).map(Ok)
    }
}
