//! Splits a text into terms as scikit-learn's `TfidfVectorizer(ngram_range=(1, 2))` does.

use std::ops::RangeInclusive;

/// The words of a text in lower case, then each two neighbours with a space between.
pub(crate) fn of(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    // scikit-learn's pattern is `\b\w\w+\b`: it drops words of one character.
    let words: Vec<&str> = text
        .split(|character| !is_word(character))
        .filter(|word| word.chars().nth(1).is_some())
        .collect();
    let pairs = words.windows(2).map(|pair| pair.join(" "));
    let single = words.iter().map(|&word| word.to_owned());
    single.chain(pairs).collect()
}

/// Whether Python's `\w` matches a character.
fn is_word(character: char) -> bool {
    let is_letter = character.is_alphanumeric() || character == '_';
    is_letter
        && !LETTERS_IN_RUST_ONLY
            .iter()
            .any(|range| range.contains(&character))
}

/// Marks and symbols that Rust counts among the letters and Python does not: combining letters and
/// letters in circles and squares. They would glue themselves to the words beside them.
///
/// Vowel signs of other scripts are missing here. The vocabulary is English, so they make a
/// difference only where one directly follows an English word.
const LETTERS_IN_RUST_ONLY: [RangeInclusive<char>; 6] = [
    '\u{345}'..='\u{345}',
    '\u{363}'..='\u{36f}',
    '\u{24b6}'..='\u{24e9}',
    '\u{1f130}'..='\u{1f149}',
    '\u{1f150}'..='\u{1f169}',
    '\u{1f170}'..='\u{1f189}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_then_pairs() {
        for (text, expected) in [
            ("", &[] as &[&str]),
            ("a I !", &[]),
            ("Good", &["good"]),
            (
                "not a GOOD idea",
                &["not", "good", "idea", "not good", "good idea"],
            ),
            (
                "it's snake_case-9.5",
                &["it", "snake_case", "it snake_case"],
            ),
            ("café, ÜBER", &["café", "über", "café über"]),
            ("ok\u{24d2}ok", &["ok", "ok", "ok ok"]),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }
}
