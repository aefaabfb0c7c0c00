#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# redis-cli and redis-benchmark through arild: on a terminal, in scripts, mass insertion, scans.
# shellcheck disable=SC2016 # dollars of the protocol
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
work=$(mktemp -d)
finish() {
    proxy_finish
    rm -rf "$work"
}

aril_family=proxy
# shellcheck source=tests/support/command_checks.sh
. "$ARIL_SOURCE_DIR/tests/support/command_checks.sh"
# shellcheck source=tests/support/proxy_checks.sh
. "$ARIL_SOURCE_DIR/tests/support/proxy_checks.sh"
trap finish EXIT
proxy_demand
proxy_world

# answers TEXT PATTERN ARGUMENTS...: redis-cli exits with 0, and a line is this.
answers() {
    local text=$1 pattern=$2 code=0
    shift 2
    proxy_cli "$@" >"$out" 2>"$err" <"$in" || code=$?
    if [[ $code != 0 ]]; then
        note "$text: exit $code" no
    else
        check "$text" grep -qxE -- "$pattern" "$out"
    fi
}

# --- single commands
answers "PING" PONG ping
answers "SET" OK set cli:name "pomegranate in a shell"
answers "GET" "pomegranate in a shell" get cli:name
answers "SET with a time" OK set cli:ttl v ex 1000
answers "TTL" "(99.|1000)" ttl cli:ttl
answers "EXISTS" 2 exists cli:name cli:ttl cli:none
answers "TYPE" string type cli:name
answers "HSET" 2 hset cli:hash f v g w
answers "HGETALL" v hgetall cli:hash
answers "SADD" 2 sadd cli:set m n
answers "an error" "WRONGTYPE .*" hget cli:name f
answers "RESP3" '[12]# "f" => "v"' -3 --no-raw hgetall cli:hash
answers "RESP3, a set" "[12]~ \"m\"" -3 --no-raw smembers cli:set
answers "RESP3, nothing" "\(nil\)" -3 --no-raw get cli:none
answers "another database" "" -n 1 get cli:name
printf 'set cli:script 1\nget cli:script\nset cli:script 2\nget cli:script\n' >script
in=script
answers "commands of standard input" 2
in=/dev/null
head -c 1048576 /dev/urandom >large
in=large
answers "a value of standard input" OK -x set cli:large
in=/dev/null
proxy_cli --raw get cli:large >"$out"
printf '\n' >>large
check "its bytes come back" cmp -s large "$out"

# --- on a terminal
for option in "" -3; do
    code=0
    "$proxy_python" "$ARIL_SOURCE_DIR/tests/scripts/redis_cli_terminal.py" "$proxy_port" \
        "$proxy_tenant" "$proxy_folder/token.$proxy_tenant" ${option:+"$option"} >"$out" 2>"$err" ||
        code=$?
    grep FAILED "$out" || true
    note "a terminal $option" "$([[ $code == 0 ]] && echo yes || echo no)"
done

# --- mass insertion: 20,000 commands without waiting
for ((i = 0; i < 20000; i++)); do
    value=pomegranate-value-$i
    key=mass:$i
    printf '*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n' ${#key} "$key" ${#value} "$value"
done >mass
in=mass
answers "--pipe" "errors: 0, replies: 20000" --pipe
in=/dev/null
answers "the first" pomegranate-value-0 get mass:0
answers "the last" pomegranate-value-19999 get mass:19999

# --- scans
proxy_cli --scan --pattern 'mass:*' >scanned
check "--scan finds each" test "$(sort -u scanned | grep -cxE 'mass:[0-9]+')" = 20000
check "--scan finds nothing else" test "$(sort -u scanned | wc -l)" = 20000
proxy_cli --scan --pattern 'cli:*' | sort -u >scanned
printf 'cli:%s\n' hash large name script set ttl >wanted
check "--scan with a pattern" cmp -s scanned wanted
in=/dev/null
answers "--bigkeys, the biggest" "Biggest string found '\"cli:large\"' has 1048576 bytes" --bigkeys
check "--bigkeys, hashes" grep -q "Biggest   hash found '\"cli:hash\"' has 2 fields" "$out"
check "--bigkeys, how many" grep -qE '^Sampled 200[0-9]+ keys' "$out"
answers "--memkeys" "Biggest string found '\"cli:large\"' has [0-9]+ bytes" --memkeys

# --- redis-benchmark, over the socket whose clients need no password
benchmark() { # TESTS OPTIONS...
    local tests=$1 name code=0
    shift
    redis-benchmark -s "$proxy_socket" -q -t "$tests" "$@" >"$out" 2>"$err" </dev/null || code=$?
    note "redis-benchmark -t $tests $*: exit $code" "$([[ $code == 0 ]] && echo yes || echo no)"
    check "redis-benchmark -t $tests $*: no errors" \
        test "$(cat "$out" "$err" | grep -ciE 'error|warning|could not')" = 0
    for name in ${tests//,/ }; do
        check "redis-benchmark -t $tests $*: $name" \
            grep -qiE "${name}.*requests per second" "$out"
    done
}
benchmark ping,set,get,mset -n 20000 -P 16 -c 20
benchmark set,get -n 2000 -d 65536 -c 4
benchmark set,get -n 200 -d 4194304 -c 2
benchmark ping,set,get -n 5000 -c 50 -r 1000
benchmark set,get -n 5000 -P 64 -3
benchmark hset,sadd -n 5000 -P 16 -r 100
check "redis-benchmark's values are there" test "$(proxy_cli strlen key:__rand_int__)" = 3

# --- who may not
wrong() { # USER SECRET
    REDISCLI_AUTH=$2 redis-cli -h 127.0.0.1 -p "$proxy_port" --user "$1" get cli:name \
        >"$out" 2>&1 || true
}
wrong "$proxy_tenant" "arilt_$(printf 'A%.0s' {1..43})"
check "a wrong token" grep -q WRONGPASS "$out"
if [[ $proxy_plain == yes ]]; then
    proxy_skip "a plain server lets everybody in"
else
    check "and nothing is read" test "$(grep -c pomegranate "$out")" = 0
    redis-cli -h 127.0.0.1 -p "$proxy_port" get cli:name >"$out" 2>&1 || true
    check "no token" grep -q NOAUTH "$out"
    check "another tenant" test "$(proxy_cli_of zeta-orchard get cli:name)" = ""
    check "another tenant's names" test "$(proxy_cli_of zeta-orchard --scan | wc -l)" = 0
fi

proxy_hidden "pomegranate in a shell" pomegranate-value- mass:19999 cli:large key:000000 \
    "$proxy_tenant" "on a terminal"
check "ends by itself" proxy_end
proxy_summary
