//! What Modelcell costs, next to two floors in the same run: bare wasmtime calling the same
//! component, and the same server answering a constant.
//!
//! - [`subject`]: the XGBoost example, as files and as one request
//! - [`floor`]: that component called by bare wasmtime
//! - [`load`]: a closed-loop HTTP load generator
//! - [`server`]: the release binary, started and measured

pub mod floor;
pub mod load;
pub mod server;
pub mod subject;
