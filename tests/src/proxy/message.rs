//! The head of an HTTP message, kept as it came.

use std::io::{self, BufRead};

/// Lines up to the empty one.
pub struct Head {
    lines: Vec<String>,
}

impl Head {
    /// Reads a head.
    pub fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end() {
                "" => return Ok(Self { lines }),
                line => lines.push(line.to_owned()),
            }
        }
    }

    /// Reads the body that belongs to a request.
    pub fn body(&self, from: &mut impl BufRead) -> io::Result<Vec<u8>> {
        let length = self.get("Content-Length").map(|length| length.parse());
        let mut body = vec![0; length.unwrap_or(Ok(0)).unwrap()];
        from.read_exact(&mut body)?;
        Ok(body)
    }

    /// A request's method.
    pub fn method(&self) -> &str {
        self.word(0)
    }

    /// A request's path.
    pub fn path(&self) -> &str {
        let target = self.word(1);
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// An answer's status.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap()
    }

    /// A header's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| value(line, name))
    }

    /// Sets a header that need not be there.
    pub fn set(&mut self, name: &str, to: &str) {
        self.remove(name);
        self.lines.push(format!("{name}: {to}"));
    }

    /// Takes a header out.
    pub fn remove(&mut self, name: &str) {
        self.lines.retain(|line| value(line, name).is_none());
    }

    /// The head as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        format!("{}\r\n\r\n", self.lines.join("\r\n")).into_bytes()
    }

    fn word(&self, index: usize) -> &str {
        let first = self.lines.first().map_or("", String::as_str);
        first.split(' ').nth(index).unwrap_or_default()
    }
}

fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = line.split_once(':')?;
    key.eq_ignore_ascii_case(name).then(|| value.trim())
}

/// An error as S3 answers it; with the head alone for HEAD.
pub fn error(status: u16, code: &str, message: &str, head_only: bool) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>{message}</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>"
    );
    let length = body.len();
    let shown = if head_only { "" } else { &body };
    format!(
        "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{shown}"
    )
    .into_bytes()
}
