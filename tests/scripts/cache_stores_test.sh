#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# "aril cache" with each kind of store: options of TLS, passwords and tokens, and Ctrl-C.
# shellcheck disable=SC2016 # conditions are evaluated later
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
scripts=$ARIL_SOURCE_DIR/tests/scripts
python=${ARIL_PYTHON:-python3}
skipped=0
pids=()
work=$(mktemp -d)
finish() {
    for pid in "${pids[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT

aril_family=cache
# shellcheck source=tests/support/command_checks.sh
. "$ARIL_SOURCE_DIR/tests/support/command_checks.sh"

skip() { # WHAT
    skipped=$((skipped + 1))
    printf 'SKIPPED: %s\n' "$1"
}
pause() {
    read -rt "${1:-0.01}" <>pipe || true
}
wait_for() { # COMMAND...
    local i
    for ((i = 0; i < 6000; i++)); do
        "$@" && return 0
        pause
    done
    return 1
}
mkfifo pipe

"$aril" keys init --keyring ring --recovery recovery.pem >"$out" 2>"$err" </dev/null
export ARIL_KEYRING=$work/ring
"$aril" keys create tenant:acme >"$out" 2>"$err" </dev/null
printf 'sweet and sour\n' >greeting
head -c 300000 /dev/urandom >large
printf '{"space": "names", "listable": true}' >listable.json

# values_on TEXT OPTIONS...: what every store does.
values_on() {
    local text=$1
    shift
    run 34 "$text: get of nothing" get greeting --tenant acme "$@"
    run 0 "$text: put" put greeting greeting --tenant acme "$@"
    run 0 "$text: put a large value" put large large --tenant acme "$@"
    run 0 "$text: get" get greeting --tenant acme "$@"
    check "$text: the value" cmp -s "$out" greeting
    run 0 "$text: get the large value" get large --tenant acme "$@"
    check "$text: the large value" cmp -s "$out" large
    run 35 "$text: put what is there" put greeting large --tenant acme --if-absent "$@"
    run 0 "$text: del" del large --tenant acme "$@"
    run 34 "$text: get of what was deleted" get large --tenant acme "$@"
    run 0 "$text: stat" stat "$@"
    prints "$text: its breaker" '^breaker +closed$'
}
lists_on() { # TEXT OPTIONS...
    local text=$1
    shift
    run 0 "$text: put a listable value" put one greeting --tenant acme --space names \
        --policy listable.json "$@"
    run 0 "$text: ls" ls --tenant acme --space names --policy listable.json "$@"
    prints "$text: its key" '^one$'
    run 0 "$text: flush" flush --tenant acme "$@"
    run 34 "$text: all are gone" get greeting --tenant acme "$@"
}

# --- files

for uri in "sqlite:$work/values.db" "file:$work/files"; do
    values_on "${uri%%:*}" --store "$uri"
    lists_on "${uri%%:*}" --store "$uri"
done

# --- HTTP with a token

printf 'sesame\n' >token
printf 'other\n' >wrong
chmod 600 token wrong
if "$aril" doctor | grep -qE '^  ok +HTTP .* and stores'; then
    mkfifo open_end
    "$python" "$scripts/cache_http_server.py" >port <open_end &
    pids+=($!)
    exec 9>open_end
    check "the server of HTTP starts" wait_for test -s port
    http=http://127.0.0.1:$(cat port)/token
    values_on "http" --store "$http" --secret-file token
    run 20 "http without a token" get greeting --tenant acme --store "$http"
    run 20 "http with another token" get greeting --tenant acme --store "$http" --secret-file wrong
    chmod 644 token
    run 21 "a token that others can read" get greeting --tenant acme --store "$http" \
        --secret-file token
    chmod 600 token
    run 3 "http cannot list" ls --tenant acme --store "$http" --secret-file token
    exec 9>&-
else
    skip "libcurl is not there for http"
fi

# --- Redis over TLS, with certificates of both sides and a password

certificate() { # NAME SUBJECT EXTENSION
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" \
        -subj "/CN=$2" 2>>openssl.log &&
        printf '%s\n' "$3" >"$1.ext" &&
        openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile "$1.ext" -out "$1.pem" 2>>openssl.log
}
authority() { # NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" \
        -out "$1.pem" -days 2 -subj "/CN=$1" 2>>openssl.log
}
free_port() {
    "$python" -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}
start_redis() { # another process may take a port that was free
    local try
    for try in 1 2 3 4 5; do
        port=$(free_port)
        cat >redis.conf <<END
bind 127.0.0.1
port 0
unixsocket $work/redis.sock
unixsocketperm 700
tls-port $port
tls-cert-file $work/server.pem
tls-key-file $work/server.key
tls-ca-cert-file $work/ca.pem
tls-auth-clients yes
requirepass sesame
save ""
appendonly no
dir $work
logfile $work/redis.log
END
        redis-server redis.conf &
        pids+=($!)
        local server=$!
        disown
        wait_for eval 'asks PING | grep -q PONG || ! kill -0 '"$server"' 2>/dev/null' || return 1
        kill -0 "$server" 2>/dev/null && return 0
        echo "redis-server did not start: try $try"
    done
    return 1
}
asks() { # COMMAND...: to the server, over its socket
    REDISCLI_AUTH=sesame redis-cli -s "$work/redis.sock" "$@" 2>/dev/null
}

# --- Ctrl-C: the process is stopped and looked at, step by step, until CONDITION holds. Then it
# gets the signal, and goes on. Its exit code is in $code.
interrupt_when() { # CONDITION ARGUMENTS...
    local condition=$1 i stopped=no
    shift
    # The shell lets what runs in the background ignore SIGINT; env undoes that.
    env --default-signal=INT "$aril" cache "$@" >"$out" 2>"$err" </dev/null &
    local pid=$!
    pids+=("$pid")
    for ((i = 0; i < 20000; i++)); do
        kill -STOP "$pid" 2>/dev/null || break
        if eval "$condition"; then
            stopped=yes
            break
        fi
        kill -CONT "$pid"
        pause 0.001
    done
    if [[ $stopped == yes ]]; then
        kill -INT "$pid"
        kill -CONT "$pid"
    fi
    code=0
    wait "$pid" || code=$?
    cat "$out" "$err" >>"$transcript"
}

over_redis() {
    local redis=rediss://127.0.0.1:$port
    local tls=(--ca ca.pem --cert client.pem --cert-key client.key)
    local store=(--store "$redis" "${tls[@]}" --secret-file token)
    values_on "rediss" "${store[@]}"
    lists_on "rediss" "${store[@]}"
    run 0 "rediss: stat" stat "${store[@]}"
    prints "it tells the group" "at 127\.0\.0\.1:$port, TLS 1\.3, X25519(MLKEM768)?\$"
    run 0 "rediss: a password file in the URI" stat --store "$redis?password-file=token" "${tls[@]}"
    run 0 "redis+unix" stat --store "redis+unix:redis.sock" --secret-file token
    run 2 "a password in the URI" stat --store "rediss://anna:hunter2@127.0.0.1:$port" "${tls[@]}"
    run 37 "without a password, and nobody to ask" stat --store "$redis" "${tls[@]}"
    run 20 "with another password" stat --store "$redis" "${tls[@]}" --secret-file wrong
    run 32 "an authority that knows nothing of it" stat --store "$redis" --ca other.pem \
        --cert client.pem --cert-key client.key --secret-file token
    run 34 "an authority that is not there" stat --store "$redis" --ca none.pem --secret-file token
    code=0
    # Refused, or cut off: which of the two comes first is the server's matter.
    "$aril" cache get greeting --tenant acme --store "$redis" --ca ca.pem --secret-file token \
        >"$out" 2>"$err" </dev/null || code=$?
    check "without a certificate it is refused: $code" test "$code" != 0 -a "$code" != 34
    chmod 644 token
    run 21 "a password that others can read" stat "${store[@]}"
    chmod 600 token
}

# Values of cachekit: 40 of 256 KiB.
VALUES=40
migrate_over_redis() {
    local store=(--store "redis+unix:$work/redis.sock" --secret-file token)
    local migrate=(migrate --tenant acme --space users --policy users.json "${store[@]}")
    local call i left
    asks FLUSHALL >/dev/null
    printf '{"space": "users", "legacy_reads": ["cachekit-interop"],
 "legacy_until": "2099-01-01", "writes": "cachekit-interop"}' >writes.json
    printf '{"space": "users", "legacy_reads": ["cachekit-interop"],
 "legacy_until": "2099-01-01"}' >users.json
    { printf '\xc6\x00\x04\x00\x00' && head -c 262144 /dev/urandom; } >document
    CACHEKIT_MASTER_KEY=$(printf '5a%.0s' {1..32})
    export CACHEKIT_MASTER_KEY
    for ((i = 0; i < VALUES; i++)); do
        call=$("$aril" cache key users get_user "[$i]")
        printf '%s\n' "$call" >>calls
        run 0 "put in cachekit's format" put "$call" document --tenant acme --space users \
            --policy writes.json "${store[@]}"
    done
    check "all are there" test "$(asks --scan --pattern 'users:*' | wc -l)" == "$VALUES"
    legacy() { asks --scan --pattern 'users:*' | wc -l; }
    interrupt_when '(($(legacy) < VALUES))' "${migrate[@]}"
    check "Ctrl-C in migrate: exit $code" test "$code" == 39
    check "the status is told" grep -q ARIL_E_INTERRUPTED "$err"
    left=$(legacy)
    check "some are migrated, some are not: $left" test "$left" -gt 0 -a "$left" -lt "$VALUES"
    lost() {
        local call
        while read -r call; do
            "$aril" cache get "$call" --tenant acme --space users --policy users.json \
                "${store[@]}" 2>>"$err" </dev/null | cmp -s - document || return 0
        done <calls
        return 1
    }
    check "none is lost" eval '! lost'
    run 0 "the same command goes on" "${migrate[@]}"
    check "all are migrated" test "$(legacy)" == 0
    unset CACHEKIT_MASTER_KEY
    check "none is lost by that" eval '! lost'
}

if ! command -v redis-server >/dev/null || ! command -v redis-cli >/dev/null; then
    skip "redis-server or redis-cli is not installed (Debian: redis)"
elif ! command -v openssl >/dev/null; then
    skip "openssl is not installed"
else
    authority ca
    authority other
    certificate server localhost 'subjectAltName=DNS:localhost,IP:127.0.0.1'
    certificate client aril 'extendedKeyUsage=clientAuth'
    check "redis-server starts" start_redis
    over_redis
    migrate_over_redis
fi

# --- Ctrl-C in bench

mkdir bench
interrupt_when 'compgen -G "bench/aril-bench-*/*/*" >/dev/null ||
 compgen -G "bench/aril-bench-*/*" >/dev/null' \
    bench --requests 1000000 --scale 65536 --store "file:$work/bench"
check "Ctrl-C in bench: exit $code" test "$code" == 39
check "nothing is left of bench" eval '! compgen -G "bench/aril-bench-*" >/dev/null'

check "no password was printed" eval '! grep -qE "sesame|hunter2" "$transcript"'
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0))
