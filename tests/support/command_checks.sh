# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154,SC2034 # names that come from and go to the file that sources it
# What tests of the command share; to be sourced. Before it: aril, the command; aril_family, its
# first argument ("keys"); work, an empty folder, which is entered.

passed=0
failed=0
out=$work/stdout
err=$work/stderr
in=/dev/null # what run() gives to standard input
transcript=$work/transcript

if [[ ! -x $aril ]]; then
    echo "this build has no command aril"
    exit 77
fi
cd "$work" || exit 1
: >"$transcript"
unset ARIL_KEYRING ARIL_KEYSTORE ARIL_CACHE_STORE CREDENTIALS_DIRECTORY
unset CACHEKIT_MASTER_KEY CACHEKIT_PREVIOUS_MASTER_KEYS http_proxy https_proxy all_proxy
export HOME=$work TMPDIR=$work no_proxy=127.0.0.1

note() { # TEXT WELL
    if [[ $2 == yes ]]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n' "$1"
        sed 's/^/    stdout: /' "$out" | head -n 5
        sed 's/^/    stderr: /' "$err" | head -n 5
    fi
}
check() { # TEXT COMMAND...
    local text=$1
    shift
    if "$@"; then note "$text" yes; else note "$text" no; fi
}

# run CODE TEXT ARGUMENTS...: "aril FAMILY ARGUMENTS" exits with CODE.
run() {
    local want=$1 text=$2 code=0
    shift 2
    "$aril" "$aril_family" "$@" >"$out" 2>"$err" <"$in" || code=$?
    cat "$out" "$err" >>"$transcript"
    if [[ $code == "$want" ]]; then
        note "$text" yes
    else
        note "$text: exit $code instead of $want" no
    fi
}

# These look at the last run.
prints() { # TEXT PATTERN
    check "$1" grep -qE -- "$2" "$out"
}
complains() { # TEXT PATTERN
    check "$1" grep -qE -- "$2" "$err"
}
