#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The zero-knowledge cache on three kinds of stores: a SQLite file, a Redis on a UNIX socket, a
# Cluster of three. On each: put and get, a rotation without a miss, two values that are swapped
# behind our back, a flush, and a look for anything that a reader of the store could understand.
#
#   make && examples/cache-quickstart.sh
#
# It makes everything in a temporary folder, with servers of its own on a UNIX socket and on
# loopback, and touches nothing else. Each line says what was done and checked; the last one is
# "ok". ARIL names another command than build/release/aril. Exit code 1: something is not as it
# should be, or not installed.
set -euo pipefail
umask 077

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
aril=${ARIL:-$here/build/release/aril}
unset ARIL_KEYRING ARIL_KEYSTORE ARIL_CACHE_STORE CREDENTIALS_DIRECTORY
unset CACHEKIT_MASTER_KEY CACHEKIT_PREVIOUS_MASTER_KEYS REDISCLI_AUTH

work=
step=0
servers=()
finish() {
    local code=$? pid
    trap - EXIT
    for pid in "${servers[@]}"; do
        { kill -9 "$pid" && wait "$pid"; } 2>/dev/null || true
    done
    [[ -z $work ]] || rm -rf "$work"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

unavailable() { # TEXT
    printf 'unavailable: %s\n' "$1"
    exit 1
}
fail() { # TEXT
    printf 'FAILED after step %d: %s\n' "$step" "$1" >&2
    [[ ! -s $work/out ]] || sed 's/^/  stdout: /' "$work/out" | head -n 20 >&2
    [[ ! -s $work/err ]] || sed 's/^/  stderr: /' "$work/err" | head -n 20 >&2
    exit 1
}
done_() { # TEXT: what was done and checked
    step=$((step + 1))
    printf '%2d  %s\n' "$step" "$1"
}

# --- what it needs

[[ -x $aril ]] || unavailable "$aril; run 'make' in $here, or let ARIL name the command"
for program in redis-server redis-cli python3; do
    command -v "$program" >/dev/null || unavailable "$program is not installed"
done
work=$(mktemp -d)
if ((${#work} > 70)); then # a socket's path has 107 bytes at most
    rmdir "$work"
    work=$(mktemp -d /tmp/aril-XXXXXX)
fi
cd "$work"

# --- commands and what they have to answer

export ARIL_KEYRING=$work/keyring
patience=60000 # ms, for machines that have much else to do
store=         # the URI of the store that is looked at
tenant=globex-manufacturing
space=user-sessions

keys() { "$aril" keys "$@" --timeout "$patience"; }
cache() { "$aril" cache "$@" --tenant "$tenant" --space "$space" --store "$store" \
    --timeout "$patience"; }

must() { # COMMAND...
    local code=0
    "$@" >out 2>err </dev/null || code=$?
    ((code == 0)) || fail "exit code $code: $*"
}
refused() { # CODE OUTCOME COMMAND...
    local want=$1 outcome=$2 code=0
    shift 2
    "$@" >out 2>err </dev/null || code=$?
    ((code == want)) || fail "exit code $code, not $want: $*"
    grep -q -- ": $outcome" err || fail "not $outcome: $*"
    [[ ! -s out ]] || fail "something came out of what was refused: $*"
}
# What a member of the JSON that was printed last says.
field() { # NAME
    sed -n "s/^.*\"$1\": *\"\\{0,1\\}\\([^\",}]*\\)\"\\{0,1\\}.*\$/\\1/p" out | head -n 1
}

# Two keys, and values that no store should be able to read.
keys_of_values=(cart-of-user-4711 cart-of-user-4712)
value_of() { # NUMBER: the file with the value of that key
    echo "$work/value.$1"
}
for number in 0 1; do
    for ((line = 0; line < 64; line++)); do
        printf 'plaintext number %d of the pomegranate, line %d\n' "$number" "$line"
    done >"$(value_of "$number")"
done
put_both() {
    local number
    for number in 0 1; do
        must cache put "${keys_of_values[number]}" "$(value_of "$number")" --ttl 15m
    done
}
both_come_back() { # EXPECTED-OLD-KEY
    local number
    for number in 0 1; do
        must cache get "${keys_of_values[number]}"
        cmp -s out "$(value_of "$number")" || fail "${keys_of_values[number]}: another value"
        must cache stat "${keys_of_values[number]}" --json
        [[ $(field old_key) == "$1" ]] || fail "old_key is $(field old_key), not $1"
    done
}
name_of() { # NUMBER: the name of that key in the store
    must cache stat "${keys_of_values[$1]}" --json
    sed -n 's/^ *"name": "\(.*\)",\{0,1\}$/\1/p' out
}

# --- SQLite

# Two rows trade what they hold, all but their names.
swap_in_sqlite() { # NAME NAME
    python3 - "$work/values.db" "$1" "$2" <<'END'
import sqlite3
import sys

path, first, second = sys.argv[1:]
with sqlite3.connect(path, timeout=60) as db:
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    swapped = 0
    for table in tables:
        columns = [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]
        if "name" not in columns or "value" not in columns:
            continue
        of = {}
        for name in (first, second):
            row = db.execute(f'SELECT value FROM "{table}" WHERE CAST(name AS TEXT) = ?', (name,))
            of[name] = row.fetchone()
        if None in of.values():
            continue
        for name, other in ((first, second), (second, first)):
            swapped += db.execute(f'UPDATE "{table}" SET value = ? WHERE CAST(name AS TEXT) = ?',
                                  (of[other][0], name)).rowcount
sys.exit(0 if swapped == 2 else f"{swapped} rows were swapped")
END
}
dump_sqlite() {
    cat "$work"/values.db* >dump
}

# --- Redis

redis() { redis-cli "${redis_options[@]}" "$@"; }
start_redis() { # NAME OPTION...
    local name=$1
    shift
    mkdir -p "$work/$name"
    # Compressed, a dump would hide plaintext from the look at it.
    redis-server --dir "$work/$name" --daemonize no --save '' --appendonly no --bind 127.0.0.1 \
        --rdbcompression no --logfile "$work/$name/log" "$@" >/dev/null 2>&1 </dev/null &
    servers+=("$!")
}
await() { # TEXT COMMAND...: until it succeeds, a minute at most
    local text=$1 i
    shift
    for ((i = 0; i < 600; i++)); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    fail "$text"
}
swap_in_redis() { # NAME NAME
    redis --raw GET "$1" | head -c -1 >one
    redis --raw GET "$2" | head -c -1 >two
    [[ -s one && -s two ]] || fail "redis-cli does not find what was put"
    redis -x SET "$1" <two >/dev/null
    redis -x SET "$2" <one >/dev/null
}
# --- what is done on each store

# Nothing that a reader of the store could understand, in bytes, digits or base64.
dump_says_nothing() {
    local word
    for word in plaintext pomegranate "$tenant" "$space" "${keys_of_values[@]}" cart-of; do
        ! grep -qaF -- "$word" dump || fail "the store holds the word $word"
        ! grep -qaiF -- "$(printf %s "$word" | od -An -v -tx1 | tr -d ' \n')" dump ||
            fail "the store holds the word $word in hexadecimal digits"
        # Three places where it can begin within a group of three bytes.
        local before
        for before in '' x xx; do
            local text
            text=$(printf %s "$before$word" | base64 -w 0)
            text=${text:${#before} == 0 ? 0 : 4}
            text=${text%%=*}
            ((${#text} < 8)) || ! grep -qaF -- "${text:0:${#text} - 2}" dump ||
                fail "the store holds the word $word in base64"
        done
    done
}
holds() { # NAME yes|no
    local found=no
    ! grep -qaF -- "$1" dump || found=yes
    [[ $found == "$2" ]] || fail "whether the dump holds a name: $found, not $2"
}

life() { # TEXT SWAP DUMP
    local text=$1 swap=$2 dump=$3 first second
    put_both
    both_come_back false
    done_ "$text: put two values, and got them back"

    must keys rotate "data:$tenant"
    both_come_back true
    put_both
    both_come_back false
    must keys rotate "data:$tenant"
    both_come_back true
    done_ "$text: rotated the tenant's data key twice; no read missed"

    first=$(name_of 0)
    second=$(name_of 1)
    must "$swap" "$first" "$second"
    refused 20 tampered cache get "${keys_of_values[0]}"
    refused 20 tampered cache get "${keys_of_values[1]}"
    must "$swap" "$first" "$second"
    both_come_back true
    done_ "$text: swapped the two behind our back; both were refused as tampered, and opened again"

    must "$dump"
    holds "$first" yes
    dump_says_nothing
    done_ "$text: the store holds no plaintext, and no name of tenant, namespace or key"

    must cache flush
    refused 34 miss cache get "${keys_of_values[0]}"
    refused 34 miss cache get "${keys_of_values[1]}"
    done_ "$text: flushed the namespace; both miss"

    must "$dump"
    dump_says_nothing
    done_ "$text: nothing to read in what is left, either"
}

# --- keys

must keys init --recovery recovery.pem
must keys create "tenant:$tenant" tenant:initech
done_ "made a keyring with two tenants, sealed by a key file"

# --- a file

store=sqlite:$work/values.db
life "SQLite" swap_in_sqlite dump_sqlite

# --- one server

start_redis single --port 0 --unixsocket "$work/redis.sock" --unixsocketperm 700
redis_options=(-s "$work/redis.sock")
await "redis-server does not answer" redis PING
dump_single() {
    redis SAVE
    cat "$work/single/dump.rdb" >dump
}
store=redis+unix:$work/redis.sock
life "Redis" swap_in_redis dump_single

# --- a Cluster of three

ports=()
start_node() { # NUMBER
    local try port
    for ((try = 0; try < 50; try++)); do
        port=$((20000 + RANDOM % 20000))
        # Its bus has the port 10000 above.
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null ||
            (exec 3<>"/dev/tcp/127.0.0.1/$((port + 10000))") 2>/dev/null; then
            continue
        fi
        start_redis "node$1" --port "$port" --cluster-enabled yes --cluster-node-timeout 5000
        redis_options=(-h 127.0.0.1 -p "$port")
        local i
        for ((i = 0; i < 600; i++)); do
            if redis PING >/dev/null 2>&1; then
                ports+=("$port")
                return
            fi
            kill -0 "${servers[-1]}" 2>/dev/null || break # the port was taken meanwhile
            sleep 0.1
        done
    done
    fail "no redis-server of a Cluster could be started"
}
for number in 1 2 3; do
    start_node "$number"
done
hosts=()
for port in "${ports[@]}"; do
    hosts+=("127.0.0.1:$port")
done
must redis-cli --cluster create "${hosts[@]}" --cluster-yes
cluster_is_up() {
    local port
    for port in "${ports[@]}"; do
        redis-cli -h 127.0.0.1 -p "$port" CLUSTER INFO | grep -q cluster_state:ok || return 1
    done
}
await "the Cluster does not come up" cluster_is_up
done_ "started a Cluster of three"

redis_options=(-c -h 127.0.0.1 -p "${ports[0]}")
dump_cluster() {
    local port
    for port in "${ports[@]}"; do
        redis-cli -h 127.0.0.1 -p "$port" SAVE || return 1
    done
    cat "$work"/node[123]/dump.rdb >dump
}
store=redis+cluster://127.0.0.1:${ports[0]}
life "Cluster" swap_in_redis dump_cluster
echo ok
