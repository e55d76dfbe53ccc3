#!/usr/bin/env bash
# Everything that `make test` checks, in the order that finds mistakes soonest, and a summary.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$repo"

step() { printf '\n== %s\n' "$1"; }

# The end-to-end tests run this binary; a cargo test of their own crate does not build it.
export MODELCELL_BIN=${1:?"usage: test.sh MODELCELL"}
log=target/test.log

step "formatting and lints"
"${MAKE:-make}" --no-print-directory lint
step "host, guests and artifacts"
"${MAKE:-make}" --no-print-directory guests PROFILE=dev
step "Python guest"
"${MAKE:-make}" --no-print-directory python-guest PROFILE=dev
step "moto, a second S3 server, and boto3"
MODELCELL_PYTHON=$(scripts/test-python.sh)
export MODELCELL_PYTHON
step "container image"
image=$(scripts/image-for-tests.sh "$MODELCELL_BIN")
[[ -z $image ]] || export MODELCELL_IMAGE=$image
step "tests"
cargo test --workspace --locked 2>&1 </dev/null | tee "$log"
if [[ -n ${MODELCELL_IMAGE:-} ]]; then
    step "the platform's tests around the program alone"
    MODELCELL_IMAGE= cargo test --workspace --locked --test platform 2>&1 </dev/null | tee -a "$log"
fi

step "summary"
awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
    END { printf "%d tests passed, %d failed, %d ignored; lints are clean\n", passed, failed, ignored }' "$log"
echo "guests compiled with the toolchain of: $(scripts/guest-toolchain.sh)"
if [[ -f target/guests/python-nearest-centroid.wasm ]]; then
    echo "Python guest: built and tested"
else
    echo "Python guest: skipped, componentize-py cannot be installed here"
fi
if [[ -n $MODELCELL_PYTHON ]]; then
    echo "S3: tested on s3s and on moto"
    echo "boto3: tested with $(grep '^boto3==' tests/requirements.txt)"
else
    echo "S3: tested on s3s; skipped on moto, which cannot be installed here"
    echo "boto3: skipped, it cannot be installed here"
fi
if [[ -n $image ]]; then
    echo "container image: built from this and tested"
else
    echo "container image: skipped, containers cannot be run here"
fi
