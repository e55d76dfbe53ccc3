//! What the end-to-end tests share. They drive the real binary over real sockets.
//!
//! - [`Setup`] and [`Server`]: a server on a free port, with a repository of its own
//! - [`Reply`] and [`Call`]: HTTP, and what every error body must look like
//! - [`raw`]: bytes over TCP, for requests that no client would send
//! - [`artifact`]: guests and artifacts, sound ones and hostile ones
//! - [`component`]: components written by hand
//! - [`manage`]: the model-management API
//! - [`command`]: the binary's other commands
//! - [`Log`], [`eventually`]: waiting for something to happen, with a deadline

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

pub mod artifact;
pub mod command;
pub mod component;
mod http;
mod log;
pub mod manage;
pub mod raw;
mod server;
mod wait;

pub use http::{Call, Client, Reply, TARGET_MODEL};
pub use log::Log;
pub use server::{Server, Setup};
pub use wait::{PATIENCE, eventually};
