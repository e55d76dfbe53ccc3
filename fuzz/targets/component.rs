//! Components: what is checked and rewritten before they are compiled, and now and then compiled.

#![no_main]

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use modelcell::budget::Budget;
use modelcell::load::compile::check_kind;
use modelcell::load::complexity::{self, ComplexityError, ComponentLimits};
use modelcell::load::rewrite::Rewrite;
use modelcell::sandbox::{ACCESS, GlobalValue, Globals, Sandbox};
use modelcell_fuzz::{Capped, catching, check_line, mutate_sections};
use wasmparser::{Instance, Parser, Payload, Validator, WasmFeatures};
use wasmtime::component::Component;

#[global_allocator]
static ALLOCATOR: Capped<{ 256 << 20 }> = Capped;

/// Compiling takes a thousand times as long as the rest, so one input of so many is compiled.
const COMPILED: u64 = 128;

/// A memory that no input fills: the host would have refused a cell with more of it.
const MEMORY: u64 = 16 << 20;

/// Globals of a component that is frozen. Each costs a try for each type that it may have.
const GLOBALS: usize = 4;

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new(1).unwrap());

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_sections(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| {
    let is_component = data.starts_with(b"\0asm\x0d\0\x01\0");
    let kind = check_kind(data);
    assert_eq!(kind.is_ok(), is_component);
    if let Err(error) = kind {
        return check_line(&error.to_string());
    }
    let valid = is_valid(data);
    let simple = complexity::check(data, &ComponentLimits::default());
    if let Err(ComplexityError::Malformed(error)) = &simple {
        assert!(!valid, "{error}");
    }
    let instrumented = match catching(|| Rewrite::Instrument.apply(data)) {
        Ok(instrumented) => instrumented,
        Err(error) => return check_line(&error),
    };
    // Only what was compiled and ran is frozen.
    if !valid {
        return;
    }
    assert!(is_valid(&instrumented), "instrumenting made it invalid");
    assert!(exports_access(&instrumented), "nothing reads its state");
    let frozen = freeze(data);
    if let Some(frozen) = &frozen {
        assert!(is_valid(frozen), "freezing made it invalid");
        assert!(
            !has_start_or_data(frozen),
            "it would run or write at the start"
        );
    }
    if simple.is_ok() && is_chosen(data) {
        compile(data, &instrumented, frozen.as_deref());
    }
});

/// What the compiler takes, it takes rewritten, too.
fn compile(plain: &[u8], instrumented: &[u8], frozen: Option<&[u8]>) {
    let engine = SANDBOX.engine();
    let Ok(component) = Component::new(engine, plain) else {
        return;
    };
    let link = |component: &Component| {
        let linked = SANDBOX.link(component, &Budget::new(1 << 30));
        linked.map(drop).map_err(|error| error.to_string())
    };
    let fits = link(&component);
    for rewritten in [Some(instrumented), frozen].into_iter().flatten() {
        let component = Component::new(engine, rewritten);
        let component =
            component.unwrap_or_else(|error| panic!("it was compiled before: {error:#}"));
        assert_eq!(link(&component), fits);
    }
}

/// The frozen form, if it can be had. The names and types of its globals are not known here, but the
/// error names one at a time.
fn freeze(wasm: &[u8]) -> Option<Cow<'_, [u8]>> {
    if declared_memory(wasm) > MEMORY {
        return None;
    }
    let mut globals = Globals::new();
    loop {
        let rewrite = Rewrite::Freeze(globals.clone());
        let error = match catching(|| rewrite.apply(wasm)) {
            Ok(frozen) => return Some(frozen),
            Err(error) => error,
        };
        check_line(&error);
        let name = error.strip_suffix(" was not read")?;
        let next = match globals.get(name) {
            None => GlobalValue::I32(-1),
            Some(GlobalValue::I32(_)) => GlobalValue::I64(-1),
            Some(GlobalValue::I64(_)) => GlobalValue::F32(u32::MAX),
            Some(GlobalValue::F32(_)) => GlobalValue::F64(u64::MAX),
            Some(GlobalValue::F64(_)) => panic!("{name} is there, but {error}"),
        };
        globals.insert(name.to_owned(), next);
        if globals.len() > GLOBALS {
            return None;
        }
    }
}

/// Valid as far as the engine goes: what it is built or told to leave out is left out here.
fn is_valid(wasm: &[u8]) -> bool {
    let features = WasmFeatures::WASM2
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::COMPONENT_MODEL;
    Validator::new_with_features(features)
        .validate_all(wasm)
        .is_ok()
}

fn payloads(wasm: &[u8]) -> impl Iterator<Item = Payload<'_>> {
    Parser::new(0).parse_all(wasm).map_while(Result::ok)
}

fn exports_access(wasm: &[u8]) -> bool {
    payloads(wasm).any(|payload| match payload {
        Payload::ComponentExportSection(exports) => exports
            .into_iter()
            .any(|export| export.is_ok_and(|export| export.name.name == ACCESS)),
        _ => false,
    })
}

/// Whether making an instance would run something or write to a memory. Modules that nobody makes an
/// instance of may be as they were.
fn has_start_or_data(wasm: &[u8]) -> bool {
    let (mut acting, mut made) = (BTreeSet::new(), BTreeSet::new());
    let mut modules = 0;
    for payload in payloads(wasm) {
        match payload {
            Payload::ModuleSection { .. } => modules += 1,
            Payload::StartSection { .. } => {
                acting.insert(modules - 1);
            }
            Payload::DataSection(data) => {
                let mut data = data.into_iter().filter_map(Result::ok);
                if data.any(|data| !data.data.is_empty()) {
                    acting.insert(modules - 1);
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances.into_iter().filter_map(Result::ok) {
                    if let Instance::Instantiate { module_index, .. } = instance {
                        made.insert(module_index);
                    }
                }
            }
            _ => {}
        }
    }
    !acting.is_disjoint(&made)
}

fn declared_memory(wasm: &[u8]) -> u64 {
    payloads(wasm)
        .filter_map(|payload| match payload {
            Payload::MemorySection(memories) => Some(memories),
            _ => None,
        })
        .flatten()
        .filter_map(Result::ok)
        .map(|memory| memory.initial.saturating_mul(64 << 10))
        .fold(0, u64::saturating_add)
}

/// By the bytes, so that an input is compiled each time or never.
fn is_chosen(data: &[u8]) -> bool {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    data.iter().fold(0xcbf2_9ce4_8422_2325, step) % COMPILED == 0
}
