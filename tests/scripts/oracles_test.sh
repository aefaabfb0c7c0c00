#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Our primitives against independent implementations in JavaScript, both ways:
# @noble/post-quantum and @hpke/core.
set -euo pipefail

helper=$ARIL_BUILD_DIR/tests/tools/oracle_helper
here=$ARIL_SOURCE_DIR/tests/scripts/oracles

skip() { # REASON
    echo "skipped: $1"
    exit 77
}

[[ -x $helper ]] || skip "this build has no oracle_helper"
command -v node >/dev/null || skip "there is no node"
modules=${ARIL_NODE_MODULES:-}
if [[ -z $modules ]] && ! modules=$("$ARIL_SOURCE_DIR/tools/setup.sh" where oracles); then
    skip "there are no npm oracles: run tools/setup.sh test"
fi
[[ -d $modules/@noble/post-quantum && -d $modules/@hpke/core ]] ||
    skip "$modules does not hold @noble/post-quantum and @hpke/core"

passed=0
failed=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT
for script in "$here"/*_oracle.mjs; do
    status=0
    ARIL_ORACLE_HELPER=$helper ARIL_NODE_MODULES=$modules \
        node --require "$here/webcrypto.cjs" "$script" >"$output" 2>&1 ||
        status=$?
    grep -v '^[0-9]* passed' "$output" || true
    # The last line is "N passed, M failed"; without it the script has died.
    if read -r p _ f _ < <(grep '^[0-9]* passed, [0-9]* failed$' "$output"); then
        passed=$((passed + p))
        failed=$((failed + f))
        ((p > 0)) || failed=$((failed + 1))
    else
        printf 'FAILED: %s ended with status %d\n' "${script##*/}" "$status"
        failed=$((failed + 1))
    fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0 && passed > 0))
