//! ONNX: the runtime next to onnxruntime.

use std::path::{Path, PathBuf};

use modelcell_bench::costs::{Cost, HEADING, median};
use modelcell_bench::in_process::InProcess;
use modelcell_bench::report::aim;

use crate::onnxruntime::Onnxruntime;
use crate::ours::{Ours, request};
use crate::trained::{Trained, read};

const ROUNDS: usize = 11;
/// About how long a round of one model may take.
const ROUND_MICROS: f64 = 200_000.0;
const MOST_RUNS: usize = 500;
/// How many times onnxruntime's time one row may take, of the models for which there is an aim.
const AIM: f64 = 10.0;
/// Models that this benchmark trains. Each row has an aim.
const TRAINED: [&str; 2] = ["logistic.onnx", "mlp.onnx"];
/// Networks among those that the runtime is tested with. They have none.
const NETWORKS: [&str; 2] = ["cnn.onnx", "transformer.onnx"];

/// Measures and prints.
pub fn measure(host: &InProcess, trained: &Trained) -> Result<(), String> {
    let mut models: Vec<PathBuf> = TRAINED.iter().map(|name| trained.file(name)).collect();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes/onnx/tests/fixtures");
    models.extend(NETWORKS.iter().map(|name| fixtures.join(name)));
    let mut native = Onnxruntime::start(&models)?;
    println!(
        "\nruntime onnx next to onnxruntime {}, one row",
        native.version
    );
    let idle = native.micros(0, MOST_RUNS)?;
    println!("(of onnxruntime's times {idle:.1} us are the call from Python)\n{HEADING}");
    for (index, model) in models.iter().enumerate() {
        contest(host, &mut native, index, model)?;
    }
    Ok(())
}

fn contest(
    host: &InProcess,
    native: &mut Onnxruntime,
    index: usize,
    model: &Path,
) -> Result<(), String> {
    let name = model.to_string_lossy();
    let ours = Ours::load(host, "model.onnx", &read(model)?).map_err(|e| format!("{name}: {e}"))?;
    let inputs = native.requests.get(index).ok_or("a model has no request")?;
    let request = request(&inputs.content_type, read(&inputs.path)?);
    let requests = [request];
    let first = ours
        .cost(&requests, 3)
        .map_err(|e| format!("{name}: {e}"))?;
    let runs = ((ROUND_MICROS / first.total) as usize).clamp(3, MOST_RUNS);
    let (mut theirs, mut costs) = (Vec::new(), Vec::new());
    for number in 0..=ROUNDS {
        let times = (native.micros(index + 1, runs)?, ours.cost(&requests, runs)?);
        if number > 0 {
            theirs.push(times.0);
            costs.push(times.1);
        }
    }
    let pairs = costs.iter().zip(&theirs);
    let ratio = median(pairs.map(|(one, other)| one.total / other).collect());
    let short = model.file_stem().unwrap_or_default().to_string_lossy();
    println!(
        "{:<38} {:>7.1}",
        format!("{short}, onnxruntime"),
        median(theirs)
    );
    println!(
        "{}",
        Cost::median(&costs).row(&format!("{short}, a fresh cell"))
    );
    if TRAINED.iter().any(|trained| model.ends_with(trained)) {
        aim(
            &format!("one row of {short} within {AIM:.0} times onnxruntime's"),
            &format!("{ratio:.1} times"),
            ratio <= AIM,
        );
    } else {
        println!("  {short}: {ratio:.1} times onnxruntime's");
    }
    Ok(())
}
