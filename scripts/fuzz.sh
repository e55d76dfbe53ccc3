#!/usr/bin/env bash
# Runs the fuzz targets (fuzz/targets), each for FUZZ_SECONDS; names of targets run only those. Fails if
# there is a finding, and says how to see it again.
#
# What a run finds worth keeping lies in fuzz/target/corpus, where the next run goes on from.
# `fuzz.sh keep [TARGET...]` instead adds what of it reaches new code to fuzz/corpus, for git.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$repo"

seconds=${FUZZ_SECONDS:-60}
cargo_fuzz=0.13.2
triple=$(rustc -vV | sed -n 's/^host: //p')
binaries=fuzz/target/$triple/release

# A hang, memory without bound and inputs that only cost time are findings. Allocations have a limit in
# each target.
limits=(-timeout=25 -rss_limit_mb=2048 -max_len=32768)

prepare() {
    command -v c++ >/dev/null || apt_install g++ ||
        die "a C++ compiler called c++ is needed for libFuzzer (Debian: apt-get install g++)"
    if ! command -v cargo-fuzz >/dev/null; then
        local root
        root=$(cache_dir)/cargo-fuzz-$cargo_fuzz
        PATH=$root/bin:$PATH
        if [[ ! -x $root/bin/cargo-fuzz ]]; then
            say "installing cargo-fuzz"
            CARGO_TARGET_DIR='' cargo install --quiet --locked --version "$cargo_fuzz" --root "$root" cargo-fuzz
        fi
    fi
}

# Without a sanitizer, which the compiler's stable release does not offer; what there is of unsafe code
# in the host reads no bytes from outside. Dependencies are the host's own versions, and behave as in a
# release (--no-cfg-fuzzing).
build() {
    [[ fuzz/Cargo.lock -nt Cargo.lock ]] || cp Cargo.lock fuzz/Cargo.lock
    cargo fuzz build --fuzz-dir fuzz --target "$triple" --target-dir fuzz/target --sanitizer none --no-cfg-fuzzing
}

targets() { sed -n 's/^path = "targets\/\(.*\)\.rs"$/\1/p' fuzz/Cargo.toml; }

# What targets write goes to memory where there is such a place, and goes with the run.
scratch() {
    [[ -w /dev/shm ]] && scratch=$(mktemp -d /dev/shm/modelcell-fuzz.XXXXXX) || scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    export TMPDIR=$scratch
}

# run TARGET: false if there is a finding.
run() {
    local target=$1 found=fuzz/target/corpus/$1 artifacts=fuzz/artifacts/$1 log=fuzz/target/$1.log
    mkdir -p "$found" "$artifacts"
    printf '%-10s ' "$target"
    if "$binaries/$target" "${limits[@]}" -max_total_time="$seconds" \
        -artifact_prefix="$artifacts/" -print_final_stats=1 "$found" "fuzz/corpus/$target" \
        >"$log" 2>&1 </dev/null; then
        awk '/stat::number_of_executed_units/ { runs = $2 } /stat::average_exec_per_sec/ { rate = $2 }
            END { printf "%d inputs, %d a second, nothing found\n", runs, rate }' "$log"
        return
    fi
    echo "a finding"
    grep -a -A 3 -e 'panicked at' -e '^an allocation' -e 'ERROR: libFuzzer' "$log" | cut -c 1-500 || tail -n 20 "$log"
    say "see it again: $binaries/$target $(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)"
    say "make it smaller: $binaries/$target -minimize_crash=1 -runs=100000 FILE"
    return 1
}

# keep TARGET: what is there stays, and the fewest inputs come beside it that reach all code that was
# reached. Only short ones, of which git can hold many.
keep() {
    local target=$1 kept=fuzz/corpus/$1 short=$scratch/short
    rm -rf "$short"
    mkdir -p "$short"
    find "fuzz/target/corpus/$target" -type f -size -9 -exec cp -t "$short" {} +
    "$binaries/$target" "${limits[@]}" -set_cover_merge=1 -use_counters=0 "$kept" "$short" \
        >"fuzz/target/$target.log" 2>&1 </dev/null || die "the corpus of $target has findings: make fuzz"
    printf '%-10s %s inputs, %s\n' "$target" "$(find "$kept" -type f | wc -l)" \
        "$(du -sh --apparent-size "$kept" | cut -f 1)"
}

step=run
if [[ ${1:-} == keep ]]; then
    step=keep
    shift
fi
prepare
build
scratch
failed=0
for target in ${*:-$(targets)}; do
    "$step" "$target" || failed=1
done
exit "$failed"
