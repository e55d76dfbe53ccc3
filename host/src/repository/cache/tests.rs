use std::fs;
use std::path::Path;

use super::*;
use crate::load::compiler::CompileOptions;
use crate::workspace::Workspace;

const BUDGET: u64 = 1 << 20;

fn open(dir: &Path) -> Workspace {
    Workspace::open(dir, Some(BUDGET), &CompileOptions::default()).unwrap()
}

fn key(name: &str) -> CacheKey {
    CacheKey::new("s3://bucket/", name)
}

fn put(cache: &ArtifactCache, name: &str, etag: &str, bytes: &[u8]) {
    let mut incoming = cache.begin(bytes.len() as u64).unwrap();
    incoming.write(bytes).unwrap();
    cache.keep(&key(name), etag, incoming).unwrap();
}

fn get(cache: &ArtifactCache, name: &str) -> Option<(String, Vec<u8>)> {
    let mut found = cache.find(&key(name))?;
    let mut bytes = Vec::new();
    found.file.read_to_end(&mut bytes).unwrap();
    Some((found.etag, bytes))
}

/// The two files of the only entry.
fn files(dir: &Path) -> (PathBuf, PathBuf) {
    let file = |ending: &str| {
        let mut paths = fs::read_dir(dir.join("artifacts")).unwrap();
        paths.find_map(|entry| {
            let path = entry.unwrap().path();
            (path.extension().unwrap() == ending).then_some(path)
        })
    };
    (file(ENDINGS.body).unwrap(), file(ENDINGS.seal).unwrap())
}

#[test]
fn an_entry_outlives_the_host_and_is_replaced_whole() {
    let dir = tempfile::tempdir().unwrap();
    let host = open(dir.path());
    put(host.artifacts(), "m.tar.gz", "1", b"one");
    let old = host.artifacts().find(&key("m.tar.gz")).unwrap();
    put(host.artifacts(), "m.tar.gz", "2", b"second");
    let found = Some(("2".to_owned(), b"second".to_vec()));
    assert_eq!(get(host.artifacts(), "m.tar.gz"), found);
    assert_eq!(io::read_to_string(old.file).unwrap(), "one");
    let used = host.disk().used();
    drop(host);

    let host = open(dir.path());
    assert_eq!(get(host.artifacts(), "m.tar.gz"), found);
    assert_eq!(host.disk().used(), used);
    assert!(get(host.artifacts(), "other.tar.gz").is_none());
    host.artifacts().discard(&key("m.tar.gz"));
    assert!(get(host.artifacts(), "m.tar.gz").is_none());
    assert_eq!(host.disk().used(), 0);
}

#[test]
fn a_damaged_entry_is_none_and_goes() {
    type Harm = fn(&Path, &Path);
    let harms: [Harm; 6] = [
        |body, _| fs::write(body, "on").unwrap(),
        |body, _| fs::write(body, "one more").unwrap(),
        |body, _| fs::write(body, "eno").unwrap(),
        |_, seal| fs::write(seal, "{\"format\":1").unwrap(),
        |_, seal| fs::write(seal, "").unwrap(),
        |body, _| fs::remove_file(body).unwrap(),
    ];
    for harm in harms {
        let dir = tempfile::tempdir().unwrap();
        let host = open(dir.path());
        put(host.artifacts(), "m.tar.gz", "1", b"one");
        let (body, seal) = files(dir.path());
        harm(&body, &seal);
        assert!(get(host.artifacts(), "m.tar.gz").is_none());
        assert_eq!(host.disk().used(), 0);
        put(host.artifacts(), "m.tar.gz", "1", b"one");
        assert!(get(host.artifacts(), "m.tar.gz").is_some());
    }
}

#[test]
fn what_a_crash_left_is_no_entry_and_goes_when_it_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let host = open(dir.path());
    put(host.artifacts(), "m.tar.gz", "1", b"one");
    let (body, seal) = files(dir.path());
    fs::remove_file(seal).unwrap();
    assert!(get(host.artifacts(), "m.tar.gz").is_none());
    drop(host);

    drop(open(dir.path()));
    assert!(body.exists(), "another host may be about to seal it");
    let file = fs::OpenOptions::new().write(true).open(&body).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    drop(open(dir.path()));
    assert!(!body.exists());
}

#[test]
fn a_download_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let host = open(dir.path());
    let mut incoming = host.artifacts().begin(100).unwrap();
    incoming.write(b"one").unwrap();
    assert!(host.disk().used() > 0);
    drop(incoming);
    assert_eq!(host.disk().used(), 0);
    let Err(CacheError::Full(full)) = host.artifacts().begin(2 * BUDGET) else {
        panic!("more than the budget");
    };
    let text = full.to_string();
    assert!(
        text.contains("2.0 MiB") && text.contains("1.0 MiB"),
        "{text}"
    );
}

#[test]
fn the_entries_used_longest_ago_make_room_even_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let third = vec![0; BUDGET as usize / 3 - 10_000];
    let host = open(dir.path());
    for name in ["a", "b", "c"] {
        put(host.artifacts(), name, "1", &third);
        // Times of files may be as coarse as the kernel's clock ticks.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(get(host.artifacts(), "a").is_some());
    drop(host);

    let host = open(dir.path());
    put(host.artifacts(), "d", "1", &third);
    let left = ["a", "b", "c", "d"].map(|name| get(host.artifacts(), name).is_some());
    assert_eq!(left, [true, false, true, true]);
    assert!(host.disk().used() <= BUDGET);
}

#[test]
fn hosts_and_threads_that_share_a_cache_never_see_half_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let hosts = [open(dir.path()), open(dir.path())];
    let content = |round: usize| vec![round as u8; BUDGET as usize / 3 + round * 1000];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let host = &hosts[thread % 2];
            scope.spawn(move || {
                for round in 0..25 {
                    let name = ["a", "b", "c"][(thread + round) % 3];
                    // A host that finds no room for now, because others are writing too.
                    if let Ok(mut incoming) = host.artifacts().begin(BUDGET / 2) {
                        incoming.write(&content(round)).unwrap();
                        let etag = round.to_string();
                        let kept = host.artifacts().keep(&key(name), &etag, incoming);
                        // The other host may have deleted or replaced one of the two files.
                        let Ok(mut kept) = kept else { continue };
                        let mut bytes = Vec::new();
                        kept.read_to_end(&mut bytes).unwrap();
                        assert!(bytes == content(round));
                    }
                    if let Some((etag, bytes)) = get(host.artifacts(), name) {
                        assert!(bytes == content(etag.parse().unwrap()));
                    }
                }
            });
        }
    });
    for host in hosts {
        assert!(host.disk().used() <= BUDGET);
    }
}
