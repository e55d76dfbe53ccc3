//! Which pages of a range were written: Linux' `PAGEMAP_SCAN` (6.7 and newer).
//!
//! See <https://docs.kernel.org/admin-guide/mm/pagemap.html>. Older kernels have no such call; there
//! every page is given back to the kernel instead, which costs a page fault for each page that the
//! next request touches.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::LazyLock;

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;

// Categories of pages (`include/uapi/linux/fs.h`).
const PAGE_IS_WRITTEN: u64 = 1 << 1;
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

/// Ranges that one scan reports at most.
const RANGES: usize = 64;

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
struct ScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

static PAGEMAP: LazyLock<Option<File>> = LazyLock::new(|| File::open("/proc/self/pagemap").ok());

/// Calls `dirty` with the address ranges of private pages in `range`, which a guest wrote, until there
/// are `max_pages` of them. Returns the address up to which it looked; beyond, any page may be dirty.
/// `None` if the kernel cannot tell.
pub(super) fn scan(
    range: Range<usize>,
    max_pages: usize,
    mut dirty: impl FnMut(Range<usize>),
) -> Option<usize> {
    let pagemap = PAGEMAP.as_ref()?;
    let mut regions = [PageRegion::default(); RANGES];
    // Pages of the image that were only read are the file's, and pages of zeros that were only read
    // are the kernel's one page of zeros. What is swapped out was written, too.
    let mut arg = ScanArg {
        size: size_of::<ScanArg>() as u64,
        start: range.start as u64,
        end: range.end as u64,
        vec: regions.as_mut_ptr() as u64,
        vec_len: RANGES as u64,
        max_pages: max_pages as u64,
        category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
        category_mask: PAGE_IS_WRITTEN | PAGE_IS_FILE | PAGE_IS_PFNZERO,
        category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        ..ScanArg::default()
    };
    // SAFETY: the kernel writes at most `vec_len` regions to `vec` and the results to `arg`, both of
    // which outlive the call. It only looks at the range's pages.
    let found = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut arg) };
    let found = usize::try_from(found).ok()?;
    for region in regions.get(..found)? {
        dirty(region.start as usize..region.end as usize);
    }
    Some(arg.walk_end as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_reads_the_structure_that_is_meant() {
        assert_eq!(size_of::<ScanArg>(), 96);
        let mut dirty = Vec::new();
        let page = vec![1_u8; 3 * 4096];
        let start = (page.as_ptr() as usize).next_multiple_of(4096);
        if let Some(end) = scan(start..start + 4096, 100, |range| dirty.push(range)) {
            assert_eq!(end, start + 4096);
            assert_eq!(dirty.len(), 1);
            assert_eq!(dirty.first(), Some(&(start..start + 4096)));
        }
    }
}
