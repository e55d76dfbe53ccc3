//! What the kernel says of this process's memory, mapping by mapping.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// What an image's file is called.
const IMAGE: &str = "/memfd:modelcell-image";
/// Bytes of a fiber's stack and of the guard below it, by which stacks are told from other mappings.
const STACK: u64 = 2 << 20;
const STACK_GUARD: u64 = 64 << 10;

/// Pages that are a cell's own, in bytes. Pages of an image that were only read are not: they are the
/// file's, and mapped by all cells of the model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own {
    /// In slots: private copies of the image's pages and what memories grew by.
    pub slots: u64,
    /// In the stacks that guests run on.
    pub stacks: u64,
}

/// A line that begins a mapping, and what belongs to it.
struct Mapping<'a> {
    start: u64,
    end: u64,
    access: &'a str,
    file: &'a str,
    anonymous: u64,
}

impl Own {
    /// Reads `/proc/self/smaps`.
    pub fn read() -> Result<Self, String> {
        let text = fs::read_to_string("/proc/self/smaps").map_err(|e| e.to_string())?;
        let mut own = Self::default();
        let mut before = None;
        for mapping in mappings(&text) {
            let length = mapping.end - mapping.start;
            // The kernel joins a stack's guard with what has no access below it.
            let guarded = |(end, access, length): &(u64, &str, u64)| {
                *end == mapping.start && *access == "---p" && *length >= STACK_GUARD
            };
            if mapping.file == IMAGE && mapping.access == "rw-p" {
                own.slots += mapping.anonymous;
            } else if mapping.file.is_empty()
                && mapping.access == "rw-p"
                && length == STACK
                && before.as_ref().is_some_and(guarded)
            {
                own.stacks += mapping.anonymous;
            }
            before = Some((mapping.end, mapping.access, length));
        }
        Ok(own)
    }
}

fn mappings(smaps: &str) -> Vec<Mapping<'_>> {
    let mut found: Vec<Mapping<'_>> = Vec::new();
    for line in smaps.lines() {
        let mut fields = line.split_whitespace();
        let first = fields.next().unwrap_or_default();
        if let Some(("Anonymous", kib)) = line.split_once(':') {
            let kib = kib.trim().trim_end_matches(" kB").parse().unwrap_or(0_u64);
            if let Some(mapping) = found.last_mut() {
                mapping.anonymous = kib << 10;
            }
        } else if let Some((start, end)) = first.split_once('-') {
            let number = |text| u64::from_str_radix(text, 16);
            let (Ok(start), Ok(end)) = (number(start), number(end)) else {
                continue;
            };
            found.push(Mapping {
                start,
                end,
                access: fields.next().unwrap_or_default(),
                file: fields.nth(3).unwrap_or_default(),
                anonymous: 0,
            });
        }
    }
    found
}

/// Bytes of the page tables of this process.
pub fn page_tables() -> Result<u64, String> {
    let status = fs::read_to_string("/proc/self/status").map_err(|e| e.to_string())?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmPTE:")?.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse::<u64>().ok())
        .map(|kib| kib << 10)
        .ok_or("the kernel does not say VmPTE".into())
}

/// Bytes of all images that this process has open.
pub fn images() -> Result<u64, String> {
    let files = fs::read_dir("/proc/self/fd").map_err(|e| e.to_string())?;
    let mut bytes = 0;
    for file in files.flatten() {
        let named = fs::read_link(file.path()).unwrap_or_default();
        if named.to_string_lossy().starts_with(IMAGE) {
            // In units of 512 bytes, whatever the block size.
            bytes += fs::metadata(file.path()).map_or(0, |file| file.blocks() * 512);
        }
    }
    Ok(bytes)
}
