#!/usr/bin/env bash
# cargo for guests: `guest-cargo.sh build --release` compiles the crate of the working directory for
# wasm32-wasip2, inside this repository or not, with whatever toolchain this machine has for it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/debian.sh
. "$repo/scripts/debian.sh"

toolchain=$("$repo/scripts/guest-toolchain.sh")

# Given here too and not only in .cargo/config.toml: a crate elsewhere does not see that file, and
# any flags in the environment replace it (those of the caller are meant for the host).
flags=(-C target-feature=+simd128)
cargo=(cargo)

if [[ $toolchain == debian ]]; then
    flags+=(-C link-self-contained=no -L "native=$(debian_libc)")
    cargo+=("-Zbuild-std=std,panic_abort")
    PATH=$(debian_linkers):$PATH
    export PATH RUSTC=$debian_rustc RUSTC_BOOTSTRAP=1
    # The standard library takes more than a minute to build. Intermediate files are kept where the
    # next clone finds them; components still appear in the crate's own target folder.
    CARGO_BUILD_BUILD_DIR=$(cache_dir)/guest-build
    export CARGO_BUILD_BUILD_DIR
fi

CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET=wasm32-wasip2
exec "${cargo[@]}" "$@"
