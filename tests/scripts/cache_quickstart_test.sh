#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The example of the cache runs with this build, from its first line to "ok".
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
example=$ARIL_SOURCE_DIR/examples/cache-quickstart.sh
if [[ ! -x $aril ]]; then
    echo "this build has no command aril"
    exit 77
fi

code=0
lines=$(ARIL=$aril "$example" 2>&1) || code=$?
printf '%s\n' "$lines"
if [[ $code == 1 && ${lines##*$'\n'} == unavailable:* ]]; then
    exit 77 # it says what is missing in its last line
fi
((code == 0)) || exit 1
[[ ${lines##*$'\n'} == ok ]] || {
    echo "FAILED: the last line is not ok"
    exit 1
}
