//! How much memory there is: the container's limit, or else the machine's own; and what of it is
//! for what, where the operator does not say.

use std::fs;
use std::path::{Path, PathBuf};

/// What the budget leaves to the host itself, to requests in flight and to the compiler.
const LEAST_RESERVE: u64 = 512 << 20;
const MOST_RESERVE: u64 = 4 << 30;

/// Forty bodies of the default size.
const MOST_REQUEST_MEMORY: u64 = 256 << 20;

/// Bytes that this process may use.
pub(super) fn memory() -> u64 {
    memory_of(Path::new("/"))
}

/// What bodies and answers of requests in flight may hold of `memory`.
pub(super) fn request_memory(memory: u64) -> u64 {
    (memory / 8).min(MOST_REQUEST_MEMORY)
}

/// The memory budget: `memory`, less a reserve of a quarter of it, which is at least 512 MiB and at
/// most 4 GiB, but never more than half.
pub(super) fn memory_budget(memory: u64) -> u64 {
    let reserve = (memory / 4)
        .clamp(LEAST_RESERVE, MOST_RESERVE)
        .min(memory / 2);
    memory - reserve
}

/// What the files under `root` tell. Without any, 2 GiB.
fn memory_of(root: &Path) -> u64 {
    let limits = cgroup_limits(root);
    limits
        .into_iter()
        .chain(machine(root))
        .min()
        .unwrap_or(2 << 30)
}

/// The limits of the process's control group and of those above it, versions 1 and 2.
fn cgroup_limits(root: &Path) -> Vec<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (top, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            c if c.split(',').any(|c| c == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // A container mostly sees its own group as the top, whatever the group is called outside.
        let own = PathBuf::from(group.trim_start_matches('/'));
        for dir in own.ancestors() {
            let limit = fs::read_to_string(root.join(top).join(dir).join(file));
            limits.extend(limit.ok().and_then(|text| text.trim().parse::<u64>().ok()));
        }
    }
    limits
}

fn machine(root: &Path) -> Option<u64> {
    let info = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    const MACHINE: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       16777216 kB\nMemFree: 1 kB\n",
    );

    #[test]
    fn the_least_limit_holds() {
        let machine_alone = root(&[MACHINE]);
        assert_eq!(memory_of(machine_alone.path()), 16 << 30);
        let version_2 = root(&[
            MACHINE,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
        ]);
        assert_eq!(memory_of(version_2.path()), 1 << 30);
        let version_1 = root(&[
            MACHINE,
            ("proc/self/cgroup", "5:cpu,memory:/docker/x\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
        ]);
        assert_eq!(memory_of(version_1.path()), 512 << 20);
    }

    #[test]
    fn the_reserve_is_a_quarter_within_bounds() {
        assert_eq!(memory_budget(8 << 30), 6 << 30);
        assert_eq!(memory_budget(64 << 30), 60 << 30);
        assert_eq!(memory_budget(1 << 30), 512 << 20);
        assert_eq!(memory_budget(100 << 20), 50 << 20);
        assert_eq!(request_memory(1 << 30), 128 << 20);
        assert_eq!(request_memory(64 << 30), 256 << 20);
    }
}
