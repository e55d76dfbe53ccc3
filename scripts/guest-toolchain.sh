#!/usr/bin/env bash
# Makes sure that guests can be compiled for wasm32-wasip2, and prints how: `rustup` (the active
# toolchain has the target) or `debian` (Debian's rustc builds the standard library from source,
# for machines that reach package mirrors but not rustup's server).
#
# MODELCELL_GUEST_TOOLCHAIN=rustup|debian forces one; the default, auto, takes what is ready, then
# what can be made ready. Both are prepared once per machine.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/debian.sh
. "$repo/scripts/debian.sh"

target_installed() {
    local libdir
    libdir=$(rustc --print target-libdir --target wasm32-wasip2 2>/dev/null) &&
        compgen -G "$libdir/libstd-*.rlib" >/dev/null
}

# Not every compiler is of rustup, and without its server rustup may fail at once or hang. Either is
# expected, so no backtrace.
target_add() {
    command -v rustup >/dev/null || return 1
    say "adding the target wasm32-wasip2 with rustup"
    RUST_BACKTRACE=0 with_limit 120 rustup target add wasm32-wasip2 >&2 </dev/null && target_installed
}

case ${MODELCELL_GUEST_TOOLCHAIN:-auto} in
    rustup)
        target_installed || target_add || die "rustup cannot add the target wasm32-wasip2"
        echo rustup
        ;;
    debian)
        debian_ready || debian_prepare
        echo debian
        ;;
    auto)
        if target_installed; then
            echo rustup
        elif debian_ready; then
            echo debian
        elif target_add; then
            echo rustup
        else
            say "no wasm32-wasip2 from rustup; using Debian's compiler and libraries"
            debian_prepare
            echo debian
        fi
        ;;
    *) die "MODELCELL_GUEST_TOOLCHAIN is '$MODELCELL_GUEST_TOOLCHAIN'; use auto, rustup or debian" ;;
esac
