//! SageMaker around the server: everything here is done as the platform does it, by
//! `modelcell_tests::platform`, which starts `serve` with the environment of a real multi-model
//! endpoint and asks `GET /ping` and `GET /models` every second throughout. With `MODELCELL_IMAGE` the
//! same tests run against an image.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod contract;
mod cycles;
mod driver;
mod mirrored;
mod room;
mod settings;
mod stop;
mod unload;
