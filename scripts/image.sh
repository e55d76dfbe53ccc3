#!/usr/bin/env bash
# image.sh IMAGE [MODELCELL [FLAG...]]: builds deploy/Dockerfile with docker, podman or buildah, and
# further flags of their `build`. With MODELCELL, a program with its folder of runtimes beside it, these go
# into the image and nothing is compiled.
#
# ENGINE forces an engine; RUST_IMAGE and BASE_IMAGE replace the images that the Dockerfile begins from.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/engine.sh
. "$repo/scripts/engine.sh"

image=${1:?"usage: image.sh IMAGE [MODELCELL [FLAG...]]"}
modelcell=${2:-}
shift $(($# < 2 ? $# : 2))
# shellcheck disable=SC2086 # one or several names
find_engine ${ENGINE:-docker podman buildah} ||
    die "no container engine answers: ${ENGINE:-docker, podman or buildah} is needed (Debian: apt-get install podman)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$repo/Cargo.toml")
revision=$(git -C "$repo" rev-parse HEAD 2>/dev/null || echo unknown)
flags=(--file "$repo/deploy/Dockerfile" --tag "$image"
    --build-arg "VERSION=$version" --build-arg "REVISION=$revision")
for name in RUST_IMAGE BASE_IMAGE; do
    [[ -z ${!name:-} ]] || flags+=(--build-arg "$name=${!name}")
done
# SageMaker takes no image whose manifest is in OCI's format, nor one with an attestation beside it. Nor has
# that format a health check.
if [[ ${engine[0]} == docker ]]; then
    docker buildx version >/dev/null 2>&1 || die "docker needs its plugin buildx to build the image"
    build=(docker buildx build --provenance=false --output type=docker)
else
    # Not every machine lets a build have control groups of its own.
    build=("${engine[@]}" build --format docker --isolation chroot --layers=false)
fi

context=$repo
if [[ -n $modelcell ]]; then
    "$repo/scripts/image-tree.sh" "$work/build/image" "$modelcell"
    mkdir "$work/empty"
    flags+=(--build-context "build=$work/build")
    context=$work/empty
fi
say "building the image $image with ${engine[0]}"
"${build[@]}" "${flags[@]}" "$@" "$context" >&2
