#!/usr/bin/env bash
# Prints the Python that has moto, the second S3 server that the tests run on, and boto3, whose
# requests must work unchanged: MODELCELL_PYTHON.
#
# Where they cannot be installed this says so, prints nothing and succeeds: a machine without PyPI
# can still run all other tests.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if bin=$(python_environment "$repo/tests/requirements.txt"); then
    echo "$bin/python"
else
    say "skipped the tests with moto and boto3: they cannot be installed (is PyPI reachable?)"
fi
