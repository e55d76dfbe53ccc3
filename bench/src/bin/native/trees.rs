//! Boosted trees: a runtime next to the library that trained them.

use std::path::Path;
use std::time::{Duration, Instant};

use modelcell::hooks::Request;
use modelcell_bench::costs::{Cost, HEADING, mean, median};
use modelcell_bench::floor::Compiled;
use modelcell_bench::in_process::InProcess;
use modelcell_bench::report::aim;

use crate::library::Native;
use crate::ours::{Ours, request};
use crate::trained::Trained;

const ROUNDS: usize = 21;
/// Requests of one row in a round, of all rows, and loads.
const ONES: usize = 500;
const BATCHES: usize = 5;
const LOADS: usize = 3;

/// Of the library's rows per second, the share that is aimed at.
const BATCH_AIM: f64 = 0.5;
/// How many times the library's time a load may take.
const LOAD_AIM: f64 = 3.0;
/// How far the answers may be apart: the last bits of the exponential differ.
const TOLERANCE: f64 = 1e-6;

/// A runtime, and its model's files among those that were trained.
pub struct Contest {
    /// The runtime's name.
    pub runtime: &'static str,
    /// The model that is asked.
    pub model: &'static str,
    /// The same in another format, which is loaded only.
    pub other: Option<&'static str>,
    /// All rows as an array of the runtime's own numbers.
    pub array: &'static str,
}

/// The requests, by their number of rows and what they are written in.
struct Requests {
    ones: Vec<Request>,
    csv: Vec<Request>,
    array: Vec<Request>,
}

impl Contest {
    /// Measures and prints.
    pub fn measure(
        &self,
        host: &InProcess,
        trained: &Trained,
        native: &dyn Native,
    ) -> Result<(), String> {
        println!(
            "\nruntime {} next to {}: 100 trees of depth 6, 10 features",
            self.runtime,
            native.name()
        );
        let lines = trained.lines()?;
        let requests = Requests {
            csv: vec![request("text/csv", lines.join("\n"))],
            array: vec![request("application/x-npy", trained.read(self.array)?)],
            ones: lines
                .into_iter()
                .map(|line| request("text/csv", line))
                .collect(),
        };
        let ours = Ours::load(host, self.model, &trained.read(self.model)?)?;
        compare_answers(&ours, &requests, native)?;
        measure_one(&ours, &requests, native)?;
        measure_batch(&ours, &requests, native)?;
        for file in [Some(self.model), self.other].into_iter().flatten() {
            self.measure_load(host, trained, native, file)?;
        }
        Ok(())
    }

    /// Loads of the same file: all that the host does, and `model_fn` alone in bare wasmtime.
    fn measure_load(
        &self,
        host: &InProcess,
        trained: &Trained,
        native: &dyn Native,
        file: &str,
    ) -> Result<(), String> {
        let content = trained.read(file)?;
        let alone = tempfile::tempdir().map_err(|e| e.to_string())?;
        std::fs::write(alone.path().join(file), &content).map_err(|e| e.to_string())?;
        let component = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../target/guests/runtime-{}.wasm", self.runtime));
        let compiled = Compiled::new(&component).map_err(|e| format!("{e:#}"))?;
        let (mut theirs, mut whole, mut model_fn) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..=ROUNDS {
            let times = (
                repeat(LOADS, || timed(|| native.load(&trained.file(file))))?,
                repeat(LOADS, || Ours::time_load(host, file, &content))?,
                repeat(LOADS, || {
                    let bare = compiled.load(alone.path(), b"");
                    Ok(bare.map_err(|e| format!("{e:#}"))?.model_fn)
                })?,
            );
            // The first one warms up.
            if number > 0 {
                theirs.push(times.0);
                whole.push(times.1);
                model_fn.push(times.2);
            }
        }
        let ratio = ratio(&whole, &theirs);
        println!("\nload of {file}, {:.0} kB", content.len() as f64 / 1e3);
        line(native.name(), median(theirs));
        line("the host, to the first fresh cell", median(whole));
        line("model_fn alone, bare wasmtime", median(model_fn));
        aim(
            &format!("a load takes at most {LOAD_AIM:.0} times the library's"),
            &format!("{ratio:.2} times"),
            ratio <= LOAD_AIM,
        );
        Ok(())
    }
}

/// Both must say the same of all rows, however they are asked.
fn compare_answers(ours: &Ours, requests: &Requests, native: &dyn Native) -> Result<(), String> {
    let expected = native.batch()?;
    for request in requests.csv.iter().chain(&requests.array) {
        compare(&numbers(&ours.answer(request)?)?, &expected)?;
    }
    for (row, (request, expected)) in requests.ones.iter().zip(&expected).enumerate().take(50) {
        compare(&numbers(&ours.answer(request)?)?, &[*expected])?;
        for way in 0..native.ways().len() {
            compare(&[native.one(way, row)?], &[*expected])?;
        }
    }
    Ok(())
}

