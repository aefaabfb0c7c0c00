#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The commands "aril cache ...": help, options, exit codes, messages, JSON, what they do to a store.
# shellcheck disable=SC2016 # $int and its like are tags of JSON
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
page=$ARIL_SOURCE_DIR/man/aril-cache.1
vectors=$ARIL_SOURCE_DIR/../shared/vectors/cachekit/interop-mode.json
python=${ARIL_PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

aril_family=cache
# shellcheck source=tests/support/command_checks.sh
. "$ARIL_SOURCE_DIR/tests/support/command_checks.sh"

keys() { # ARGUMENTS...
    "$aril" keys "$@" >"$out" 2>"$err" </dev/null
}

is_silent() { # TEXT FILE
    check "$1" test ! -s "$2"
}
parses() { # TEXT EXPRESSION: standard output is JSON, and the expression over d is true
    check "$1" "$python" -c "import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not ($2))" "$out"
}
value() { # EXPRESSION over the JSON of the last run
    "$python" -c "import json, sys
d = json.load(open(sys.argv[1]))
print($1)" "$out"
}

# --- help

run 0 "aril cache --help" --help
prints "the overview lists migrate" '^  migrate '
is_silent "help goes to standard output" "$err"
run 2 "aril cache without a command"
complains "it shows the overview" '^  migrate '
commands=$("$aril" cache --help | sed -n 's/^  \([a-z][a-z-]*\)  *[a-z].*/\1/p')
check "there are 14 commands" test "$(wc -w <<<"$commands")" == 14
for name in $commands; do
    run 0 "aril cache $name --help" "$name" --help
    prints "it says how to use cache $name" "^Usage: aril cache $name"
    check "aril-cache(1) knows $name" grep -qE "^\.B aril cache $name( |\$)" "$page"
    while read -r option; do
        [[ $option == --help ]] && continue
        check "$option of $name is in aril-cache(1)" grep -qF -- "${option//-/\\-}" "$page"
    done < <(grep -oE '^  --[a-z0-9-]+' "$out" | tr -d ' ')
done
members=$(sed -n 's/^    { "\([a-z0-9_]*\)", AT(.*/\1/p' "$ARIL_SOURCE_DIR/cmd/aril/cache_policy.c")
check "policies have members" test "$(wc -w <<<"$members")" == 23
for member in $members; do
    check "$member is in aril-cache(1)" grep -q "^$member"$'\t' "$page"
done

# --- mistakes in the command line

run 2 "an unknown command" gte
complains "it is named, with the nearest one" 'unknown command: gte; did you mean get\?'
run 2 "an unknown option" get k --tenent x
complains "the nearest one may be a shared one" 'did you mean --tenant\?'
run 2 "get without a tenant" get k
complains "what is missing is named" 'missing option: --tenant'
run 2 "get without a key" get --tenant acme
run 2 "get of two keys" get a b --tenant acme
run 2 "get of an empty key" get '' --tenant acme
run 2 "hex digits that are none" get xx --hex-key --tenant acme
run 2 "an odd number of hex digits" get abc --hex-key --tenant acme
run 2 "an unknown type" get k --type hash --tenant acme
complains "the types are listed" 'string, hash-field, set-member, block'
run 2 "a hash field without a field" get k --type hash-field --tenant acme
run 2 "a field of a block" get k --type block --field f --tenant acme
run 2 "a space that is too long" get k --tenant acme --space "$(printf 'x%.0s' {1..256})"
for ttl in 0 -1 1w x 99999999999999999999 9999999999999999d ''; do
    run 2 "a ttl of '$ttl'" put k --tenant acme --ttl "$ttl"
done
run 2 "an empty tag" put k --tenant acme --tag ''
mapfile -t tags < <(printf -- '--tag\nt%d\n' {1..17})
run 2 "17 tags" put k --tenant acme "${tags[@]}"
run 2 "a database beyond 32 bits" get k --tenant acme --database 4294967296
run 2 "stat of a key without a tenant" stat k
run 2 "a block without a model" block --layout 00 --chain 00
run 2 "a block with a short layout" block --model m --layout 00 \
    --chain 00112233445566778899aabbccddeeff
run 2 "a block with a short chain" block --model m --layout "$(printf '00%.0s' {1..32})" --chain 00
run 2 "a scale of 0" bench --scale 0

# --- keys of cachekit

if [[ -r $vectors ]]; then
    check "every key of the vectors comes out" "$python" - "$aril" "$vectors" <<'END'
import json
import subprocess
import sys

def key(args, space, operation):
    return subprocess.run([sys.argv[1], "cache", "key", space, operation, "-"], input=args,
                          capture_output=True, text=True, check=False)

vectors = json.load(open(sys.argv[2], encoding="utf-8"))
wrong = 0
for v in vectors["key_vectors"]:
    ran = key(json.dumps(v["args"], ensure_ascii=False), v["namespace"], v["operation"])
    if ran.stdout != v["expected_key"] + "\n":
        print(f"{v['name']}: {ran.stdout}{ran.stderr}")
        wrong += 1
for v in vectors["error_vectors"]:
    ran = key(json.dumps(v["args"]), v.get("namespace", "a"), v.get("operation", "b"))
    if ran.returncode == 0 or ran.stdout or "aril cache key: " not in ran.stderr:
        print(f"{v['name']}: {ran.returncode} {ran.stdout}{ran.stderr}")
        wrong += 1
assert len(vectors["key_vectors"]) >= 33 and len(vectors["error_vectors"]) >= 9
sys.exit(wrong != 0)
END
else
    echo "no vectors of cachekit: its keys are compared with one alone"
fi
run 0 "a key" key users get_user '[42]'
prints "it is cachekit's" \
    '^users:get_user:61598716255080080f6456eb065c2e51badfaa4320b0efe97469c29cffee8875$'
run 0 "a key in JSON" key users get_user '[42]' --json
parses "it is the same" 'd["key"].startswith("users:get_user:615987")'
run 19 "arguments that are no array" key users get_user '{"a": 1}'
run 19 "arguments that are no JSON" key users get_user '[42'
complains "the place is named" 'line 1, column'
run 19 "an unknown tag" key users get_user '[{"$byte": "00"}]'
complains "the nearest one is named" 'did you mean \$bytes\?'
run 19 "a tag of another type" key users get_user '[{"$int": 1}]'
run 19 "an object member twice" key users get_user '[{"a": 1, "a": 2}]'
run 19 "no such day" key users get_user '[{"$datetime": "2023-02-29T00:00:00Z"}]'
run 2 "an object in a set" key users get_user '[{"$set": [{"a": 1, "b": 2}]}]'
nested() { # DEPTH
    printf '[%.0s' $(seq "$1")
    printf ']%.0s' $(seq "$1")
}
run 0 "arguments of depth 32" key users get_user "$(nested 32)"
run 19 "arguments that are nested too deep" key users get_user "$(nested 34)"
nested 1500 >deep
in=deep run 19 "arguments that are nested much too deep" key users get_user -

# --- policies

keys init --keyring ring --recovery recovery.pem
export ARIL_KEYRING=$work/ring
keys create tenant:acme tenant:globex
run 2 "no store" get k --tenant acme
complains "the ways to name one are named" '--store URI or set ARIL_CACHE_STORE'
run 2 "a store of no kind" get k --tenant acme --store nothing:x
complains "the option is named" '^aril cache get: --store: '
export ARIL_CACHE_STORE=sqlite:$work/values.db

policy() { # CODE TEXT JSON: a get with it; a miss is 34
    printf '%s' "$3" >policy.json
    run "$1" "$2" get nothing --tenant acme --policy policy.json
}
policy 34 "a policy that is empty" '{}'
policy 34 "no policies" '[]'
policy 34 "a policy with everything" '[{"space": "s", "tiers": ["l1", "l2"], "ttl": "15m",
 "ttl_max": 86400, "l1_ttl": "30s", "stale": "1m", "jitter_percent": 10,
 "on_store_down": "closed", "on_tamper": "closed", "on_key_gone": "open", "padding": "block",
 "pad_bytes": 4096, "value_max": "16M", "l1_value_max": 4096, "listable": true,
 "hash_tags": true, "evidence": false, "legacy_reads": ["cachekit-interop"],
 "legacy_until": "2099-12-31T23:59:59+01:00", "writes": "native", "legacy_tenant": "t"},
 {"ttl": 60}]'
