#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the tests of a build folder and ends with the number of cases.
#
#   tools/run_tests.sh BUILD_DIR [JOBS [ctest arguments...]]
set -euo pipefail

build=${1:?usage: tools/run_tests.sh BUILD_DIR [JOBS [ctest arguments...]]}
jobs=${2:-$(nproc)}
shift $(($# < 2 ? $# : 2))
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(cd "$build" && pwd)
unset MAKEFLAGS MFLAGS MAKELEVEL

status=0
rm -f "$build/junit.xml"
# The whole output of each program is kept: the cases in it are counted.
ctest --test-dir "$build" --parallel "$jobs" --output-on-failure --no-tests=error \
    --test-output-size-passed 10000000 --test-output-size-failed 10000000 \
    --output-junit "$build/junit.xml" "$@" || status=1
"$root/tools/test_summary.py" "$build/junit.xml" || status=1
exit "$status"
