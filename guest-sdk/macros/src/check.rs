//! Finds misuse of `#[export]` and says at the author's own token what to write instead.
//!
//! What rustc reports well (a wrong signature, a wrong type) is left to rustc.

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned as _;
use syn::{Error, Ident, ImplItem, Item, ItemImpl};

const HOOKS: [&str; 4] = ["model_fn", "input_fn", "predict_fn", "output_fn"];
const TYPES: [&str; 2] = ["Input", "Prediction"];

/// The attribute takes no arguments.
pub(crate) fn arguments(arguments: &TokenStream) -> Result<(), Error> {
    if arguments.is_empty() {
        return Ok(());
    }
    Err(Error::new_spanned(
        arguments,
        "#[export] takes no arguments: write `#[export]`",
    ))
}

/// The item is `impl Model for X` with a plain `X`.
pub(crate) fn model_impl(item: Item) -> Result<ItemImpl, Error> {
    let item = match item {
        Item::Impl(item) => item,
        other => {
            let message = "#[export] belongs on the `impl Model for ...` block, not here";
            return Err(Error::new(head(&other), message));
        }
    };
    let Some((bang, path, _)) = &item.trait_ else {
        return Err(Error::new_spanned(
            &item.self_ty,
            "#[export] needs an impl of the trait: write `impl Model for ...`",
        ));
    };
    let last = path.segments.last();
    if bang.is_some() || last.is_none_or(|segment| segment.ident != "Model") {
        return Err(Error::new_spanned(
            path,
            "#[export] exports a model: write `impl Model for ...`",
        ));
    }
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &item.generics,
            "a component exports one concrete model: remove the generic parameters and name the \
             types",
        ));
    }
    Ok(item)
}

/// Every hook and type is known, and those without a default are there.
pub(crate) fn contents(item: &ItemImpl) -> Result<(), Error> {
    let mut problems = Problems::default();
    for part in &item.items {
        match part {
            ImplItem::Fn(hook) => {
                problems.unless_known(&hook.sig.ident, &HOOKS, "hook");
                if let Some(token) = &hook.sig.asyncness {
                    problems.add(
                        token.span(),
                        "a hook is not async: remove `async`".to_owned(),
                    );
                }
            }
            ImplItem::Type(part) => problems.unless_known(&part.ident, &TYPES, "type"),
            ImplItem::Macro(part) => problems.add(
                part.mac.path.span(),
                "#[export] cannot look into a macro: write the hooks out".to_owned(),
            ),
            _ => {}
        }
    }
    // A misspelt hook is also a missing one; one message about it is enough.
    if problems.0.is_none() {
        for (name, what_to_do) in [
            (
                "Input",
                "add `type Input = ...;`, what `predict_fn` takes, such as `Array2<f32>`",
            ),
            (
                "Prediction",
                "add `type Prediction = ...;`, what `predict_fn` returns",
            ),
            (
                "model_fn",
                "add `fn model_fn(model_dir: &Path) -> Result<Self>`, which loads the model",
            ),
            (
                "predict_fn",
                "add `fn predict_fn(&self, input: Self::Input) -> Result<Self::Prediction>`",
            ),
        ] {
            if !has(item, name) {
                let message = format!("this model has no `{name}`: {what_to_do}");
                problems.add(item.self_ty.span(), message);
            }
        }
    }
    problems.0.map_or(Ok(()), Err)
}

/// True if the impl block holds a hook or a type of this name.
pub(crate) fn has(item: &ItemImpl, name: &str) -> bool {
    item.items.iter().any(|part| match part {
        ImplItem::Fn(hook) => hook.sig.ident == name,
        ImplItem::Type(part) => part.ident == name,
        _ => false,
    })
}

#[derive(Default)]
struct Problems(Option<Error>);

impl Problems {
    fn add(&mut self, at: Span, message: String) {
        let problem = Error::new(at, message);
        match &mut self.0 {
            Some(all) => all.combine(problem),
            None => self.0 = Some(problem),
        }
    }

    fn unless_known(&mut self, name: &Ident, known: &[&str], kind: &str) {
        let text = name.to_string();
        if known.contains(&text.as_str()) {
            return;
        }
        let advice = match known.iter().find(|k| is_near(&text, k)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if kind == "hook" => {
                "move helper functions into an `impl` block of the type's own".to_owned()
            }
            None => "it has `Input` and `Prediction`".to_owned(),
        };
        self.add(
            name.span(),
            format!("`Model` has no {kind} `{text}`: {advice}"),
        );
    }
}

/// True for names that differ by a slip: case, underscores, or up to three letters.
fn is_near(a: &str, b: &str) -> bool {
    let plain = |s: &str| s.to_lowercase().replace('_', "");
    let (a, b) = (plain(a), plain(b));
    a == b
        || distance(&a, &b) <= 3
        || a.strip_suffix("fn").is_none() && b.starts_with(&a) && a.len() > 3
}

/// The Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, cell) in b.chars().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *cell;
            *cell = replaced.min(left + 1).min(diagonal + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Where an item that is no impl block says what it is.
fn head(item: &Item) -> Span {
    match item {
        Item::Struct(item) => item.ident.span(),
        Item::Enum(item) => item.ident.span(),
        Item::Fn(item) => item.sig.ident.span(),
        Item::Mod(item) => item.ident.span(),
        Item::Trait(item) => item.ident.span(),
        Item::Type(item) => item.ident.span(),
        other => other.span(),
    }
}
