#!/usr/bin/env bash
# image-tree.sh DIR MODELCELL: makes the folder DIR with the files that the image adds to its base,
# from a program with its folder of runtimes beside it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

dir=${1:?"usage: image-tree.sh DIR MODELCELL"}
modelcell=${2:?"usage: image-tree.sh DIR MODELCELL"}
runtimes=$(dirname "$modelcell")/runtimes
[[ -f $modelcell ]] || die "$modelcell is missing (make runtimes)"
compgen -G "$runtimes/*.wasm" >/dev/null || die "no runtimes in $runtimes (make runtimes)"

# Whom S3 over TLS trusts.
certificates=/etc/ssl/certs/ca-certificates.crt
[[ -s $certificates ]] || apt_install ca-certificates || die "$certificates is missing (Debian: apt-get install ca-certificates)"

# Everybody may read all of it, whatever this user's files are like.
umask 022
install -D -m 644 -t "$dir/etc/ssl/certs" "$certificates"
install -D -m 644 -t "$dir/usr/local/lib/modelcell/runtimes" "$runtimes"/*.wasm
install -D -m 644 -t "$dir/usr/local/share/doc/modelcell" "$repo/LICENSE"
install -d "$dir/usr/local/bin"
# A debug build is mostly symbols.
strip -o "$dir/usr/local/bin/modelcell" "$modelcell"
