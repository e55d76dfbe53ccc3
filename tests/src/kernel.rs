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

/// The processes that a process has started and that have not been waited for.
///
/// # Panics
///
/// If the kernel does not list processes.
pub fn children(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let all = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // Others come and go meanwhile.
    all.filter(|child| stat(*child).is_some_and(|(_, parent)| parent == pid))
        .collect()
}

/// Whether a process is there and has not ended.
pub fn lives(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

/// What a process calls itself; nothing if it is gone.
pub fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// A process's state and its parent.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold anything.
    let (_, after) = stat.rsplit_once(") ")?;
    let mut fields = after.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}
