use std::io::Cursor;

use super::*;

/// Gives a few bytes at a time.
struct Slow(Cursor<Vec<u8>>, usize);

impl Read for Slow {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(to.len());
        self.0.read(&mut to[..most])
    }
}

impl Seek for Slow {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

fn all<R: Read + Seek>(blocks: &mut Blocks<R>) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let block = blocks.next().unwrap();
        if block.is_empty() {
            return found;
        }
        found.push(String::from_utf8(block.to_vec()).unwrap());
    }
}

#[test]
fn empty_lines_part_blocks_however_they_arrive() {
    for (text, expected) in [
        ("", &[][..]),
        ("\n\n\n", &[]),
        ("a", &["a"]),
        ("a\nb", &["a\nb"]),
        ("a\nb\n", &["a\nb\n"]),
        ("a\nb\n\nc\n", &["a\nb", "c\n"]),
        ("\n\na\n\n\n\nb\nc\n\n", &["a", "b\nc"]),
        ("a\r\nb\r\n\r\nc\r\n", &["a\r\nb\r", "c\r\n"]),
        ("a\n\r\r\nb", &["a\n\r\r\nb"]),
    ] {
        for step in 1..=text.len().max(1) {
            let mut blocks = Blocks::new(Slow(Cursor::new(text.into()), step));
            assert_eq!(all(&mut blocks), expected, "{text:?}, {step}");
            blocks.rewind().unwrap();
            assert_eq!(all(&mut blocks), expected, "{text:?}, {step}, again");
        }
    }
}

#[test]
fn blocks_may_be_longer_than_a_read() {
    let long = "x".repeat(3 * CHUNK + 1);
    let text = format!("{long}\n\nshort\n\n{long}\n{long}\n\n");
    let expected = [long.clone(), "short".to_owned(), format!("{long}\n{long}")];
    let mut blocks = Blocks::new(Cursor::new(text));
    assert_eq!(all(&mut blocks), expected);
    assert_eq!(blocks.bytes(), 9 * CHUNK + 3 + 6);
}
