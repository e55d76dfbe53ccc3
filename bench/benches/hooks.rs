//! Hook calls in process: bare wasmtime, a cell of the host that is used again, and a fresh one.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run should stop"
)]
#![allow(
    missing_docs,
    reason = "criterion's macros write public items without any"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use modelcell::sandbox::Isolation;
use modelcell_bench::floor::Bare;
use modelcell_bench::in_process::{InProcess, ask};
use modelcell_bench::subject::Subject;

fn hooks(criterion: &mut Criterion) {
    let subject = Subject::find().expect("the example");
    let mut group = criterion.benchmark_group("three hooks, one row, 100 trees");

    let mut bare = Bare::start(&subject.component, &subject.model_dir, &subject.row)
        .expect("the component runs in bare wasmtime");
    group.bench_function("bare wasmtime", |b| {
        b.iter(|| bare.call().expect("answers"))
    });

    let host = InProcess::start(1).expect("a host");
    let request = subject.request();
    for (name, isolation) in [
        ("a reused cell", Isolation::Model),
        ("a fresh cell", Isolation::Request),
    ] {
        let loaded = subject.load(&host, isolation).expect("loads");
        group.bench_function(name, |b| {
            b.to_async(host.runtime())
                .iter(|| async { ask(&loaded, &request).await.expect("answers") })
        });
    }
}

criterion_group!(benches, hooks);
criterion_main!(benches);
