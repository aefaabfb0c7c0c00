#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A fleet of proxies: a Cluster of three, two arild in front of it whose keys come in bundles, two
# tenants, load from redis-benchmark. Keys are rotated, a proxy is revoked, a tenant is shredded, a
# server is killed, and the files of the servers are searched for anything that can be read.
#
#   make && examples/proxy-fleet.sh
#
# It makes everything in a temporary folder, with servers of its own on loopback, and touches
# nothing else. Each line says what was done and checked; the last one is "ok". ARIL and ARILD name
# other programs than those of build/release. Exit code 1: something is not as it should be.
# 3: something is missing.
set -euo pipefail
umask 077

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
aril=${ARIL:-$here/build/release/aril}
arild=${ARILD:-$(dirname "$aril")/arild}
unset ARIL_KEYRING ARIL_KEYSTORE ARIL_CACHE_STORE CREDENTIALS_DIRECTORY REDISCLI_AUTH NOTIFY_SOCKET

work=
step=0
declare -A started=() # by process id: servers and proxies that nobody has waited for
loads=()              # process ids of redis-benchmark
finish() {
    local code=$? pid
    trap - EXIT
    for pid in "${loads[@]}" "${!started[@]}"; do
        { kill -9 "$pid" && wait "$pid"; } 2>/dev/null || true
    done
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
    local log
    printf 'FAILED after step %d: %s\n' "$step" "$1" >&2
    for log in out err north/log south/log; do
        [[ ! -s $work/$log ]] || sed "s|^|  $log: |" "$work/$log" | tail -n 20 >&2
    done
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
for program in redis-server redis-cli redis-benchmark; do
    command -v "$program" >/dev/null || missing "$program" "Debian and Ubuntu: apt install redis"
done
work=$(mktemp -d)
if ((${#work} > 70)); then # a socket's path has 107 bytes at most
    rmdir "$work"
    work=$(mktemp -d /tmp/aril-XXXXXX)
fi
cd "$work"

must() { # COMMAND...
    local code=0
    "$@" >out 2>err </dev/null || code=$?
    ((code == 0)) || fail "exit code $code: $*"
}
refused() { # STATUS COMMAND...
    local code=0 status=$1
    shift
    "$@" >out 2>err </dev/null || code=$?
    ((code != 0)) || fail "$* was not refused ($status)"
    grep -qw -- "$status" err || fail "exit code $code, but not $status: $*"
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

# --- a Cluster of three

ports=() servers=()
start_server() { # NUMBER: on its port
    mkdir -p "server$1"
    # What is acknowledged is on disk, so that a killed server loses nothing.
    redis-server --dir "$work/server$1" --daemonize no --bind 127.0.0.1 --port "${ports[$1]}" \
        --save '' --rdbcompression no --appendonly yes --appendfsync always \
        --cluster-enabled yes --cluster-node-timeout 2000 --cluster-require-full-coverage no \
        --logfile "$work/server$1/log" >/dev/null 2>&1 </dev/null &
    servers[$1]=$!
    started[$!]=1
}
server() { # NUMBER COMMAND...
    redis-cli -h 127.0.0.1 -p "${ports[$1]}" "${@:2}"
}
is_answering() { [[ $(server "$1" PING 2>&1) == PONG ]]; }
start_new_server() { # NUMBER: on a port that is free, and the one of its bus 10000 above
    local try i
    for ((try = 0; try < 50; try++)); do
        ports[$1]=$((20000 + RANDOM % 20000))
        if (exec 3<>"/dev/tcp/127.0.0.1/${ports[$1]}") 2>/dev/null ||
            (exec 3<>"/dev/tcp/127.0.0.1/$((ports[$1] + 10000))") 2>/dev/null; then
            continue
        fi
        start_server "$1"
        for ((i = 0; i < 600; i++)); do
            if is_answering "$1"; then return; fi
            kill -0 "${servers[$1]}" 2>/dev/null || break # the port was taken meanwhile
            sleep 0.1
        done
        unset "started[${servers[$1]}]"
    done
    fail "no redis-server of a Cluster could be started"
}
cluster_is_up() {
    local number
    for number in 0 1 2; do
        server "$number" CLUSTER INFO | grep -q cluster_state:ok || return 1
    done
}
hosts=()
for number in 0 1 2; do
    start_new_server "$number"
    hosts+=("127.0.0.1:${ports[number]}")
done
must redis-cli --cluster create "${hosts[@]}" --cluster-yes
await "the Cluster does not come up" cluster_is_up
done_ "started a Cluster of three servers"

# --- an authority, two nodes

authority() { "$aril" keys "$@" --keyring "$work/authority.ring" --timeout 60000; }
north() { "$aril" keys "$@" --keyring "$work/north/ring" --timeout 60000; }
south() { "$aril" keys "$@" --keyring "$work/south/ring" --timeout 60000; }

# A new version of a key waits for so many seconds before it seals: time for all nodes to fetch it.
lead=15
must authority init --recovery recovery.pem --lead "$lead"
must authority create tenant:acme-orchard tenant:globex-orchard
must authority show authority --pem
mv out authority.pem
for proxy in north south; do
    mkdir "$proxy"
    must "$proxy" init --role node --node-name "$proxy" --authority authority.pem --no-recovery
    must "$proxy" node card
    mv out "$proxy/card"
    must authority node add "$proxy/card" --all-tenants
done

# A bundle is a file. Here it lies in a folder, elsewhere on a web server.
publish() { must authority bundle write "$work/bundle"; }
pull() { # PROXY
    must "$1" bundle pull "$work/bundle" --receipt "$1/receipt"
    must authority node confirm "$1/receipt"
}
publish
pull north
pull south
done_ "made an authority with two tenants, and enrolled two nodes, which took its bundle"

# --- two proxies

for tenant in acme-orchard globex-orchard; do
    must "$aril" proxy token passwords --tenant "$tenant" --name example --output "token.$tenant"
done
prepare_proxy() { # NAME
    local tenant
    cp passwords "$1/passwords"
    {
        printf '%s\n' "keyring = ring" "credentials = passwords" "databases = 1" "threads = 1" \
            "[upstream]" "server = redis+cluster://$(IFS=,; echo "${hosts[*]}")" \
            "[admin]" "address = unix:admin.sock" \
            "[listen]" "address = unix:login.sock" "auth = password"
        for tenant in acme-orchard globex-orchard; do
            printf '%s\n' "[tenant $tenant]" "[listen]" "address = unix:$tenant.sock" \
                "tenant = $tenant"
        done
    } >"$1/arild.conf"
    must "$arild" --config "$1/arild.conf" --check-config
}
declare -A proxies
start_proxy() { # NAME
    "$arild" --config "$1/arild.conf" >>"$1/log" 2>&1 </dev/null &
    proxies[$1]=$!
    started[$!]=1
    await "arild $1 does not get ready" is_ready "$1"
}
status() { # PROXY: as one JSON object, in the file "out"
    must "$aril" proxy top "$work/$1/admin.sock" --once --json
}
is_ready() { # PROXY
    "$aril" proxy top "$work/$1/admin.sock" --once --json 2>/dev/null |
        grep -q '"state": *"ready"'
}
for proxy in north south; do
    prepare_proxy "$proxy"
    start_proxy "$proxy"
done

as() { # PROXY TENANT COMMAND...: logs in with the token, which no argument and no log shows
    REDISCLI_AUTH=$(<"token.$2") redis-cli --no-auth-warning -s "$1/login.sock" "${@:3}" 2>&1
}
answers() { # TEXT PROXY TENANT COMMAND...: exactly that
    local said
    said=$(as "${@:2}" </dev/null) || true
    [[ $said == "$1" ]] || fail "${*:2}: '$said', not '$1'"
}
errs() { # PATTERN PROXY TENANT COMMAND...
    local said
    said=$(as "${@:2}" </dev/null) || true
    [[ $said =~ $1 ]] || fail "${*:2}: '$said', not '$1'"
}
answers OK north acme-orchard SET greeting "pomegranate of acme-orchard"
answers "pomegranate of acme-orchard" south acme-orchard GET greeting
answers "" south globex-orchard GET greeting
answers OK south globex-orchard SET greeting "pomegranate of globex-orchard"
answers "pomegranate of globex-orchard" north globex-orchard GET greeting
answers "pomegranate of acme-orchard" north acme-orchard GET greeting
errs WRONGPASS north acme-orchard AUTH acme-orchard wrong
done_ "started two proxies: what one wrote the other reads; tenants do not see one another"

# --- values, and load

# Fifty values a tenant, and all keys that redis-benchmark asks for, so that no read has to miss.
values=50
of_load=100
for tenant in acme-orchard globex-orchard; do
    for ((i = 0; i < values; i++)); do
        printf 'SET fruit:%d pomegranate-%d-of-%s\n' "$i" "$i" "$tenant"
    done >"put.$tenant"
    for ((i = 0; i < values; i++)); do
        printf 'GET fruit:%d\n' "$i"
    done >reads
    for ((i = 0; i < values; i++)); do
        printf 'pomegranate-%d-of-%s\n' "$i" "$tenant"
    done >"values.$tenant"
    for ((i = 0; i < of_load; i++)); do
        printf 'SET key:%012d load\n' "$i"
    done >load
done
put_all() { # PROXY TENANT
    as "$1" "$2" <"put.$2" >out
    as "$1" "$2" <load >>out
    [[ $(grep -cx OK out) == $((values + of_load)) ]] || fail "$1 did not take what $2 wrote"
}
all_there() { # PROXY TENANT
    as "$1" "$2" <reads >out
    cmp -s out "values.$2" || fail "$1 gave $2 other values"
}
everything_is_there() {
    local tenant proxy
    for tenant in acme-orchard globex-orchard; do
        for proxy in north south; do
            all_there "$proxy" "$tenant"
        done
    done
}
figure() { # PROXY TENANT NAME
    status "$1"
    sed -n "/\"tenant\": \"$2\"/,/}\$/s/^ *\"$3\": \([0-9]*\),\{0,1\}\$/\1/p" out
}
load() { # PROXY TENANT: until it is ended; an error ends it too
    redis-benchmark -s "$1/$2.sock" -c 2 -n 5000 -r "$of_load" -d 200 -t set,get -q -l \
        >"load.$1.$2" 2>&1 </dev/null &
    loads+=("$!")
}
loads_run() {
    local pid
    for pid in "${loads[@]}"; do
        kill -0 "$pid" 2>/dev/null || fail "load broke off: $(tail -q -n 1 load.*)"
    done
}
end_loads() { # which ran to this moment
    local pid
    loads_run
    for pid in "${loads[@]}"; do
        { kill "$pid" && wait "$pid"; } 2>/dev/null || true
    done
    loads=()
}
has_more_hits() { # PROXY TENANT THAN
    (($(figure "$1" "$2" hits) > $3))
}
works_on() { # PROXY...: until each had more hits of each tenant, without an error
    local proxy tenant before
    for proxy in "$@"; do
        for tenant in "${tenants[@]}"; do
            before=$(figure "$proxy" "$tenant" hits)
            await "no more hits of $tenant at $proxy" has_more_hits "$proxy" "$tenant" "$before"
        done
    done
    loads_run
}
tenants=(acme-orchard globex-orchard)
put_all north acme-orchard
put_all south globex-orchard
everything_is_there
declare -A misses
for proxy in north south; do
    for tenant in acme-orchard globex-orchard; do
        load "$proxy" "$tenant"
        misses[$proxy.$tenant]=$(figure "$proxy" "$tenant" misses)
    done
done
works_on north south
done_ "put $values values a tenant, and put load of redis-benchmark on both proxies"

# --- rotations

no_more_misses() { # TEXT PROXY...
    local proxy tenant now name
    for proxy in "${@:2}"; do
        for tenant in acme-orchard globex-orchard; do
            for name in key_gone tampered; do
                now=$(figure "$proxy" "$tenant" "$name")
                ((now == 0)) || fail "$1: $now $name of $tenant at $proxy"
            done
            now=$(figure "$proxy" "$tenant" misses)
            ((now == ${misses[$proxy.$tenant]})) ||
                fail "$1: $((now - ${misses[$proxy.$tenant]})) misses of $tenant at $proxy"
        done
    done
}
seals_with_new_key() { # PROXY TENANT: the key that it seals with is not the one of before
    [[ $(figure "$1" "$2" created) != "${created[$1.$2]}" ]]
}
declare -A created
for proxy in north south; do
    for tenant in acme-orchard globex-orchard; do
        created[$proxy.$tenant]=$(figure "$proxy" "$tenant" created)
    done
done
must authority rotate data:acme-orchard data:globex-orchard
publish
pull north
works_on north south # which has not heard of it
pull south
must authority list --purpose data --state pending --json
grep -q '"pending"' out || fail "both nodes took more than $lead seconds to fetch a bundle"
for proxy in north south; do
    for tenant in acme-orchard globex-orchard; do
        await "$proxy does not seal with the new key of $tenant" \
            seals_with_new_key "$proxy" "$tenant"
    done
done
works_on north south
everything_is_there
no_more_misses "after a rotation" north south
done_ "rotated both data keys under load: both proxies seal with the new ones, and no read missed"

# --- a revoked proxy

for tenant in acme-orchard globex-orchard; do
    created[north.$tenant]=$(figure north "$tenant" created)
done
must authority node revoke south --yes --keep-names
publish
pull north
refused ARIL_E_TRUST_REVOKED south bundle pull bundle
for tenant in acme-orchard globex-orchard; do
    await "north does not seal with the new key of $tenant" seals_with_new_key north "$tenant"
done
works_on north
no_more_misses "after the revocation" north
end_loads
answers OK north acme-orchard SET fruit:after "after the revocation"
answers "after the revocation" north acme-orchard GET fruit:after
answers "" south acme-orchard GET fruit:after
done_ "revoked south under load: no read missed; what north writes now south cannot read"

stop_proxy() { # NAME
    kill -TERM "${proxies[$1]}"
    wait "${proxies[$1]}" 2>/dev/null || fail "arild $1 ended with exit code $?"
    unset "started[${proxies[$1]}]"
}
stop_proxy south

# --- a shredded tenant

load north acme-orchard
must authority shred globex-orchard --destroy-old-root --yes
publish
pull north
has_no_keys() { [[ $(as north globex-orchard GET fruit:0) == "ERR aril: no keys"* ]]; }
await "north still has keys of globex-orchard" has_no_keys
errs "^ERR aril: no keys" north globex-orchard SET fruit:0 new
all_there north acme-orchard
must authority shred --status --json
grep -q '"nodes_open": 0' out || fail "a node still has keys of globex-orchard"
tenants=(acme-orchard)
works_on north
end_loads
done_ "shredded one tenant: its commands are errors, no node has its keys, and the other goes on"

# --- a server that is killed

disown "${servers[1]}" # the shell has nothing to say of its end
kill -9 "${servers[1]}"
while kill -0 "${servers[1]}" 2>/dev/null; do sleep 0.1; done
unset "started[${servers[1]}]"
each_is_right_or_an_error() { # nothing else, and some of both
    local i said right=0 errors=0
    as north acme-orchard <reads >out
    for ((i = 0; i < values; i++)); do
        read -r said || fail "fewer answers than commands"
        case $said in
            "pomegranate-$i-of-acme-orchard") right=$((right + 1)) ;;
            "ERR aril:"* | CLUSTERDOWN*) errors=$((errors + 1)) ;;
            *) fail "fruit:$i: '$said' with a server killed" ;;
        esac
        # An error has an empty line behind it.
        [[ $said == pomegranate-* ]] || read -r said
    done <out
    ((right > 0 && errors > 0))
}
await "no right answer, or no error, with a server killed" each_is_right_or_an_error
start_server 1
await "the server does not come back" is_answering 1
await "the Cluster does not come up again" cluster_is_up
comes_back() { as north acme-orchard <reads | cmp -s - values.acme-orchard; }
await "not every value is back" comes_back
answers "after the revocation" north acme-orchard GET fruit:after
done_ "killed a server: its keys were errors, the others went on; it came back, and nothing is lost"

# --- what a reader of the servers sees

for number in 0 1 2; do
    server "$number" SAVE >/dev/null
done
stop_proxy north
cat server?/dump.rdb server?/appendonlydir/* >dump
grep -qa 'a1:' dump || fail "the servers hold no sealed name"
# Long words, or with a colon: short ones would come about by chance, in base64 above all.
for word in pomegranate greeting fruit: revocation acme-orchard globex-orchard key:0000; do
    ! grep -qaiF -- "$word" dump || fail "the servers hold the word $word"
    hex=$(printf %s "$word" | od -An -v -tx1 | tr -d ' \n')
    ! grep -qaiF -- "$hex" dump || fail "the servers hold the word $word in hexadecimal digits"
done
token=$(<token.acme-orchard)
for log in north/log south/log server?/log; do
    for word in pomegranate greeting fruit: "${token:6:20}"; do
        ! grep -qF -- "$word" "$log" || fail "$log holds the word $word"
    done
done
done_ "searched snapshots, append-only files and logs: no value, no key, no tenant, no token"
echo ok
