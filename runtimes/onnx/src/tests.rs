#![allow(unused)]
use crate::ops::values;
use std::collections::HashMap;
use tract_onnx::tract_hir::internal::*;

fn npz(path: &str) -> HashMap<String, Vec<u8>> {
    crate::zip::read(&std::fs::read(path).unwrap())
        .unwrap()
        .into_iter()
        .map(|(n, d)| (n.trim_end_matches(".npy").to_owned(), d))
        .collect()
}

fn compare(name: &str, found: &Tensor, expected: &[u8]) -> Result<(), String> {
    let expected = crate::npy::read(expected, found.datum_type()).map_err(|e| e.to_string())?;
    if found.shape() != expected.shape() {
        return Err(format!(
            "{name}: {:?} instead of {:?}",
            found.shape(),
            expected.shape()
        ));
    }
    if found.datum_type().is_float() {
        let f = found.cast_to::<f64>().unwrap();
        let e = expected.cast_to::<f64>().unwrap();
        let worst = values::<f64>(&f)
            .unwrap()
            .iter()
            .zip(values::<f64>(&e).unwrap())
            .map(|(f, e)| {
                if f.to_bits() == e.to_bits() || (f.is_nan() && e.is_nan()) {
                    0.
                } else {
                    (f - e).abs() / e.abs().max(1.0)
                }
            })
            .fold(
                0.,
                |a: f64, b: f64| if b.is_nan() { f64::INFINITY } else { a.max(b) },
            );
        if worst > 1e-5 {
            return Err(format!("{name}: off by {worst}"));
        }
    } else if *found != expected {
        return Err(format!("{name}: labels {found:?} {expected:?}"));
    }
    Ok(())
}

#[test]
fn survey() {
    let mut bad = 0;
    let mut names: Vec<_> = std::fs::read_dir("tests/fixtures")
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "onnx"))
        .collect();
    names.sort();
    for path in names {
        let bytes = std::fs::read(&path).unwrap();
        let r = std::panic::catch_unwind(|| {
            let m = crate::OnnxModel::read(&bytes).map_err(|e| e.to_string())?;
            let stem = path.with_extension("");
            let stem = stem.to_str().unwrap();
            let own = format!("{stem}.in.npz");
            let ins = if std::path::Path::new(&own).exists() {
                npz(&own)
            } else {
                npz("tests/fixtures/numbers.npz")
            };
            let outs = npz(&format!("{stem}.out.npz"));
            let inputs: Vec<Tensor> = m
                .inputs
                .iter()
                .map(|i| {
                    crate::npy::read(ins.get(&i.name).or(ins.get("X")).unwrap(), i.kind).unwrap()
                })
                .collect();
            let t = std::time::Instant::now();
            let found = m.run(inputs.clone()).map_err(|e| e.to_string())?;
            let all = t.elapsed();
            for (o, f) in m.outputs.iter().zip(&found) {
                compare(&o.name, f, &outs[&o.name])?;
            }
            let one: Vec<Tensor> = inputs.iter().map(|i| i.slice(0, 0, 1).unwrap()).collect();
            let t = std::time::Instant::now();
            for _ in 0..100 {
                m.run(one.clone()).map_err(|e| e.to_string())?;
            }
            println!("{}", m.description());
            Ok::<_, String>(format!(
                "{} all {all:?} one {:?}",
                m.outputs
                    .iter()
                    .map(|o| o.to_string())
                    .collect::<Vec<_>>()
                    .join("; "),
                t.elapsed() / 100
            ))
        });
        match r {
            Ok(Ok(m)) => println!("OK {} {m}", path.display()),
            Ok(Err(e)) => {
                bad += 1;
                println!("ERR {} {e}", path.display())
            }
            Err(_) => {
                bad += 1;
                println!("PANIC {}", path.display())
            }
        }
    }
    println!("bad {bad}");
}
