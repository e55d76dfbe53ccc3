//! What the guest can be told to do: an action's name, and after a space what it applies to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::hint::{black_box, spin_loop};
use std::io::Read;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use modelcell_guest::{Context, Error, Result};

/// Does it, and says what came of it.
pub fn act(action: &str) -> Result<String> {
    let (name, rest) = action.split_once(' ').unwrap_or((action, ""));
    match name {
        "ok" => Ok("ok".to_owned()),
        "failed" => Err(Error::failed(rest)),
        "invalid" => Err(Error::invalid_input(rest)),
        "panic" => panic_with(rest),
        "trap" => std::process::abort(),
        "loop" => {
            // So that a test can see that it has begun.
            eprintln!("looping {rest}");
            spin()
        }
        "recurse" => Ok(recurse(0).to_string()),
        "exit" => std::process::exit(number(rest)?),
        "sleep" => {
            sleep(Duration::from_millis(number(rest)?));
            Ok("slept".to_owned())
        }
        "eat-memory" => eat_memory(),
        "hold" => {
            hold(number(rest)?);
            Ok("held".to_owned())
        }
        "try-memory" => Ok(try_memory(number(rest)?)),
        "print" => {
            println!("{rest}");
            Ok("printed".to_owned())
        }
        "print-part" => {
            print!("{rest}");
            Ok("printed".to_owned())
        }
        "eprint" => {
            eprintln!("{rest}");
            Ok("printed".to_owned())
        }
        "flood" => flood(number(rest)?),
        "read" => Ok(outcome(fs::read_to_string(rest))),
        "keep-open" => {
            std::mem::forget(File::open(rest)?);
            Ok("open".to_owned())
        }
        "write" => Ok(outcome(fs::write(rest, "x").map(|()| "written".to_owned()))),
        "make-dir" => Ok(outcome(fs::create_dir(rest).map(|()| "made".to_owned()))),
        "remove" => Ok(outcome(
            fs::remove_file(rest).map(|()| "removed".to_owned()),
        )),
        "rename" => Ok(outcome(
            fs::rename(rest, format!("{rest}.renamed")).map(|()| "renamed".to_owned()),
        )),
        "list" => Ok(outcome(list(rest))),
        "env" => Ok(format!("{:?}", std::env::vars_os().collect::<Vec<_>>())),
        "args" => Ok(format!("{:?}", std::env::args_os().collect::<Vec<_>>())),
        "stdin" => {
            let mut text = String::new();
            Ok(outcome(
                std::io::stdin()
                    .read_to_string(&mut text)
                    .map(|_| format!("{text:?}")),
            ))
        }
        "count" => Ok(count().to_string()),
        "hash" => Ok(RandomState::new().hash_one(0).to_string()),
        "remember" => {
            MEMORY.with_borrow_mut(|memory| memory.insert(rest.to_owned(), rest.len()));
            Ok("remembered".to_owned())
        }
        "recall" => Ok(format!(
            "{:?}",
            MEMORY.with_borrow(|memory| memory.get(rest).copied())
        )),
        "large" => Ok("x".repeat(number(rest)?)),
        _ => Err(Error::invalid_input(format!("no action is called {name}"))),
    }
}

thread_local! {
    /// A map whose hashes must stay what they were.
    static MEMORY: RefCell<HashMap<String, usize>> = RefCell::default();
}

#[expect(clippy::panic, reason = "this guest is told to")]
fn panic_with(message: &str) -> ! {
    panic!("{message}")
}

fn spin() -> ! {
    loop {
        spin_loop();
    }
}

/// Without an end that the compiler could see, and with something on the stack.
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    match frame.first() {
        Some(&depth) => recurse(depth + 1) + black_box(frame.len() as u64),
        None => depth,
    }
}

/// Allocates and touches memory until there is none.
fn eat_memory() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Takes so many mebibytes, touches them and never gives them back.
fn hold(mebibytes: usize) {
    std::mem::forget(black_box(vec![1_u8; mebibytes << 20]));
}

/// Asks for memory and takes no for an answer.
fn try_memory(mebibytes: usize) -> String {
    let mut wanted = Vec::<u8>::new();
    match wanted.try_reserve_exact(mebibytes << 20) {
        Ok(()) => format!("granted {}", black_box(wanted).capacity() >> 20),
        Err(_) => "refused".to_owned(),
    }
}

/// Prints so many lines of 100 bytes.
fn flood(lines: u64) -> Result<String> {
    for line in 0..lines {
        println!("flood {line:093}");
    }
    Ok("printed".to_owned())
}

fn list(dir: &str) -> std::io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join(" "))
}

/// How often this instance was asked.
fn count() -> u32 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}

/// Both outcomes are answers: the tests ask whether something is possible.
fn outcome(result: std::io::Result<String>) -> String {
    result.unwrap_or_else(|error| format!("error: {error}"))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T>
where
    T::Err: std::error::Error,
{
    text.parse().invalid_input("the action's number")
}
