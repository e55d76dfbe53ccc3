#!/usr/bin/env bash
# build-guests.sh [--manifest-path FILE] PACKAGE...: builds guests in release and puts each at
# target/guests/PACKAGE.wasm of this repository.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

manifest=$repo/Cargo.toml
if [[ ${1:-} == --manifest-path ]]; then
    manifest=${2:?"--manifest-path needs a file"}
    shift 2
fi
(($# > 0)) || die "usage: build-guests.sh [--manifest-path FILE] PACKAGE..."

packages=()
for package in "$@"; do
    packages+=(--package "$package")
done
"$repo/scripts/guest-cargo.sh" build --release --manifest-path "$manifest" "${packages[@]}"

target=$(cargo metadata --format-version 1 --no-deps --manifest-path "$manifest" |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
mkdir -p "$repo/target/guests"
for package in "$@"; do
    built=$target/wasm32-wasip2/release/${package//-/_}.wasm
    # What has not changed keeps its date, and so does the artifact that is packed from it.
    cmp -s "$built" "$repo/target/guests/$package.wasm" ||
        cp "$built" "$repo/target/guests/$package.wasm"
done
