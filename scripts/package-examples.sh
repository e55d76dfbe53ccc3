#!/usr/bin/env bash
# package-examples.sh MODELCELL: packs every example whose component was built into an artifact,
# target/repository/NAME.tar.gz.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

modelcell=${1:?"usage: package-examples.sh MODELCELL"}
mkdir -p "$repo/target/repository"
for model in "$repo"/examples/*/model; do
    example=$(basename "$(dirname "$model")")
    artifact=$repo/target/repository/$example.tar.gz
    component=$repo/target/guests/$example.wasm
    if [[ ! -f $component ]]; then
        rm -f "$artifact"
    elif [[ ! -f $artifact || -n $(find "$modelcell" "$component" "$model" -newer "$artifact") ]]; then
        "$modelcell" package --component "$component" --model-dir "$model" --output "$artifact"
    fi
done
