#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Why TLS failed stands in the log of arild, with clients and with servers.
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
work=$(mktemp -d)
second_pid=
finish() {
    proxy_finish
    if [[ -n $second_pid ]]; then
        kill -KILL "$second_pid" 2>/dev/null || true
        wait "$second_pid" 2>/dev/null || true
    fi
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
    echo "skipped: a plain server has no log of arild"
    exit 77
fi
if ! command -v openssl >/dev/null; then
    echo "skipped: there is no openssl"
    exit 77
fi
: >"$err"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key -out tls.pem \
    -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>openssl.log
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key \
    -out other.pem -days 2 -subj /CN=other 2>>openssl.log
chmod 600 tls.key
tls_port=$(proxy_free_port)
proxy_conf="[listen]
address = tls://127.0.0.1:$tls_port
tls_cert = $PWD/tls.pem
tls_key = $PWD/tls.key
tenant = $proxy_tenant"
proxy_world
logged() { # TEXT
    grep -qF -- "$1" "$proxy_folder/log"
}
tls_cli() { # CA ARGUMENTS...
    local ca=$1
    shift
    redis-cli -h 127.0.0.1 -p "$tls_port" --tls --cacert "$ca" "$@"
}

# --- clients
check "TLS works" test "$(tls_cli tls.pem ping)" = PONG
exec 7<>"/dev/tcp/127.0.0.1/$tls_port"
exec 7>&-
check "TLS works still" test "$(tls_cli tls.pem ping)" = PONG
if logged "TLS with"; then
    note "who only comes and goes is no warning" no
else
    note "who only comes and goes is no warning" yes
fi
exec 7<>"/dev/tcp/127.0.0.1/$tls_port"
printf 'PING\r\n' >&7
cat <&7 >/dev/null || true # until it is closed
exec 7>&-
check "who does not speak TLS is one" proxy_wait_for logged "warning: TLS with client 127.0.0.1: "

# --- a server: a second arild takes the first one's port without TLS for one with it
"$ARIL_BUILD_DIR/arild" --version >/dev/null
sed -e "s|^server = .*|server = rediss://127.0.0.1:$proxy_port|" \
    -e "s|$proxy_socket|$proxy_folder/second.sock|" \
    -e "s|^address = 127.0.0.1:$proxy_port|address = 127.0.0.1:$(proxy_free_port)|" \
    -e "s|$tls_port|$(proxy_free_port)|" "$proxy_folder/arild.conf" >"$proxy_folder/second.conf"
env -u NOTIFY_SOCKET setpriv --pdeathsig KILL "$ARIL_BUILD_DIR/arild" \
    --config "$proxy_folder/second.conf" >>"$proxy_folder/second.log" 2>&1 &
second_pid=$!
second_ready() {
    kill -0 "$second_pid"
    [[ $(redis-cli -s "$proxy_folder/second.sock" ping 2>/dev/null) == PONG ]]
}
check "the second one listens" proxy_wait_for second_ready
redis-cli -s "$proxy_folder/second.sock" get key >"$out" 2>&1 || true
second_logged() {
    grep -qF -- "warning: TLS with server 127.0.0.1:$proxy_port: " "$proxy_folder/second.log"
}
check "a server without TLS is told" proxy_wait_for second_logged

proxy_summary
