//! Patterns as in IAM's `StringLike`: `*` is any text, `?` is any one character.

/// A pattern that a whole name must match. Case matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The longest pattern, in characters; as long as the longest model's name.
    pub const LIMIT: usize = 1024;

    /// Takes a pattern; none if it is empty, too long, or has control characters, which no name has.
    pub fn new(text: String) -> Option<Self> {
        let fits = !text.is_empty() && text.chars().nth(Self::LIMIT).is_none();
        (fits && !text.chars().any(char::is_control)).then_some(Self(text))
    }

    /// This is `*`, so that nothing needs to be asked.
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Whether `text` as a whole is of this pattern.
    ///
    /// Only the last `*` is ever tried again, so the steps are at most length times length.
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut text) = (self.0.chars(), text.chars());
        // What follows the last star, and the text that it has not taken.
        let mut star = None;
        loop {
            let rest = text.clone();
            match (pattern.next(), text.next()) {
                (Some('*'), _) => {
                    text = rest.clone();
                    star = Some((pattern.clone(), rest));
                }
                (Some('?'), Some(_)) => {}
                (Some(wanted), Some(found)) if wanted == found => {}
                (None, None) => return true,
                _ => {
                    let Some((after, untaken)) = &mut star else {
                        return false;
                    };
                    if untaken.next().is_none() {
                        return false;
                    }
                    pattern = after.clone();
                    text = untaken.clone();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern.to_owned()).unwrap().matches(text)
    }

    #[test]
    fn patterns_match_as_in_iam() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "a/b"),
            ("**", "a"),
            ("a", "a"),
            ("a*", "a"),
            ("a*", "a/b/c"),
            ("*c", "a/b/c"),
            ("a*c", "abcabc"),
            ("a*b*c", "a-b-b-c-c"),
            ("?", "é"),
            ("tenant-?/*.tar.gz", "tenant-a/x.tar.gz"),
            ("*?", "ab"),
            ("[a]", "[a]"),
            ("a?c", "a*c"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a", ""),
            ("a", "A"),
            ("a", "ab"),
            ("ab", "a"),
            ("?", ""),
            ("?", "ab"),
            ("a*", "ba"),
            ("*c", "ca"),
            ("a*c", "ab"),
            ("tenant-a/*", "tenant-ab/x"),
            ("tenant-a/*", "tenant-a"),
            ("[a]", "a"),
            ("a\\*", "a*"),
            ("*?", ""),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    /// All patterns and texts of up to five characters, against the definition written recursively.
    #[test]
    fn matching_is_as_defined() {
        fn like(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern.split_first(), text.split_first()) {
                (None, None) => true,
                (Some((b'*', rest)), None) => like(rest, text),
                (Some((b'*', rest)), Some((_, later))) => like(rest, text) || like(pattern, later),
                (Some((b'?', rest)), Some((_, later))) => like(rest, later),
                (Some((p, rest)), Some((t, later))) => p == t && like(rest, later),
                _ => false,
            }
        }
        fn words(letters: &str) -> Vec<String> {
            let mut all = vec![String::new()];
            let mut last = all.clone();
            for _ in 0..5 {
                last = last
                    .iter()
                    .flat_map(|word| letters.chars().map(move |c| format!("{word}{c}")))
                    .collect();
                all.extend(last.clone());
            }
            all
        }
        let texts = words("ab");
        for pattern in words("ab*?").iter().filter(|pattern| !pattern.is_empty()) {
            for text in &texts {
                let expected = like(pattern.as_bytes(), text.as_bytes());
                assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
            }
        }
    }

    /// Ends at all: tried anew at each star this would take longer than anybody has.
    #[test]
    fn many_stars_are_no_trap() {
        let pattern = format!("{}b", "a*".repeat(500));
        assert!(!matches(&pattern, &"a".repeat(1024)));
    }

    #[test]
    fn what_matches_nothing_is_no_pattern() {
        assert_eq!(Pattern::new(String::new()), None);
        assert_eq!(Pattern::new("a\n".into()), None);
        assert_eq!(Pattern::new("a".repeat(1025)), None);
        assert!(Pattern::new("a".repeat(1024)).is_some());
    }
}