policy 19 "an unknown member" '[{}, {"ttl_maxx": 1}]'
complains "policy and nearest member are named" \
    'policy\.json, policy 2: unknown member ttl_maxx; did you mean ttl_max\?'
policy 19 "a policy that is no JSON" '[{'
complains "the line is named" 'policy\.json, line 1: '
policy 19 "a policy that is a number" '[7]'
policy 19 "a member twice" '{"ttl": 1, "ttl": 2}'
policy 19 "a duration that is none" '{"ttl": "1w"}'
complains "the member is named" 'member ttl: not a duration'
policy 19 "a negative duration" '{"ttl": -1}'
policy 19 "a duration that wraps" '{"ttl": 9223372036854775807}'
policy 19 "a size that is none" '{"value_max": "1T"}'
policy 19 "a number that is a text" '{"jitter_percent": "10"}'
policy 19 "a truth that is a number" '{"listable": 1}'
policy 19 "an unknown word" '{"on_tamper": "close"}'
complains "the words are listed" 'not one of open, closed'
policy 19 "words that are no array" '{"tiers": "l1"}'
policy 19 "an unknown format" '{"legacy_reads": ["cachekit"], "legacy_until": "2099-01-01"}'
complains "the formats are listed" 'cachekit-interop, cachekit-py'
for day in 2023-02-29 2023-13-01 2023-1-1 23-01-01 2023-01-01T00:00:00 2023-01-01T24:00:00Z \
    '2023-01-01T00:00:00Z ' ''; do
    policy 19 "the day '$day'" "{\"legacy_until\": \"$day\"}"
