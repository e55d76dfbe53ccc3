//! What the caller wants back.

use crate::media_type::MediaType;
use crate::{Error, Result};

/// The caller's `Accept` header: which content types it takes, and which it prefers.
///
/// Reading it never fails. A part that makes no sense is skipped, and a header of such parts only
/// counts as missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Accept {
    header: Option<String>,
    ranges: Vec<Range>,
}

/// One part of the header.
#[derive(Debug, Clone, PartialEq)]
struct Range {
    /// `type/subtype`, `type/*` or `*/*`, in lower case.
    pattern: String,
    /// From 0 (not acceptable) to 1.
    q: f32,
}

impl Accept {
    /// Reads a header; `None` if the caller sent none.
    pub fn new(header: Option<&str>) -> Self {
        Self {
            header: header.map(str::to_owned),
            ranges: header
                .unwrap_or_default()
                .split(',')
                .filter_map(Range::parse)
                .collect(),
        }
    }

    /// The header, verbatim.
    pub fn header(&self) -> Option<&str> {
        self.header.as_deref()
    }

    /// Chooses among the content types that a model can write, best first.
    ///
    /// The caller's preference (`q`) decides, then the order of `offered`. A missing or empty
    /// header and `*/*` choose the first. Case and parameters such as `; charset=utf-8` play no
    /// part.
    ///
    /// # Errors
    /// Unsupported accept, if the caller takes none of them; the text names them.
    pub fn choose<'a>(&self, offered: &[&'a str]) -> Result<&'a str> {
        let mut best: Option<(&'a str, f32)> = None;
        for &candidate in offered {
            let q = self.quality(&MediaType::parse(candidate).essence);
            if q > best.map_or(0.0, |(_, q)| q) {
                best = Some((candidate, q));
            }
        }
        best.map(|(chosen, _)| chosen).ok_or_else(|| {
            Error::unsupported_accept(format_args!(
                "cannot answer as {:?}: ask for {}",
                self.header().unwrap_or_default(),
                list(offered)
            ))
        })
    }

    /// How much the caller wants a type: the `q` of the most specific part that covers it.
    fn quality(&self, essence: &str) -> f32 {
        if self.ranges.is_empty() {
            return 1.0;
        }
        let family = essence.split('/').next().unwrap_or_default();
        let covers = |range: &Range| match range.pattern.as_str() {
            "*/*" => Some(0),
            pattern if pattern.strip_suffix("/*") == Some(family) => Some(1),
            pattern if pattern == essence => Some(2),
            _ => None,
        };
        self.ranges
            .iter()
            .filter_map(|range| Some((covers(range)?, range.q)))
            // Of parts that are equally specific, the kindest.
            .max_by(|(a, p), (b, q)| a.cmp(b).then(p.total_cmp(q)))
            .map_or(0.0, |(_, q)| q)
    }
}

impl Range {
    fn parse(part: &str) -> Option<Self> {
        let media_type = MediaType::parse(part);
        let q = media_type
            .parameter("q")
            .and_then(|q| q.parse::<f32>().ok())
            .filter(|q| q.is_finite())
            .map_or(1.0, |q| q.clamp(0.0, 1.0));
        let pattern = match media_type.essence.as_str() {
            // Some clients send a lone star.
            "*" => "*/*".to_owned(),
            essence => {
                let (family, subtype) = essence.split_once('/')?;
                if family.is_empty() || subtype.is_empty() {
                    return None;
                }
                media_type.essence
            }
        };
        Some(Self { pattern, q })
    }
}

/// `a, b or c`.
pub(crate) fn list(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: [&str; 3] = ["application/json", "text/csv", "application/x-npy"];

    #[test]
    fn chooses_by_preference_then_by_order() {
        for (header, expected) in [
            (None, "application/json"),
            (Some(""), "application/json"),
            (Some("  "), "application/json"),
            (Some("*/*"), "application/json"),
            (Some("*"), "application/json"),
            (Some("text/csv"), "text/csv"),
            (Some("TEXT/CSV; charset=utf-8"), "text/csv"),
            (Some("text/*"), "text/csv"),
            (Some("text/html, text/*;q=0.3"), "text/csv"),
            (Some("text/csv, application/json"), "application/json"),
            (Some("text/csv;q=0.9, application/json;q=0.8"), "text/csv"),
            (
                Some("text/csv; charset=utf-8; Q=0.1, application/x-npy;q=0.2"),
                "application/x-npy",
            ),
            (Some("*/*;q=0.1, text/csv"), "text/csv"),
            // The most specific part decides, not the highest q.
            (Some("*/*, application/json;q=0"), "text/csv"),
            (
                Some("application/*;q=0.9, application/json;q=0.1, text/csv;q=0.5"),
                "application/x-npy",
            ),
            // Nonsense is skipped.
            (Some("/, ;q=1, json, text/csv"), "text/csv"),
            (Some("json"), "application/json"),
            (Some(",,,"), "application/json"),
            (Some("text/csv;q=much"), "text/csv"),
            (
                Some("text/csv;q=7, application/json;q=1"),
                "application/json",
            ),
            (Some("text/csv;q=nan"), "text/csv"),
            (
                Some("text/csv;q=-1, application/x-npy;q=0.001"),
                "application/x-npy",
            ),
        ] {
            let accept = Accept::new(header);
            assert_eq!(accept.choose(&OFFERED).unwrap(), expected, "{header:?}");
            assert_eq!(accept.header(), header);
        }
    }

    #[test]
    fn refusals_name_what_is_offered() {
        for header in [
            "image/png",
            "text/html, image/*",
            "*/*;q=0",
            "application/*;q=0",
        ] {
            let error = Accept::new(Some(header)).choose(&OFFERED).unwrap_err();
            assert_eq!(error.status(), 406);
            assert_eq!(
                error.message(),
                format!(
                    "cannot answer as {header:?}: ask for application/json, text/csv or application/x-npy"
                )
            );
        }
        assert_eq!(Accept::default().choose(&[]).unwrap_err().status(), 406);
    }

    #[test]
    fn offers_may_carry_parameters() {
        let accept = Accept::new(Some("text/plain"));
        let offered = ["text/plain; charset=utf-8"];
        assert_eq!(accept.choose(&offered).unwrap(), offered[0]);
    }
}