fn compare(found: &[f64], expected: &[f64]) -> Result<(), String> {
    if found.len() != expected.len() {
        let (found, expected) = (found.len(), expected.len());
        return Err(format!("{found} predictions instead of {expected}"));
    }
    match found.iter().zip(expected).find(|(found, expected)| {
        (*found - *expected)
            .abs()
            .partial_cmp(&TOLERANCE)
            .is_none_or(|order| order.is_gt())
    }) {
        None => Ok(()),
        Some((found, expected)) => Err(format!("the runtime says {found}, the library {expected}")),
    }
}

/// The numbers of an answer in CSV, in which a line or a comma stands between rows.
fn numbers(answer: &[u8]) -> Result<Vec<f64>, String> {
    let text = std::str::from_utf8(answer).map_err(|e| e.to_string())?;
    let cells = text.split([',', '\n']).filter(|cell| !cell.is_empty());
    let numbers: Result<_, _> = cells.map(str::parse).collect();
    numbers.map_err(|e| format!("{e} in the answer {text:?}"))
}

fn measure_one(ours: &Ours, requests: &Requests, native: &dyn Native) -> Result<(), String> {
    let ways = native.ways();
    let mut theirs = vec![Vec::new(); ways.len()];
    let mut costs = Vec::new();
    let rows = requests.ones.len();
    for number in 0..=ROUNDS {
        for (way, times) in theirs.iter_mut().enumerate() {
            let mut row = 0;
            let time = repeat(ONES, || {
                row = (row + 1) % rows;
                timed(|| native.one(way, row))
            })?;
            if number > 0 {
                times.push(time);
            }
        }
        let cost = ours.cost(&requests.ones, ONES)?;
        if number > 0 {
            costs.push(cost);
        }
    }
    println!("\none row\n{HEADING}");
    for (way, times) in ways.iter().zip(&theirs) {
        line(way, median(times.clone()));
    }
    println!("{}", Cost::median(&costs).row("a fresh cell, CSV"));
    let totals: Vec<f64> = costs.iter().map(|cost| cost.total).collect();
    let ratio = ratio(
        &totals,
        theirs.first().ok_or("the library predicts in no way")?,
    );
    aim(
        "one row through all hooks is no slower than the library's own prediction",
        &format!("{ratio:.2} times its time"),
        ratio <= 1.0,
    );
    Ok(())
}

fn measure_batch(ours: &Ours, requests: &Requests, native: &dyn Native) -> Result<(), String> {
    let (mut theirs, mut csv, mut array) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..=ROUNDS {
        let times = (
            repeat(BATCHES, || timed(|| native.batch()))?,
            ours.cost(&requests.csv, BATCHES)?,
            ours.cost(&requests.array, BATCHES)?,
        );
        if number > 0 {
            theirs.push(times.0);
            csv.push(times.1);
            array.push(times.2);
        }
    }
    println!("\n{} rows\n{HEADING}", requests.ones.len());
    line(native.name(), median(theirs.clone()));
    for (costs, what) in [(&csv, "a fresh cell, CSV"), (&array, "a fresh cell, NPY")] {
        println!("{}", Cost::median(costs).row(what));
        let totals: Vec<f64> = costs.iter().map(|cost| cost.total).collect();
        let share = 1.0 / ratio(&totals, &theirs);
        aim(
            &format!("{what}: at least {BATCH_AIM} of the library's rows per second"),
            &format!("{share:.2}"),
            share >= BATCH_AIM,
        );
    }
    Ok(())
}

/// The mean microseconds of `count` times.
fn repeat(count: usize, mut time: impl FnMut() -> Result<Duration, String>) -> Result<f64, String> {
    let times: Result<Vec<_>, _> = (0..count).map(|_| time()).collect();
    Ok(mean(times?))
}

fn timed<T>(work: impl FnOnce() -> Result<T, String>) -> Result<Duration, String> {
    let begin = Instant::now();
    let result = work();
    let time = begin.elapsed();
    std::hint::black_box(result?);
    Ok(time)
}

/// How many times as long ours took, the median of the rounds.
fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(
        ours.iter()
            .zip(theirs)
            .map(|(one, other)| one / other)
            .collect(),
    )
}

fn line(what: &str, micros: f64) {
    println!("{what:<38} {micros:>7.1}");
}
