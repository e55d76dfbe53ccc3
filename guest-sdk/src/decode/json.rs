//! `application/json`: nested lists of numbers, bare or in the objects that SageMaker's common
//! inference format has.
//!
//! The numbers go straight into the array's memory as they are parsed, so a body costs no more than
//! the array it spells.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::csv::shorten;
use crate::element::{Element, Number};
use crate::tensor::{Tensor, position};
use crate::{Error, Result};

/// The keys under which an object may hold the numbers.
const KEYS: [&str; 4] = ["instances", "features", "data", "values"];

pub(crate) fn read<T: Element>(body: &[u8]) -> Result<Tensor<T>> {
    let mut builder = Builder {
        data: Vec::new(),
        lengths: Vec::new(),
        numbers_at: None,
        index: Vec::new(),
        problem: None,
    };
    let mut parser = serde_json::Deserializer::from_slice(body);
    let parsed = Node(&mut builder)
        .deserialize(&mut parser)
        .and_then(|()| parser.end());
    match (builder.problem, parsed) {
        (Some(problem), _) => Err(Error::invalid_input(problem)),
        (None, Err(error)) => Err(Error::invalid_input(format_args!(
            "the body is not valid JSON: {error}"
        ))),
        (None, Ok(())) => Ok(Tensor {
            shape: builder.lengths.into_iter().flatten().collect(),
            data: builder.data,
        }),
    }
}

/// The array as far as it has been read.
struct Builder<T> {
    data: Vec<T>,
    /// How long lists at each depth are; None until the first of them has ended.
    lengths: Vec<Option<usize>>,
    /// The depth at which numbers stand; None until the first number.
    numbers_at: Option<usize>,
    /// Where the parser is, one entry per open list, counted from 1.
    index: Vec<usize>,
    /// Our own error. It says more than the parser's, which only knows the line.
    problem: Option<String>,
}

impl<T: Element> Builder<T> {
    fn number(&mut self, number: Number) -> Result<(), String> {
        let value = T::from_number(number);
        let value = value.ok_or_else(|| self.unexpected(&number.spell()))?;
        self.push(value)
    }

    fn push(&mut self, value: T) -> Result<(), String> {
        let depth = self.index.len();
        let is_first = self.numbers_at.is_none() && self.lengths.len() == depth;
        if !is_first && self.numbers_at != Some(depth) {
            return Err(format!("{}: expected a list, found a number", self.place()));
        }
        self.numbers_at = Some(depth);
        self.data.push(value);
        Ok(())
    }

    fn open(&mut self) -> Result<(), String> {
        let depth = self.index.len();
        if self
            .numbers_at
            .is_some_and(|numbers_at| numbers_at <= depth)
        {
            return Err(self.unexpected("a list"));
        }
        if self.lengths.len() == depth {
            self.lengths.push(None);
        }
        self.index.push(0);
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let found = self.index.pop().unwrap_or_default();
        let Some(length) = self.lengths.get_mut(self.index.len()) else {
            return Ok(());
        };
        match *length.get_or_insert(found) {
            expected if expected == found => Ok(()),
            expected => Err(format!(
                "{} has {found} values, those before it have {expected}",
                self.place()
            )),
        }
    }

    fn unexpected(&self, found: &str) -> String {
        format!("{}: expected {}, found {found}", self.place(), T::NAME)
    }

    /// Lists are rows, and what stands in rows are columns.
    fn place(&self) -> String {
        match (self.index.as_slice(), self.numbers_at) {
            ([row], None | Some(2..)) => format!("row {row}"),
            (index, _) => position(index),
        }
    }
}

/// One value of the body, at whatever depth the builder is.
struct Node<'a, T>(&'a mut Builder<T>);

impl<T: Element> Node<'_, T> {
    fn keep<E: serde::de::Error>(&mut self, result: Result<(), String>) -> Result<(), E> {
        result.map_err(|problem| {
            self.0.problem = Some(problem);
            E::custom("")
        })
    }
}

