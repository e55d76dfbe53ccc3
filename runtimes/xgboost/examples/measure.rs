//! How long a model file takes to load, and rows to predict: in this process and on one thread.
//!
//! `cargo run --release -p runtime-xgboost --example measure -- MODEL ROWS.npy`

use std::env;
use std::fs::File;
use std::hint::black_box;
use std::time::{Duration, Instant};

use modelcell_guest::ndarray::Ix2;
use modelcell_guest::{Context, Result, npy};
use runtime_xgboost::Booster;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let path = arguments.next().context("name a model file")?;
    let rows = arguments.next().context("name a file of rows")?;
    let rows = npy::read(rows)?.into_dimensionality::<Ix2>()?;
    let values = rows.as_slice().context("the rows are not contiguous")?;
    let width = rows.ncols();

    let bytes = File::open(&path)?.metadata()?.len();
    let booster = Booster::parse(&path, File::open(&path)?, bytes)?;
    println!("{}", booster.describe());
    time("load", 50, || {
        black_box(Booster::parse(&path, File::open(&path)?, bytes)?);
        Ok(())
    })?;
    let mut one = values.chunks(width).cycle();
    time("one row", 5000, || {
        black_box(booster.predict(one.next().unwrap_or_default(), width));
        Ok(())
    })?;
    time(&format!("{} rows", rows.nrows()), 50, || {
        black_box(booster.predict(values, width));
        Ok(())
    })
}

/// Prints the median and the shortest time of a task.
fn time(what: &str, times: usize, mut task: impl FnMut() -> Result<()>) -> Result<()> {
    let mut taken = Vec::with_capacity(times);
    for _ in 0..times {
        let start = Instant::now();
        task()?;
        taken.push(start.elapsed());
    }
    taken.sort();
    let at = |index: usize| taken.get(index).copied().unwrap_or(Duration::ZERO);
    println!("{what}: {:?}, at best {:?}", at(times / 2), at(0));
    Ok(())
}
