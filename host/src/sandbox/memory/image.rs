//! What a model's linear memory held after `model_fn`: one file in memory, mapped by all its cells.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::ptr::NonNull;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Size of the host's pages, in bytes, on the machines that Modelcell runs on: what is mapped is a
/// multiple of 64 KiB, WebAssembly's pages, so larger pages of the host would do as well.
pub const PAGE: usize = 4096;

const ZEROS: [u8; PAGE] = [0; PAGE];

/// A frozen linear memory.
#[derive(Debug)]
pub struct Image {
    file: File,
    /// The whole file, mapped for reading.
    mapped: NonNull<u8>,
    bytes: usize,
}

// SAFETY: what is mapped is sealed against writing, so it may be read from any thread.
unsafe impl Send for Image {}
// SAFETY: as above.
unsafe impl Sync for Image {}

impl Image {
    /// Freezes `memory`, whose length is a multiple of WebAssembly's pages. Pages of zeros take no
    /// memory.
    ///
    /// # Errors
    ///
    /// If the kernel has no memory or no file for it.
    pub fn new(memory: &[u8]) -> io::Result<Self> {
        Self::build(memory.len(), |file| {
            for (index, page) in memory.chunks(PAGE).enumerate() {
                if page != ZEROS.get(..page.len()).unwrap_or_default() {
                    file.write_all_at(page, (index * PAGE) as u64)?;
                }
            }
            Ok(())
        })
    }

    /// An image of `bytes` bytes that `fill` writes into an empty file of that length.
    ///
    /// # Errors
    ///
    /// Those of `fill` and of the kernel.
    pub fn build(bytes: usize, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<Self> {
        if bytes == 0 || !bytes.is_multiple_of(PAGE) {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let file = memfd_create(
            "modelcell-image",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        let file = File::from(file);
        file.set_len(bytes as u64)?;
        fill(&file)?;
        // From here on nobody can change what cells start from, or make it end too early.
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let mapped = unsafe {
            mmap(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ,
                MapFlags::SHARED,
                &file,
                0,
            )
        }?;
        let mapped = NonNull::new(mapped.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            file,
            mapped,
            bytes,
        })
    }

    /// The length of the memory, in bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Bytes of the host's memory that it takes.
    ///
    /// # Errors
    ///
    /// If the kernel does not say.
    pub fn held(&self) -> io::Result<u64> {
        // In units of 512 bytes, whatever the block size.
        Ok(self.file.metadata()?.blocks() * 512)
    }

    /// What the memory held.
    pub fn contents(&self) -> &[u8] {
        // SAFETY: mapped for `bytes` bytes as long as `self` lives, and sealed against writing.
        unsafe { std::slice::from_raw_parts(self.mapped.as_ptr(), self.bytes) }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: mapped in `build`, and nobody has a reference into it any more. Slots map the file
        // by themselves.
        let _ = unsafe { munmap(self.mapped.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_holds_what_the_memory_held_and_zeros_are_free() {
        let mut memory = vec![0; 64 * PAGE];
        memory[3 * PAGE + 5] = 7;
        memory[63 * PAGE] = 8;
        let image = Image::new(&memory).unwrap();
        assert_eq!(image.len(), memory.len());
        assert_eq!(image.held().unwrap(), 2 * PAGE as u64);
        assert!(image.contents() == memory);
        assert!(image.file().write_all_at(b"x", 0).is_err(), "sealed");
        assert!(image.file().set_len(0).is_err(), "sealed");
    }
}
