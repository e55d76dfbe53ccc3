//! Keeps the image of a loaded model small: what a cell's memory holds when `model_fn` ends is kept for every
//! model, zeros aside.

/// Reading and planning a graph takes far more memory than the plan.
#[cfg(target_os = "wasi")]
#[global_allocator]
static HEAP: modelcell_guest::CleanHeap = modelcell_guest::CleanHeap;

/// As deep as planning reaches, and well below the MiB that the stack has.
const STACK: usize = 512 << 10;

/// Overwrites the stack below the caller with zeros.
#[inline(never)]
pub(crate) fn clear_stack() {
    let mut zeros = [0_u8; STACK];
    std::hint::black_box(&mut zeros);
}
