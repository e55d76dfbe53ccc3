//! What the compiler made: a file in memory with the code, and after it the functions that are worth
//! keeping for the next time.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Compiled code, and the functions in it.
pub struct Output {
    file: File,
    code: u64,
    functions: u64,
}

impl Output {
    pub(super) fn new(file: File, code: u64, functions: u64) -> Self {
        Self {
            file,
            code,
            functions,
        }
    }

    /// Code alone.
    pub(super) fn of(code: &[u8]) -> io::Result<Self> {
        let mut file = in_memory("modelcell-code")?;
        file.write_all(code)?;
        Ok(Self::new(file, code.len() as u64, 0))
    }

    /// Bytes of the code.
    pub fn code_bytes(&self) -> u64 {
        self.code
    }

    /// Bytes of the functions, zero if there are no new ones.
    pub fn functions_bytes(&self) -> u64 {
        self.functions
    }

    /// The code.
    pub fn code(&self) -> io::Result<io::Take<&File>> {
        (&self.file).seek(SeekFrom::Start(0))?;
        Ok((&self.file).take(self.code))
    }

    /// The functions.
    pub fn functions(&self) -> io::Result<io::Take<&File>> {
        (&self.file).seek(SeekFrom::Start(self.code))?;
        Ok((&self.file).take(self.functions))
    }

    /// The code as a file that nobody can change any more.
    pub fn into_code(self) -> io::Result<File> {
        self.file.set_len(self.code)?;
        fcntl_add_seals(
            &self.file,
            SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
        )?;
        Ok(self.file)
    }
}

/// An empty file without a name that exists in memory only.
pub(super) fn in_memory(name: &str) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(File::from(memfd_create(name, flags)?))
}
