//! What a model's linear memory held after `model_fn`: a file in memory, mapped by all its cells.
//!
//! The file has the memory's extents, the parts that are not all zeros, one behind the other. What lies
//! between them is no part of the file: a page of zeros in it would take memory as soon as it is looked
//! at.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Size of the host's pages, in bytes, on the machines that Modelcell runs on: what is mapped is a
/// multiple of 64 KiB, WebAssembly's pages, so larger pages of the host would do as well.
pub const PAGE: usize = 4096;

const ZEROS: [u8; PAGE] = [0; PAGE];

/// Extents of one image, at most: each is a mapping of each slot, of which the kernel allows a process
/// some ten thousand.
const EXTENTS: usize = 16;

/// Zeros between two extents that are rather taken into the file than mapped apart, in bytes.
const FIRST_GAP: usize = 8 * 1024;

/// How often sealing is tried.
const SEAL_TRIES: usize = 8;

/// A part of a memory, in bytes from its beginning; multiples of [`PAGE`].
pub type Extent = Range<usize>;

/// A frozen linear memory.
#[derive(Debug)]
pub struct Image {
    file: File,
    /// The whole file, mapped for reading.
    mapped: NonNull<u8>,
    /// In the order of their addresses, which is that of the file.
    extents: Vec<Extent>,
    /// Bytes of the file.
    held: usize,
    /// Bytes of the memory.
    bytes: usize,
}

// SAFETY: what is mapped is sealed against writing, so it may be read from any thread.
unsafe impl Send for Image {}
// SAFETY: as above.
unsafe impl Sync for Image {}

impl Image {
    /// Freezes those `extents` of `memory`, whose length is a multiple of WebAssembly's pages.
    ///
    /// # Errors
    ///
    /// If the kernel has no memory or no file for it.
    pub fn new(memory: &[u8], extents: Vec<Extent>) -> io::Result<Self> {
        let parts: Vec<&[u8]> = extents
            .iter()
            .map(|extent| memory.get(extent.clone()).unwrap_or_default())
            .collect();
        Self::build(memory.len(), extents, |file| {
            let mut offset = 0;
            for part in parts {
                file.write_all_at(part, offset)?;
                offset += part.len() as u64;
            }
            Ok(())
        })
    }