done
policy 2 "a policy that contradicts itself" '{"jitter_percent": 51}'
complains "the file and the member are named" '--policy policy\.json: .*jitter_percent'
run 34 "a policy that is not there" get nothing --tenant acme --policy missing.json
complains "it is named" 'missing\.json'

# --- values, on every kind of store that needs no server

flip_file() { # one bit in the middle of the newest value
    local path size
    path=$(find "$work/files" -type f -size +64c -printf '%T@ %p\n' | sort -n | tail -n 1)
    path=${path#* }
    size=$(stat -c %s "$path")
    "$python" -c "import sys
with open(sys.argv[1], 'r+b') as f:
    f.seek(int(sys.argv[2]))
    byte = f.read(1)[0]
    f.seek(-1, 1)
    f.write(bytes([byte ^ 1]))" "$path" $((size - 20))
}
flip_sqlite() {
    "$python" - "$work/values.db" <<'END'
import sqlite3
import sys

with sqlite3.connect(sys.argv[1]) as db:
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]
        if "value" not in columns:
            continue
        for row, value in db.execute(f'SELECT rowid, value FROM "{table}"').fetchall():
            changed = bytearray(value)
            changed[-1] ^= 1
            db.execute(f'UPDATE "{table}" SET value = ? WHERE rowid = ?', (bytes(changed), row))
END
}

printf 'sweet and sour\n' >greeting
head -c 3000000 /dev/urandom >large
: >empty
printf '{"space": "names", "listable": true}' >listable.json

