//! One HTTP connection that is kept: a request is written, its answer read.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any answer should take, so that a run ends even if the server hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection.
pub struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

/// What came back.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If nobody listens there.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            read: vec![0; 1 << 20],
        })
    }

    /// Gets a path.
    ///
    /// # Errors
    ///
    /// As [`Client::exchange`].
    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.exchange(format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n").as_bytes())
    }

    /// Sends a request and reads its answer. After an error the connection is of no use.
    ///
    /// # Errors
    ///
    /// If the connection fails or what comes back is not HTTP.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        loop {
            if let Some(head) = Head::read(self.read.get(..filled).unwrap_or_default())? {
                let end = head.length + head.body_length;
                if self.read.len() < end {
                    self.read.resize(end, 0);
                }
                if let Some(body) = self.read.get(head.length..end).filter(|_| filled >= end) {
                    return Ok(Answer {
                        status: head.status,
                        body: body.to_vec(),
                    });
                }
            }
            match self
                .stream
                .read(self.read.get_mut(filled..).unwrap_or_default())?
            {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => filled += more,
            }
        }
    }
}

/// What the load needs of the head of an answer.
pub(crate) struct Head {
    /// The status.
    pub(crate) status: u16,
    /// The head's own length, with the empty line.
    pub(crate) length: usize,
    /// How many bytes of body follow.
    pub(crate) body_length: usize,
}

impl Head {
    /// Reads the head of `answer`, unless that holds only a part of it.
    pub(crate) fn read(answer: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(answer.get(..end).unwrap_or_default());
        let status = text
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .ok_or_else(|| io::Error::other(format!("not HTTP: {text}")))?;
        let body_length = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse().ok())
            .ok_or_else(|| io::Error::other("an answer without content-length"))?;
        Ok(Some(Self {
            status,
            length: end + 4,
            body_length,
        }))
    }
}
