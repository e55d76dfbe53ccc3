#!/usr/bin/env bash
# install-runtimes.sh DIR NAME...: puts the runtimes that were built into the folder where the host looks
# for them, each as NAME.wasm.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

dir=${1:?"usage: install-runtimes.sh DIR NAME..."}
shift
mkdir -p "$dir"
for name in "$@"; do
    built=$repo/target/guests/runtime-$name.wasm
    # What has not changed keeps its date, by which a running host knows it.
    cmp -s "$built" "$dir/$name.wasm" && continue
    # By renaming, because a running host may be reading the old one.
    cp "$built" "$dir/.$name.wasm"
    mv "$dir/.$name.wasm" "$dir/$name.wasm"
done