values_on() { # URI FLIP
    local key name
    export ARIL_CACHE_STORE=$1
    run 34 "get of what is not there ($1)" get greeting --tenant acme
    complains "it is called a miss" '^aril cache get: greeting: miss: .*ARIL_E_NOT_FOUND'
    is_silent "nothing comes out" "$out"
    run 34 "stat of what is not there" stat greeting --tenant acme --json
    parses "its outcome" 'd["outcome"] == "miss" and d["key"] == "greeting"'
    is_silent "nothing on standard error" "$err"

    run 0 "put" put greeting greeting --tenant acme --ttl 1h
    prints "it says what was stored" '^stored greeting: 15 bytes$'
    run 0 "get" get greeting --tenant acme
    check "the value" cmp -s "$out" greeting
    is_silent "nothing on standard error" "$err"
    run 0 "get into a file" get greeting --tenant acme --out got
    check "the value" cmp -s got greeting
    check "the file is private" test "$(stat -c %a got)" == 600
    is_silent "nothing on standard output" "$out"
    run 35 "get over a file" get greeting --tenant acme --out got
    run 0 "get over a file with --force" get greeting --tenant acme --out got --force
    rm got
    run 0 "get in JSON" get greeting --tenant acme --json
    parses "value, size, tier, dates" 'bytes.fromhex(d["value_hex"]) == b"sweet and sour\n" and
 d["bytes"] == 15 and d["tier"] == "l2" and d["format"] == "native" and not d["stale"] and
 not d["old_key"] and 3590000 <= d["not_after_ms"] - d["created_ms"] <= 3602000'
    run 0 "stat" stat greeting --tenant acme
    prints "its outcome" '^outcome +hit$'
    prints "its size" '^bytes +15$'
    check "not its value" bash -c "! grep -q sweet '$out'"

    run 34 "another tenant" get greeting --tenant globex
    run 34 "another namespace" get greeting --tenant acme --space other
    run 34 "another database" get greeting --tenant acme --database 1
    run 34 "another type" get greeting --tenant acme --type set-member
    run 27 "a tenant that is not there" get greeting --tenant nobody
    complains "it is told" 'the keyring has no such tenant'

    in=greeting run 0 "put from standard input" put again --tenant acme
    run 0 "get" get again --tenant acme
    check "the value" cmp -s "$out" greeting
    run 0 "put an empty value" put nothing empty --tenant acme
    run 0 "get it" get nothing --tenant acme --json
    parses "it is empty, and there" 'd["value_hex"] == "" and d["bytes"] == 0'
    run 0 "put a large value" put large large --tenant acme
    run 0 "get it" get large --tenant acme
    check "the value" cmp -s "$out" large
    printf '{"value_max": 1000}' >small.json
    run 23 "put what is too long for the policy" put large large --tenant acme --policy small.json

    run 35 "put what is there already" put greeting large --tenant acme --if-absent
    run 0 "the old value stays" get greeting --tenant acme
    check "the value" cmp -s "$out" greeting
    run 0 "put what is not there yet" put fresh greeting --tenant acme --if-absent
    run 0 "a key of bytes" put 00ff0a greeting --hex-key --tenant acme --json
    parses "it is in digits" 'd["key_hex"] == "00ff0a" and d["bytes"] == 15'
    run 0 "get it" get 00FF0A --hex-key --tenant acme
    run 34 "get another one" get 00ff0b --hex-key --tenant acme
    complains "it is named in digits" '^aril cache get: 00ff0b: miss: '
    run 0 "a field of a hash" put user --field name greeting --tenant acme
    run 0 "get it" get user --field name --tenant acme
    run 34 "another field" get user --field mail --tenant acme
    run 34 "no field" get user --tenant acme

    run 0 "put with tags" put tagged greeting --tenant acme --tag red --tag green
    run 0 "end a tag" bump --tag green --tenant acme
    prints "it says what was ended" 'ended all values with the one of 1 tag'
    run 34 "the value is ended" get tagged --tenant acme
    complains "it is called a miss" ': miss: .*SUPERSEDED'
    run 0 "others are not" get greeting --tenant acme

    run 0 "del" del greeting again missing --tenant acme
    prints "it says how many" '^deleted 2 of 3$'
    run 34 "it is gone" get greeting --tenant acme
    run 0 "del of nothing" del greeting --tenant acme --json
    parses "it says how many" 'd == {"deleted": 0, "absent": 1}'

    run 0 "put again" put greeting greeting --tenant acme
    keys rotate data:acme
    run 0 "get after a rotation" get greeting --tenant acme --json
    parses "it was sealed under an old key" 'd["old_key"] is True'
    run 0 "del and put again" del greeting --tenant acme
    run 0 "put" put greeting greeting --tenant acme
    "$2"
    run 20 "get of what was tampered with" get greeting --tenant acme
    complains "it is called so" '^aril cache get: greeting: tampered: '
    is_silent "nothing comes out" "$out"
    run 20 "stat of it" stat greeting --tenant acme --json
    parses "its outcome" 'd["outcome"] == "tampered" and "bytes" not in d'
    printf '{"on_tamper": "closed"}' >closed.json
    run 20 "get where the policy fails closed" get greeting --tenant acme --policy closed.json
    run 0 "put over it" put greeting greeting --tenant acme
    run 0 "get" get greeting --tenant acme

    for key in one two 'and three'; do
        run 0 "put a listable value" put "$key" greeting --tenant acme --space names \
            --policy listable.json
    done
    run 0 "ls" ls --tenant acme --space names --policy listable.json
    check "the keys" test "$(sort "$out" | tr '\n' ,)" == "and three,one,two,"
    run 0 "ls in JSON" ls --tenant acme --space names --policy listable.json --json
    parses "keys and names" 'sorted(v["key"] for v in d) == ["and three", "one", "two"] and
 all(v["name"].startswith("a1:") for v in d)'
    run 0 "ls in digits" ls --tenant acme --space names --policy listable.json --hex-key
    prints "a key" '^6f6e65$'
    run 0 "ls of a namespace that is not listable" ls --tenant acme
    check "names that say nothing" bash -c "grep -q '^a1:' '$out' && ! grep -q greeting '$out'"
    run 0 "ls of nothing" ls --tenant acme --space void --json
    parses "an empty array" 'd == []'

    run 0 "prefix" prefix --tenant acme --json
    name=$(value 'd["prefix"]') || name=none
    run 0 "prefix of a namespace" prefix --tenant acme --space names
    check "it goes on from that of the tenant" grep -qF -- "$name" "$out"
    run 0 "stat for the name" stat one --tenant acme --space names --policy listable.json --json
    parses "the name begins with it" "d['name'].startswith('$name')"
    name=$(value 'd["name"]') || name=none
    run 0 "ls" ls --tenant acme --space names --policy listable.json --json
    parses "ls tells the same name" "'$name' in {v['name'] for v in d if v['key'] == 'one'}"

    run 0 "bump" bump --tenant acme --space names --json
    parses "its generation" 'd["space"] == "names" and d["generation"] >= 1'
    run 34 "all are ended" get one --tenant acme --space names --policy listable.json
    run 0 "others are not" get greeting --tenant acme
    run 0 "flush" flush --tenant acme --json
    parses "it deleted some" 'd["deleted"] >= 5'
    run 34 "all are gone" get greeting --tenant acme
    run 0 "ls" ls --tenant acme
    is_silent "the store lists none" "$out"

    run 0 "stat of the store" stat --json
    parses "it says what it is" 'd["kind"] and d["breaker"] == "closed" and d["failures"] == 0'
    run 0 "stat of the store for people" stat
    prints "its breaker" '^breaker +closed$'
    run 0 "metrics" metrics
    prints "a figure" '^aril_cache_'
    prints "its help" '^# HELP aril_cache_'
    run 0 "metrics in JSON" metrics --json
    parses "names and values" 'all(m["name"].startswith("aril_") for m in d) and len(d) > 5'
    check "nothing was left of plaintext" bash -c \
        "! grep -raqE 'sweet and sour|greeting|acme|globex' ${1#*:}*"
}
values_on "sqlite:$work/values.db" flip_sqlite
values_on "file:$work/files" flip_file

