#!/usr/bin/env bash
# bench-fleet.sh MODELCELL [PART...]: measures requests spread over a thousand XGBoost models, and cold
# starts, density and eviction with them. They are trained once and then kept in the build cache.
#
# Where XGBoost cannot be installed this says so and succeeds, as the other benchmarks do without it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

binary=${1:?"usage: bench-fleet.sh MODELCELL [PART...]"}
shift
requirements=$repo/bench/requirements.txt
bin=$(python_environment "$requirements") || {
    say "skipped the benchmark of many models: XGBoost cannot be installed (is PyPI reachable?)"
    exit 0
}

# A change to the training trains anew.
models=$(cache_dir)/bench-models-$(cat "$requirements" "$repo/bench/train.py" | cksum | cut -d ' ' -f 1)
export PYTHONDONTWRITEBYTECODE=1
if [[ ! -f $models/complete ]]; then
    say "training the models of the benchmark, about three minutes"
    rm -rf "$models"
    "$bin/python" "$repo/bench/train.py" "$models"
    touch "$models/complete"
fi

cd "$repo"
export MODELCELL_BIN=$binary MODELCELL_BENCH_MODELS=$models MODELCELL_BENCH_PYTHON=$bin/python
if [[ $# == 0 || " $* " == *' spread '* ]]; then
    cargo run --locked --release --package modelcell-bench --bin cells -- spread
fi
if [[ "$*" != spread ]]; then
    cargo run --locked --release --package modelcell-bench --bin fleet -- "$@"
fi
