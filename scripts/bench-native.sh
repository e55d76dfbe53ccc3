#!/usr/bin/env bash
# bench-native.sh [PART...]: measures the runtimes next to the native libraries, one thread each. The
# models are trained once and then kept in the build cache.
#
# Where the libraries cannot be installed this says so and succeeds, as the other benchmarks do without them.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

requirements=$repo/bench/native-requirements.txt
bin=$(python_environment "$requirements") || {
    say "skipped the benchmark next to native libraries: they cannot be installed (is PyPI reachable?)"
    exit 0
}

# A change to the training trains anew.
sources=("$requirements" "$repo/bench/native.py" "$repo/bench/train.py")
models=$(cache_dir)/bench-native-$(cat "${sources[@]}" | cksum | cut -d ' ' -f 1)
export PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
if [[ ! -f $models/complete ]]; then
    say "training the models of the benchmark next to native libraries"
    rm -rf "$models"
    "$bin/python" "$repo/bench/native.py" train "$models"
    touch "$models/complete"
fi
"$bin/python" "$repo/bench/native.py" libraries >"$models/libraries.json"

cd "$repo"
export MODELCELL_BENCH_NATIVE=$models MODELCELL_BENCH_PYTHON=$bin/python
cargo run --locked --release --package modelcell-bench --bin native -- "$@"
