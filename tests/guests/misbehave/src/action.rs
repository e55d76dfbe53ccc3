//! What the guest can be told to do: an action's name, and after a space what it applies to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::hint::{black_box, spin_loop};
use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
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
        "hold-output" => {
            // Half a line, and the lock that others of this guest would need.
            let mut held = std::io::stdout().lock();
            let _ = write!(held, "half a line {rest}").and_then(|()| held.flush());
            spin()
        }
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
        "open-for-good" => Ok(outcome(open_for_good(number(rest)?))),
        "list-for-good" => Ok(outcome(list_for_good(number(rest)?))),
        "tiny" => Ok(tiny(number(rest)?).to_string()),
        "count" => Ok(count().to_string()),
        "hash" => Ok(RandomState::new().hash_one(0).to_string()),
        "put" => {
            MAP.with_borrow_mut(|map| map.insert(rest.to_owned(), rest.len()));
            Ok("put".to_owned())
        }
        "look-up" => Ok(format!(
            "{:?}",
            MAP.with_borrow(|map| map.get(rest).copied())
        )),
        "remember" => {
            remember(rest);
            Ok("remembered".to_owned())
        }
        "recall" => Ok(recall()),
        "large" => Ok("x".repeat(number(rest)?)),
        _ => Err(Error::invalid_input(format!("no action is called {name}"))),
    }
}

thread_local! {
    /// A map whose hashes must stay what they were.
    static MAP: RefCell<HashMap<String, usize>> = RefCell::default();
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

/// Opens the component so many times and closes it never.
fn open_for_good(times: u32) -> std::io::Result<String> {
    for _ in 0..times {
        std::mem::forget(fs::File::open("/opt/ml/model/model.wasm")?);
    }
    Ok(format!("opened {times}"))
}

/// Lists the folder `d` so many times, and never to the end.
fn list_for_good(times: u32) -> std::io::Result<String> {
    for _ in 0..times {
        std::mem::forget(fs::read_dir("/opt/ml/model/d")?);
    }
    Ok(format!("listed {times}"))
}

/// So many allocations of a byte, all there at once.
fn tiny(number: usize) -> usize {
    let boxes: Vec<_> = (0..number).map(|_| black_box(Box::new(1_u8))).collect();
    boxes.len()
}

static IN_A_STATIC: Mutex<String> = Mutex::new(String::new());
static ON_THE_HEAP: AtomicPtr<String> = AtomicPtr::new(std::ptr::null_mut());
thread_local! {
    static IN_THE_THREAD: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Leaves a text wherever the next request could find it.
fn remember(text: &str) {
    if let Ok(mut kept) = IN_A_STATIC.lock() {
        text.clone_into(&mut kept);
    }
    ON_THE_HEAP.store(Box::leak(Box::new(text.to_owned())), Ordering::Relaxed);
    IN_THE_THREAD.with_borrow_mut(|kept| text.clone_into(kept));
    // SAFETY: a guest has one thread.
    unsafe { std::env::set_var("REMEMBERED", text) };
}

/// Where there is a text from before, and which.
fn recall() -> String {
    // SAFETY: null, or leaked by `remember` and never changed.
    let heap = unsafe { ON_THE_HEAP.load(Ordering::Relaxed).as_ref() };
    format!(
        "static={} heap={} thread={} environment={}",
        IN_A_STATIC
            .lock()
            .map(|kept| kept.clone())
            .unwrap_or_default(),
        heap.map_or("", String::as_str),
        IN_THE_THREAD.with_borrow(Clone::clone),
        std::env::var("REMEMBERED").unwrap_or_default(),
    )
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
