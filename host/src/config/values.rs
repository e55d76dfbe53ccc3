//! How sizes, times and counts are written and what they may be.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};

use crate::sandbox::printable;

/// A time as people write it: `30s`, `500ms`, `2m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text)
            .map(Span)
            .map_err(|e| format!("{e}; write a time as 30s, 500ms or 2m"))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as \"30s\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }
        from.deserialize_str(Text)
    }
}

/// Reads TOML; an error is one line that names the place, not the library's excerpt of the file.
///
/// # Errors
///
/// `line 3: unknown field ...`
pub fn parse_toml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|e| {
        let before = e.span().and_then(|span| text.get(..span.start));
        let line = before.unwrap_or_default().matches('\n').count() + 1;
        // It quotes what is in the file.
        format!("line {line}: {}", printable(e.message()))
    })
}

/// `value` in bytes, if it is within bounds.
pub(super) fn size(
    name: &str,
    value: ByteSize,
    least: ByteSize,
    most: ByteSize,
) -> Result<u64, String> {
    if value < least || value > most {
        return Err(format!(
            "--{name} is {value}, but must be from {least} to {most}"
        ));
    }
    Ok(value.as_u64())
}

/// `value`, or the default; more than nothing and at most a day.
pub(super) fn time(
    name: &str,
    value: Option<Span>,
    default_seconds: u64,
) -> Result<Duration, String> {
    let day = Duration::from_secs(24 * 60 * 60);
    let value = value.map_or(Duration::from_secs(default_seconds), |span| span.0);
    if value.is_zero() || value > day {
        return Err(format!("--{name} must be more than 0s and at most 1day"));
    }
    Ok(value)
}

/// `value`, or the default; at most a day, and nothing is fine too.
pub(super) fn interval(
    name: &str,
    value: Option<Span>,
    default_seconds: u64,
) -> Result<Duration, String> {
    match value {
        Some(span) if span.0.is_zero() => Ok(Duration::ZERO),
        _ => time(name, value, default_seconds),
    }
}

/// `value`, or the default; from 1 to a million.
pub(super) fn count(name: &str, value: Option<usize>, default: usize) -> Result<usize, String> {
    let most = 1_000_000;
    let value = value.unwrap_or(default);
    if value == 0 || value > most {
        return Err(format!("--{name} is {value}, but must be from 1 to {most}"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_the_file_holds() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Empty {}
        let error = parse_toml::<Empty>("\n\"max\\nbody\" = 1").unwrap_err();
        assert!(
            error.starts_with("line 2: unknown field `max\\nbody`"),
            "{error:?}"
        );
    }
}
