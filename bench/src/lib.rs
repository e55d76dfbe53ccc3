//! What Modelcell costs, next to floors in the same run.
//!
//! A request to one model, next to bare wasmtime calling the same component and to the same server
//! answering a constant:
//!
//! - [`subject`]: the XGBoost example, as files and as one request
//! - [`floor`]: that component called by bare wasmtime
//! - [`load`]: a closed-loop HTTP load generator
//! - [`server`]: the release binary, started and measured
//! - [`in_process`]: the library alone, without HTTP; [`costs`]: what its requests are made of
//!
//! Many models in S3 under a memory budget, next to a plain GET, to exact LRU and to a Python process
//! that holds the same models:
//!
//! - [`fleet`]: a thousand trained models, packed, under ten thousand names
//! - [`s3`]: an S3 server on loopback that holds them
//! - [`client`]: one HTTP connection
//! - [`trace`]: which models are asked for, and what exact LRU makes of it
//! - [`observe`]: what the server and the kernel say about memory
//! - [`report`]: latencies, and aims next to what was measured

pub mod client;
pub mod costs;
pub mod fleet;
pub mod floor;
pub mod in_process;
pub mod load;
pub mod observe;
pub mod report;
pub mod s3;
pub mod server;
pub mod subject;
pub mod trace;
