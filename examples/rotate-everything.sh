#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The life of a keyring in one run: a TPM, three tenants, a thousand data keys, rotations that are
# killed, two nodes, a revoked node, a shredded tenant, an older copy, a recovery.
#
#   make && examples/rotate-everything.sh
#
# It makes everything in a temporary folder with software TPMs of its own and touches nothing else.
# Each line says what was done and checked; the last one is "ok". ARIL names another command than
# build/release/aril. Exit code 1: something is not as it should be. 3: something is missing.
set -euo pipefail
umask 077

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
aril=${ARIL:-$here/build/release/aril}
unset ARIL_KEYRING ARIL_KEYSTORE CREDENTIALS_DIRECTORY

work=
step=0
tpm_pids=()
job=
finish() {
    local code=$? pid
    trap - EXIT
    for pid in ${job:+"$job"} "${tpm_pids[@]}"; do
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
    printf 'FAILED after step %d: %s\n' "$step" "$1" >&2
    [[ ! -s $work/out ]] || sed 's/^/  stdout: /' "$work/out" | head -n 20 >&2
    [[ ! -s $work/err ]] || sed 's/^/  stderr: /' "$work/err" | head -n 20 >&2
    exit 1
}
done_() { # TEXT: what was done and checked
    step=$((step + 1))
    printf '%2d  %s\n' "$step" "$1"
}

# --- what it needs

