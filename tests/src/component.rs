//! Components written by hand, for what no toolchain would build.

use std::fs;
use std::path::Path;

use crate::artifact::artifact;
use crate::command::source;

/// The binary form of a component in text form.
///
/// # Panics
///
/// If the text is not well-formed.
pub fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A component that imports what `imports` says and exports these hooks, none of which has the type
/// of the contract.
pub fn with_hooks(imports: &str, hooks: &[&str]) -> Vec<u8> {
    let exports: String = hooks
        .iter()
        .map(|hook| format!("(export \"{hook}\" (func $nothing))"))
        .collect();
    component(&format!(
        r#"(component
            {imports}
            (core module $module (func (export "nothing")))
            (core instance $instance (instantiate $module))
            (func $nothing (canon lift (core func $instance "nothing")))
            (instance $hooks {exports})
            (export "modelcell:inference/hooks@0.2.0" (instance $hooks))
        )"#
    ))
}

/// The names of all hooks in the contract.
pub const ALL_HOOKS: [&str; 4] = ["model-fn", "input-fn", "predict-fn", "output-fn"];

/// The guest `tests/guests/wat/NAME.wat` as an artifact without data.
pub fn wat(name: &str) -> Vec<u8> {
    artifact(&component(&wat_text(name)), &[])
}

/// The text of `tests/guests/wat/NAME.wat`: each line `;;@ PART` stands for what is in
/// `shared/PART.wat`.
///
/// # Panics
///
/// If one of the files cannot be read.
pub fn wat_text(name: &str) -> String {
    let dir = source().join("tests/guests/wat");
    let guest = read(&dir.join(format!("{name}.wat")));
    let lines = guest
        .lines()
        .map(|line| match line.trim().strip_prefix(";;@ ") {
            Some(part) => read(&dir.join(format!("shared/{part}.wat"))),
            None => format!("{line}\n"),
        });
    lines.collect()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A component with this many functions that do nothing.
pub fn with_functions(count: usize) -> Vec<u8> {
    component(&format!(
        "(component (core module {}))",
        "(func)".repeat(count)
    ))
}

/// A small component that never comes to an end of compiling: each of its parts has two instances of
/// the one before, which makes a million million in all.
pub fn endless() -> Vec<u8> {
    let parts: String = (1..40)
        .map(|part| {
            let before = part - 1;
            let twice = format!("(instance (instantiate $part{before}))").repeat(2);
            format!("(component $part{part} {twice})")
        })
        .collect();
    component(&format!(
        r#"(component
            (component $part0 (core module $module) (core instance (instantiate $module)))
            {parts}
            (instance (instantiate $part39))
        )"#
    ))
}
