#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Each subcommand of aril has a man page, and the pages are free of mistakes that
# man or groff report.
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
pages=$ARIL_SOURCE_DIR/man
passed=0
failed=0

check() { # TEXT COMMAND...
    local text=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n' "$text"
    fi
}

if [[ ! -x $aril ]]; then
    echo "this build has no command aril"
    exit 77
fi

# The subcommands as "aril help" lists them: two spaces, the name, its purpose.
subcommands=$("$aril" help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p' | grep -vx help | sort -u)
check "aril help lists subcommands" test -n "$subcommands"
check "there is a page aril(1)" test -e "$pages/aril.1"
for name in $subcommands; do
    check "aril $name has a page aril-$name(1)" test -e "$pages/aril-$name.1"
done

clean() { # COMMAND... prints nothing on stderr
    local output
    output=$("$@" 2>&1 >/dev/null) || return 1
    [[ -z $output ]] || { printf '%s\n' "$output" && return 1; }
}

for page in "$pages"/*.[1-8]; do
    [[ -e $page ]] || continue
    if command -v groff >/dev/null; then
        check "${page##*/}: groff finds no mistake" \
            clean groff -man -ww -Tutf8 -z "$page"
    elif command -v man >/dev/null; then
        check "${page##*/}: man finds no mistake" \
            clean env MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page"
    fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
