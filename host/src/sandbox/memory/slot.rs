//! A range of addresses for one linear memory.

use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous};
use rustix::mm::{mprotect, munmap};

use super::image::{Image, PAGE};
use super::pagemap;

/// Bytes of a slot's own pages that it keeps between two requests, at most. What a request wrote
/// beyond is given back to the kernel.
pub const KEPT_BYTES: usize = 64 * 1024;

/// A linear memory's addresses: guard, memory, guard. Only the memory's first `size` bytes can be
/// read or written; a guest that reaches beyond is ended by a trap.
#[derive(Debug)]
pub(super) struct Slot {
    /// Where the whole range begins.
    start: NonNull<u8>,
    /// The length of the whole range.
    range: usize,
    /// The length of each guard.
    guard: usize,
    /// Bytes of the memory that are accessible.
    size: usize,
    /// What the memory holds at first; without it, zeros.
    image: Option<Arc<Image>>,
}

// SAFETY: a slot owns its range of addresses, and whoever has the slot alone may use them.
unsafe impl Send for Slot {}
// SAFETY: a shared reference only tells addresses and sizes.
unsafe impl Sync for Slot {}

impl Slot {
    /// Reserves `reserved` bytes for a memory and `guard` bytes before and behind it, all multiples of
    /// the host's pages, and maps `image` if there is one.
    pub(super) fn map(
        image: Option<Arc<Image>>,
        reserved: usize,
        guard: usize,
    ) -> io::Result<Self> {
        let size = image.as_deref().map_or(0, Image::len);
        if size > reserved {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let range = guard
            .checked_mul(2)
            .and_then(|guards| guards.checked_add(reserved))
            .ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: a new mapping at an address of the kernel's choice, of which nothing is accessible.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                range,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let slot = Self {
            start,
            range,
            guard,
            size,
            image,
        };
        if let Some(image) = &slot.image {
            slot.protect(0..size, MprotectFlags::READ | MprotectFlags::WRITE)?;
            let mut offset = 0;
            for extent in image.extents() {
                // SAFETY: replaces pages of the slot's own range, which nobody uses yet; extents are
                // within the image's length, which is within what is reserved.
                unsafe {
                    mmap(
                        slot.at(extent.start),
                        extent.len(),
                        ProtFlags::READ | ProtFlags::WRITE,
                        MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE,
                        image.file(),
                        offset,
                    )
                }?;
                offset += extent.len() as u64;
            }
        }
        Ok(slot)
    }

    /// Where the memory begins.
    pub(super) fn base(&self) -> *mut u8 {
        // SAFETY: the range is longer than its first guard.
        unsafe { self.start.as_ptr().add(self.guard) }
    }

    /// Bytes that are accessible.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Bytes that the memory can grow to.
    pub(super) fn capacity(&self) -> usize {
        self.range - 2 * self.guard
    }

    /// Bytes without access behind what the memory can grow to.
    pub(super) fn guard(&self) -> usize {
        self.guard
    }

    /// Bytes that are accessible in the beginning.
    fn first_size(&self) -> usize {
        self.image.as_deref().map_or(0, Image::len)
    }

    /// Makes the memory `size` bytes long. What is new is zero.
    pub(super) fn grow_to(&mut self, size: usize) -> io::Result<()> {
        if size < self.size || size > self.capacity() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        self.protect(self.size..size, access)?;
        self.size = size;
        Ok(())
    }

