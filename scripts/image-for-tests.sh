#!/usr/bin/env bash
# image-for-tests.sh MODELCELL: builds an image around a program that is built, and prints its name:
# MODELCELL_IMAGE. Its engine's images are kept apart from yours where the engine can.
#
# Where containers cannot be run this says so, prints nothing and succeeds.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/engine.sh
. "$repo/scripts/engine.sh"
without_mixed_cgroups "$0" "$@"

modelcell=${1:?"usage: image-for-tests.sh MODELCELL"}
label=modelcell.tests

skip() {
    say "skipped the tests of the image: $*"
    exit 0
}

MODELCELL_CONTAINER_STORE=$(tests_store)
export MODELCELL_CONTAINER_STORE
# shellcheck disable=SC2086 # one or several names
find_engine ${ENGINE:-docker podman} ||
    { [[ -z ${ENGINE:-} ]] && apt_install podman crun && find_engine podman; } ||
    skip "no engine answers: ${ENGINE:-docker, or podman, which cannot be installed either}"
export ENGINE=${engine[0]}
"${engine[@]}" build --help 2>/dev/null | grep -q -e --build-context ||
    skip "$ENGINE is too old: its build knows no --build-context"

BASE_IMAGE=$("$repo/scripts/image-base.sh") || skip "there is no base image: no registry answers, and none can be made"
export BASE_IMAGE
said=$("$repo/scripts/run-image.sh" "$BASE_IMAGE" true 2>&1) ||
    skip "$ENGINE cannot run a container here: $(tail -n 1 <<<"$said")"

# One image for each clone; what it replaces goes, and so do those of clones that are gone.
image=modelcell-tests:$(cksum <<<"$repo" | cut -d ' ' -f 1)
log=$(cache_dir)/image.log
"$repo/scripts/image.sh" "$image" "$modelcell" --label "$label=true" >"$log" 2>&1 ||
    die "the image for the tests cannot be built: $(grep -i error "$log" | tail -n 1) (all of it: $log)"
for old in label=$label "label=$label --all --filter until=24h"; do
    # shellcheck disable=SC2086 # several flags
    "${engine[@]}" image prune --force --filter $old >/dev/null 2>&1 || true
done
echo "$image"
