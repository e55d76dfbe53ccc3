//! NPY arrays as tensors. The SDK reads and writes those of numbers; text is ours.

use modelcell_guest::ndarray::ArrayD;
use modelcell_guest::{Context, Error, Result, npy};
use tract_onnx::tract_hir::internal::{Datum, DatumType, IntoTensor, Tensor};

use crate::ops::{tensor, values};

fn broken(what: &str) -> Error {
    Error::invalid_input(format_args!("not a readable npy: {what}"))
}

/// Reads an array, with values of this type.
///
/// # Errors
/// Invalid input, if this is no array, or one of values that this type cannot hold.
pub(crate) fn read(bytes: &[u8], kind: DatumType) -> Result<Tensor> {
    macro_rules! numbers {
        ($type:ty) => {
            into_tensor(npy::from_bytes::<$type>(bytes)?)
        };
    }
    match kind {
        DatumType::I8 => numbers!(i8),
        DatumType::I16 => numbers!(i16),
        DatumType::I32 => numbers!(i32),
        DatumType::I64 => numbers!(i64),
        DatumType::U8 => numbers!(u8),
        DatumType::U16 => numbers!(u16),
        DatumType::U32 => numbers!(u32),
        DatumType::U64 => numbers!(u64),
        DatumType::F64 => numbers!(f64),
        DatumType::F32 => numbers!(f32),
        DatumType::Bool => into_tensor(npy::from_bytes::<u8>(bytes)?.mapv(|value| value != 0)),
        DatumType::String => read_text(bytes),
        _ => Err(Error::failed("a type that no npy can hold")),
    }
}

fn into_tensor<T: Datum>(array: ArrayD<T>) -> Result<Tensor> {
    Ok(array.into_tensor())
}

/// Reads an array of text: `<U8`, `>U8` or `S8`.
fn read_text(bytes: &[u8]) -> Result<Tensor> {
    let header = Header::read(bytes)?;
    let (order, rest) = header
        .descr
        .split_at_checked(1)
        .ok_or_else(|| broken("no descr"))?;
    let (letter, size) = rest.split_at_checked(1).ok_or_else(|| broken("no descr"))?;
    if !matches!(letter, "U" | "S") {
        return Err(Error::invalid_input(format_args!(
            "expected an npy of text, and this one holds {:?}",
            header.descr
        )));
    }
    if header.fortran_order {
        return Err(broken("text in column-major order"));
    }
    let size: usize = size.parse().map_err(|_| broken("no size in its descr"))?;
    let width = if letter == "U" {
        size.checked_mul(4)
    } else {
        Some(size)
    };
    let count = header
        .shape
        .iter()
        .try_fold(1_usize, |all, n| all.checked_mul(*n));
    let expected = width
        .zip(count)
        .and_then(|(width, count)| width.checked_mul(count));
    if expected != Some(header.data.len()) {
        return Err(broken("its shape does not fit its length"));
    }
    let width = width.unwrap_or_default();
    // Texts without letters take no bytes, so their number is a promise that nothing stands for.
    if width == 0 && count != Some(0) {
        return Err(broken("its texts are all empty"));
    }
    let texts: Vec<String> = header
        .data
        .chunks_exact(width.max(1))
        .map(|item| match letter {
            "U" => from_utf32(item, order == ">"),
            _ => from_bytes(item),
        })
        .collect::<Result<_>>()?;
    tensor(&header.shape, texts).map_err(crate::failed)
}

fn from_utf32(item: &[u8], big_endian: bool) -> Result<String> {
    let (units, _) = item.as_chunks::<4>();
    let letters = units.iter().map(|unit| match big_endian {
        true => u32::from_be_bytes(*unit),
        false => u32::from_le_bytes(*unit),
    });
    let text: Option<String> = letters.map(char::from_u32).collect();
    let text = text.ok_or_else(|| broken("its text is not Unicode"))?;
    Ok(text.trim_end_matches('\0').to_owned())
}

fn from_bytes(item: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(item).map_err(|_| broken("its text is not UTF-8"))?;
    Ok(text.trim_end_matches('\0').to_owned())
}

/// The parts of a file.
struct Header<'a> {
    descr: &'a str,
    fortran_order: bool,
    shape: Vec<usize>,
    data: &'a [u8],
}