    /// Puts the memory back to what it was in the beginning, byte for byte. After an error the slot must
    /// be dropped.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        let first = self.first_size();
        if self.size > first {
            self.discard(first..self.size)?;
            self.protect(first..self.size, MprotectFlags::empty())?;
            self.size = first;
        }
        let clean = self.restore_written();
        // Pages of the image are mapped anew from it when they are touched, others are zero again.
        self.discard(clean..first)
    }

    /// Writes the image over the first [`KEPT_BYTES`] of written pages. Returns the length of the
    /// memory's beginning that is as the image again.
    fn restore_written(&mut self) -> usize {
        let Some(image) = &self.image else {
            return 0;
        };
        let base = self.base();
        let start = base as usize;
        let end = pagemap::scan(start..start + image.len(), KEPT_BYTES / PAGE, |dirty| {
            for address in dirty.step_by(PAGE) {
                let offset = address - start;
                let page = base.wrapping_add(offset);
                // SAFETY: the page is within the memory, whose first `image.len()` bytes are accessible,
                // and which nobody uses: the instance that had it is gone.
                unsafe {
                    match image.page(offset) {
                        Some(original) => page.copy_from_nonoverlapping(original.as_ptr(), PAGE),
                        None => page.write_bytes(0, PAGE),
                    }
                }
            }
        });
        end.map_or(0, |end| end.saturating_sub(start).min(image.len()))
    }

    /// Gives the pages of `range`, bytes of the memory, back to the kernel.
    fn discard(&mut self, range: Range<usize>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        // SAFETY: pages of the slot's own range, which nobody uses: the instance is gone.
        unsafe { madvise(self.at(range.start), range.len(), Advice::LinuxDontNeed) }?;
        Ok(())
    }

    fn protect(&self, range: Range<usize>, access: MprotectFlags) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        // SAFETY: pages of the slot's own range. Those that lose access are used by nobody.
        unsafe { mprotect(self.at(range.start), range.len(), access) }?;
        Ok(())
    }

    fn at(&self, offset: usize) -> *mut std::ffi::c_void {
        self.base().wrapping_add(offset).cast()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: mapped in `map`; the memory's user is gone, because it owned the slot.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.range) };
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::super::image::extents_of;
    use super::*;

    const GUARD: usize = 16 * PAGE;
    const RESERVED: usize = 4096 * PAGE;

    fn memory(slot: &Slot) -> &mut [u8] {
        // SAFETY: accessible, and the tests have one reference at a time.
        unsafe { std::slice::from_raw_parts_mut(slot.base(), slot.size()) }
    }

    /// An image with pages of zeros between others, and two longer stretches of zeros.
    fn image(pages: usize) -> (Arc<Image>, Vec<u8>) {
        let zero = |page: usize| page.is_multiple_of(3) || page % 100 > 60;
        let bytes: Vec<u8> = (0..pages * PAGE)
            .map(|i| if zero(i / PAGE) { 0 } else { (i % 251) as u8 })
            .collect();
        let image = Image::new(&bytes, extents_of(&bytes)).unwrap();
        (Arc::new(image), bytes)
    }

    #[test]
    fn a_slot_is_as_its_image_after_any_writes() {
        let (image, contents) = image(200);
        assert!(image.extents().len() > 1 && image.held() < image.len());
        let mut slot = Slot::map(Some(image.clone()), RESERVED, GUARD).unwrap();
        assert!(*memory(&slot) == *contents);
        // One page, few pages, more pages than are kept, every byte, and growth.
        for (round, step) in [200, 20, 3, 1, 1].into_iter().enumerate() {
            for page in (0..200).step_by(step) {
                memory(&slot)[page * PAGE + 9] ^= 0x5a;
            }
            if round > 2 {
                memory(&slot).fill(0xee);
                slot.grow_to((300 + round) * PAGE).unwrap();
                assert!(memory(&slot)[200 * PAGE..].iter().all(|&b| b == 0));
                memory(&slot)[200 * PAGE..].fill(0xdd);
            }
            slot.reset().unwrap();
            assert_eq!(slot.size(), image.len());
            assert!(*memory(&slot) == *contents, "round {round}");
        }
        assert!(*memory(&slot) == *contents);
        // Not even reading all of it made the image larger.
        let blocks = image.file().metadata().unwrap().blocks();
        assert_eq!(blocks * 512, image.held() as u64);
    }

    #[test]
    fn two_slots_of_an_image_do_not_see_each_other() {
        let (image, contents) = image(10);
        let one = Slot::map(Some(image.clone()), RESERVED, GUARD).unwrap();
        let two = Slot::map(Some(image.clone()), RESERVED, GUARD).unwrap();
        memory(&one).fill(1);
        assert!(*memory(&two) == *contents);
    }

    #[test]
    fn a_memory_without_image_is_zero_and_grows_to_what_is_reserved() {
        let mut slot = Slot::map(None, RESERVED, GUARD).unwrap();
        assert_eq!(slot.size(), 0);
        slot.grow_to(RESERVED).unwrap();
        assert!(memory(&slot).iter().all(|&b| b == 0));
        assert!(slot.grow_to(RESERVED + PAGE).is_err());
    }
}
