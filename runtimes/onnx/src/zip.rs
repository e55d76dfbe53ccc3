//! ZIP archives, as far as NPZ files are such: entries stored or deflated, not encrypted, in one file.

use modelcell_guest::{Context, Error, Result};

/// The most bytes that the entries of an archive may have together when unpacked.
pub(crate) const MAX_UNPACKED: usize = 64 << 20;

const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
/// The length of the record at the end, without its comment.
const END_LENGTH: usize = 22;

fn broken(what: &str) -> Error {
    Error::invalid_input(format_args!("not a readable npz: {what}"))
}

/// Little-endian fields, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let parts = self.0.split_at_checked(length);
        let (taken, rest) = parts.ok_or_else(|| broken("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, length: usize) -> Result<usize> {
        let bytes = self.take(length)?.iter().rev();
        Ok(bytes.fold(0, |all, byte| all << 8 | usize::from(*byte)))
    }

    fn signature(&mut self, expected: [u8; 4], what: &str) -> Result<()> {
        if self.take(4)? == expected {
            return Ok(());
        }
        Err(broken(what))
    }
}

/// The files in an archive, by name.
///
/// # Errors
/// Invalid input, if this is no such archive, or unpacks to more than [`MAX_UNPACKED`].
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let tail = bytes
        .len()
        .saturating_sub(END_LENGTH + usize::from(u16::MAX));
    let place = bytes
        .get(tail..)
        .and_then(|tail| tail.windows(4).rposition(|window| window == END))
        .ok_or_else(|| broken("it is no ZIP archive"))?;
    let mut end = Fields(bytes.get(tail + place + 4..).unwrap_or_default());
    end.take(6)?;
    let count = end.number(2)?;
    end.take(4)?;
    let start = end.number(4)?;
    end.take(2)?;

    let mut directory = Fields(bytes.get(start..).ok_or_else(|| broken("no directory"))?);
    let mut left = MAX_UNPACKED;
    let mut files = Vec::new();
    for _ in 0..count {
        let (name, data) = entry(&mut directory, bytes, left)?;
        left -= data.len();
        files.push((name, data));
    }
    Ok(files)
}

/// Reads an entry of the directory, and what it stands for.
fn entry(directory: &mut Fields, bytes: &[u8], limit: usize) -> Result<(String, Vec<u8>)> {
    directory.signature(CENTRAL, "its directory is broken")?;
    directory.take(4)?;
    let flags = directory.number(2)?;
    let method = directory.number(2)?;
    directory.take(4)?;
    let checksum = directory.number(4)?;
    let (packed, unpacked) = (directory.number(4)?, directory.number(4)?);
    let name = directory.number(2)?;
    let rest = directory.number(2)? + directory.number(2)?;
    directory.take(8)?;
    let offset = directory.number(4)?;
    let name = String::from_utf8_lossy(directory.take(name)?).into_owned();
    directory.take(rest)?;

    if flags & 1 != 0 {
        return Err(broken("it is encrypted"));
    }
    if unpacked > limit {
        return Err(Error::invalid_input(format_args!(
            "the npz unpacks to more than {} MiB",
            MAX_UNPACKED >> 20
        )));
    }
    let mut local = Fields(
        bytes
            .get(offset..)
            .ok_or_else(|| broken("an entry is missing"))?,
    );
    local.signature(LOCAL, "an entry is missing")?;
    local.take(22)?;
    let skip = local.number(2)? + local.number(2)?;
    local.take(skip)?;
    let data = local.take(packed)?;
    let data = match method {
        0 => data.to_vec(),
        8 => miniz_oxide::inflate::decompress_to_vec_with_limit(data, unpacked)
            .map_err(|error| broken(&format!("{name}: {error}")))?,
        _ => return Err(broken("it is compressed in another way than deflate")),
    };
    if data.len() != unpacked || crc32(&data) as usize != checksum {
        return Err(broken(&format!("{name} is damaged")));
    }
    Ok((name, data))
}

/// An archive of these files, stored as they are.
pub(crate) fn write(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (name, data) in files {
        let offset = u32::try_from(bytes.len()).context("the npz is too large")?;
        let length = u32::try_from(data.len()).context("the npz is too large")?;
        let mut shared = Vec::new();
        // Version 2.0, no flags, stored, at the first moment that the format knows.
        for number in [20_u16, 0, 0, 0, 0x21] {
            shared.extend(number.to_le_bytes());
        }
        for number in [crc32(data), length, length] {
            shared.extend(number.to_le_bytes());
        }
        let name_length = u16::try_from(name.len()).context("an output's name is too long")?;
        shared.extend(name_length.to_le_bytes());
        shared.extend([0; 2]);

        bytes.extend(LOCAL);
        bytes.extend(&shared);
        bytes.extend(name.as_bytes());
        bytes.extend(data);
        directory.extend(CENTRAL);
        directory.extend(20_u16.to_le_bytes());
        directory.extend(&shared);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = u32::try_from(bytes.len()).context("the npz is too large")?;
    let length = u32::try_from(directory.len()).context("the npz is too large")?;
    let count = u16::try_from(files.len()).context("there are too many outputs")?;
    bytes.extend(directory);
    bytes.extend(END);
    bytes.extend([0; 4]);
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0; 2]);
    Ok(bytes)
}

/// The checksum of ZIP.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let index = (crc ^ u32::from(*byte)) & 0xff;
        TABLE.get(index as usize).copied().unwrap_or_default() ^ crc >> 8
    };
    !bytes.iter().fold(u32::MAX, step)
}

const TABLE: [u32; 256] = table();

#[expect(
    clippy::indexing_slicing,
    reason = "a compiler that runs this would complain"
)]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                0xedb8_8320 ^ crc >> 1
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let files = vec![
            ("a.npy".to_owned(), vec![1, 2, 3]),
            ("b.npy".to_owned(), vec![]),
        ];
        assert_eq!(read(&write(&files).unwrap()).unwrap(), files);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn archives_that_are_cut_or_changed_are_refused() {
        let bytes = write(&[("a.npy".to_owned(), vec![7; 100])]).unwrap();
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length}");
        }
        for position in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] ^= 0x55;
            // Much of an archive means nothing, but the data must not change unnoticed.
            if let Ok(files) = read(&changed) {
                assert!(
                    files.iter().all(|(_, data)| data == &[7; 100]),
                    "{position}"
                );
            }
        }
    }

    #[test]
    fn bombs_are_refused() {
        let packed = miniz_oxide::deflate::compress_to_vec(&vec![0; 1 << 20], 9);
        let mut bytes = write(&[("a.npy".to_owned(), packed)]).unwrap();
        let directory = bytes.windows(4).rposition(|w| w == CENTRAL).unwrap();
        bytes[directory + 10] = 8;
        // The entry promises 1,000 bytes, and unpacks to far more.
        bytes[directory + 24..directory + 28].copy_from_slice(&1000_u32.to_le_bytes());
        assert!(read(&bytes).is_err());
        // The entry promises far more than may be unpacked.
        bytes[directory + 24..directory + 28].copy_from_slice(&u32::MAX.to_le_bytes());
        let error = read(&bytes).unwrap_err();
        assert!(error.message().contains("64 MiB"), "{error}");
    }
}
