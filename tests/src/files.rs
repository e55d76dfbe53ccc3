//! What lies on disk.

use std::fs;
use std::path::{Path, PathBuf};

/// The bytes of all files in a directory.
pub fn bytes_in(dir: &Path) -> u64 {
    // What goes meanwhile counts nothing.
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| match entry.metadata().ok()? {
        found if found.is_dir() => Some(bytes_in(&entry.path())),
        found => Some(found.len()),
    });
    sizes.sum()
}

/// The files of a directory whose names end so, sorted.
///
/// # Panics
///
/// If there is no such directory.
pub fn files_in(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}

/// How many files and directories are in a directory, all the way down.
pub fn entries_in(dir: &Path) -> u64 {
    // What goes meanwhile is not counted.
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let numbers = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => 1 + entries_in(&entry.path()),
        _ => 1,
    });
    numbers.sum()
}
