//! What the end-to-end tests share. They drive the real binary over real sockets.
//!
//! - [`Setup`] and [`Server`]: a server on a free port, with a repository of its own
//! - [`Reply`] and [`Call`]: HTTP, and what every error body must look like
//! - [`raw`]: bytes over TCP, for requests that no client would send
//! - [`artifact`]: guests and artifacts, sound ones and hostile ones
//! - [`component`]: components written by hand
//! - [`bystander`]: a good model that is asked all the time while others misbehave
//! - [`manage`]: the model-management API
//! - [`platform`]: what SageMaker does around a container
//! - [`command`]: the binary's other commands
//! - [`Store`]: a repository of any kind: a directory, or a bucket of one of two S3 servers ([`s3`])
//! - [`proxy`]: what goes wrong between the server and its bucket
//! - [`version`]: models that can say which version of their artifact they are
//! - [`python`]: programs with boto3, unchanged, against a server
//! - [`Log`], [`eventually`]: waiting for something to happen, with a deadline

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

pub mod artifact;
pub mod bystander;
pub mod command;
pub mod component;
mod files;
mod http;
pub mod kernel;
mod log;
pub mod manage;
pub mod platform;
pub mod process;
pub mod proxy;
pub mod python;
pub mod raw;
pub mod s3;
mod server;
mod store;
pub mod version;
mod wait;

pub use files::{bytes_in, entries_in, files_in};
pub use http::{Call, Client, Reply, TARGET_MODEL};
pub use log::Log;
pub use server::{Server, Setup};
pub use store::Store;
pub use wait::{PATIENCE, eventually};