# --- a key that is gone

export ARIL_CACHE_STORE=sqlite:$work/values.db
keys create tenant:leaver
run 0 "put for a tenant that leaves" put greeting greeting --tenant leaver
keys rotate data:leaver
keys retire data:leaver@1
run 27 "get of a value whose key is retired" get greeting --tenant leaver
complains "it is called so" 'greeting: key-gone: '
run 0 "put under the next key" put greeting greeting --tenant leaver
keys shred leaver --yes
run 27 "get for a tenant that was shredded" get greeting --tenant leaver
run 27 "put for it" put greeting greeting --tenant leaver
keys lock
run 27 "get while the keyring is locked" get greeting --tenant acme
keys unlock

# --- a store that is not there

run 0 "put" put greeting greeting --tenant acme
for uri in "redis+unix:$work/none.sock" redis://127.0.0.1:1; do
    code=0
    "$aril" cache get greeting --tenant acme --store "$uri" --timeout 500 >"$out" 2>"$err" \
        </dev/null || code=$?
    check "get from $uri" test "$code" == 21 -o "$code" == 22 -o "$code" == 3
    is_silent "nothing comes out" "$out"
    complains "the failure is told" '^aril cache get: .*\(ARIL_E_'
done

# --- salts and blocks

run 0 "salt" salt --tenant acme
prints "43 characters" '^[A-Za-z0-9_-]{43}$'
cp "$out" salt
run 0 "the same salt again" salt --tenant acme
check "it is the same" cmp -s "$out" salt
run 0 "another domain" salt --tenant acme --domain d
check "it is another one" bash -c "! cmp -s '$out' salt"
run 0 "another tenant" salt --tenant globex --json
parses "it is another one" "len(d['cache_salt']) == 43 and d['cache_salt'] != '$(cat salt)'"
layout=$(printf '1f%.0s' {1..32})
chain=$(printf '2e%.0s' {1..32})
run 0 "block" block --model llama --layout "$layout" --chain "$chain"
prints "32 bytes" '^[0-9a-f]{64}$'
block=$(cat "$out")
run 0 "the next rank" block --model llama --layout "$layout" --chain "$chain" --rank 1 --json
parses "it is another key" "len(d['key_hex']) == 64 and d['key_hex'] != '$block'"
run 0 "put a block" put "$block" large --hex-key --type block --tenant acme
run 0 "get it" get "$block" --hex-key --type block --tenant acme
check "the value" cmp -s "$out" large

