#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the section of a tenant limits: its clients and the length of its keys.
# shellcheck disable=SC2154 # names of proxy_checks.sh
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
if [[ $proxy_plain == yes ]]; then
    echo "skipped: a plain server has no tenants"
    exit 77
fi
proxy_top="threads = 1"
proxy_world
touch "$out" "$err"

# The sections of proxy_prepare.sh are empty ones; these say more.
limit() { # LINES...: of the section of $proxy_tenant, from now on
    local before after
    proxy_prepare
    sed -i "/^\[tenant $proxy_tenant\]\$/a $1" "$proxy_folder/arild.conf"
    before=$(grep -c 'was taken over' "$proxy_folder/log" || true)
    kill -HUP "$proxy_pid"
    taken_over() {
        after=$(grep -c 'was taken over' "$proxy_folder/log" || true)
        ((after > before))
    }
    proxy_wait_for taken_over
}

# --- keys
check "a key of 512 bytes" test "$(proxy_cli set "$(printf 'k%.0s' {1..512})" v)" = OK
key=12345678901234567890
limit 'name_max = 20 B'
# Loops take another configuration over one after the other, between commands.
is_too_long() { # KEY
    proxy_cli set "$1" v >"$out"
    grep -qx 'ERR aril: a key has 1 to 20 bytes, this one has 21' "$out"
}
check "one byte more" proxy_wait_for is_too_long "${key}1"
check "a key as long as it may be" test "$(proxy_cli set "$key" v)" = OK
check "to be read" grep -q '^ERR aril: a key has 1 to 20 bytes' <(proxy_cli get "${key}1")
check "as one of many" grep -q '^ERR aril: a key has 1 to 20 bytes' \
    <(proxy_cli mset "$key" v "${key}1" v)
head -c 200000 /dev/zero | tr '\0' v >large
check "with a value that is sealed while it comes" \
    grep -q '^ERR aril: a key has 1 to 20 bytes' <(proxy_cli -x set "${key}1" <large)
longest=0
while read -r name; do
    bytes=$(proxy_behind strlen "$name")
    longest=$((bytes > longest ? bytes : longest))
done < <(proxy_behind --scan)
check "nothing of that is there, but values before it" test "$longest" -gt 0 -a "$longest" -lt 1000
check "another tenant has its own limit" \
    test "$(proxy_cli_of zeta-orchard set "${key}1" v)" = OK

# --- clients
coproc HELD { redis-cli -s "$proxy_socket"; }
# The shell forgets it when it has ended.
# shellcheck disable=SC2153 # bash names it so: the process of coproc HELD
held_pid=$HELD_PID
say_held() { # COMMAND: its answer, of the client that stays
    printf '%s\n' "$1" >&"${HELD[1]}"
    IFS= read -r answer <&"${HELD[0]}"
}
say_held ping
check "a client that stays" test "$answer" = PONG
limit 'clients_max = 2'
check "a second one" test "$(proxy_cli ping)" = PONG
limit 'clients_max = 1'
is_one_too_many() {
    proxy_cli ping >"$out" 2>&1 || true
    grep -q 'this tenant has all the clients that it may have' "$out"
}
check "no second one with a token" proxy_wait_for is_one_too_many
check "and it is nobody" grep -q '^NOAUTH' <(proxy_cli ping 2>&1)
# It says nothing, or what it said would take the reason with it.
"$proxy_python" - "$proxy_socket" >"$out" <<'END'
import socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    print(b"".join(iter(lambda: s.recv(4096), b"")).decode().rstrip())
END
check "no second one of the socket" grep -qx -- '-ERR max number of clients reached' "$out"
check "another tenant is not concerned" test "$(proxy_cli_of zeta-orchard ping)" = PONG
say_held 'set held value'
check "the one that stays goes on" test "$answer" = OK
say_held reset
check "also when it begins anew" test "$answer" = RESET
say_held 'get held'
check "as who it was" test "$answer" = value
eval "exec ${HELD[1]}>&-"
wait "$held_pid" 2>/dev/null || true
has_room() { [[ $(proxy_cli ping 2>/dev/null) == PONG ]]; }
check "its place is free then" proxy_wait_for has_room
check "again and again" has_room
check "ends by itself" proxy_end
proxy_summary
