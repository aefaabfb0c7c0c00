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

check "ends by itself" proxy_end
proxy_summary
