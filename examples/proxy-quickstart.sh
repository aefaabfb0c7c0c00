#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A first try of arild: one command starts it with a private Redis server behind. Two clients that
# know nothing of it speak to it, redis-cli and ioredis; the server holds ciphertext; two values
# that are swapped behind its back give nil and a counter; keys are rotated without a miss.
#
#   make && examples/proxy-quickstart.sh
#
# It makes everything in a temporary folder and touches nothing else. Each line says what was done
# and checked; the last one is "ok". ARIL and ARILD name other programs than those of build/release,
# ARIL_CLIENT_MODULES a node_modules folder with ioredis; without it that step is said to be left
# out. Exit code 1: something is not as it should be. 3: something is missing.
set -euo pipefail
umask 077

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
aril=${ARIL:-$here/build/release/aril}
arild=${ARILD:-$(dirname "$aril")/arild}
modules=${ARIL_CLIENT_MODULES:-$("$here/tools/setup.sh" where clients 2>/dev/null || true)}
unset ARIL_KEYRING ARIL_KEYSTORE ARIL_CACHE_STORE CREDENTIALS_DIRECTORY REDISCLI_AUTH NOTIFY_SOCKET

work=
step=0
daemon=
finish() {
    local code=$?
    trap - EXIT
    if [[ -n $daemon ]]; then
        { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true # its server ends with it
    fi
    [[ -z $work ]] || rm -rf "$work"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

missing() { # WHAT HOW
    printf 'missing: %s\n  %s\n' "$1" "$2" >&2
    exit 3
}
fail() { # TEXT
    printf 'FAILED after step %d: %s\n' "$step" "$1" >&2
    [[ ! -s $work/log ]] || sed 's/^/  log: /' "$work/log" | tail -n 20 >&2
    exit 1
}
done_() { # TEXT: what was done and checked
    step=$((step + 1))
    printf '%2d  %s\n' "$step" "$1"
}

# --- what it needs

for program in "$aril" "$arild"; do
    [[ -x $program ]] || missing "$program" "run 'make' in $here, or let ARIL and ARILD name them"
done
for program in redis-server redis-cli; do
    command -v "$program" >/dev/null || missing "$program" "Debian and Ubuntu: apt install redis"
done
work=$(mktemp -d)
if ((${#work} > 70)); then # a socket's path has 107 bytes at most
    rmdir "$work"
    work=$(mktemp -d /tmp/aril-XXXXXX)
fi
data=$work/data
socket=$work/arild.sock

through() { redis-cli -s "$socket" "$@"; }        # through arild
behind() { redis-cli -s "$data/redis.sock" "$@"; } # what the server itself has
expect() { # TEXT WANT COMMAND...
    local got
    got=$("${@:3}" 2>&1) || fail "$1: $got"
    [[ $got == "$2" ]] || fail "$1: \"$got\" instead of \"$2\""
}
counter() { # NAME: a figure of the tenant "default", the only one
    "$aril" proxy top --once --json "$data/admin.sock" | sed -n "s/^ *\"$1\": \([0-9]*\).*/\1/p"
}

# --- one command

"$arild" --standalone --data "$data" --listen "unix:$socket" >"$work/log" 2>&1 </dev/null &
daemon=$!
for ((i = 0; ; i++)); do
    if [[ $(through PING 2>&1) == PONG ]]; then break; fi
    kill -0 "$daemon" 2>/dev/null || fail "arild ended"
    ((i < 300)) || fail "arild does not answer"
    sleep 0.1
done
done_ "arild --standalone: made keys, and started a private redis-server behind it"

# --- clients that know nothing of it

expect "SET" OK through SET model:llama "the weights of a pomegranate" EX 3600
expect "GET" "the weights of a pomegranate" through GET model:llama
expect "HSET" 2 through HSET session:7 user ann prompt "a secret prompt"
expect "HGET" "a secret prompt" through HGET session:7 prompt
expect "SADD" 2 through SADD tags red round
expect "KEYS" model:llama through KEYS 'model:*'
expect "TTL" 3600 through TTL model:llama
done_ "redis-cli: strings, hashes, sets, KEYS and times to live, as with any Redis"

cat >"$work/client.js" <<'SCRIPT'
const Redis = require("ioredis");
(async () => {
  const redis = new Redis({ path: process.argv[2] });
  await redis.set("js:cached", Buffer.alloc(1 << 20, "pomegranate"));
  const value = await redis.getBuffer("js:cached");
  const many = await redis.multi().set("js:a", "1").get("js:a").exec();
  await redis.quit();
  console.log(value.length, value.subarray(0, 11).toString(), many[1][1]);
})().catch((error) => { console.error(String(error)); process.exit(1); });
SCRIPT
if [[ -d $modules/ioredis ]] && command -v node >/dev/null; then
    expect "ioredis" "1048576 pomegranate 1" \
        env NODE_PATH="$modules" node "$work/client.js" "$socket"
    done_ "ioredis: a value of 1 MiB and a transaction"
else
    done_ "ioredis: left out, it is not installed (tools/setup.sh fetches it)"
fi

# --- what the server has

names=$(behind --scan)
[[ $names == a1:* ]] || fail "the server has no sealed names"
behind SAVE >/dev/null
for word in model:llama session:7 pomegranate "secret prompt" js:cached default; do
    if grep -rqa --exclude='redis.log' -e "$word" "$data/dump.rdb" "$data/appendonlydir" ||
        grep -q -e "$word" <<<"$names"; then
        fail "the server can read \"$word\""
    fi
done
name=$(head -n 1 <<<"$names" | cut -c 1-24)
done_ "the server: names such as $name..., and nothing that can be read"

# --- somebody changes it behind our back

first=$(behind --scan)
expect "SET" OK through SET left "left value"
left=$(comm -13 <(sort <<<"$first") <(behind --scan | sort))
first=$(behind --scan)
expect "SET" OK through SET right "right value"
right=$(comm -13 <(sort <<<"$first") <(behind --scan | sort))
behind RENAME "$left" "$left.moved" >/dev/null
behind RENAME "$right" "$left" >/dev/null
behind RENAME "$left.moved" "$right" >/dev/null
expect "a swapped value" "" through GET left
expect "the other one" "" through GET right
expect "EXISTS" 0 through EXISTS left right
[[ $(counter tampered) == 2 ]] || fail "the counter says $(counter tampered), not 2"
done_ "two values were swapped behind its back: nil for both, and aril_proxy_tampered_total is 2"

# --- keys are rotated

for round in 1 2; do
    "$aril" keys rotate data:default --keyring "$data/keyring" \
        >/dev/null 2>"$work/err" </dev/null ||
        fail "keys rotate: $(<"$work/err")"
    expect "GET after rotation $round" "the weights of a pomegranate" through GET model:llama
    expect "SET after rotation $round" OK through SET "rotated:$round" "value $round"
    expect "its GET" "value $round" through GET "rotated:$round"
done
expect "HGET after both" "a secret prompt" through HGET session:7 prompt
done_ "rotated the data key twice: no read missed"
echo ok
