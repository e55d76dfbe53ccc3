# shellcheck shell=bash
# Guests without rustup's server, from Debian packages. Sourced after lib.sh, never run.
#
# The compiler and the sources of its standard library come from rustc-web and rust-web-src. The C
# library comes from wasi-libc of trixie: older releases have no wasm32-wasip2. It is unpacked into
# the cache and not installed, so the system keeps to its own release. The linkers are those of the
# active toolchain, which has them without having the target.

debian_rustc=/usr/bin/rustc
debian_suite=trixie

# Where the C library's wasm32-wasip2 folder lies once it is unpacked.
debian_libc() { echo "$(cache_dir)/wasi-libc-$debian_suite/usr/lib/wasm32-wasip2"; }

# The folder of rust-lld and wasm-component-ld.
debian_linkers() {
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    echo "$(rustc --print sysroot)/lib/rustlib/$host/bin"
}

debian_compiler_ready() {
    rust_is_recent "$debian_rustc" &&
        [[ -f $("$debian_rustc" --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock ]]
}

debian_ready() { [[ -f $(debian_libc)/crt1-reactor.o ]] && debian_compiler_ready; }

debian_prepare() {
    [[ -x $(debian_linkers)/wasm-component-ld ]] ||
        die "no wasm-component-ld beside $(command -v rustc): a toolchain of rustup has it"
    debian_compiler_ready || { apt_install rustc-web rust-web-src && debian_compiler_ready; } ||
        die "guests need Debian's packages rustc-web and rust-web-src, Rust $(rust_required) or newer (run as root: apt-get install rustc-web rust-web-src)"
    [[ -f $(debian_libc)/crt1-reactor.o ]] || debian_fetch_libc
}

# Unpacks wasi-libc of trixie from the mirror that this machine uses. It is apt that downloads, with
# lists of its own, so that the Release file's signature and every checksum are verified as ever.
debian_fetch_libc() {
    local mirror keyring work
    mirror=$(debian_mirror)
    [[ -n $mirror ]] || die "apt knows no Debian mirror to fetch wasi-libc from (run as root: apt-get update)"
    keyring=$(compgen -G '/usr/share/keyrings/debian-archive-keyring.*' | head -n 1) ||
        die "the package debian-archive-keyring is needed to verify wasi-libc"

    say "fetching wasi-libc of Debian $debian_suite"
    work=$(mktemp -d "$(cache_dir)/fetch.XXXXXX")
    # shellcheck disable=SC2064 # the folder is the one of now
    trap "rm -rf '$work'" EXIT
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    cat >"$work/debian.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: $debian_suite
Components: main
Targets: Packages
Signed-By: $keyring
SOURCES
    local apt=(apt-get -qq
        -o "Dir::Etc::SourceList=$work/debian.sources" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
        -o APT::Sandbox::User=root -o Acquire::Retries=2 -o Acquire::http::Timeout=30)
    if ! "${apt[@]}" update >&2 || ! (cd "$work" && "${apt[@]}" download wasi-libc >&2); then
        die "cannot fetch wasi-libc of Debian $debian_suite from the mirror that apt uses"
    fi
    dpkg-deb -x "$work"/wasi-libc_*.deb "$work/unpacked"
    # Moved in one step, so that an interrupted or a second run never leaves half of it.
    mv -T "$work/unpacked" "$(cache_dir)/wasi-libc-$debian_suite" 2>/dev/null || debian_ready ||
        die "cannot write to $(cache_dir)"
}

# The address of Debian's main archive as apt has it configured. apt learns what an archive is from
# its lists, which a fresh container lacks.
debian_mirror() {
    local targets=(apt-get indextargets --format "\$(SITE)" 'Origin: Debian' 'Label: Debian')
    command -v apt-get >/dev/null || return 0
    [[ -n $("${targets[@]}") ]] || [[ $(id -u) != 0 ]] || apt-get update -qq >&2
    "${targets[@]}" | head -n 1
}
