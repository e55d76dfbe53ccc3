//! What the author reads when the attribute is misused, and at which line.
//!
//! The sources are parsed from text, so that spans have lines. rustc's own wording plays no part.

use std::str::FromStr as _;

use proc_macro2::{TokenStream, TokenTree};
use syn::Item;

use crate::{check, expand};

const WHOLE: &str = "impl Model for Iris {
    type Input = Array2<f32>;
    type Prediction = Array1<f32>;
    fn model_fn(model_dir: &Path) -> Result<Self> { todo!() }
    fn predict_fn(&self, rows: Array2<f32>) -> Result<Array1<f32>> { todo!() }
}";

fn tokens(source: &str) -> TokenStream {
    TokenStream::from_str(source).unwrap()
}

/// Each error's message with the source text that it underlines, and its line.
fn errors(source: &str) -> Vec<(String, String, usize)> {
    let errors = match check::model_impl(syn::parse2::<Item>(tokens(source)).unwrap()) {
        Ok(item) => check::contents(&item).unwrap_err(),
        Err(error) => error,
    };
    errors
        .into_iter()
        .map(|error| {
            let (start, end) = (error.span().start(), error.span().end());
            let line = source.lines().nth(start.line - 1).unwrap();
            let end = if end.line == start.line {
                end.column
            } else {
                line.len()
            };
            (
                error.to_string(),
                line[start.column..end].to_owned(),
                start.line,
            )
        })
        .collect()
}

fn error(source: &str) -> (String, String, usize) {
    let mut errors = errors(source);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

#[test]
fn a_whole_model_gets_the_hooks_it_leaves_out() {
    let expanded = expand::export(TokenStream::new(), tokens(WHOLE)).to_string();
    assert!(expanded.contains("fn input_fn"), "{expanded}");
    assert!(expanded.contains("fn output_fn"), "{expanded}");
    assert!(expanded.contains("target_arch = \"wasm32\""), "{expanded}");
    assert!(!expanded.contains("compile_error"), "{expanded}");
}

#[test]
fn hooks_that_the_author_wrote_stay() {
    let own = "fn input_fn(&self, r: Request) -> Result<Self::Input> { own() } }";
    let source = format!("{}{own}", WHOLE.strip_suffix('}').unwrap());
    let expanded = expand::export(TokenStream::new(), tokens(&source)).to_string();
    assert_eq!(expanded.matches("fn input_fn").count(), 1);
    assert_eq!(expanded.matches("fn output_fn").count(), 1);
}

/// If the type cannot be decoded, rustc complains at the tokens of the hook that uses it.
#[test]
fn default_hooks_point_at_the_types_line() {
    fn line_of(stream: TokenStream, name: &str) -> Option<usize> {
        stream.into_iter().find_map(|token| match token {
            TokenTree::Group(group) => line_of(group.stream(), name),
            TokenTree::Ident(ident) if ident == name => Some(ident.span().start().line),
            _ => None,
        })
    }
    let expanded = expand::export(TokenStream::new(), tokens(WHOLE));
    assert_eq!(line_of(expanded.clone(), "Decode"), Some(2));
    assert_eq!(line_of(expanded, "Encode"), Some(3));
}

#[test]
fn misspelt_names() {
    for (right, wrong, line) in [
        ("predict_fn(", "predict_fun(", 5),
        ("predict_fn(", "predict(", 5),
        ("predict_fn(", "PredictFn(", 5),
        ("model_fn(", "modelfn(", 4),
        ("Input =", "Inputs =", 2),
        ("Prediction =", "Predictions =", 3),
    ] {
        let end = ['(', ' ', '='];
        let (message, token, at) = error(&WHOLE.replace(right, wrong));
        let (right, wrong) = (right.trim_end_matches(end), wrong.trim_end_matches(end));
        assert!(
            message.contains(&format!("`{wrong}`: did you mean `{right}`?")),
            "{message}"
        );
        assert_eq!((token.as_str(), at), (wrong, line));
    }
    let (message, token, _) = error(&WHOLE.replace("predict_fn", "softmax"));
    assert!(message.contains("own"), "{message}");
    assert_eq!(token, "softmax");
}

#[test]
fn missing_parts_are_named_at_the_models_type() {
    let found = errors("impl Model for Iris {\n}");
    let parts = ["`Input`", "`Prediction`", "`model_fn`", "`predict_fn`"];
    assert_eq!(found.len(), parts.len());
    for ((message, token, line), part) in found.iter().zip(parts) {
        assert!(
            message.starts_with(&format!("this model has no {part}: add `")),
            "{message}"
        );
        assert_eq!((token.as_str(), *line), ("Iris", 1));
    }
    let (message, ..) = error(&WHOLE.replace("type Input = Array2<f32>;", ""));
    assert!(message.contains("add `type Input = ...;`"), "{message}");
}

#[test]
fn the_wrong_place() {
    for (source, place) in [
        ("/// Doc.\npub struct Iris {}", "Iris"),
        ("enum Iris {}", "Iris"),
        ("fn predict() {}", "predict"),
        ("mod model {}", "model"),
        ("use model::Iris;", "use model::Iris;"),
    ] {
        let (message, token, _) = error(source);
        assert!(
            message.contains("belongs on the `impl Model for ...` block"),
            "{message}"
        );
        assert_eq!(token, place);
        // The item stays, so that the author sees this error and no others.
        let kept = expand::export(TokenStream::new(), tokens(source)).to_string();
        assert!(kept.starts_with(&tokens(source).to_string()), "{kept}");
    }
    for (source, place) in [
        ("impl Iris {}", "Iris"),
        ("impl Clone for Iris {}", "Clone"),
        ("impl !Model for Iris {}", "Model"),
        ("impl<T> Model for Iris<T> {}", "<T>"),
        ("impl<'a> modelcell_guest::Model for Iris<'a> {}", "<'a>"),
    ] {
        let (_, token, _) = error(source);
        assert_eq!(token, place, "{source}");
    }
}

#[test]
fn async_hooks_and_macros() {
    let (message, token, line) = error(&WHOLE.replace("fn predict", "async fn predict"));
    assert_eq!(
        (message.as_str(), token.as_str(), line),
        ("a hook is not async: remove `async`", "async", 5)
    );
    let (message, token, _) = error("impl Model for Iris {\n hooks!();\n}");
    assert!(message.contains("write the hooks out"), "{message}");
    assert_eq!(token, "hooks");
}

#[test]
fn arguments_are_refused_and_the_model_stays() {
    let expanded = expand::export(tokens("name = \"iris\""), tokens(WHOLE)).to_string();
    assert!(
        expanded.contains("takes no arguments: write `#[export]`"),
        "{expanded}"
    );
    assert!(expanded.contains("fn input_fn"), "{expanded}");
    let both = expand::export(tokens("x"), tokens("struct Iris;")).to_string();
    assert_eq!(both.matches("compile_error").count(), 2, "{both}");
}
