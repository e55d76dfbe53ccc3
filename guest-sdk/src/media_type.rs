//! Reads `type/subtype; name=value` as it stands in `Content-Type` and in each part of `Accept`.

/// A media type and its parameters. Any text can be read as one; nonsense gives nonsense.
#[derive(Debug, PartialEq)]
pub(crate) struct MediaType<'a> {
    /// `type/subtype`, in lower case.
    pub(crate) essence: String,
    parameters: &'a str,
}

impl<'a> MediaType<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        Self {
            essence: essence.trim().to_ascii_lowercase(),
            parameters,
        }
    }

    /// The value of a parameter, without quotes.
    pub(crate) fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.split(';').find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().trim_matches('"'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        let media_type = MediaType::parse("Text/CSV ; Charset=\"UTF-8\";q = 0.5;;=;x");
        assert_eq!(media_type.essence, "text/csv");
        assert_eq!(media_type.parameter("charset"), Some("UTF-8"));
        assert_eq!(media_type.parameter("q"), Some("0.5"));
        assert_eq!(media_type.parameter("x"), None);
        assert_eq!(MediaType::parse("").essence, "");
    }
}