[[ -x $aril ]] || missing "$aril" "run 'make' in $here, or let ARIL name the command"
command -v swtpm >/dev/null || missing swtpm "Debian and Ubuntu: apt install swtpm"
work=$(mktemp -d)
if ((${#work} > 70)); then # a socket's path has 107 bytes at most
    rmdir "$work"
    work=$(mktemp -d /tmp/aril-XXXXXX)
fi
cd "$work"

start_tpm() { # NAME
    local i
    rm -f "$1.sock" "$1.sock.ctrl"
    mkdir -p "$1"
    swtpm socket --tpm2 --tpmstate "dir=$1" --server "type=unixio,path=$work/$1.sock" \
        --ctrl "type=unixio,path=$work/$1.sock.ctrl" --flags not-need-init,startup-clear \
        >"$1.log" 2>&1 </dev/null &
    tpm_pids+=("$!")
    for ((i = 0; i < 400; i++)); do
        if [[ -S $1.sock && -S $1.sock.ctrl ]]; then return; fi
        sleep 0.05
    done
    fail "swtpm $1 does not answer: $(tail -n 1 "$1.log")"
}

# As when the host is started again. A process that is killed leaves what it had in a TPM that no
# resource manager (/dev/tpmrm0) tidies up.
restart_tpm() { # NAME
    { kill "${tpm_pids[0]}" && wait "${tpm_pids[0]}"; } 2>/dev/null || true
    tpm_pids=()
    start_tpm "$1"
}

# --- commands and what they have to answer

# The keyring of the authority under its TPM; then the same for other keyrings.
ring=$work/authority.ring
tpm=tpm2:swtpm:path=$work/tpm.sock
patience=120000 # ms, for machines that have much else to do
authority() { "$aril" keys "$@" --keyring "$ring" --keystore "$tpm" --timeout "$patience"; }
new_tpm=tpm2:swtpm:path=$work/new.sock
recovered() {
    "$aril" keys "$@" --keyring "$work/recovered" --keystore "$new_tpm" --timeout "$patience"
}
alpha() { "$aril" keys "$@" --keyring "$work/alpha.ring"; } # sealed by alpha.ring.key
beta() { "$aril" keys "$@" --keyring "$work/beta.ring"; }

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
    [[ ! -s out ]] || fail "something came out of what was refused: $*"
}
# A number, truth value or text of the JSON that was printed last.
field() { # NAME
    sed -n "s/^.*\"$1\": *\"\\{0,1\\}\\([^\",}]*\\)\"\\{0,1\\}.*\$/\\1/p" out | head -n 1
}
expect() { # NAME VALUE: of the JSON that was printed last
    [[ $(field "$1") == "$2" ]] || fail "$1 is $(field "$1"), not $2"
}
version_of() { # SELECTOR: of the authority
    must authority show "$1" --json
    field version
}

# Values: value.TENANT.NUMBER is sealed into box.TENANT.NUMBER.
seal() { # WHO TENANT NUMBER
    printf 'value %s of %s\n' "$3" "$2" >"value.$2.$3"
    must "$1" seal --tenant "$2" --context "example $3" --out "box.$2.$3" "value.$2.$3"
}
opens() { # WHO TENANT NUMBER
    must "$1" open --tenant "$2" --context "example $3" "box.$2.$3"
    cmp -s out "value.$2.$3" || fail "box $3 of $2 gave another value to $1"
}
keeps_closed() { # STATUS WHO TENANT NUMBER [AS]: AS opens it instead of its tenant
    refused "$1" "$2" open --tenant "${5:-$3}" --context "example $4" "box.$3.$4"
}
everything_opens() { # WHO: what was sealed so far
    local tenant box
    for tenant in acme globex initech; do
        for box in box."$tenant".*; do
            opens "$1" "$tenant" "${box##*.}"
        done
    done
}

# --- a keyring on a TPM

start_tpm tpm
code=0
authority init --recovery recovery.pem >out 2>err </dev/null || code=$?
if ((code == 3)); then
    missing "the TPM library of aril" "$(tail -n 1 err); 'aril doctor' says what is there"
fi
((code == 0)) || fail "exit code $code: aril keys init"
must authority status --json
expect rollback_detected true
expect protection tpm
done_ "made a keyring that a TPM seals, with a recovery key; its counter notices older copies"

must authority create tenant:acme tenant:globex tenant:initech
seq -f 'cache-%g' 1 800 >labels.acme
seq -f 'cache-%g' 1 100 >labels.globex
seq -f 'cache-%g' 1 97 >labels.initech
for tenant in acme globex initech; do
    must authority create "data:$tenant" --labels-from "labels.$tenant"
done
must authority status --json
expect data 1000
expect tenant 3
done_ "3 tenants with 1,000 data keys"

for tenant in acme globex initech; do
    seal authority "$tenant" 1
    must authority rotate "data:$tenant"
    seal authority "$tenant" 2
    must authority list --tenant "$tenant" --purpose data --state decrypt-only --json
    expect version 1
done
everything_opens authority
keeps_closed ARIL_E_ISOLATION authority acme 1 globex
refused ARIL_E_AUTH authority open --tenant acme --context other box.acme.1
done_ "sealed values under two versions of each tenant's key; all open, none for another tenant"

# --- rotations

for tenant in acme globex initech; do
    must authority rotate "tenant:$tenant"
    expect_version=$(version_of "tenant:$tenant")
    [[ $expect_version == 2 ]] || fail "tenant:$tenant has version $expect_version"
done
must authority rotate root
[[ $(version_of root) == 2 ]] || fail "root has version $(version_of root)"
must authority verify
everything_opens authority
done_ "rotated every tenant and the root; no value changed, and every value opens"

# Starts a rotation and kills it at the CHANGES-th time that it has written to the file.
kill_rotation() { # SELECTOR CHANGES; answers whether it was killed before its end
    local code=0 i
    touch -r "$ring" mark
    "$aril" keys rotate "$1" --keyring "$ring" --keystore "$tpm" --timeout "$patience" \
        >out 2>err </dev/null &
    job=$!
    for ((i = 0; i < $2; i++)); do
        until [[ $ring -nt mark ]]; do
            kill -0 "$job" 2>/dev/null || break
        done
        touch -r "$ring" mark
    done
    kill -9 "$job" 2>/dev/null || true
    { wait "$job" || code=$?; } 2>/dev/null
    job=
    ((code == 0 || code == 137)) || fail "exit code $code: aril keys rotate $1"
    ((code == 137))
}

kills=0
pending=0
for ((try = 0; kills < 3 && try < 20; try++)); do
    case $kills in
        0) victim=tenant:acme changes=1 ;; # its new key is made, and no key wrapped anew
        1) victim=tenant:acme changes=2 ;; # some hundred new wraps are staged
        *) victim=root changes=1 ;;        # the TPM has not sealed the new root
    esac
    old=$(version_of "$victim")
    kill_rotation "$victim" "$changes" || continue
    kills=$((kills + 1))
    restart_tpm tpm
    must authority status --json
    state=$(field rotation_pending)
    [[ $state == true || $state == false ]] || fail "rotation_pending is $state"
    [[ $state == false ]] || pending=$((pending + 1))
    everything_opens authority
    must authority verify
    must authority rotate "$victim"
    new=$(version_of "$victim")
    ((new == old + 1 || new == old + 2)) || fail "$victim went from version $old to $new"
    must authority status --json
    expect rotation_pending false
    expect ok true
    must authority verify
