use super::*;
use ndarray::{arr0, array};

/// A file with this header and data, as version 1.0.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn typed(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    file(&header, data)
}

fn problem(bytes: &[u8]) -> String {
    let error = from_bytes::<f32>(bytes).unwrap_err();
    assert_eq!(error.status(), 400);
    error.message().to_owned()
}

/// The bytes that `numpy.save` 1.26 writes for `numpy.array([[1.5, -2.0]], dtype="<f4")`.
#[test]
fn numpy_writes_the_same_bytes() {
    let mut expected =
        b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }"
            .to_vec();
    expected.resize(127, b' ');
    expected.extend_from_slice(b"\n\x00\x00\xc0\x3f\x00\x00\x00\xc0");
    assert_eq!(to_bytes(&array![[1.5_f32, -2.0]]), expected);
}

#[test]
fn there_and_back() {
    let any = array![[1_i32, -2, 3], [4, 5, 6]];
    assert_eq!(
        from_bytes::<i32>(&to_bytes(&any)).unwrap(),
        any.clone().into_dyn()
    );
    let transposed = any.reversed_axes();
    assert_eq!(
        from_bytes::<i32>(&to_bytes(&transposed)).unwrap(),
        transposed.into_dyn()
    );
    assert_eq!(
        from_bytes::<f64>(&to_bytes(&array![1.5_f64])).unwrap(),
        array![1.5].into_dyn()
    );
    assert_eq!(
        from_bytes::<u8>(&to_bytes(&arr0(7_u8))).unwrap(),
        arr0(7).into_dyn()
    );
    let empty = from_bytes::<f32>(&typed("<f4", "(0, 3)", b"")).unwrap();
    assert_eq!(empty.shape(), [0, 3]);
}

#[test]
fn every_numeric_type_in_both_byte_orders() {
    for (descr, data, expected) in [
        ("<f2", &[0x00, 0xbe][..], -1.5),
        (">f2", &[0x3e, 0x00], 1.5),
        ("<f4", &1.5_f32.to_le_bytes(), 1.5),
        (">f4", &1.5_f32.to_be_bytes(), 1.5),
        ("<f8", &1.5_f64.to_le_bytes(), 1.5),
        (">f8", &1.5_f64.to_be_bytes(), 1.5),
        ("|i1", &[0xff], -1.0),
        ("<i2", &(-300_i16).to_le_bytes(), -300.0),
        (">i2", &(-300_i16).to_be_bytes(), -300.0),
        ("<i4", &(-70_000_i32).to_le_bytes(), -70_000.0),
        (">i8", &(-5_i64).to_be_bytes(), -5.0),
        ("|u1", &[0xff], 255.0),
        (">u2", &[1, 0], 256.0),
        ("<u4", &u32::MAX.to_le_bytes(), 4_294_967_295.0),
        ("<u8", &(1_u64 << 40).to_le_bytes(), 1_099_511_627_776.0),
        ("|b1", &[1], 1.0),
        ("|b1", &[0], 0.0),
    ] {
        let array = from_bytes::<f64>(&typed(descr, "(1,)", data)).unwrap();
        assert_eq!(array, array![expected].into_dyn(), "{descr}");
    }
}

#[test]
fn half_precision() {
    for (bits, expected) in [
        (0x0000, 0.0),
        (0x0001, 5.960_464_477_539_063e-8),
        (0x03ff, 6.097_555_160_522_461e-5),
        (0x0400, 6.103_515_625e-5),
        (0x3555, 0.333_251_953_125),
        (0x7bff, 65_504.0),
        (0xfc00, f64::NEG_INFINITY),
    ] {
        assert_eq!(half(bits), expected, "{bits:#x}");
    }
    assert!(half(0x7e00).is_nan());
}

#[test]
fn fortran_order_becomes_row_major() {
    let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }";
    let array = from_bytes::<u8>(&file(header, &[1, 4, 2, 5, 3, 6])).unwrap();
    assert_eq!(array, array![[1, 2, 3], [4, 5, 6]].into_dyn());
    let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2, 2), }";
    let array = from_bytes::<u8>(&file(header, &[1, 5, 3, 7, 2, 6, 4, 8])).unwrap();
    assert_eq!(array, array![[[1, 2], [3, 4]], [[5, 6], [7, 8]]].into_dyn());
}

