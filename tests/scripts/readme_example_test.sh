#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The first C block of README.md is a whole program. It compiles against this build's libaril.a
# and the headers alone, runs, and says ok. (docs_examples_test.py does it with libaril.so.)
set -euo pipefail

if [[ -n ${ARIL_SANITIZE:-} ]]; then
    echo "sanitizer builds have no libaril.a"
    exit 77
fi
readme=$ARIL_SOURCE_DIR/README.md
if [[ ! -e $readme ]]; then
    echo "there is no README.md"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

die() {
    printf 'FAILED: %s\n0 passed, 1 failed\n' "$1"
    exit 1
}

awk '/^```c$/ { inside = 1; next } /^```$/ && inside { exit } inside' "$readme" >"$work/example.c"
[[ -s $work/example.c ]] || die "README.md has no C block"
grep -q 'int main(' "$work/example.c" || die "the first C block of README.md is no program"

"${CC:-cc}" -std=c99 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror \
    -I"$ARIL_SOURCE_DIR/include" "$work/example.c" -o "$work/example" \
    "$ARIL_BUILD_DIR/libaril.a" -lsqlite3 -llz4 -pthread -ldl -lm || die "the example compiles"
output=$(cd "$work" && ./example) || die "the example runs"
grep -qw ok <<<"$output" || die "the example says ok, not: $output"
if ldd "$work/example" | grep -q -e libcrypto -e libaril; then
    die "the example needs no shared libaril or libcrypto"
fi
echo "1 passed, 0 failed"
