//! Each limit with a component that has just as much as it allows, and one that has one too many.

use super::*;

/// No limit is in the way.
fn roomy() -> ComponentLimits {
    ComponentLimits::default()
}

fn refused(text: &str, limits: &ComponentLimits) -> Option<&'static str> {
    match check(&wat::parse_str(text).unwrap(), limits) {
        Ok(()) => None,
        Err(ComplexityError::TooMuch { name, .. }) => Some(name),
        Err(error) => panic!("{error}"),
    }
}

/// Checks that `text(3)` obeys a limit of three, and `text(4)` does not.
#[track_caller]
fn three(name: &str, set: impl FnOnce(&mut ComponentLimits), text: impl Fn(usize) -> String) {
    let mut limits = roomy();
    set(&mut limits);
    assert_eq!(refused(&text(3), &limits), None, "{}", text(3));
    assert_eq!(refused(&text(4), &limits), Some(name), "{}", text(4));
}

fn module(items: &str) -> String {
    format!("(component (core module {items}))")
}

fn numbered(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect()
}

#[test]
fn what_core_modules_have() {
    three(
        "component-functions",
        |l| l.functions = 3,
        |n| module(&"(func)".repeat(n)),
    );
    three(
        "component-locals",
        |l| l.locals = 6,
        |n| module(&"(func (local i32 i64))".repeat(n)),
    );
    three(
        "component-types",
        |l| l.types = 3,
        |n| module(&"(type (func))".repeat(n)),
    );
    three(
        "component-imports",
        |l| l.imports = 3,
        |n| module(&r#"(import "a" "b" (func))"#.repeat(n)),
    );
    three(
        "component-exports",
        |l| l.exports = 3,
        |n| {
            module(&format!(
                "(func){}",
                numbered(n, |i| format!(r#"(export "{i}" (func 0))"#))
            ))
        },
    );
    three(
        "component-globals",
        |l| l.globals = 3,
        |n| module(&"(global i32 (i32.const 0))".repeat(n)),
    );
    three(
        "component-tables",
        |l| l.tables = 3,
        |n| module(&"(table 0 funcref)".repeat(n)),
    );
    three(
        "component-memories",
        |l| l.memories = 3,
        |n| module(&"(memory 0)".repeat(n)),
    );
    three(
        "component-segments",
        |l| l.segments = 3,
        |n| module(&format!("{}(elem func)", r#"(data "a")"#.repeat(n - 1))),
    );
}

#[test]
fn what_components_have() {
    let component = |items: String| format!("(component {items})");
    three(
        "component-modules",
        |l| l.modules = 3,
        |n| component("(core module)".repeat(n)),
    );
    three(
        "component-components",
        |l| l.components = 3,
        |n| component("(component)".repeat(n)),
    );
    three(
        "component-instances",
        |l| l.instances = 3,
        |n| {
            let core = "(core instance (instantiate 0))".repeat(n - 1);
            component(format!(
                "(core module)(component)(instance (instantiate 0)){core}"
            ))
        },
    );
    three(
        "component-types",
        |l| l.types = 3,
        |n| {
            component(format!(
                "(core type (func)){}",
                "(type (func))".repeat(n - 1)
            ))
        },
    );
    three(
        "component-imports",
        |l| l.imports = 3,
        |n| component(numbered(n, |i| format!(r#"(import "a{i}" (func))"#))),
    );
    three(
        "component-exports",
        |l| l.exports = 3,
        |n| {
            let exports = numbered(n, |i| format!(r#"(export "a{i}" (component 0))"#));
            component(format!("(component){exports}"))
        },
    );
    three(
        "component-aliases",
        |l| l.aliases = 3,
        |n| {
            let aliases = r#"(alias core export 0 "f" (core func))"#.repeat(n);
            component(format!(
                r#"(core module (func (export "f")))(core instance (instantiate 0)){aliases}"#
            ))
        },
    );
    three(
        "component-adapters",
        |l| l.adapters = 3,
        |n| {
            let lowered = "(core func (canon lower (func 0)))".repeat(n);
            component(format!(r#"(import "f" (func)){lowered}"#))
        },
    );
}

#[test]
fn bytes_of_code() {
    // A function's size, its locals, an end; and one byte for each nop.
    let function = |nops: usize| format!("(func {})", "nop ".repeat(nops));
    let limits = ComponentLimits {
        function_bytes: 100,
        code_bytes: 250,
        ..roomy()
    };
    assert_eq!(refused(&module(&function(98)), &limits), None);
    assert_eq!(
        refused(&module(&function(99)), &limits),
        Some("component-function-bytes")
    );
    assert_eq!(refused(&module(&function(90).repeat(2)), &limits), None);
    assert_eq!(
        refused(&module(&function(90).repeat(3)), &limits),
        Some("component-code-bytes")
    );
}

#[test]
fn bytes_of_types() {
    let fields = |n| numbered(n, |i| format!(r#"(field "f{i}" u8)"#));
    let record = |n| format!("(component (type (record {})))", fields(n));
    let limits = ComponentLimits {
        type_bytes: 100,
        ..roomy()
    };
    assert_eq!(refused(&record(15), &limits), None);
    assert_eq!(refused(&record(50), &limits), Some("component-type-bytes"));
}

#[test]
fn nesting() {
    let nested = |n: usize| "(component ".repeat(n + 1) + &")".repeat(n + 1);
    three("component-depth", |l| l.depth = 3, nested);
    three(
        "component-depth",
        |l| l.depth = 3,
        |n| "(component ".repeat(n) + "(core module)" + &")".repeat(n),
    );
    // Side by side is not nested.
    let beside = format!("(component {})", "(component (core module))".repeat(4));
    let limits = ComponentLimits {
        depth: 2,
        ..roomy()
    };
    assert_eq!(refused(&beside, &limits), None);
}

/// What is claimed counts, whether it is there or not.
#[test]
fn a_claim_costs_nothing() {
    let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
    // A core module of 16 bytes: its header, and a section of functions that claims four billion.
    wasm.extend(b"\x01\x10\0asm\x01\0\0\0\x03\x06\xff\xff\xff\xff\x0f\0");
    let error = check(&wasm, &roomy()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the component has 4294967295 functions, more than the 100000 that a component may have \
         (component-functions)"
    );
}

#[test]
fn what_is_cut_off_is_malformed() {
    let wasm = wat::parse_str(module("(func)")).unwrap();
    for length in 8..wasm.len() {
        let result = check(&wasm[..length], &roomy());
        // A component may end after any of its sections.
        assert!(
            matches!(result, Ok(()) | Err(ComplexityError::Malformed(_))),
            "{length}"
        );
    }
    assert!(check(&wasm[..wasm.len() - 1], &roomy()).is_err());
}