#[test]
fn versions_two_and_three_have_long_headers() {
    let header = "{\"shape\": (1L,), \"fortran_order\": False, \"descr\": \"|u1\"}";
    for version in [2, 3] {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend_from_slice(&[version, 0]);
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.push(7);
        assert_eq!(from_bytes::<u8>(&bytes).unwrap(), array![7].into_dyn());
    }
}

#[test]
fn values_that_do_not_fit_are_named() {
    let message = |bytes: &[u8]| from_bytes::<u8>(bytes).unwrap_err().message().to_owned();
    let bytes = to_bytes(&array![[1_i64, 2], [3, 256]]);
    assert_eq!(
        message(&bytes),
        "row 2, column 2: expected an unsigned 8-bit integer, found 256"
    );
    let header = "{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }";
    let bytes = file(header, &[1, 1, 1, 0xff, 1, 1]);
    assert_eq!(
        message(&bytes),
        "row 2, column 2: expected an unsigned 8-bit integer, found -1"
    );
    let bytes = to_bytes(&array![1e300]);
    assert_eq!(
        problem(&bytes),
        "row 1, column 1: expected a 32-bit float, found 1e+300"
    );
}

#[test]
fn objects_records_and_texts_are_refused() {
    for (descr, expected) in [
        ("|O", "refused"),
        ("<U8", "not supported"),
        ("|S3", "not supported"),
        ("<c8", "not supported"),
        ("<f16", "not supported"),
        ("<M8[ns]", "not supported"),
        ("<b8", "not supported"),
        ("f4", "not supported"),
        ("", "not supported"),
        ("<", "not supported"),
        ("é", "not supported"),
    ] {
        let message = problem(&typed(descr, "(1,)", &[0; 8]));
        assert!(message.contains(expected), "{descr}: {message}");
    }
    let header = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }";
    assert!(problem(&file(header, &[0; 4])).contains("records"));
}

#[test]
fn hostile_headers_are_errors() {
    let huge = usize::MAX;
    for (shape, data) in [
        (format!("({huge}, {huge})"), &[0; 4][..]),
        (format!("({huge},)"), &[0; 4]),
        (format!("(0, {huge}, {huge})"), &[]),
        ("(1000000000,)".to_owned(), &[0; 4]),
        ("(99999999999999999999999999,)".to_owned(), &[0; 4]),
        ("(-1,)".to_owned(), &[0; 4]),
        ("(1.5,)".to_owned(), &[0; 4]),
        ("(1".to_owned(), &[0; 4]),
        ("(1 1)".to_owned(), &[0; 4]),
        ("1".to_owned(), &[0; 4]),
        (format!("({})", "1,".repeat(65)), &[0; 4]),
        ("(1,)".to_owned(), &[0; 3]),
        ("(1,)".to_owned(), &[0; 5]),
        ("(2,)".to_owned(), &[0; 4]),
        ("()".to_owned(), &[]),
    ] {
        problem(&typed("<f4", &shape, data));
    }
    for header in [
        "",
        "{",
        "}",
        "{}",
        "[]",
        "{'descr'",
        "{'descr': '<f4'",
        "{'descr': '<f4',}",
        "{'descr: '<f4'}",
        "{'descr': '<f4', 'fortran_order': 1, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': ()}",
    ] {
        problem(&file(header, &[0; 4]));
    }
}

#[test]
fn cut_off_and_foreign_bytes_are_errors() {
    let whole = to_bytes(&array![[1.5_f32, -2.0]]);
    for length in 0..whole.len() {
        problem(&whole[..length]);
    }
    for place in 0..128 {
        // Any single damaged byte of the header: an error or other numbers, but never a panic.
        let mut damaged = whole.clone();
        damaged[place] ^= 0x55;
        let _ = from_bytes::<f32>(&damaged);
    }
    problem(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{");
    assert!(problem(b"\x93NUMPY\x09\x00\x00\x00").contains("version 9"));
    assert!(problem(b"PK\x03\x04").contains("does not begin"));
}

#[test]
fn files_fail_as_the_models_own_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.npy");
    std::fs::write(&path, to_bytes(&array![1.0_f32])).unwrap();
    assert_eq!(read::<f32>(&path).unwrap(), array![1.0].into_dyn());
    std::fs::write(&path, "junk").unwrap();
    let error = read::<f32>(&path).unwrap_err();
    assert_eq!(error.status(), 500);
    assert!(error.message().contains("weights.npy"), "{error}");
    let error = read::<f32>(folder.path().join("none.npy")).unwrap_err();
    assert_eq!(error.status(), 500);
    assert!(error.message().contains("none.npy"), "{error}");
}
