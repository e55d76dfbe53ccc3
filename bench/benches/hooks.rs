//! Hook calls in process: bare wasmtime, and a leased cell of the host.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run should stop"
)]
#![allow(
    missing_docs,
    reason = "criterion's macros write public items without any"
)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use modelcell::config::Options;
use modelcell::load::progress::Progress;
use modelcell::load::{Loader, Source};
use modelcell_bench::floor::Bare;
use modelcell_bench::subject::Subject;
use tokio::time::Instant;

fn hooks(criterion: &mut Criterion) {
    let subject = Subject::find().expect("the example");
    let mut group = criterion.benchmark_group("three hooks, one row, 100 trees");

    let mut bare = Bare::start(&subject.component, &subject.model_dir, &subject.row)
        .expect("the component runs in bare wasmtime");
    group.bench_function("bare wasmtime", |b| {
        b.iter(|| bare.call().expect("answers"))
    });

    let dir = tempfile::tempdir().expect("a directory");
    let model = dir.path().join("model");
    std::fs::create_dir(&model).expect("a directory");
    std::fs::copy(&subject.component, model.join("model.wasm")).expect("copies");
    for file in std::fs::read_dir(&subject.model_dir).expect("a directory") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), model.join(file.file_name())).expect("copies");
    }
    let options = Options {
        cache_dir: Some(dir.path().join("cache")),
        ..Options::default()
    };
    let settings = options.resolve(&|_| None).expect("settings");
    let loader = Loader::local(&settings).expect("loader");
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let loaded = runtime
        .block_on(loader.load("bench", Source::Directory(model), &Progress::default()))
        .expect("loads");
    let request = subject.request();
    group.bench_function("a leased cell", |b| {
        b.to_async(&runtime).iter(|| async {
            let deadline = Instant::now() + Duration::from_secs(60);
            let lease = loaded.cells.lease(deadline).await.expect("a cell");
            lease
                .invoke(request.clone(), deadline)
                .await
                .expect("answers")
        })
    });
}

criterion_group!(benches, hooks);
criterion_main!(benches);
