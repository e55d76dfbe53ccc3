use super::*;

fn ubj(bytes: &[u8]) -> Ubj<&[u8]> {
    Ubj::new(Input::new(bytes))
}

/// A length as XGBoost writes it.
fn length(number: i64) -> Vec<u8> {
    [b"L".as_slice(), &number.to_be_bytes()].concat()
}

#[test]
fn all_kinds_of_lists_of_numbers() {
    let ones = [
        b"[$i#U\x02\x01\x01".to_vec(),
        b"[$U#i\x02\x01\x01".to_vec(),
        b"[$I#U\x02\0\x01\0\x01".to_vec(),
        b"[$l#U\x02\0\0\0\x01\0\0\0\x01".to_vec(),
        [b"[$L#".to_vec(), length(2), 1_i64.to_be_bytes().repeat(2)].concat(),
        [b"[$d#".to_vec(), length(2), 1_f32.to_be_bytes().repeat(2)].concat(),
        [b"[$D#".to_vec(), length(2), 1_f64.to_be_bytes().repeat(2)].concat(),
        b"[#U\x02Ti\x01".to_vec(),
        b"[U\x01T]".to_vec(),
    ];
    for bytes in ones {
        let mut floats: Vec<f32> = Vec::new();
        let mut document = ubj(&bytes);
        document.numbers(&mut floats).unwrap();
        assert_eq!(floats, [1.0, 1.0], "{bytes:?}");
        document.end().unwrap();
        let mut integers: Vec<u8> = Vec::new();
        ubj(&bytes).numbers(&mut integers).unwrap();
        assert_eq!(integers, [1, 1], "{bytes:?}");
        let mut document = ubj(&bytes);
        document.skip().unwrap();
        document.end().unwrap();
    }
}

#[test]
fn long_lists_come_in_pieces() {
    let numbers: Vec<i32> = (0..100_000).collect();
    let mut bytes = [b"[$l#".to_vec(), length(100_000)].concat();
    bytes.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    let mut read: Vec<i32> = Vec::new();
    ubj(&bytes).numbers(&mut read).unwrap();
    assert_eq!(read, numbers);
    bytes.pop();
    assert!(ubj(&bytes).numbers(&mut read).is_err());
}

#[test]
fn objects_and_texts() {
    let bytes = [
        b"{".to_vec(),
        length(1),
        b"aS".to_vec(),
        length(2),
        "ä".into(),
        length(1),
        b"bZ}".to_vec(),
    ]
    .concat();
    let mut document = ubj(&bytes);
    let mut items = document.object().unwrap();
    assert_eq!(document.key(&mut items).unwrap().unwrap().as_str(), "a");
    assert_eq!(document.text().unwrap(), "ä");
    assert_eq!(document.key(&mut items).unwrap().unwrap().as_str(), "b");
    document.skip().unwrap();
    assert!(document.key(&mut items).unwrap().is_none());
    document.end().unwrap();
    let mut document = ubj(&bytes);
    document.skip().unwrap();
    document.end().unwrap();
}

#[test]
fn counts_are_not_believed() {
    for begin in [
        b"[$d#".as_slice(),
        b"[$T#",
        b"[#",
        b"[$L#",
        b"S",
        b"[{#",
        b"{#",
        b"{",
    ] {
        for number in [i64::MAX, 1 << 40, -1] {
            let bytes = [begin, &length(number), b"abc"].concat();
            assert!(ubj(&bytes).skip().is_err(), "{bytes:?}");
            assert!(ubj(&bytes).text().is_err(), "{bytes:?}");
            let mut to = Vec::<f32>::new();
            assert!(ubj(&bytes).numbers(&mut to).is_err(), "{bytes:?}");
            assert!(to.capacity() < 100);
        }
    }
}

#[test]
fn nesting_has_an_end() {
    for nest in [b"[".as_slice(), b"[#U\x01", b"{U\x01a"] {
        let error = ubj(&nest.repeat(100_000)).skip().unwrap_err();
        assert!(error.message().contains("too deeply nested"), "{error}");
    }
}

#[test]
fn numbers_must_fit() {
    let error = ubj(b"[$d#U\x01\x3f\x00\x00\x00").numbers(&mut Vec::<i32>::new());
    let message = "byte 6: a number is not a i32";
    assert_eq!(error.unwrap_err().message(), message);
    assert!(
        ubj(b"[$i#U\x01\xff")
            .numbers(&mut Vec::<u32>::new())
            .is_err()
    );
    assert!(ubj(b"[S]").numbers(&mut Vec::<u32>::new()).is_err());
    assert!(ubj(b"[$x#U\x01").numbers(&mut Vec::<u32>::new()).is_err());
    assert!(ubj(b"[$d").numbers(&mut Vec::<u32>::new()).is_err());
}
