#!/usr/bin/env bash
# Makes sure that this machine can build the host: a recent Rust, and a C compiler, which the build
# of wasmtime calls. `setup.sh python` asks for what the Python guest needs instead.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

host() {
    if ! command -v cargo >/dev/null || ! rust_is_recent rustc; then
        die "Rust $(rust_required) or newer is needed, with cargo: https://rustup.rs"
    fi
    command -v cc >/dev/null || apt_install gcc libc6-dev ||
        die "a C compiler called cc is needed (Debian: apt-get install gcc libc6-dev)"
}

python() {
    # Debian splits ensurepip from Python; without it a virtual environment has no pip. What
    # componentize-py generates needs 3.11.
    local usable='import venv, ensurepip, sys; sys.exit(sys.version_info < (3, 11))'
    python3 -c "$usable" 2>/dev/null || apt_install python3 python3-venv || true
    python3 -c "$usable" 2>/dev/null ||
        die "Python 3.11 or newer with venv is needed (Debian: apt-get install python3 python3-venv)"
}

case ${1:-host} in
    host) host ;;
    python) python ;;
    *) die "usage: setup.sh [host|python]" ;;
esac