impl<'a> Header<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let parts = match bytes {
            [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, rest @ ..] => {
                Some((usize::from(u16::from_le_bytes([*a, *b])), rest))
            }
            [
                0x93,
                b'N',
                b'U',
                b'M',
                b'P',
                b'Y',
                2 | 3,
                _,
                a,
                b,
                c,
                d,
                rest @ ..,
            ] => Some((u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest)),
            _ => None,
        };
        let (length, rest) = parts.ok_or_else(|| broken("it does not begin like one"))?;
        let (header, data) = rest
            .split_at_checked(length)
            .ok_or_else(|| broken("it ends within its header"))?;
        let header = std::str::from_utf8(header).map_err(|_| broken("its header is no text"))?;
        let shape = field(header, "shape")?
            .trim_start()
            .strip_prefix('(')
            .and_then(|rest| rest.split(')').next())
            .ok_or_else(|| broken("no shape"))?;
        let shape: Option<Vec<usize>> = shape
            .split(',')
            .map(str::trim)
            .filter(|length| !length.is_empty())
            .map(|length| length.parse().ok())
            .collect();
        Ok(Self {
            descr: field(header, "descr")?
                .split('\'')
                .nth(1)
                .unwrap_or_default(),
            fortran_order: field(header, "fortran_order")?
                .trim_start()
                .starts_with("True"),
            shape: shape.ok_or_else(|| broken("no shape"))?,
            data,
        })
    }
}

/// What stands behind a field's name in a header.
fn field<'a>(header: &'a str, name: &str) -> Result<&'a str> {
    let quoted = format!("'{name}':");
    let (_, rest) = header
        .split_once(&quoted)
        .ok_or_else(|| broken(&format!("no {name}")))?;
    Ok(rest)
}

/// Writes a tensor.
pub(crate) fn write(tensor: &Tensor) -> Result<Vec<u8>> {
    macro_rules! numbers {
        ($type:ty) => {
            npy::to_bytes(&array::<$type>(tensor)?)
        };
    }
    Ok(match tensor.datum_type() {
        DatumType::I8 => numbers!(i8),
        DatumType::I16 => numbers!(i16),
        DatumType::I32 => numbers!(i32),
        DatumType::I64 => numbers!(i64),
        DatumType::U8 => numbers!(u8),
        DatumType::U16 => numbers!(u16),
        DatumType::U32 => numbers!(u32),
        DatumType::U64 => numbers!(u64),
        DatumType::F64 => numbers!(f64),
        DatumType::F32 => numbers!(f32),
        DatumType::Bool => npy::to_bytes(&array::<bool>(tensor)?.mapv(u8::from)),
        DatumType::String => write_text(tensor)?,
        _ => return Err(Error::failed("a type that no npy can hold")),
    })
}

fn array<T: Datum>(tensor: &Tensor) -> Result<ArrayD<T>> {
    let view = tensor.to_plain_array_view::<T>().map_err(crate::failed)?;
    Ok(view.to_owned())
}

fn write_text(tensor: &Tensor) -> Result<Vec<u8>> {
    let texts = values::<String>(tensor).map_err(crate::failed)?;
    let width = texts.iter().map(|text| text.chars().count()).max();
    let width = width.unwrap_or_default().max(1);
    let lengths: Vec<String> = tensor.shape().iter().map(|n| format!("{n},")).collect();
    let mut header = format!(
        "{{'descr': '<U{width}', 'fortran_order': False, 'shape': ({}), }}",
        lengths.join(" ")
    );
    // The data begins at a multiple of 64 bytes, and the header ends with a newline.
    let padding = 64 - (10 + header.len() + 1) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let length = u16::try_from(header.len()).context("an output has too many axes")?;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(header.as_bytes());
    for text in texts {
        let letters = text.chars().map(u32::from);
        let letters = letters.chain(std::iter::repeat(0)).take(width);
        letters.for_each(|letter| bytes.extend(letter.to_le_bytes()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive() {
        let texts = [
            "red".to_owned(),
            String::new(),
            "blå".to_owned(),
            "🦀🦀🦀🦀".to_owned(),
        ];
        let tensor = tensor(&[2, 2], texts.to_vec()).unwrap();
        let bytes = write(&tensor).unwrap();
        assert_eq!(bytes.len() % 64, 4 * 4 * 4 % 64);
        assert_eq!(read(&bytes, DatumType::String).unwrap(), tensor);
        for length in 0..bytes.len() {
            assert!(
                read(&bytes[..length], DatumType::String).is_err(),
                "{length}"
            );
        }
    }

    #[test]
    fn numbers_are_no_text() {
        let bytes = write(&tensor(&[1], vec![1.0_f32]).unwrap()).unwrap();
        let error = read(&bytes, DatumType::String).unwrap_err();
        assert!(error.message().contains("npy of text"), "{error}");
        assert_eq!(
            read(&bytes, DatumType::I64).unwrap(),
            tensor(&[1], vec![1_i64]).unwrap()
        );
    }
}
