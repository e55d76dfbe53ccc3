//! The functions of a component that were compiled before, so that another form of it, of which only
//! data or exports differ, is compiled in a fraction of the time.
//!
//! The compiler asks by a hash of all that a function's code depends on. What is kept is a file
//! ([`HEAD`], then for each function its hash, the length of its code and the code); see
//! [`crate::load::compile`] for where it lies and what shows that it is undamaged.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmtime::CacheStore;

/// What a file begins with. Changes with its layout.
const HEAD: &[u8] = b"modelcell functions 1\n";

/// Bytes of a hash.
const KEY: usize = 32;

type Key = [u8; KEY];

/// Functions by the hash of what they are compiled from.
pub struct Functions {
    file: Vec<u8>,
    known: HashMap<Key, Known>,
    new: Mutex<New>,
    limit: u64,
    reused: AtomicU64,
}

/// A function of the file.
struct Known {
    code: Range<usize>,
    used: AtomicBool,
}

/// Functions that the file does not have.
#[derive(Default)]
struct New {
    by_key: HashMap<Key, Vec<u8>>,
    bytes: u64,
    compiled: u64,
}

impl Functions {
    /// Those of `file`, which may be empty. At most `limit` bytes are kept.
    pub fn open(file: Vec<u8>, limit: u64) -> Self {
        Self {
            known: index(&file).unwrap_or_default(),
            file,
            new: Mutex::default(),
            limit,
            reused: AtomicU64::new(0),
        }
    }

    /// How many were found, and how many were not.
    pub fn counts(&self) -> (u64, u64) {
        (self.reused.load(Ordering::Relaxed), self.fresh().compiled)
    }

    /// Writes the new file and returns its length; or nothing and zero if the old one has them all.
    /// What is too much is left out, first of it what was not asked for this time.
    pub fn write(&self, mut to: impl Write) -> io::Result<u64> {
        let new = self.fresh();
        if new.by_key.is_empty() {
            return Ok(0);
        }
        let used = |wanted: bool| {
            let those =
                move |(_, known): &(&Key, &Known)| known.used.load(Ordering::Relaxed) == wanted;
            let known = self.known.iter().filter(those);
            known.filter_map(|(key, known)| Some((key, self.file.get(known.code.clone())?)))
        };
        let latest = new.by_key.iter().map(|(key, code)| (key, code.as_slice()));
        to.write_all(HEAD)?;
        let mut length = HEAD.len() as u64;
        for (key, code) in latest.chain(used(true)).chain(used(false)) {
            let Ok(bytes) = u32::try_from(code.len()) else {
                continue;
            };
            if length + on_file(code) > self.limit {
                continue;
            }
            length += on_file(code);
            to.write_all(key)?;
            to.write_all(&bytes.to_le_bytes())?;
            to.write_all(code)?;
        }
        to.flush()?;
        Ok(length)
    }

    fn fresh(&self) -> MutexGuard<'_, New> {
        self.new.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let known = self.known.get(key);
        let code = match known {
            Some(known) => {
                known.used.store(true, Ordering::Relaxed);
                Cow::Borrowed(self.file.get(known.code.clone())?)
            }
            None => Cow::Owned(self.fresh().by_key.get(key)?.clone()),
        };
        self.reused.fetch_add(1, Ordering::Relaxed);
        Some(code)
    }

    fn insert(&self, key: &[u8], code: Vec<u8>) -> bool {
        let mut new = self.fresh();
        new.compiled += 1;
        let bytes = on_file(&code);
        let Ok(key) = Key::try_from(key) else {
            return false;
        };
        if new.bytes + bytes > self.limit {
            return false;
        }
        new.bytes += bytes;
        new.by_key.insert(key, code);
        true
    }
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Functions").finish_non_exhaustive()
    }
}

fn on_file(code: &[u8]) -> u64 {
    (KEY + 4 + code.len()) as u64
}

/// Where each function of a file is; none if it is not such a file.
fn index(file: &[u8]) -> Option<HashMap<Key, Known>> {
    let mut known = HashMap::new();
    let mut rest = file.strip_prefix(HEAD)?;
    while let Some((key, after)) = rest.split_first_chunk::<KEY>() {
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let begin = file.len() - after.len();
        rest = after.get(length..)?;
        let code = begin..begin + length;
        let used = AtomicBool::new(false);
        known.insert(*key, Known { code, used });
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [u8; KEY] = [1; KEY];
    const B: [u8; KEY] = [2; KEY];

    fn written(functions: &Functions) -> Vec<u8> {
        let mut file = Vec::new();
        let length = functions.write(&mut file).unwrap();
        assert_eq!(length, file.len() as u64);
        file
    }

    #[test]
    fn what_was_written_is_found_again() {
        let first = Functions::open(Vec::new(), 1000);
        assert!(first.get(&A).is_none());
        assert!(first.insert(&A, b"code of a".to_vec()));
        assert_eq!(first.get(&A).unwrap().as_ref(), b"code of a");

        let second = Functions::open(written(&first), 1000);
        assert_eq!(second.get(&A).unwrap().as_ref(), b"code of a");
        assert!(written(&second).is_empty(), "nothing is new");
        second.insert(&B, Vec::new());
        assert_eq!(second.counts(), (1, 1));

        let third = Functions::open(written(&second), 1000);
        assert_eq!(third.get(&A).unwrap().as_ref(), b"code of a");
        assert_eq!(third.get(&B).unwrap().as_ref(), b"");
    }

    #[test]
    fn what_was_not_used_goes_first() {
        let first = Functions::open(Vec::new(), 1000);
        first.insert(&A, vec![1; 100]);
        first.insert(&B, vec![2; 100]);
        let second = Functions::open(written(&first), 350);
        second.get(&B);
        second.insert(&[3; KEY], vec![3; 100]);
        let third = Functions::open(written(&second), 350);
        assert!(third.get(&A).is_none());
        assert!(third.get(&B).is_some());
        assert!(third.get(&[3; KEY]).is_some());
    }

    #[test]
    fn more_than_the_limit_is_not_held() {
        let functions = Functions::open(Vec::new(), 100);
        assert!(!functions.insert(&A, vec![0; 100]));
        assert!(written(&functions).is_empty());
    }

    #[test]
    fn what_is_no_such_file_is_empty() {
        let whole = Functions::open(Vec::new(), 1000);
        whole.insert(&A, vec![1; 100]);
        let whole = written(&whole);
        for file in [&b""[..], b"something else", &whole[..whole.len() - 1]] {
            assert!(Functions::open(file.to_vec(), 1000).get(&A).is_none());
        }
    }
}
