//! Why a hook gave no result.

use std::error::Error as StdError;
use std::fmt;

/// `std::result::Result` with [`Error`] as its error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a hook gave no result: a text and the HTTP status it stands for.
///
/// The text of the first three kinds goes to the caller, so say in it what to do; that of
/// [`failed`](Self::failed) goes to the log.
///
/// Any `std::error::Error` becomes a failed one with `?`, its sources included in the text.
/// [`Context`] makes it the caller's mistake instead.
pub struct Error {
    kind: Kind,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    UnsupportedContentType,
    UnsupportedAccept,
    InvalidInput,
    Failed,
}

impl Error {
    /// The model cannot read this content type: status 415. Name the ones that it can read.
    pub fn unsupported_content_type(message: impl fmt::Display) -> Self {
        Self::new(Kind::UnsupportedContentType, &message)
    }

    /// The model cannot write what `Accept` asks for: status 406. Name the types that it can write.
    pub fn unsupported_accept(message: impl fmt::Display) -> Self {
        Self::new(Kind::UnsupportedAccept, &message)
    }

    /// The input is wrong (malformed, wrong number of features, out of range): status 400. Say where
    /// and what was expected.
    pub fn invalid_input(message: impl fmt::Display) -> Self {
        Self::new(Kind::InvalidInput, &message)
    }

    /// Anything that is not the caller's fault: status 500.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::new(Kind::Failed, &message)
    }

    fn new(kind: Kind, message: &dyn fmt::Display) -> Self {
        let message = message.to_string();
        Self { kind, message }
    }

    /// The HTTP status that the caller gets.
    pub fn status(&self) -> u16 {
        match self.kind {
            Kind::UnsupportedContentType => 415,
            Kind::UnsupportedAccept => 406,
            Kind::InvalidInput => 400,
            Kind::Failed => 500,
        }
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn within(self, kind: Kind, context: &dyn fmt::Display) -> Self {
        let message = format!("{context}: {}", self.message);
        Self { kind, message }
    }

    pub(crate) fn into_parts(self) -> (Kind, String) {
        (self.kind, self.message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// As text, so that `unwrap` and `assert` in tests print something readable.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.status())
    }
}

// `Error` itself is no `std::error::Error`: this impl would then overlap the one of `From<T> for T`.
impl<E: StdError> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Many errors repeat their source in their own text.
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self {
            kind: Kind::Failed,
            message,
        }
    }
}

/// Says more about an error, or that it is the caller's mistake, on any `Result` or `Option`.
///
/// ```
/// use modelcell_guest::{Context, Result};
///
/// fn age(text: &str) -> Result<u8> {
///     text.parse().invalid_input("the age, row 3")
/// }
///
/// let error = age("forty").unwrap_err();
/// assert_eq!(error.message(), "the age, row 3: invalid digit found in string");
/// assert_eq!(error.status(), 400);
/// ```
pub trait Context<T> {
    /// Puts a text before the error's own and keeps its kind. `None` becomes a failed error (500).
    fn context(self, message: impl fmt::Display) -> Result<T>;

    /// Makes it the caller's mistake (400), with a text before the error's own that says where.
    fn invalid_input(self, message: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, message: impl fmt::Display) -> Result<T> {
        self.map_err(|error| {
            let error = error.into();
            let kind = error.kind;
            error.within(kind, &message)
        })
    }

    fn invalid_input(self, message: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().within(Kind::InvalidInput, &message))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, message: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Error::failed(message))
    }

    fn invalid_input(self, message: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Error::invalid_input(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(&'static str, std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.1)
        }
    }

    fn digit() -> std::num::ParseIntError {
        "x".parse::<u8>().unwrap_err()
    }

    #[test]
    fn statuses() {
        assert_eq!(Error::unsupported_content_type("").status(), 415);
        assert_eq!(Error::unsupported_accept("").status(), 406);
        assert_eq!(Error::invalid_input("").status(), 400);
        assert_eq!(Error::failed("").status(), 500);
    }

    #[test]
    fn question_mark_keeps_the_sources() {
        fn hook(text: &'static str) -> Result<()> {
            Err(Outer(text, digit()))?;
            Ok(())
        }
        let error = hook("the threshold").unwrap_err();
        assert_eq!(
            error.message(),
            "the threshold: invalid digit found in string"
        );
        assert_eq!(error.status(), 500);
        let error = hook("bad: invalid digit found in string").unwrap_err();
        assert_eq!(error.message(), "bad: invalid digit found in string");
    }

    #[test]
    fn context_keeps_the_kind_and_invalid_input_sets_it() {
        let refused: Result<()> = Err(Error::unsupported_accept("no PNG"));
        let error = refused.context("output").unwrap_err();
        assert_eq!((error.status(), error.message()), (406, "output: no PNG"));

        let error = Err::<(), _>(digit()).invalid_input("row 3").unwrap_err();
        assert_eq!(error.status(), 400);
        assert_eq!(error.message(), "row 3: invalid digit found in string");

        assert_eq!(None::<()>.context("no tree").unwrap_err().status(), 500);
        assert_eq!(
            None::<()>.invalid_input("no row").unwrap_err().status(),
            400
        );
        assert_eq!(format!("{:?}", Error::failed("no tree")), "no tree (500)");
    }
}
