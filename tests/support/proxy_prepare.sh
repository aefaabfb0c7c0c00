#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What arild needs before it starts, in the folder FOLDER: a keyring, a password file, a token for
# each tenant in token.TENANT, and arild.conf. Nothing else writes a configuration of tests, in
# whatever language they are.
#
#   proxy_prepare.sh FOLDER
#
# PROXY_ARIL      the command aril
# PROXY_UPSTREAM  URI of the server behind, "redis+unix:/path/s.sock"
# PROXY_PORT      of 127.0.0.1, where clients say who they are
# PROXY_TENANTS   their names; the first is that of every client of FOLDER/arild.sock
# PROXY_CONF      lines at the end of arild.conf: sections of policies and limits
# PROXY_TOP       lines before its first section
# PROXY_PLAIN_CONF  lines of plain.conf
# ARILD_PLAIN=1   a plain redis-server stands in for arild: plain.conf and the tokens alone
#
# Called again it writes the configuration anew and leaves the rest as it is.
set -euo pipefail
umask 077

folder=$1
read -ra tenants <<<"${PROXY_TENANTS:-acme-orchard zeta-orchard}"

prepare_plain() {
    local tenant token
    {
        printf '%s\n' "bind 127.0.0.1" "port $PROXY_PORT" "unixsocket $folder/arild.sock" \
            "unixsocketperm 700" "dir $folder" 'save ""' "appendonly no" "databases 4" \
            "daemonize no" "supervised systemd" "user default on nopass ~* &* +@all"
        printf '%s' "${PROXY_PLAIN_CONF:-}"
        for tenant in "${tenants[@]}"; do
            if [[ ! -s $folder/token.$tenant ]]; then
                token=$(head -c 32 /dev/urandom | base64 -w 0 | tr '+/' '-_')
                printf 'arilt_%s' "${token%=}" >"$folder/token.$tenant"
            fi
            printf 'user %s on >%s ~* &* +@all\n' "$tenant" "$(<"$folder/token.$tenant")"
        done
    } >"$folder/plain.conf"
}

prepare_keyring() {
    local tenant
    if [[ ! -e $folder/ring ]]; then
        "$PROXY_ARIL" keys init --keyring "$folder/ring" --recovery "$folder/recovery.pem" \
            </dev/null >/dev/null
    fi
    for tenant in "${tenants[@]}"; do
        if [[ ! -s $folder/token.$tenant ]]; then
            "$PROXY_ARIL" keys create "tenant:$tenant" --keyring "$folder/ring" \
                </dev/null >/dev/null
            "$PROXY_ARIL" proxy token "$folder/passwords" --tenant "$tenant" --name test \
                --output "$folder/token.$tenant" </dev/null >/dev/null
        fi
    done
}

prepare_conf() {
    local tenant databases=4
    [[ $PROXY_UPSTREAM != redis+cluster:* ]] || databases=1 # as a Cluster has it
    {
        printf '%s\n' "keyring = $folder/ring" "credentials = $folder/passwords" \
            "databases = $databases"
        [[ -z ${PROXY_TOP:-} ]] || printf '%s\n' "$PROXY_TOP"
        printf '\n%s\n' "[upstream]" "server = $PROXY_UPSTREAM"
        printf '\n%s\n' "[listen]" "address = unix:$folder/arild.sock" "tenant = ${tenants[0]}"
        printf '\n%s\n' "[listen]" "address = 127.0.0.1:$PROXY_PORT" "auth = password"
        for tenant in "${tenants[@]}"; do
            printf '\n[tenant %s]\n' "$tenant"
        done
        [[ -z ${PROXY_CONF:-} ]] || printf '\n%s\n' "$PROXY_CONF"
    } >"$folder/arild.conf"
}

if [[ ${ARILD_PLAIN:-} == 1 ]]; then
    prepare_plain
else
    prepare_keyring
    prepare_conf
fi
