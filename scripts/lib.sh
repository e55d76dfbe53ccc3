# shellcheck shell=bash
# Helpers shared by the scripts of this folder. Sourced, never run.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Messages go to stderr, because some scripts answer on stdout.
say() { printf 'modelcell: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# What is prepared once per machine and outlives a clone; not the server's cache, which is
# MODELCELL_CACHE_DIR. Absolute, because cargo and rustc read it from other working directories.
cache_dir() {
    local dir=${MODELCELL_BUILD_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/modelcell-build}
    mkdir -p "$dir"
    (cd "$dir" && pwd)
}

# with_limit SECONDS COMMAND...: a command that talks to a server that may never answer.
with_limit() {
    local seconds=$1
    shift
    if command -v timeout >/dev/null; then
        timeout "$seconds" "$@"
    else
        "$@"
    fi
}

# The oldest Rust that builds Modelcell, as Cargo.toml names it (major.minor).
rust_required() { sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$repo/Cargo.toml"; }

# rust_is_recent RUSTC: whether this compiler exists and is recent enough.
rust_is_recent() {
    local version required
    version=$("$1" --version 2>/dev/null) || return 1
    required=$(rust_required)
    [[ $version =~ ^[a-z]+\ ([0-9]+)\.([0-9]+) ]] || return 1
    ((BASH_REMATCH[1] * 1000 + BASH_REMATCH[2] >= ${required%%.*} * 1000 + ${required##*.}))
}

# apt_install PACKAGE...: false where that is not for us to do, or does not work.
apt_install() {
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
    say "installing $* with apt-get"
    local log
    log=$(cache_dir)/apt.log
    # A fresh container has no package lists, and old lists name packages that are gone. If one of
    # several sources fails, the others may still do.
    apt-get update -qq >"$log" 2>&1 </dev/null || true
    if ! DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" \
        >>"$log" 2>&1 </dev/null; then
        grep '^[EW]: ' "$log" >&2
        return 1
    fi
}

# python_environment REQUIREMENTS: prints the bin directory of a virtual environment that has them;
# false where they cannot be installed. One environment for each set of requirements, so that a new
# pin is not lost on an old cache.
python_environment() {
    local requirements=$1 venv log
    venv=$(cache_dir)/python-$(cksum <"$requirements" | cut -d ' ' -f 1)
    if [[ ! -f $venv/complete ]]; then
        "$repo/scripts/setup.sh" python || return 1
        say "installing $(grep -v '^#' "$requirements" | xargs)"
        python3 -m venv --clear "$venv" || return 1
        log=$venv/pip.log
        with_limit 180 "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --retries 1 --timeout 15 --requirement "$requirements" >"$log" 2>&1 </dev/null || {
            say "$(grep -i error "$log" | tail -n 1)"
            return 1
        }
        touch "$venv/complete"
    fi
    echo "$venv/bin"
}
