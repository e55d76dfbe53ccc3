#!/usr/bin/env bash
# image-base.sh: prints an image that the tests can build on: the one that deploy/Dockerfile names, or
# where no registry can be reached one that is made of Debian's packages, once for each machine. False
# if neither can be had.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/debian.sh
. "$repo/scripts/debian.sh"
# shellcheck source=scripts/engine.sh
. "$repo/scripts/engine.sh"

find_engine "${ENGINE:?"image-base.sh needs ENGINE=docker or ENGINE=podman"}" || exit 1
named=$(sed -n 's/^ARG BASE_IMAGE=//p' "$repo/deploy/Dockerfile")
suite=$(sed 's/.*://; s/-slim$//' <<<"$named")
made=localhost/modelcell-base:$suite

# Without what nothing in a container reads, as in the official image.
bootstrap() {
    local mirror keyring work root log
    [[ $(id -u) == 0 ]] || return 1
    mirror=$(debian_mirror)
    keyring=$(compgen -G '/usr/share/keyrings/debian-archive-keyring.*' | head -n 1)
    [[ -n $mirror && -n $keyring ]] || return 1
    command -v debootstrap >/dev/null || apt_install debootstrap || return 1
    say "making a base image of Debian's packages"
    work=$(mktemp -d "$(cache_dir)/base.XXXXXX")
    # shellcheck disable=SC2064 # the folder is the one of now
    trap "rm -rf '$work'" EXIT
    root=$work/root
    log=$(cache_dir)/debootstrap.log
    with_limit 600 debootstrap --variant=minbase --keyring="$keyring" "$suite" "$root" "$mirror" \
        >"$log" 2>&1 </dev/null || { tail -n 1 "$log" >&2 && return 1; }
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
        "$root"/usr/share/{doc,info,locale,man} "$root/etc/apt/sources.list"
    tar -C "$root" -c . | "${engine[@]}" import - "$made" >>"$log" 2>&1
}

if has_image "$named"; then
    echo "$named"
elif has_image "$made"; then
    echo "$made"
elif with_limit 180 "${engine[@]}" pull --quiet "$named" >/dev/null 2>&1; then
    echo "$named"
else
    bootstrap && echo "$made"
fi