# --- keys of cachekit

master=$(printf '5a%.0s' {1..32})
old=$(printf '6b%.0s' {1..32})
printf '{"space": "users", "legacy_reads": ["cachekit-interop"], "legacy_until": "2099-01-01"}' \
    >users.json
with_cachekit() { # CODE TEXT MASTER PREVIOUS ARGUMENTS...
    local code=$1 text=$2
    export CACHEKIT_MASTER_KEY=$3 CACHEKIT_PREVIOUS_MASTER_KEYS=$4
    shift 4
    run "$code" "$text" "$@" --tenant acme --space users
    unset CACHEKIT_MASTER_KEY CACHEKIT_PREVIOUS_MASTER_KEYS
}
with_cachekit 34 "keys of cachekit" "$master" "$old" get k --policy users.json --verbose
complains "that they were used is told" \
    '2 keys from CACHEKIT_MASTER_KEY and CACHEKIT_PREVIOUS_MASTER_KEYS for tenant acme'
with_cachekit 34 "where no policy lists its formats" "$master" "$old" get k --verbose
check "they are not used" bash -c "! grep -q CACHEKIT '$err'"
with_cachekit 19 "a key that is none" "${master}x" "" get k --policy users.json
complains "the variable is named" 'CACHEKIT_MASTER_KEY: not a key'
with_cachekit 19 "a short key" 00112233 "" get k --policy users.json
with_cachekit 23 "four former keys" "$master" "$old,$old,$old,$old" get k --policy users.json
with_cachekit 34 "former keys without a current one" "" "$old" get k --policy users.json
complains "the variables are named" 'CACHEKIT_PREVIOUS_MASTER_KEYS is set'
check "no key was printed" bash -c "! grep -qE '$master|$old|(5a){8}|(6b){8}' '$transcript'"
run 2 "a key of LMCache without a policy" get k --tenant acme --lmcache-key salt

# --- values of others become native ones

printf '{"space": "users", "legacy_reads": ["cachekit-interop"], "legacy_until": "2099-01-01",
 "writes": "cachekit-interop"}' >writes.json
run 0 "the key of a call" key users get_user '[42]'
call=$(cat "$out")
printf '\x81\xa4name\xa3ann' >document
with_cachekit 0 "put in cachekit's format" "$master" "" put "$call" document --policy writes.json
with_cachekit 0 "get it" "$master" "" get "$call" --policy users.json --json
parses "its format" 'd["format"] == "cachekit-interop" and d["value_hex"] == "81a46e616d65a3616e6e"'
with_cachekit 0 "get it after a rotation of cachekit's key" "$old" "$master" get "$call" \
    --policy users.json --json
