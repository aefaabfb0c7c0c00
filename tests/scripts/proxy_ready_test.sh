#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the admin listener says while the server goes and comes back, and when values were changed
# behind arild.
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
    echo "skipped: a plain server has no admin listener"
    exit 77
fi
proxy_conf="[admin]
address = unix:$proxy_folder/admin.sock
[policy aside:*]
on_tamper = quarantine
[policy error:*]
on_tamper = error"
# One loop: what it knows of the server is what the others would have to find out.
proxy_top="threads = 1"
proxy_world
: >"$err"

ask() { # PATH: status code and body
    "$proxy_python" - "$proxy_folder/admin.sock" "$1" <<'END'
import socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    s.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % sys.argv[2].encode())
    answer = b"".join(iter(lambda: s.recv(65536), b"")).decode()
head, _, body = answer.partition("\r\n\r\n")
print(head.split()[1])
print(body)
END
}
ready_is() { # CODE
    ask /readyz >ready
    [[ $(head -n 1 ready) == "$1" ]]
}
metric() { # NAME: of the tenant
    ask /metrics | sed -n "s/^$1{tenant=\"$proxy_tenant\"} //p"
}
cli() {
    redis-cli -s "$proxy_socket" "$@"
}

# --- the server goes, and comes back
check "ready at first" ready_is 200
check "a value is put" test "$(cli set key value)" = OK
kill -KILL "$proxy_behind_pid"
wait "$proxy_behind_pid" 2>/dev/null || true
cli get key >"$out" 2>&1 || true
check "a command fails" grep -q '^ERR aril: the ' "$out"
check "not ready without a server" proxy_wait_for ready_is 503
check "it says why" grep -q 'no server can be reached' ready
commands=$(metric aril_proxy_commands_total)
proxy_behind_start
check "ready again, and nobody had asked for anything" proxy_wait_for ready_is 200
check "indeed nobody" test "$(metric aril_proxy_commands_total)" = "$commands"
check "commands go on" test "$(cli set key again)" = OK

# --- values that are changed behind arild
cli set aside:1 value >"$out"
cli set error:1 value >"$out"
cli set plain:1 value >"$out"
cli hset aside:hash field value >"$out"
cli hset error:hash field value >"$out"
proxy_behind --scan >names
while read -r name; do
    if [[ $(proxy_behind type "$name") == string ]]; then
        proxy_behind setrange "$name" 96 !! >"$out"
    else
        proxy_behind hset "$name" "$(proxy_behind hkeys "$name")" nonsense >"$out"
    fi
done <names
check "changed: nil" test "$(cli --no-raw get plain:1)" = "(nil)"
check "and it is gone" test "$(cli exists plain:1)" = 0
check "changed, quarantine: nil" test "$(cli --no-raw get aside:1)" = "(nil)"
check "and it is gone too" test "$(cli exists aside:1)" = 0
check "changed, error" grep -q '^ERR aril: the value of this key' <(cli get error:1)
check "and it stays" test "$(cli exists error:1)" = 1
check "one value was removed" test "$(metric aril_proxy_removed_total)" = 1
check "one value was moved aside" test "$(metric aril_proxy_quarantined_total)" = 1
check "a field, quarantine: nil" test "$(cli --no-raw hget aside:hash field)" = "(nil)"
check "which is a removal" test "$(metric aril_proxy_removed_total)" = 2
check "and no move" test "$(metric aril_proxy_quarantined_total)" = 1
check "a field, error" grep -q '^ERR aril: the value of this key' <(cli hget error:hash field)
check "all of them, error" grep -q '^ERR aril: the value of this key' <(cli hgetall error:hash)
check "each was counted" test "$(metric aril_proxy_tampered_total)" = 6
check "one lies aside" test "$(proxy_behind --scan --pattern 'aq1:*' | wc -l)" = 1
check "the log says so" grep -q "tenant $proxy_tenant: a value failed its check" "$proxy_folder/log"
check "and names no key" test "$(grep -c 'aside:\|plain:\|error:[1h]' "$proxy_folder/log")" = 0
check "ends by itself" proxy_end
proxy_summary
