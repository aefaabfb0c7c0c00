# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154,SC2034 # names that come from and go to the file that sources it
# A Redis server with arild in front of it, for scripts; to be sourced after command_checks.sh,
# whose folder work it uses. Processes end with the script. With ARILD_PLAIN=1 a second redis-server
# stands in for arild: then nothing is hidden, and proxy_hidden says that it is skipped.
#
#   proxy_world            starts both; proxy_conf and proxy_top may hold lines of arild.conf
#   proxy_cli, proxy_cli_of TENANT   redis-cli through arild, logged in
#   proxy_behind           redis-cli with the server behind
#   $proxy_port, $proxy_socket       where arild listens; the socket is for $proxy_tenant alone

proxy_tenant=acme-orchard
proxy_tenants="acme-orchard zeta-orchard"
proxy_conf=
proxy_top=
proxy_skipped=0
proxy_folder=$work/front
proxy_behind_folder=$work/behind
proxy_socket=$proxy_folder/arild.sock
proxy_behind_socket=$proxy_behind_folder/s.sock
proxy_pid=
proxy_behind_pid=
proxy_python=${ARIL_PYTHON:-python3}
proxy_plain=no
[[ ${ARILD_PLAIN:-} != 1 ]] || proxy_plain=yes

proxy_skip() { # WHAT
    proxy_skipped=$((proxy_skipped + 1))
    printf 'SKIPPED: %s\n' "$1"
}

# Ends the script as skipped where something is missing.
proxy_demand() {
    local tool
    for tool in redis-server redis-cli redis-benchmark setpriv; do
        if ! command -v "$tool" >/dev/null; then
            echo "skipped: there is no $tool"
            exit 77
        fi
    done
    if [[ $proxy_plain == no && ! -x $ARIL_BUILD_DIR/arild ]]; then
        echo "skipped: this build has no arild"
        exit 77
    fi
}

proxy_free_port() {
    "$proxy_python" -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# proxy_wait_for COMMAND...: until it succeeds; not for long.
proxy_wait_for() {
    local i
    for ((i = 0; i < 6000; i++)); do
        "$@" && return 0
        read -rt 0.01 <>"$work/proxy.pipe" || true
    done
    return 1
}

proxy_says_pong() { # SOCKET PID
    kill -0 "$2" 2>/dev/null || {
        echo "ended before it was ready" >&2
        exit 1
    }
    [[ $(redis-cli -s "$1" ping 2>/dev/null) == PONG ]]
}

# All that is written down can be searched for plaintext: nothing is compressed.
proxy_behind_start() {
    mkdir -p "$proxy_behind_folder"
    printf '%s\n' "port 0" "unixsocket $proxy_behind_socket" "dir $proxy_behind_folder" \
        "databases 4" 'save ""' "appendonly yes" "appendfsync no" "rdbcompression no" \
        >"$proxy_behind_folder/redis.conf"
    setpriv --pdeathsig KILL redis-server "$proxy_behind_folder/redis.conf" \
        >>"$proxy_behind_folder/log" 2>&1 &
    proxy_behind_pid=$!
    proxy_wait_for proxy_says_pong "$proxy_behind_socket" "$proxy_behind_pid"
}

# Writes the configuration, also again after proxy_conf was changed.
proxy_prepare() {
    PROXY_ARIL=$aril PROXY_PORT=$proxy_port PROXY_UPSTREAM=redis+unix:$proxy_behind_socket \
        PROXY_TENANTS=$proxy_tenants PROXY_CONF=$proxy_conf PROXY_TOP=$proxy_top \
        bash "$ARIL_SOURCE_DIR/tests/support/proxy_prepare.sh" "$proxy_folder"
}

proxy_start() {
    local -a command=("$ARIL_BUILD_DIR/arild" --config "$proxy_folder/arild.conf")
    [[ $proxy_plain == no ]] || command=(redis-server "$proxy_folder/plain.conf")
    env -u NOTIFY_SOCKET setpriv --pdeathsig KILL "${command[@]}" >>"$proxy_folder/log" 2>&1 &
    proxy_pid=$!
    proxy_wait_for proxy_says_pong "$proxy_socket" "$proxy_pid"
}

proxy_world() {
    mkdir -p "$proxy_folder"
    mkfifo "$work/proxy.pipe"
    proxy_port=$(proxy_free_port)
    proxy_behind_start
    proxy_prepare
    proxy_start
}

# proxy_end [SIGNAL]: arild has ended; its exit status.
proxy_end() {
    local code=0
    kill -"${1:-TERM}" "$proxy_pid"
    wait "$proxy_pid" || code=$?
    proxy_pid=
    return "$code"
}

# To be called when the script ends.
proxy_finish() {
    local pid
    for pid in $proxy_pid $proxy_behind_pid; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

proxy_cli_of() { # TENANT ARGUMENTS...
    local tenant=$1
    shift
    REDISCLI_AUTH=$(<"$proxy_folder/token.$tenant") \
        redis-cli -h 127.0.0.1 -p "$proxy_port" --user "$tenant" "$@"
}
proxy_cli() {
    proxy_cli_of "$proxy_tenant" "$@"
}
proxy_behind() {
    redis-cli -s "$proxy_behind_socket" "$@"
}

# proxy_visible TEXT: whether the files of the server behind have it.
proxy_visible() {
    [[ $(proxy_behind save) == OK ]] || return 2
    grep -rqaF --include='*.rdb' --include='*.aof' -- "$1" "$proxy_behind_folder"
}

# proxy_hidden TEXT...: none is to be seen behind arild.
proxy_hidden() {
    local text marker=this-is-visible-$RANDOM$RANDOM
    proxy_behind set "$marker" "$marker" >"$out"
    check "what is there is found" proxy_visible "$marker"
    proxy_behind del "$marker" >"$out"
    if [[ $proxy_plain == yes ]]; then
        proxy_skip "a plain server hides nothing"
        return
    fi
    check "there is something behind" test "$(proxy_behind dbsize)" -gt 0
    for text in "$@"; do
        if proxy_visible "$text"; then
            note "$text is hidden" no
        else
            note "$text is hidden" yes
        fi
    done
}

# The last lines of a script.
proxy_summary() {
    if ((failed > 0)) && [[ -s $proxy_folder/log ]]; then
        tail -n 5 "$proxy_folder/log" | sed 's/^/    log: /'
    fi
    if ((proxy_skipped > 0)); then
        printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$proxy_skipped"
    else
        printf '%d passed, %d failed\n' "$passed" "$failed"
    fi
    ((failed == 0 && passed > 0))
}
