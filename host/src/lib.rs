//! Modelcell serves many models from one process, each in its own WebAssembly cell.
//!
//! The modules, in the order in which a request meets them:
//!
//! - [`config`]: what the operator may set; [`host`]: what all requests share
//! - [`server`]: accepts connections, reads requests, drains at the end
//! - [`route`]: method and path to operation
//! - [`invoke`]: an invocation from target model to reply; [`manage`]: the model-management API
//! - [`repository`]: names and where artifacts lie, a directory or an S3 bucket
//! - [`models`]: models by name; joins concurrent loads, evicts, keeps up to date
//! - [`budget`]: the memory that models hold together; [`allocator`]: what is freed is given back
//! - [`load`]: unpack, compile, first cell; [`workspace`]: its place on disk
//! - [`sandbox`]: the engine, what guests may call, cells and their pool
//! - [`hooks`]: the contract with guests
//! - [`error`], [`response`]: what callers see
//! - [`metrics`], [`monitor`]: what operators watch; [`telemetry`]: log lines
//! - [`commands`]: the binary's commands

pub mod allocator;
mod background;
pub mod budget;
pub mod commands;
pub mod config;
pub mod error;
pub mod hooks;
pub mod host;
pub mod invoke;
pub mod load;
pub mod manage;
pub mod metrics;
pub mod models;
pub mod monitor;
pub mod repository;
pub mod response;
pub mod route;
pub mod sandbox;
pub mod server;
pub mod telemetry;
pub mod workspace;
