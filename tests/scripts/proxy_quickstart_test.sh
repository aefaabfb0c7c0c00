#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The first try of arild runs with this build, from its first line to "ok".
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
example=$ARIL_SOURCE_DIR/examples/proxy-quickstart.sh
arild=$ARIL_BUILD_DIR/arild
if [[ ! -x $aril || ! -x $arild ]]; then
    echo "SKIPPED: this build has no command aril, or no arild"
    exit 77
fi

code=0
lines=$(ARIL=$aril ARILD=$arild "$example" 2>&1) || code=$?
printf '%s\n' "$lines"
if ((code == 3)); then # it says what is missing in its last lines
    exit 77
fi
((code == 0)) || exit 1
[[ ${lines##*$'\n'} == ok ]] || {
    echo "FAILED: the last line is not ok"
    exit 1
}
