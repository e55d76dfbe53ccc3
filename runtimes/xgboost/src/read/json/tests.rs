use super::*;

/// A file that comes a byte at a time, so that everything crosses the end of what was read.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let count = to.len().min(1);
        self.0.read(&mut to[..count])
    }
}

fn json(text: &str) -> Json<Slow<'_>> {
    Json::new(Input::new(Slow(text.as_bytes())))
}

#[test]
fn members_come_in_their_order() {
    let mut json = json(" {\"a\" : [1,2] , \"b\\n\\u0041\":\"x\\\"\\u00e4y\", \"none\":{} }\n");
    let mut items = json.object().unwrap();
    assert_eq!(json.key(&mut items).unwrap().unwrap().as_str(), "a");
    let mut numbers = vec![7_u32];
    json.numbers(&mut numbers).unwrap();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(json.key(&mut items).unwrap().unwrap().as_str(), "b\nA");
    assert_eq!(json.text().unwrap(), "x\"äy");
    assert_eq!(json.key(&mut items).unwrap().unwrap().as_str(), "none");
    let mut none = json.object().unwrap();
    assert!(json.key(&mut none).unwrap().is_none());
    assert!(json.key(&mut items).unwrap().is_none());
    json.end().unwrap();
}

#[test]
fn long_keys_are_no_keys_that_matter() {
    let text = format!("{{\"{}\":1}}", "learner".repeat(9));
    let mut json = json(&text);
    let mut items = json.object().unwrap();
    assert_eq!(json.key(&mut items).unwrap().unwrap().as_str(), "");
}

#[test]
fn numbers_are_those_of_the_library() {
    let mut floats: Vec<f32> = Vec::new();
    json("[1E0,-5.5e-1,0,1e39,-1e39,1e-46,NaN,Infinity,-Infinity,true,false]")
        .numbers(&mut floats)
        .unwrap();
    let infinity = f32::INFINITY;
    assert!(floats.remove(6).is_nan());
    let expected = [
        1.0, -0.55, 0.0, infinity, -infinity, 0.0, infinity, -infinity, 1.0, 0.0,
    ];
    assert_eq!(floats, expected);
    let mut integers: Vec<i32> = Vec::new();
    json("[ ]").numbers(&mut integers).unwrap();
    assert!(integers.is_empty());
    json("[-1,2147483647,1E1,true]")
        .numbers(&mut integers)
        .unwrap();
    assert_eq!(integers, [-1, i32::MAX, 10, 1]);
}

#[test]
fn what_is_no_number_is_named() {
    for (text, message) in [
        ("[1,2147483648]", "byte 3: 2147483648 is not a i32"),
        ("[0.5]", "byte 1: 0.5 is not a i32"),
        ("[NaN]", "byte 1: NaN is not a i32"),
        ("[\"1\"]", "byte 1: expected a number"),
        ("[1,]", "byte 3: expected a number"),
        ("[1 2]", "byte 3: expected a comma or the end of the list"),
        ("[1", "byte 2: the file ends too early"),
        ("[", "byte 1: expected a number"),
        ("1", "byte 0: expected a list"),
    ] {
        let error = json(text).numbers(&mut Vec::<i32>::new()).unwrap_err();
        assert_eq!(error.message(), message, "{text}");
    }
    let long = format!("[{}]", "1".repeat(1000));
    assert!(json(&long).numbers(&mut Vec::<f32>::new()).is_err());
}

#[test]
fn anything_can_be_skipped() {
    for text in [
        "1,",
        "\"a\\\"],\",",
        "null,",
        "-1.5E+3,",
        "[],",
        "{},",
        "[1,[\"]\",{\"}\":[]}],2],",
        "{\"a\":{\"b\":[null,true]},\"c\":[1,2,3]},",
    ] {
        let mut json = json(text);
        json.skip().unwrap();
        assert_eq!(json.input.next().unwrap(), b',', "{text}");
    }
    for text in ["", "[1", "[\"", "{\"a\":", ",", "]"] {
        assert!(json(text).skip().is_err(), "{text}");
    }
}

#[test]
fn depth_costs_nothing() {
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let mut json = Json::new(Input::new(deep.as_bytes()));
    json.skip().unwrap();
    json.end().unwrap();
}

#[test]
fn texts_must_be_texts() {
    for text in ["1", "\"a", "\"\\x\"", "\"\\u12g4\"", "\"\n\"", ""] {
        assert!(json(text).text().is_err(), "{text}");
    }
    let invalid: &[u8] = b"\"\xff\"";
    assert!(Json::new(Input::new(invalid)).text().is_err());
}
