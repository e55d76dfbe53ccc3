//! Prints what the runtimes cost next to the native libraries, in turn, one thread each: XGBoost and
//! LightGBM by their own C interfaces in this process, onnxruntime in a process of its own.
//!
//! `native xgboost`, `native lightgbm` and `native onnx` measure one of these; without an argument all are
//! measured. `scripts/bench-native.sh` trains the models first and says where they are.

mod library;
mod lightgbm;
mod networks;
mod onnxruntime;
mod ours;
mod trained;
mod trees;
mod xgboost;

use std::process::ExitCode;

use modelcell_bench::in_process::InProcess;

use lightgbm::Lightgbm;
use trained::Trained;
use trees::Contest;
use xgboost::Xgboost;

// Unlike the server, this does not ask the allocator to keep little: the libraries share it.
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let parts: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|named| named == part);
    let trained = Trained::find()?;
    let host = InProcess::start(1)?;
    if wanted("xgboost") {
        let rows = trained.rows(|value| value as f32)?;
        let (name, path) = trained.library("xgboost")?;
        let native = Xgboost::start(name, &path, &trained.file("model.json"), rows)?;
        let contest = Contest {
            runtime: "xgboost",
            model: "model.json",
            other: Some("model.ubj"),
            array: "rows-f4.npy",
        };
        contest.measure(&host, &trained, &native)?;
    }
    if wanted("lightgbm") {
        let rows = trained.rows(|value| value)?;
        let (name, path) = trained.library("lightgbm")?;
        let native = Lightgbm::start(name, &path, &trained.file("model.txt"), rows)?;
        let contest = Contest {
            runtime: "lightgbm",
            model: "model.txt",
            other: None,
            array: "rows-f8.npy",
        };
        contest.measure(&host, &trained, &native)?;
    }
    if wanted("onnx") {
        networks::measure(&host, &trained)?;
    }
    Ok(())
}