done
everything_opens authority
((kills == 3)) || fail "rotations end too quickly here: only $kills of 3 could be killed"
done_ "killed 3 rotations (kill -9), $pending half way; values opened, and the next one ended them"

# --- a fleet of two nodes

must authority show authority --pem
mv out authority.pem
for node in alpha beta; do
    must "$node" init --role node --node-name "$node" --authority authority.pem --no-recovery
    must "$node" node card
    mv out "$node.card"
    must authority node add "$node.card" --all-tenants
done
pull() { # NODE
    must "$1" bundle pull bundle --receipt receipt
    must authority node confirm receipt
}
must authority bundle write bundle
pull alpha
pull beta
everything_opens alpha
everything_opens beta
refused ARIL_E_USAGE_STATE alpha create tenant:other
done_ "enrolled two nodes; both took the bundle and open every value"

cp bundle bundle.before
must authority node revoke beta --yes
for tenant in acme globex initech; do
    seal authority "$tenant" 3
done
must authority bundle write bundle
pull alpha
refused ARIL_E_TRUST_REVOKED beta bundle pull bundle
everything_opens alpha
for tenant in acme globex initech; do
    keeps_closed ARIL_E_KEY_UNKNOWN beta "$tenant" 3
done
refused ARIL_E_TRUST_REVOKED authority node add beta.card --all-tenants
refused ARIL_E_REPLAY_ROLLBACK alpha bundle pull bundle.before
done_ "revoked one node: it opens nothing new, the other one opens everything"

# --- a retired version, a shredded tenant

must authority retire data:globex@1
keeps_closed ARIL_E_KEY_RETIRED authority globex 1
opens authority globex 2
done_ "retired one version of a key: its values are refused, the others open"

must authority shred initech --destroy-old-root --yes --json
expect root_open false
expect nodes_open 1
expect "done" false
for number in 1 2 3; do
    keeps_closed ARIL_E_KEY_DESTROYED authority initech "$number"
    opens alpha initech "$number" # has not heard of it
done
refused ARIL_E_KEY_DESTROYED authority create tenant:initech
must authority bundle write bundle
pull alpha
for number in 1 2 3; do
    keeps_closed ARIL_E_KEY_DESTROYED alpha initech "$number"
    opens alpha acme "$number"
done
must authority shred --status --json
expect nodes_open 0
expect "done" true
done_ "shredded a tenant: nothing of it opens, and the node's receipt says so too"

# --- an older copy, a backup, a recovery

cp "$ring" older
must authority rotate data:acme
seal authority acme 4
mv "$ring" newest
cp older "$ring"
refused ARIL_E_REPLAY_ROLLBACK authority status
keeps_closed ARIL_E_REPLAY_ROLLBACK authority acme 1
mv newest "$ring"
for number in 1 2 3 4; do
    opens authority acme "$number"
done
done_ "put an older copy of the keyring in place: the TPM's counter refused it"

must authority backup backup
must authority rotate data:acme
seal authority acme 5
start_tpm new
cp backup recovered
refused 'ARIL_E_\(NOT_FOUND\|KEYSTORE[A-Z_]*\)' recovered status
must recovered recover --recovery recovery.pem --yes
must recovered rotate root
must recovered verify
must recovered verify --recovery recovery.pem
for number in 1 2 3 4; do
    opens recovered acme "$number"
done
opens recovered globex 2
opens recovered globex 3
keeps_closed ARIL_E_KEY_UNKNOWN recovered acme 5
keeps_closed ARIL_E_KEY_RETIRED recovered globex 1
keeps_closed ARIL_E_KEY_DESTROYED recovered initech 1
keeps_closed ARIL_E_ISOLATION recovered acme 1 globex
opens authority acme 5
done_ "recovered a backup onto another TPM: what it holds opens, everything else is refused by name"

must authority verify
must alpha verify
must authority status --json
expect ok true
expect overdue 0
done_ "verified every key of the authority and the node"
echo ok
