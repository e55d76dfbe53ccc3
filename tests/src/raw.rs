//! Bytes over TCP, for requests that no client would send.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::Reply;
use crate::server::Server;
use crate::wait::PATIENCE;

/// A connection on which the test says every byte.
pub struct Connection<'a> {
    server: &'a Server,
    stream: BufReader<TcpStream>,
}

impl<'a> Connection<'a> {
    /// Connects.
    ///
    /// # Panics
    ///
    /// If the server does not accept connections.
    pub fn open(server: &'a Server) -> Self {
        let stream = TcpStream::connect(server.address()).expect("no connection");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            server,
            stream: BufReader::new(stream),
        }
    }

    /// Sends bytes.
    ///
    /// # Panics
    ///
    /// If the server has closed the connection.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends bytes, if the server still reads them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// Says that nothing more will be sent.
    ///
    /// # Panics
    ///
    /// If the connection is gone.
    pub fn shut_down(&mut self) {
        self.stream.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    /// Reads whatever comes until the server closes the connection.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn drain(&mut self) {
        let mut all = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut all) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "it stays open");
        }
    }

    /// The status of a reply that need not have a body.
    ///
    /// # Panics
    ///
    /// If none comes.
    pub fn reply_without_body(&mut self) -> u16 {
        let line = self.line();
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        while !self.line().is_empty() {}
        status.expect("no status")
    }

    /// Reads a reply whose body has a stated length.
    ///
    /// # Panics
    ///
    /// If none comes.
    pub fn reply(&mut self) -> Reply {
        let status = self.line();
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut headers = HeaderMap::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            headers.append(
                HeaderName::try_from(name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let length = headers.get("content-length").expect("no content-length");
        let length: usize = length.to_str().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        self.server
            .client()
            .reply(status.expect("no status"), headers, body)
    }

    /// Whether the server has closed the connection; waits for it.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0) | Err(_))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}
