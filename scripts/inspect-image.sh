#!/usr/bin/env bash
# inspect-image.sh IMAGE: prints what the image says of itself, as its engine's `image inspect` does.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/engine.sh
. "$repo/scripts/engine.sh"

image=${1:?"usage: inspect-image.sh IMAGE"}
find_image "$image" || die "no engine here has the image $image (make image)"
"${engine[@]}" image inspect "$image"
