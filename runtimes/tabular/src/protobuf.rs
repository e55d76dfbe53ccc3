//! The wire format of protocol buffers, as far as SageMaker's records need it.

/// A field's content, by its wire type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// Goes through the fields of a message. Ends after the first problem.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Result<(u64, Wire<'a>), &'static str> {
        let tag = varint(&mut self.0)?;
        let wire = match tag & 7 {
            0 => Wire::Varint(varint(&mut self.0)?),
            1 => Wire::Fixed64(self.fixed()?),
            2 => {
                let length = varint(&mut self.0)?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            5 => Wire::Fixed32(self.fixed()?),
            _ => return Err("it holds a group or an unknown wire type"),
        };
        Ok((tag >> 3, wire))
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (chunk, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*chunk)
    }
}

const SHORT: &str = "it ends within a field";

impl<'a> Iterator for Fields<'a> {
    /// A field's number and content, or what is wrong with the message.
    type Item = Result<(u64, Wire<'a>), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Takes a varint off the front: seven bits a byte, the lowest first.
pub(crate) fn varint(bytes: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0;
    for (place, &byte) in bytes.iter().enumerate().take(10) {
        // Of the tenth byte one bit is left; others are lost, as everywhere.
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            *bytes = bytes.get(place + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(if bytes.len() < 10 {
        SHORT
    } else {
        "it holds a number of more than 64 bits"
    })
}

/// Appends a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field of bytes, which a text and a message are too.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    put_varint(out, bytes.len());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let message = [
            0x08, 0x96, 0x01, // 1: 150
            0x12, 0x02, b'h', b'i', // 2: "hi"
            0x1d, 1, 0, 0, 0, // 3: fixed 32
            0x21, 2, 0, 0, 0, 0, 0, 0, 0, // 4: fixed 64
        ];
        let found: Result<Vec<_>, _> = Fields::new(&message).collect();
        assert_eq!(
            found.unwrap(),
            [
                (1, Wire::Varint(150)),
                (2, Wire::Bytes(b"hi")),
                (3, Wire::Fixed32([1, 0, 0, 0])),
                (4, Wire::Fixed64([2, 0, 0, 0, 0, 0, 0, 0])),
            ]
        );
    }

    #[test]
    fn varints_there_and_back() {
        for value in [0, 1, 127, 128, 300, usize::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(varint(&mut &out[..]), Ok(value as u64));
        }
    }

    #[test]
    fn malformed_messages_end() {
        for message in [
            &[0x80][..],
            &[0x08],
            &[0x08, 0x80],
            &[0x0b],
            &[0x0f],
            &[0x12, 3, b'h', b'i'],
            &[
                0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
            &[0x1d, 1, 2, 3],
            &[0x21, 1, 2, 3, 4, 5, 6, 7],
            &[0xff; 11],
        ] {
            let found: Vec<_> = Fields::new(message).collect();
            assert_eq!(found.len(), 1, "{message:?}");
            assert!(found[0].is_err(), "{message:?}");
        }
    }
}
