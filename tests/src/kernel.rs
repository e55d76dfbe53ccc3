//! What the kernel says of a process's memory, threads, files and ports.

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

/// How many files, sockets and the like a process has open.
///
/// # Panics
///
/// If there is no such process, or it is somebody else's.
pub fn open_files(pid: u32) -> u64 {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    files.count() as u64
}

/// What a process can be reached at from outside: its protocols and ports.
///
/// # Panics
///
/// If there is no such process, or it is somebody else's.
pub fn listening(pid: u32) -> Vec<(&'static str, u16)> {
    let own = sockets(pid);
    let protocols = ["tcp", "tcp6", "udp", "udp6"].into_iter();
    let all = protocols.flat_map(|protocol| {
        let open = waiting(pid, protocol).into_iter();
        open.map(move |(port, inode)| (protocol, port, inode))
    });
    all.filter(|(_, _, inode)| own.contains(inode))
        .map(|(protocol, port, _)| (protocol, port))
        .collect()
}

/// The process that listens on a port of this machine, if there is one that may be looked at.
pub fn listener(port: u16) -> Option<u32> {
    let mut waiting = ["tcp", "tcp6"]
        .into_iter()
        .flat_map(|protocol| waiting(std::process::id(), protocol));
    let (_, inode) = waiting.find(|(of, _)| *of == port)?;
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut all = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    all.find(|pid| sockets(*pid).contains(&inode))
}

/// The inodes of a process's sockets.
fn sockets(pid: u32) -> Vec<u64> {
    let files = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    let links = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    links
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            inode.parse().ok()
        })
        .collect()
}

/// Ports and inodes of the sockets where a process lives that wait for whoever comes.
fn waiting(pid: u32, protocol: &str) -> Vec<(u16, u64)> {
    // LISTEN, and UDP's state of a socket without a peer.
    let state = if protocol.starts_with("tcp") {
        "0A"
    } else {
        "07"
    };
    let table = fs::read_to_string(format!("/proc/{pid}/net/{protocol}")).unwrap_or_default();
    table
        .lines()
        .filter_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (_, port) = fields.get(1)?.rsplit_once(':')?;
            let inode = fields.get(9)?.parse().ok()?;
            (fields.get(3) == Some(&state)).then_some((u16::from_str_radix(port, 16).ok()?, inode))
        })
        .collect()
}
