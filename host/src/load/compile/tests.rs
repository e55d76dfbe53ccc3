use super::*;
use crate::load::compiler::{Functions, compiler_engine, demand};
use crate::sandbox::engine_config;

/// The smallest component: it has nothing in it.
const WASM: &[u8] = b"\0asm\x0d\0\x01\0";

fn cache(dir: &Path, budget: u64) -> CodeCache {
    let disk = Disk::open(dir, Some(budget), Vec::new()).unwrap();
    CodeCache::new(
        dir.to_owned(),
        dir.to_owned(),
        disk,
        CompileOptions::default(),
    )
}

fn compile(cache: &CodeCache, engine: &Engine, key: &CodeKey) {
    let (_wanted, demand) = demand();
    let component = cache.compile(engine, key, WASM, &Rewrite::Plain, &demand);
    component.unwrap();
}

#[test]
fn code_is_kept_and_damaged_code_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::default();
    let key = CodeKey::of(&engine, WASM).unwrap();
    let cache = cache(dir.path(), 1 << 30);
    assert!(cache.find(&engine, &key).is_none());
    compile(&cache, &engine, &key);
    assert!(cache.find(&engine, &key).is_some());
    assert!(cache.disk.used() > 0);

    let entry = cache.entry(&key);
    let mut code = fs::read(entry.body()).unwrap();
    let last = code.len() - 1;
    code[last] ^= 1;
    fs::write(entry.body(), code).unwrap();
    assert!(cache.find(&engine, &key).is_none());
    compile(&cache, &engine, &key);
    assert!(cache.find(&engine, &key).is_some());
}

#[test]
fn code_that_finds_no_room_on_the_disk_is_used_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::default();
    let key = CodeKey::of(&engine, WASM).unwrap();
    let cache = cache(dir.path(), 4096);
    compile(&cache, &engine, &key);
    assert!(cache.find(&engine, &key).is_none());
    assert_eq!(cache.disk.used(), 0);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// With and without functions that were compiled before it is the same code.
#[test]
fn the_compilers_engine_is_the_hosts() {
    let functions = Arc::new(Functions::open(Vec::new(), 0));
    let here = Engine::new(&engine_config()).unwrap();
    let there = compiler_engine(&functions).unwrap();
    assert_eq!(engine_print(&here), engine_print(&there));
    assert_ne!(engine_print(&here), engine_print(&Engine::default()));
}

#[test]
fn functions_of_one_form_are_those_of_another() {
    let module = |data: &str, number: u32| {
        let functions: String = (0..20)
            .map(|i| format!("(func (param i32) (result i32) local.get 0 i32.const {i} i32.mul)"))
            .collect();
        let text = format!(
            r#"(component (core module (memory 1) {functions} (data (i32.const 8) "{data}")
                (global (mut i32) (i32.const {number}))))"#
        );
        wat::parse_str(text).unwrap()
    };
    let first = Arc::new(Functions::open(Vec::new(), 1 << 20));
    let engine = compiler_engine(&first).unwrap();
    engine.precompile_component(&module("one", 1)).unwrap();
    let (_, compiled) = first.counts();
    assert!(compiled >= 20, "{compiled}");
    let mut file = Vec::new();
    first.write(&mut file).unwrap();

    let second = Arc::new(Functions::open(file, 1 << 20));
    let engine = compiler_engine(&second).unwrap();
    let from_cache = engine.precompile_component(&module("another", 2)).unwrap();
    let (reused, _) = second.counts();
    assert!(reused >= 20, "{reused}");
    let plain = Engine::new(&engine_config()).unwrap();
    let compiled = plain.precompile_component(&module("another", 2)).unwrap();
    assert!(from_cache == compiled, "the code is another");
}

#[test]
fn each_form_has_a_key_of_its_own() {
    let key = CodeKey::of(&Engine::default(), WASM).unwrap();
    assert_eq!(key.form(&Rewrite::Plain), key);
}
