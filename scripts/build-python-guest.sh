#!/usr/bin/env bash
# build-python-guest.sh NAME: tests and builds examples/NAME with componentize-py and puts it at
# target/guests/NAME.wasm.
#
# Where componentize-py cannot be installed this says so, leaves no component and succeeds: a
# machine without PyPI can still work on everything else.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

name=${1:?"usage: build-python-guest.sh NAME"}
source=$repo/examples/$name
component=$repo/target/guests/$name.wasm
bindings=$repo/target/python-bindings

skip() {
    rm -f "$component"
    say "skipped $name: $*"
    exit 0
}

newer_than_component() {
    [[ ! -f $component ]] || [[ -n $(find "$repo/wit" "$source" -type f -newer "$component") ]]
}

newer_than_component || exit 0
bin=$(python_environment "$source/requirements.txt") || skip "componentize-py cannot be installed (is PyPI reachable?)"

rm -rf "$bindings"
"$bin/componentize-py" --quiet --wit-path "$repo/wit" --world model bindings "$bindings"
export PYTHONDONTWRITEBYTECODE=1
(cd "$source" && PYTHONPATH=$bindings "$bin/python" -m unittest --quiet)

mkdir -p "$repo/target/guests"
(cd "$source" && "$bin/componentize-py" --quiet --wit-path "$repo/wit" --world model \
    componentize model --output "$component.partial")
mv "$component.partial" "$component"
say "built $name"
