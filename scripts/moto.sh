#!/usr/bin/env bash
# Prints the Python that has moto, the second S3 server that the tests run on: MODELCELL_MOTO.
#
# Where moto cannot be installed this says so, prints nothing and succeeds: a machine without PyPI
# can still test on the other server.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if bin=$(python_environment "$repo/tests/requirements.txt"); then
    echo "$bin/python"
else
    say "skipped the tests on moto: it cannot be installed (is PyPI reachable?)"
fi
