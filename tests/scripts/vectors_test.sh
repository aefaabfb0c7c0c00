#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The committed vectors are those that make_vectors writes, byte for byte.
set -euo pipefail

tool=$ARIL_BUILD_DIR/tests/tools/make_vectors
if [[ ! -x $tool ]]; then
    echo "this build has no make_vectors"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$tool" "$work"
passed=0
failed=0
for made in "$work"/*.json; do
    name=${made##*/}
    if cmp "$made" "$ARIL_SOURCE_DIR/tests/data/vectors/$name"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s has other bytes than make_vectors writes\n' "$name"
    fi
done
for kept in "$ARIL_SOURCE_DIR"/tests/data/vectors/*.json; do
    # Those of the cache have generators in Python: cache_legacy_test.py and format_cache_test.py
    # compare them.
    if [[ ! -e $work/${kept##*/} && ${kept##*/} != cache-*.json ]]; then
        failed=$((failed + 1))
        printf 'FAILED: make_vectors does not write %s\n' "${kept##*/}"
    fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0 && passed > 0))
