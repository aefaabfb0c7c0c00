#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The commands "aril proxy token" and "aril proxy passwd": help, options, exit codes, messages,
# JSON, and what becomes of the password file.
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
page=$ARIL_SOURCE_DIR/man/aril-proxy.1
scripts=$ARIL_SOURCE_DIR/tests/scripts
python=${ARIL_PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

aril_family=proxy
# shellcheck source=tests/support/command_checks.sh
. "$ARIL_SOURCE_DIR/tests/support/command_checks.sh"

parses() { # TEXT EXPRESSION: standard output is JSON, and the expression over d is true
    check "$1" "$python" -c "import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not ($2))" "$out"
}
is() { # TEXT A B
    check "$1 ($2, $3)" test "$2" == "$3"
}
lines() { # FILE: credentials in it
    grep -cvE '^(#|$)' "$1"
}
sha256() { # of standard input
    sha256sum | cut -d' ' -f1
}

# --- help

run 0 "aril proxy --help" --help
for name in token passwd; do
    run 0 "aril proxy $name --help" "$name" --help
    prints "it says how to use proxy $name" "^Usage: aril proxy $name .*FILE"
    check "aril-proxy(1) has a section for it" grep -qx "\.SS $name" "$page"
    while read -r option; do
        [[ $option == --help ]] && continue
        check "$option is in aril-proxy(1)" grep -qF -- "${option//-/\\-}" "$page"
    done < <(grep -oE '^  --[a-z-]+' "$out" | tr -d ' ')
done

# --- mistakes in the command line

run 2 "no command" ''
run 2 "an unknown command" tokens
complains "it suggests one" 'did you mean token\?'
run 2 "no file" token --tenant acme
run 2 "no tenant" token users
complains "it names what is missing" '\-\-tenant is missing'
run 2 "no tenant for passwd" passwd users
run 2 "list and remove" token users --tenant acme --list --remove x
run 2 "list and output" token users --list --output x
run 2 "remove and name" token users --tenant acme --remove x --name y
run 2 "passwd: remove and a file" passwd users --tenant ann --remove x --passphrase-file y
run 2 "a passphrase is no argument" passwd users --tenant ann "as an argument"
run 17 "a name that is none" token users --tenant acme --name 'a b'
complains "it says which names are good" 'A-Z a-z 0-9'
run 17 "an empty tenant" token users --tenant ''
check "nothing was made by mistakes" test ! -e users

# --- tokens

run 0 "make a token" token users --tenant acme --name web
token=$(cat "$out")
prints "it is printed and nothing else is" '^arilt_[A-Za-z0-9_-]{43}$'
is "on one line" "$(wc -l <"$out")" 1
is "the file is 0600" "$(stat -c %a users)" 600
is "its hash is in the file" \
    "$(cut -d: -f1-4 users)" "acme:web:token:$(printf %s "$token" | sha256)"
check "the token is not" bash -c "! grep -q '${token#arilt_}' users"
run 35 "the same name again" token users --tenant acme --name web
complains "it says what to do" 'choose another --name'
run 0 "another tenant may have it" token users --tenant 'b:c d' --name web --json
parses "with JSON the token is in it" \
    "d['tenant'] == 'b:c d' and d['name'] == 'web' and len(d['token']) == 49"
check "the tenant is escaped" grep -q '^b%3Ac%20d:web:token:' users
run 0 "into a file" token users --tenant acme --name two --output two.token
prints "it says where the token is" 'the token "two" of acme is in two.token'
is "that file is 0600" "$(stat -c %a two.token)" 600
is "the token in it is the one" "$(tr -d '\n' <two.token | sha256)" \
    "$(grep ':two:' users | cut -d: -f4)"
check "it is not on the screen" bash -c "! grep -q arilt_ '$out'"
run 35 "an output that exists" token users --tenant acme --name three --output two.token
check "no token was made then" bash -c "! grep -q :three: users"
run 34 "an output in no folder" token users --tenant acme --name three --output no/folder
check "no token was made then either" bash -c "! grep -q :three: users"
code=0
"$aril" proxy token users --tenant acme --name full >/dev/full 2>"$err" || code=$?
is "a token that cannot be printed is an error" "$code" 21
complains "it says that the token is in the file" 'could not be printed.*users'
run 0 "it can be removed" token users --tenant acme --remove full

# --- passphrases

in=$work/phrase
printf 'correct horse\n' >"$in"
run 0 "set a passphrase from standard input" passwd users --tenant ann --passphrase-file -
prints "it says so" 'set the passphrase "passphrase" of ann'
check "the file has its line" grep -q '^ann:passphrase:argon2id:65536,3,4:[0-9a-f]\{32\}:' users
check "the passphrase is not in it" bash -c '! grep -q horse users'
if command -v argon2 >/dev/null; then
    # The tool takes the salt as an argument: without NUL, LF at the end, or - at the beginning.
    salt=00
    for ((i = 0; i < 50; i++)); do
        salt=$(grep ^ann: users | cut -d: -f5)
        [[ $salt =~ 00|0a$|^2d ]] || break
        "$aril" proxy passwd users --tenant ann --passphrase-file - <"$in" >/dev/null
    done
    want=$(printf 'correct horse' | argon2 "$("$python" -c 'import os, sys
os.write(1, bytes.fromhex(sys.argv[1]))' "$salt")" -id -t 3 -k 65536 -p 4 -l 32 -r)
    is "the reference implementation says the same" "$(grep ^ann: users | cut -d: -f6)" "$want"
else
    echo "SKIPPED: there is no argon2 to compare with"
fi
before=$(grep ^ann: users)
run 0 "change it" passwd users --tenant ann --passphrase-file - --json
parses "it says that it was there" "d['changed'] is True and d['name'] == 'passphrase'"
check "it has another salt" test "$before" != "$(grep ^ann: users)"
is "in one line" "$(grep -c ^ann: users)" 1
in=/dev/null
chmod 600 phrase
run 0 "from a file" passwd users --tenant ann --name two --passphrase-file phrase
chmod 644 phrase
run 21 "from a file that others read" passwd users --tenant ann --name two --passphrase-file phrase
chmod 600 phrase
run 17 "an empty one" passwd users --tenant ann --passphrase-file -
complains "it says how long it is" '8 to 1024 bytes'
printf 'two\nlines of text\n' >phrase
run 17 "two lines" passwd users --tenant ann --passphrase-file phrase
head -c 1025 /dev/zero | tr '\0' p >phrase
run 17 "one that is too long" passwd users --tenant ann --passphrase-file phrase
head -c 1024 /dev/zero | tr '\0' p >phrase
run 0 "the longest" passwd users --tenant ann --name long --passphrase-file phrase
printf 'arilt_looks like a token' >phrase
run 17 "one that looks like a token" passwd users --tenant ann --passphrase-file phrase
printf 'correct horse' >phrase
run 35 "a name that is a token's" passwd users --tenant acme --name web --passphrase-file phrase
run 0 "a fourth" passwd users --tenant ann --name four --passphrase-file phrase
run 19 "and no fifth" passwd users --tenant ann --name five --passphrase-file phrase
complains "it says how many there may be" 'more than 4 passphrases'
check "that was not written" bash -c '! grep -q ^ann:five users'

# --- list and remove

run 0 "list" token users --list
prints "a token" '^acme +web +token +20..-..-..T'
prints "a passphrase" '^ann +four +passphrase +20'
check "no hashes" bash -c "! grep -qE '[0-9a-f]{32}' '$out'"
run 0 "list one tenant" token users --list --tenant acme --json
parses "only that" "[c['name'] for c in d['credentials']] == ['web', 'two']"
run 0 "list nobody" token users --list --tenant nobody --json
parses "nothing" "d['credentials'] == []"
run 34 "list a file that is not there" token nothing --list
run 34 "remove what is not there" token users --tenant acme --remove nothing
complains "it says how to look" '\-\-list'
run 34 "remove a passphrase as a token" token users --tenant ann --remove four
run 34 "remove a token as a passphrase" passwd users --tenant acme --remove web
run 34 "remove from a file that is not there" token nothing --tenant acme --remove web
check "that file was not made" test ! -e nothing
n=$(lines users)
run 0 "remove a token" token users --tenant acme --remove web
prints "it says so" 'removed the token "web" of acme'
run 0 "remove a passphrase" passwd users --tenant ann --remove four --json
is "two lines are gone" "$(lines users)" "$((n - 2))"
check "others of that name stay" grep -q '^b%3Ac%20d:web:' users

# --- the file: comments, mode, owner, damage

{
    printf '# ours\n\n'
    sed 1q users
    printf '# the end\n'
} >kept
chmod 640 kept
if [[ $(id -u) == 0 ]]; then
    chown root:1 kept
    run 0 "root's file that a group reads" token kept --tenant acme --name new
    is "keeps mode and group" "$(stat -c '%a %g' kept)" "640 1"
    chown 1:1 kept
    run 21 "somebody else's file" token kept --tenant acme --name more
    chown root:root kept
else
    echo "SKIPPED: not root: a file of root's that a group reads"
    run 21 "a file that the group reads" token kept --tenant acme --name new
    chmod 600 kept
    run 0 "the same as 0600" token kept --tenant acme --name new
fi
is "comments stay where they were" "$(sed -n '1p;4p' kept | tr '\n' ,)" "# ours,# the end,"
is "the new line is the last" "$(tail -n 1 kept | cut -d: -f1-3)" acme:new:token
chmod 644 kept
run 21 "a file that others read" token kept --list
complains "it says what to do" 'chmod 600'
chmod 600 kept
printf 'acme:x:token:12' >>kept
cp kept before
run 19 "a file that was cut off" token kept --tenant acme --name more
complains "it names the line" 'kept:6: the file ends in the middle'
check "it was left alone" cmp -s kept before
ln -s users link
run 21 "a symbolic link" token link --tenant acme --name more
run 34 "a folder that is not there" token no/users --tenant acme
mkdir folder
run 21 "a folder" token folder --tenant acme
check "no temporary files stay" test -z "$(find . -name '*.??????' -newer before)"

# --- what happens at the same time is not lost

pids=()
for i in $(seq 20); do
    "$aril" proxy token many --tenant acme --name "n$i" --output "token$i" >/dev/null 2>>errors &
    pids+=("$!")
done
for pid in "${pids[@]}"; do
    check "a token beside others" wait "$pid"
done
is "twenty tokens at once are twenty" "$(lines many)" 20

# --- a disk that is full: the old file stays

cp many before
for blocks in 0 1; do
    code=0
    (
        ulimit -f "$blocks"
        trap '' XFSZ
        exec "$aril" proxy token many --tenant acme --name more --output more.token
    ) >"$out" 2>"$err" || code=$?
    is "a file that cannot grow is an error" "$code" 21
    check "the password file is as before" cmp -s many before
    check "no token that nobody takes stays" test ! -e more.token
done

# --- on a terminal

check "asking on a terminal" env ARIL_TEST_COMMAND="$aril" "$python" \
    "$scripts/proxy_terminal.py" "$work/asked"

# --- no secret anywhere

check "no passphrase in what was printed" bash -c "! grep -q 'correct horse' '$transcript'"
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
