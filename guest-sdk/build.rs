//! Finds out how the C library of wasm32-wasip2 keeps the handles of stdin, stdout and stderr, for
//! `src/glue/handles.rs`. Rust has no weak symbols, so what a function is for must be known before it
//! is named: one that the library lacks would be an error of the linker.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Exists where the C library keeps the standard streams itself, and then is how it gets them.
const INIT_STDIO: &[u8] = b"\0__wasilibc_init_stdio\0";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(libc_keeps_stdio)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("wasi") {
        return;
    }
    // The linker takes the first. Without any, the SDK does what every library allows.
    if let Some(libc) = directories()
        .iter()
        .map(|dir| dir.join("libc.a"))
        .find(|libc| libc.is_file())
    {
        println!("cargo::rerun-if-changed={}", libc.display());
        // An archive lists its symbols in plain text, each with a zero after it.
        if fs::read(libc).is_ok_and(|archive| contains(&archive, INIT_STDIO)) {
            println!("cargo::rustc-cfg=libc_keeps_stdio");
        }
    }
}

/// Where the linker looks for the C library: `-L` of the flags, then what comes with the compiler.
fn directories() -> Vec<PathBuf> {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let flags: Vec<&str> = flags.split('\x1f').collect();
    let separate = flags.windows(2).filter_map(|pair| match pair {
        ["-L", path] => Some(*path),
        _ => None,
    });
    let joined = flags.iter().filter_map(|flag| flag.strip_prefix("-L"));
    let mut found: Vec<PathBuf> = separate
        .chain(joined)
        .map(|path| path.split_once('=').map_or(path, |(_, path)| path).into())
        .collect();
    found.extend(compiler_libs().map(|libs| libs.join("self-contained")));
    found
}

fn compiler_libs() -> Option<PathBuf> {
    let output = Command::new(env::var_os("RUSTC")?)
        .args([OsStr::new("--print"), OsStr::new("target-libdir")])
        .arg("--target")
        .arg(env::var_os("TARGET")?)
        .output()
        .ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().into())
}

fn contains(archive: &[u8], name: &[u8]) -> bool {
    archive.windows(name.len()).any(|window| window == name)
}