parses "it needs a former key" 'd["old_key"] is True'
run 34 "get it where no policy allows" get "$call" --tenant acme --space users
with_cachekit 1 "migrate with the wrong key" "$old" "" migrate "$call" --policy users.json
prints "it failed, and stays" 'seen 1: migrated 0, .*failed 1$'
with_cachekit 0 "migrate" "$master" "" migrate "$call" --policy users.json --json
parses "it is migrated" 'd["seen"] == 1 and d["migrated"] == 1 and d["failed"] == 0'
run 0 "get it without cachekit's key and policy" get "$call" --tenant acme --space users
check "the value" cmp -s "$out" document
run 0 "migrate nothing" migrate --tenant acme --space users --policy users.json --json
parses "it says so" 'd["migrated"] == 0 and d["failed"] == 0'
head -c 48 /dev/urandom >lmcache.key
printf '{"space": "chunks", "legacy_reads": ["lmcache"], "legacy_until": "2099-01-01",
 "writes": "lmcache", "lmcache_writes_max": 100, "legacy_tenant": "salt"}' >chunks.json
lmcache=(--tenant acme --space chunks --policy chunks.json --lmcache-key lmcache.key)
chmod 644 lmcache.key
run 21 "a master file that others can read" put chunk large "${lmcache[@]}"
chmod 600 lmcache.key
run 0 "put in LMCache's format" put model@1@0@abc@bf16 large "${lmcache[@]}" --verbose
complains "that its key was used is told" '1 key from lmcache\.key for tenant acme'
run 0 "get it" get model@1@0@abc@bf16 "${lmcache[@]}"
check "the value" cmp -s "$out" large

run 17 "migrate where no policy lists a format" migrate --tenant acme --space void
complains "the member is named" 'legacy_reads'

# --- bench

cat >trace.jsonl <<'END'
{"timestamp": 0, "input_length": 1024, "output_length": 5, "hash_ids": [0, 1]}
{"timestamp": 1, "input_length": 2000, "output_length": 5, "hash_ids": [0, 1, 2, 3]}

{"timestamp": 2, "input_length": 2000, "output_length": 5, "hash_ids": [0, 4, 2, 3]}
{"timestamp": 3, "input_length": 0, "output_length": 5, "hash_ids": []}
END
for store in memory: sqlite: "file:$work"; do
    run 0 "bench on $store" bench --trace trace.jsonl --scale 65536 --store "$store" --json
    # 2 of the second request; of the third one 0 alone, for what comes after a miss is none.
    parses "hits end at the first miss" 'd["plain"]["hits"] == d["sealed"]["hits"] == 3 and
 d["plain"]["block_reads"] == d["sealed"]["block_reads"] == 10 and d["plain"]["puts"] == 7 and
 d["block_bytes"] == 1024 and d["requests"] == 4 and d["distinct_blocks"] == 5'
done
run 0 "bench of made-up requests" bench --requests 40 --scale 1048576
prints "the scale is told" '^blocks of 64 MiB scaled by 1/1048576 to 64 bytes$'
prints "the ratio is told" '^sealed takes [0-9.]+ times as long as plain$'
run 0 "bench of some requests" bench --trace trace.jsonl --requests 1 --json
parses "so many" 'd["requests"] == 1 and d["plain"]["block_reads"] == 2'
run 0 "the same seed" bench --requests 40 --scale 1048576 --seed 5 --json
hits=$(value 'd["plain"]["hits"]') || hits=none
run 0 "again" bench --requests 40 --scale 1048576 --seed 5 --json
parses "the same hits" "d['plain']['hits'] == $hits > 0"
printf '{"hash_ids": [0, "x"]}\n' >bad.jsonl
run 19 "a trace with an id that is none" bench --trace bad.jsonl
complains "the line is named" 'bad\.jsonl, line 1'
printf '{"ids": [0]}\n' >bad.jsonl
run 19 "a trace without ids" bench --trace bad.jsonl
: >bad.jsonl
run 19 "an empty trace" bench --trace bad.jsonl
run 34 "a trace that is not there" bench --trace missing.jsonl
check "nothing is left of bench" bash -c '! compgen -G "$1/aril-bench-*" >/dev/null' _ "$work"

printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