impl<'de, T: Element> DeserializeSeed<'de> for Node<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Element> Visitor<'de> for Node<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_f64<E: serde::de::Error>(mut self, value: f64) -> Result<(), E> {
        let result = self.0.number(Number::Float(value));
        self.keep(result)
    }

    fn visit_i64<E: serde::de::Error>(mut self, value: i64) -> Result<(), E> {
        let result = self.0.number(Number::Int(value));
        self.keep(result)
    }

    fn visit_u64<E: serde::de::Error>(mut self, value: u64) -> Result<(), E> {
        let result = self.0.number(Number::Uint(value));
        self.keep(result)
    }

    fn visit_unit<E: serde::de::Error>(mut self) -> Result<(), E> {
        let result = match T::MISSING {
            Some(value) => self.0.push(value),
            None => Err(self.0.unexpected("null")),
        };
        self.keep(result)
    }

    fn visit_bool<E: serde::de::Error>(mut self, value: bool) -> Result<(), E> {
        let problem = self.0.unexpected(if value { "true" } else { "false" });
        self.keep(Err(problem))
    }

    fn visit_str<E: serde::de::Error>(mut self, value: &str) -> Result<(), E> {
        let problem = self.0.unexpected(&format!("{:?}", shorten(value)));
        self.keep(Err(problem))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let opened = self.0.open();
        self.keep(opened)?;
        let depth = self.0.index.len();
        let mut count = 0;
        loop {
            if let Some(last) = self.0.index.get_mut(depth - 1) {
                *last = count + 1;
            }
            if list.next_element_seed(Node(self.0))?.is_none() {
                break;
            }
            count += 1;
        }
        if let Some(last) = self.0.index.last_mut() {
            *last = count;
        }
        let closed = self.0.close();
        self.keep(closed)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut found: Option<&str> = None;
        let mut others = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let Some(known) = KEYS.into_iter().find(|known| *known == key) else {
                map.next_value::<IgnoredAny>()?;
                if others.len() < 5 {
                    others.push(format!("{:?}", shorten(&key)));
                }
                continue;
            };
            if let Some(before) = found {
                let place = self.0.place();
                let problem =
                    format!("{place}: found both {before:?} and {known:?} in one object, send one");
                return self.keep(Err(problem));
            }
            found = Some(known);
            map.next_value_seed(Node(self.0))?;
        }
        if found.is_some() {
            return Ok(());
        }
        let problem = format!(
            "{}: expected a list, or an object with \"instances\" or \"features\"; found an object \
             with {}",
            self.0.place(),
            if others.is_empty() {
                "no keys".to_owned()
            } else {
                others.join(", ")
            }
        );
        self.keep(Err(problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(body: &str) -> Vec<usize> {
        read::<f32>(body.as_bytes()).unwrap().shape
    }

    fn problem(body: impl AsRef<[u8]>) -> String {
        let error = read::<f32>(body.as_ref()).unwrap_err();
        assert_eq!(error.status(), 400);
        error.message().to_owned()
    }

    #[test]
    fn spellings_of_the_same_rows() {
        for body in [
            "[[1,2],[3,4.5]]",
            " [ [1, 2], [3e0, 45e-1] ]\r\n",
            r#"{"instances": [[1,2],[3,4.5]]}"#,
            r#"{"features": [[1,2],[3,4.5]]}"#,
            r#"{"signature_name": "serve", "instances": [[1,2],[3,4.5]], "x": {"y": []}}"#,
            r#"{"instances": [{"features": [1,2]}, {"features": [3,4.5]}]}"#,
            r#"{"instances": [{"data": {"features": {"values": [1,2]}}}, {"features": [3,4.5]}]}"#,
            r#"{"columns": ["a","b"], "data": [[1,2],[3,4.5]]}"#,
        ] {
            let tensor = read::<f32>(body.as_bytes()).unwrap();
            assert_eq!(tensor.shape, [2, 2], "{body}");
            assert_eq!(tensor.data, [1.0, 2.0, 3.0, 4.5], "{body}");
        }
    }

    #[test]
    fn shapes() {
        assert_eq!(shape_of("[1,2,3]"), [3]);
        assert_eq!(shape_of(r#"{"features":[1,2,3]}"#), [3]);
        assert_eq!(shape_of("[[1,2,3]]"), [1, 3]);
        assert_eq!(shape_of("[[[1],[2]],[[3],[4]]]"), [2, 2, 1]);
        assert_eq!(shape_of("7"), Vec::<usize>::new());
        assert_eq!(shape_of("[]"), [0]);
        assert_eq!(shape_of("[[],[]]"), [2, 0]);
    }

    #[test]
    fn null_is_nan() {
        assert!(read::<f32>(b"[null]").unwrap().data[0].is_nan());
        let error = read::<i64>(b"[[1,null]]").unwrap_err();
        assert_eq!(
            error.message(),
            "row 1, column 2: expected a 64-bit integer, found null"
        );
    }

    #[test]
    fn errors_name_the_place() {
        for (body, expected) in [
            (
                "[1,\"a\"]",
                "row 1, column 2: expected a 32-bit float, found \"a\"",
            ),
            (
                "[[1,2],[3,true]]",
                "row 2, column 2: expected a 32-bit float, found true",
            ),
            (
                "[[1,2],[3,1e39]]",
                "row 2, column 2: expected a 32-bit float, found 1e+39",
            ),
            ("[[1,2],[3]]", "row 2 has 1 values, those before it have 2"),
            ("[[1,2],3]", "row 2: expected a list, found a number"),
            ("[[],3]", "row 2: expected a list, found a number"),
            (
                "[1,[2]]",
                "row 1, column 2: expected a 32-bit float, found a list",
            ),
            (
                "[[1,[2]]]",
                "row 1, column 2: expected a 32-bit float, found a list",
            ),
            (
                "[[[1],[2,3]]]",
                "row 1, column 2 has 2 values, those before it have 1",
            ),
            (
                r#"{"rows":[[1]]}"#,
                "the input: expected a list, or an object with \"instances\" or \"features\"; found an \
                 object with \"rows\"",
            ),
            (
                r#"{"instances":[{}]}"#,
                "row 1: expected a list, or an object with \"instances\" or \"features\"; found an \
                 object with no keys",
            ),
            (
                r#"{"instances":[[1]],"features":[[1]]}"#,
                "the input: found both \"instances\" and \"features\" in one object, send one",
            ),
            (
                "\"text\"",
                "the input: expected a 32-bit float, found \"text\"",
            ),
        ] {
            assert_eq!(problem(body), expected, "{body}");
        }
    }

    #[test]
    fn hostile_bodies_are_errors() {
        for body in [
            "",
            "[1,2",
            "[1,2]]",
            "[NaN]",
            "[1e999]",
            "{\"features\":",
            "nul",
            "[1 2]",
            "\u{0}",
        ] {
            let message = problem(body);
            assert!(
                message.starts_with("the body is not valid JSON: "),
                "{message}"
            );
        }
        problem([b'[', 0xff, b']']);
        problem(b"[\"\xff\"]");
        assert!(problem("[".repeat(1 << 20)).contains("recursion limit"));
        assert!(problem("{\"data\":".repeat(1 << 17)).contains("recursion limit"));
        assert!(problem(format!("[\"{}\"]", "x".repeat(1 << 20))).len() < 200);
        assert!(problem(format!("{{\"{}\":1}}", "x".repeat(1 << 20))).len() < 300);
    }

    #[test]
    fn integers_take_whole_numbers() {
        assert_eq!(read::<u8>(b"[[255, 3.0]]").unwrap().data, [255, 3]);
        for body in ["[256]", "[-1]", "[0.5]"] {
            assert_eq!(read::<u8>(body.as_bytes()).unwrap_err().status(), 400);
        }
    }
}