    /// An image of a memory of `bytes` bytes, whose extents `fill` writes into an empty file, one behind
    /// the other.
    ///
    /// # Errors
    ///
    /// If the extents are not in order or not within the memory, and those of `fill` and the kernel.
    pub fn build(
        bytes: usize,
        extents: Vec<Extent>,
        fill: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<Self> {
        let held = Self::held_by(bytes, &extents).ok_or(io::ErrorKind::InvalidData)?;
        let file = memfd_create(
            "modelcell-image",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        let file = File::from(file);
        file.set_len(held as u64)?;
        fill(&file)?;
        seal(&file)?;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let mapped = unsafe {
            mmap(
                std::ptr::null_mut(),
                held,
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
            extents,
            held,
            bytes,
        })
    }

    /// What an image of a memory of `bytes` bytes with these extents would hold; none if they are not in
    /// order, not whole pages within the memory, or too many.
    pub fn held_by(bytes: usize, extents: &[Extent]) -> Option<usize> {
        let (mut end, mut held) = (0, 0);
        for extent in extents {
            let whole = extent.start.is_multiple_of(PAGE) && extent.end.is_multiple_of(PAGE);
            if !whole || extent.is_empty() || extent.start < end || extent.end > bytes {
                return None;
            }
            end = extent.end;
            held += extent.len();
        }
        let fits = bytes.is_multiple_of(PAGE) && extents.len() <= EXTENTS;
        (fits && held > 0).then_some(held)
    }

    /// The length of the memory, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the host's memory that it takes.
    pub fn held(&self) -> usize {
        self.held
    }

    /// The parts that are not all zeros.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// What the extents hold, one behind the other.
    pub fn contents(&self) -> &[u8] {
        // SAFETY: mapped for `held` bytes as long as `self` lives, and sealed against writing.
        unsafe { std::slice::from_raw_parts(self.mapped.as_ptr(), self.held) }
    }

    /// What the page at `offset` of the memory held; nothing if it was zero.
    pub(super) fn page(&self, offset: usize) -> Option<&[u8]> {
        let mut begin = 0;
        for extent in &self.extents {
            if extent.contains(&offset) {
                let at = begin + (offset - extent.start);
                return self.contents().get(at..at + PAGE);
            }
            begin += extent.len();
        }
        None
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: mapped in `build`, and nobody has a reference into it any more. Slots map the file
        // by themselves.
        let _ = unsafe { munmap(self.mapped.as_ptr().cast(), self.held) };
    }
}

/// The parts of `memory` that are not zero: few, so small gaps between them count as well. Never none,
/// because there is no mapping of nothing.
pub fn extents_of(memory: &[u8]) -> Vec<Extent> {
    let mut extents: Vec<Extent> = Vec::new();
    for (index, page) in memory.chunks(PAGE).enumerate() {
        let begin = index * PAGE;
        if page == ZEROS {
            continue;
        }
        match extents.last_mut() {
            Some(last) if begin - last.end <= FIRST_GAP => last.end = begin + PAGE,
            _ => extents.push(begin..begin + PAGE),
        }
    }
    let mut gap = FIRST_GAP;
    while extents.len() > EXTENTS {
        gap *= 2;
        extents = merged(extents, gap);
    }
    if extents.is_empty() {
        extents.push(0..PAGE.min(memory.len()));
    }
    extents
}

fn merged(extents: Vec<Extent>, gap: usize) -> Vec<Extent> {
    let mut merged: Vec<Extent> = Vec::new();
    for extent in extents {
        match merged.last_mut() {
            Some(last) if extent.start - last.end <= gap => last.end = extent.end,
            _ => merged.push(extent),
        }
    }
    merged
}

/// From here on nobody can change what cells start from, or make it end too early.
///
/// The kernel refuses while it has one of the file's pages in hand elsewhere, such as in a list of
/// another processor. It waits for that itself, but on a busy machine not always long enough.
fn seal(file: &File) -> io::Result<()> {
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    for _ in 1..SEAL_TRIES {
        match fcntl_add_seals(file, seals) {
            Err(Errno::BUSY) => {}
            sealed => return Ok(sealed?),
        }
    }
    Ok(fcntl_add_seals(file, seals)?)
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "an image may have one extent"
)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn image(memory: &[u8]) -> Image {
        Image::new(memory, extents_of(memory)).unwrap()
    }

    #[test]
    fn an_image_holds_what_the_memory_held_and_zeros_are_free() {
        let mut memory = vec![0; 640 * PAGE];
        memory[3 * PAGE + 5] = 7;
        memory[639 * PAGE] = 8;
        let image = image(&memory);
        assert_eq!(image.memory_bytes(), memory.len());
        assert_eq!(
            image.extents(),
            [3 * PAGE..4 * PAGE, 639 * PAGE..640 * PAGE]
        );
        assert_eq!(image.page(3 * PAGE).unwrap()[5], 7);
        assert_eq!(image.page(639 * PAGE).unwrap()[0], 8);
        assert!(image.page(4 * PAGE).is_none());
        assert_eq!(image.held(), 2 * PAGE);
        assert_eq!(
            image.file().metadata().unwrap().blocks() * 512,
            2 * PAGE as u64
        );
        assert!(image.file().write_all_at(b"x", 0).is_err(), "sealed");
        assert!(image.file().set_len(0).is_err(), "sealed");
    }

    #[test]
    fn extents_are_few_and_hold_all_that_is_not_zero() {
        assert_eq!(extents_of(&vec![0; 16 * PAGE]), [0..PAGE]);
        for distance in [1, 2, 16, 17, 18, 100] {
            let mut memory = vec![0; 4000 * PAGE];
            for page in (0..4000).step_by(distance) {
                memory[page * PAGE + 1] = 1;
            }
            let extents = extents_of(&memory);
            assert!(extents.len() <= EXTENTS, "{distance}");
            assert!(Image::held_by(memory.len(), &extents).is_some());
            let image = image(&memory);
            for page in 0..4000 {
                let content = &memory[page * PAGE..(page + 1) * PAGE];
                assert_eq!(image.page(page * PAGE).unwrap_or(&ZEROS), content);
            }
        }
    }

    #[test]
    fn extents_that_cannot_be_are_refused() {
        let twice = 0..2 * PAGE;
        for extents in [
            vec![],
            vec![0..PAGE + 1],
            vec![twice.clone(), PAGE..3 * PAGE],
            vec![2 * PAGE..3 * PAGE, 0..PAGE],
            vec![0..5 * PAGE],
            vec![0..0],
        ] {
            assert!(Image::held_by(4 * PAGE, &extents).is_none(), "{extents:?}");
        }
        assert_eq!(Image::held_by(4 * PAGE, &[twice]), Some(2 * PAGE));
    }
}
