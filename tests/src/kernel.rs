//! What the kernel says of a process's memory and threads.

use std::fs;

/// Bytes of a process that are in memory now: `VmRSS`.
///
/// # Panics
///
/// If there is no such process.
pub fn resident(pid: u32) -> u64 {
    status(pid, "VmRSS:")
}

/// The most bytes of a process that were in memory since [`forget_peak`]: `VmHWM`.
///
/// # Panics
///
/// If there is no such process.
pub fn peak(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

/// How many threads a process has.
///
/// # Panics
///
/// If there is no such process.
pub fn threads(pid: u32) -> u64 {
    value(pid, "Threads:").parse().unwrap()
}

/// Has the kernel forget the most bytes that a process had in memory.
///
/// # Panics
///
/// If there is no such process.
pub fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

fn status(pid: u32, key: &str) -> u64 {
    let value = value(pid, key);
    let kib = value.strip_suffix(" kB").unwrap();
    kib.parse::<u64>().unwrap() << 10
}

fn value(pid: u32, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap().trim().to_owned()
}
