//! The linear memories and stacks of cells, which the host gives to wasmtime itself.
//!
//! Why not wasmtime's own: there, what a memory holds at the start is part of the compiled code, so
//! a snapshot of each model would have to be compiled, and kept, with all of its runtime's code. Here
//! the code is compiled once for all models of a component, and a model has only its [`Image`]: what
//! its memory held after `model_fn`.
//!
//! A [`Slot`] is a range of addresses with an image mapped into it, copy-on-write: pages that a guest
//! writes become the cell's own. When the cell is dropped, those pages get back what the image has
//! ([`Slot::reset`]), and the slot waits in its model's [`Slots`] for the next request. A slot only ever
//! serves the model whose image it has.

mod creator;
mod image;
mod pagemap;
mod slot;
mod slots;
mod stacks;

pub use creator::{CellMemories, NO_MEMORY, giving};
pub use image::{Extent, Image, PAGE, extents_of};
pub use slots::{GUARD, RESERVED, SlotError, Slots};
pub use stacks::Stacks;
