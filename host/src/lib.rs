//! Modelcell serves many models from one process, each in its own WebAssembly cell.
//!
//! The modules, in the order in which a request meets them:
//!
//! - [`config`]: what the operator may set; [`host`]: what all requests share; [`endpoint`]: what
//!   those to one repository do
//! - [`server`]: accepts connections, reads requests, drains at the end
//! - [`route`]: method and path to operation; [`headers`]: what callers say beside
//! - [`access`]: who may call, and what for
//! - [`invoke`]: an invocation from target model to reply; [`manage`]: the model-management API
//! - [`repository`]: names and where artifacts lie, a directory or an S3 bucket
//! - [`models`]: models by name; joins concurrent loads, evicts, keeps up to date
//! - [`budget`]: the memory that models hold together; [`allocator`]: what is freed is given back
//! - [`load`]: unpack, compile, first cell; [`workspace`]: its place on disk
//! - [`sandbox`]: the engine, what guests may call, cells and their pool
//! - [`hooks`]: the contract with guests
//! - [`error`], [`response`]: what callers see; [`runtime_api`]: what those of SageMaker's clients
//! - [`metrics`], [`monitor`]: what operators watch; [`telemetry`]: log lines
//! - [`commands`]: the binary's commands

pub mod access;
pub mod allocator;
mod background;
pub mod budget;
pub mod commands;
pub mod config;
pub mod endpoint;
pub mod error;
pub mod headers;
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
pub mod runtime_api;
pub mod sandbox;
pub mod server;
pub mod telemetry;
pub mod workspace;
