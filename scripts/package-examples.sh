#!/usr/bin/env bash
# package-examples.sh MODELCELL: packs every example into an artifact, target/repository/NAME.tar.gz: those
# without code, and those whose component was built.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

modelcell=${1:?"usage: package-examples.sh MODELCELL"}
mkdir -p "$repo/target/repository"
for model in "$repo"/examples/*/model; do
    folder=$(dirname "$model")
    example=$(basename "$folder")
    artifact=$repo/target/repository/$example.tar.gz
    parts=("$model")
    options=(--model-dir "$model")
    if [[ -d $folder/src || -f $folder/model.py ]]; then
        component=$repo/target/guests/$example.wasm
        if [[ ! -f $component ]]; then
            rm -f "$artifact"
            continue
        fi
        parts+=("$component")
        options+=(--component "$component")
    fi
    if [[ ! -f $artifact || -n $(find "$modelcell" "${parts[@]}" -newer "$artifact") ]]; then
        "$modelcell" package "${options[@]}" --output "$artifact"
    fi
done
