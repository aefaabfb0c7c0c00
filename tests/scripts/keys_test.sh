#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The commands "aril keys ...": help, options, exit codes, messages, JSON, what they change.
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
page=$ARIL_SOURCE_DIR/man/aril-keys.1
scripts=$ARIL_SOURCE_DIR/tests/scripts
python=${ARIL_PYTHON:-python3}
pids=()
work=$(mktemp -d)
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

aril_family=keys
# shellcheck source=tests/support/command_checks.sh
. "$ARIL_SOURCE_DIR/tests/support/command_checks.sh"

is_silent() { # TEXT FILE
    check "$1" test ! -s "$2"
}
parses() { # TEXT EXPRESSION: standard output is JSON, and the expression over d is true
    check "$1" "$python" -c "import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not ($2))" "$out"
}
value() { # EXPRESSION over the JSON of the last run
    "$python" -c "import json, sys
d = json.load(open(sys.argv[1]))
print($1)" "$out"
}
wait_for() { # COMMAND...: until it succeeds, thirty seconds at most
    local i
    for ((i = 0; i < 600; i++)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.05
    done
    return 1
}

# Every option of the help that was printed is in the manual.
knows_options() {
    local option
    while read -r option; do
        [[ $option == --help ]] && continue
        check "$option is in aril-keys(1)" grep -qF -- "${option//-/\\-}" "$page"
    done < <(grep -oE '^  --[a-z-]+' "$out" | tr -d ' ')
}

# --- help

run 0 "aril keys --help" --help
prints "the overview lists rotate" '^  rotate '
is_silent "help goes to standard output" "$err"
run 2 "aril keys without a command"
complains "it shows the overview" '^  rotate '
commands=$("$aril" keys --help | sed -n 's/^  \([a-z][a-z-]*\)  *[a-z].*/\1/p')
families="node:card,add,list,revoke,receipt,confirm bundle:write,pull,show
 backup:list,destroyed recovery-key:new import:cachekit,lmcache"
for name in $commands; do
    run 0 "aril keys $name --help" "$name" --help
    prints "it says how to use keys $name" "^Usage: aril keys $name"
    check "aril-keys(1) knows $name" grep -qE "^\.(B|TP|BR|RB)? ?.*${name//-/\\\\-}" "$page"
done
for family in $families; do
    for name in $(tr , ' ' <<<"${family#*:}"); do
        run 0 "aril keys ${family%%:*} $name --help" "${family%%:*}" "$name" --help
        prints "it says how to use it" "^Usage: aril keys ${family%%:*} $name"
        knows_options
    done
done
for name in init status list show create rotate retire shred recover verify seal open; do
    run 0 "help of $name" "$name" --help
    knows_options
done

# --- mistakes in the command line

run 2 "an unknown command" rotat
complains "it is named, with the nearest one" 'unknown command: rotat; did you mean rotate\?'
run 2 "an option before the command" --keyring x status
complains "its place is named" 'options stand after the command'
run 2 "an unknown option" status --kering x
complains "the nearest one may be a shared one" 'did you mean --keyring\?'
run 2 "a selector that is none" show tenant
complains "the selectors are listed" 'tenant:NAME'
run 2 "a selector of an unknown kind" create user:x
run 2 "a selector without a name" show tenant:
run 2 "a label that is too long" show "data:a/$(printf 'x%.0s' {1..64})"
run 2 "a name that is too long" show "tenant:$(printf 'x%.0s' {1..256})"
run 2 "a root that is made" create root
run 2 "a key id that is made" create 0123456789abcdef
run 2 "retire without a version" retire data:acme
complains "the way to write it is named" 'data:acme@3'
run 2 "retire of version 0" retire data:acme@0
run 2 "rotate without a key" rotate
run 2 "rotate of keys and of what is due" rotate root --due
run 2 "shred without a tenant" shred
run 2 "shred with a tenant and --status" shred acme --status
run 2 "list of an unknown state" list --state dead
complains "the states are listed" 'decrypt-only'
run 2 "list of an unknown purpose" list --purpose kek
run 2 "list of roots of a tenant" list --tenant a --purpose root
run 2 "a node for nobody" node add card
complains "the choice is named" '--all-tenants'
run 2 "a node for all and one" node add card --tenant a --all-tenants
run 2 "labels for a tenant key" create tenant:a --labels-from x
run 2 "labels for two" create data:a data:b --labels-from x
run 2 "a backup called list by mistake" backup --timeout 5 list
complains "the way out is named" '\./list'
run 2 "a backup id that is none" backup destroyed xyz
run 2 "recover without a key" recover
run 2 "recovery-key without a file" recovery-key new --secret x
run 2 "import without a tenant" import cachekit --env
run 2 "import from two places" import cachekit --tenant a --env --key-file x
run 2 "import from nowhere" import cachekit --tenant a
run 2 "import of LMCache's key without a tenant" import lmcache --key-file x
run 2 "import of LMCache's key from nowhere" import lmcache --tenant a
run 2 "seal without a tenant" seal
run 2 "a timeout of 0" status --timeout 0
run 2 "a pull by another protocol" bundle pull ftp://127.0.0.1/x
complains "the protocols are listed" 'ftp: not one of file, http, https'
run 2 "a pull with a password in the URL" bundle pull http://user:hunter2@127.0.0.1/x
check "the password is not shown" bash -c "! grep -q hunter2 '$err'"
run 2 "a watch of standard input" bundle pull - --watch 1
run 2 "a watch without a pause" bundle pull x --watch 0
run 2 "a watch with too long a pause" bundle pull x --watch 3601

# --- init

run 2 "init without a way of recovery" init --keyring k
complains "the three ways are listed" '--recovery-recipient FILE'
run 2 "init with two ways" init --keyring k --no-recovery --recovery r
run 2 "init with an unknown role" init --keyring k --no-recovery --role boss
run 2 "init with an unknown profile" init --keyring k --no-recovery --profile rsa
run 2 "init with a looser policy" init --keyring k --no-recovery --data-days 91
run 2 "init of a node without its authority" init --keyring k --no-recovery --role node \
    --node-name n
run 2 "init of an authority with a node's name" init --keyring k --no-recovery --node-name n
run 2 "init that prints two things" init --keyring k --recovery - --json
check "nothing was made" bash -c '! compgen -G "k*" >/dev/null'

run 34 "status of a keyring that is not there" status --keyring k
complains "the status is named" 'ARIL_E_NOT_FOUND'
run 0 "init" init --keyring k --recovery r.pem --data-days 60 --bundle-days 3
prints "it says what was made" '^made k \(authority, hybrid\), sealed by file:k\.key$'
is_silent "nothing on standard error" "$err"
check "the keyring is private" test "$(stat -c %a k)" == 600
check "the key file is private" test "$(stat -c %a k.key)" == 600
check "the recovery key is private" test "$(stat -c %a r.pem)" == 600
cp k.key key.before
run 35 "init over a keyring" init --keyring k --recovery other.pem
complains "the status is named" 'k: .*ARIL_E_EXISTS'
check "the key file is as it was" cmp -s k.key key.before
check "no recovery key was made" test ! -e other.pem
run 35 "init over a recovery key" init --keyring k2 --recovery r.pem
check "no keyring was made" test ! -e k2

code=0
"$aril" keys init --keyring printed --recovery - >printed.pem 2>"$err" </dev/null || code=$?
check "init that prints the recovery key" test "$code" == 0
check "it is PEM and nothing else" test "$(grep -c -- ----- printed.pem)" == 2 -a \
    "$(head -n 1 printed.pem | cut -c 1-5)" == -----
complains "everything else is on standard error" '^made printed '
check "no copy is left behind" bash -c '! compgen -G "/dev/shm/aril-??????" >/dev/null'
chmod 600 printed.pem
run 0 "the printed key opens the keyring" verify --keyring printed --recovery printed.pem
if [[ -w /dev/full ]]; then
    code=0
    "$aril" keys init --keyring full --recovery - >/dev/full 2>"$err" </dev/null || code=$?
    check "a recovery key that cannot be printed is a failure" test "$code" == 21
    complains "it says where it is" 'its recovery key is in /'
    left=$(grep -oE '/[^ ]*/recovery\.pem' "$err" | head -n 1)
    run 0 "it opens the keyring" verify --keyring full --recovery "$left"
    rm -rf "${left%/*}"
fi

run 0 "a recovery key of its own" recovery-key new --secret offline.pem --recipient offline.pub
run 0 "init with its recipient" init --keyring k3 --recovery-recipient offline.pub --json
parses "it is JSON" 'd["role"] == "authority" and d["recovery"] == "offline.pub"'
run 0 "the recovery key opens it" verify --keyring k3 --recovery offline.pem
run 20 "another one does not" verify --keyring k3 --recovery r.pem
run 0 "init without recovery" init --keyring k4 --no-recovery --profile strict
prints "it warns" 'every key is lost'
run 34 "nothing to verify" verify --keyring k4 --recovery r.pem

# The place of a user's keyring; that of root is outside of this folder.
mkdir -m 700 user
as_user=()
if [[ $(id -u) == 0 ]] && command -v setpriv >/dev/null; then
    chmod 711 .
    chown 65534:65534 user
    as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
fi
export XDG_DATA_HOME=$work/user/data
if [[ $(id -u) != 0 ]] || "${as_user[@]}" test -x "$aril" 2>/dev/null; then
    code=0
    "${as_user[@]}" "$aril" keys init --no-recovery >"$out" 2>"$err" </dev/null || code=$?
    check "init at the place of a user's keyring" test "$code" == 0
    check "it is there, with its key file" test -e user/data/aril/keyring.key
    check "its folder is private" test "$(stat -c %a user/data/aril)" == 700
    code=0
    "${as_user[@]}" "$aril" keys status >"$out" 2>"$err" </dev/null || code=$?
    check "status finds it" test "$code" == 0
else
    echo "as root without setpriv: the place of a user's keyring is not tested"
fi

export ARIL_KEYRING=$work/k
run 0 "the environment names the keyring" status
ARIL_KEYSTORE=file:$work/k3.key run 37 "another keystore" status
complains "the keystore is named" 'k3\.key: '
ARIL_KEYSTORE=nothing:x run 2 "a keystore of no kind" status
complains "the kinds are listed" 'file:, passphrase:'
run 34 "credential without systemd" status --keystore credential:ring
complains "the variable is named" 'CREDENTIALS_DIRECTORY'
mkdir credentials
cp k.key credentials/ring
chmod 400 credentials/ring
CREDENTIALS_DIRECTORY=$work/credentials run 0 "credential by name" status --keystore credential:ring
prints "the keystore says what it is" 'credential, protection software'
run 0 "credential by path" status --keystore "credential:$work/credentials/ring"

# --- create, list, show, status

run 0 "create" create tenant:acme tenant:globex model:llama@3 api:gateway
prints "each is named" '^created api:gateway$'
run 35 "create again" create tenant:umbrella tenant:acme
complains "the status is named" 'ARIL_E_EXISTS'
run 34 "it was all or nothing" show tenant:umbrella
run 34 "a data key of nobody" create data:nobody/x
seq -f 'label-%04g' 1 400 >labels
run 0 "create from a file" create data:acme --labels-from labels --json
parses "every label is there" 'len(d["created"]) == 400 and "data:acme/label-0400" in d["created"]'
printf 'a\nb\x01\n' >labels.bad
run 2 "a label with a control character" create data:acme --labels-from labels.bad
complains "the line is named" 'labels\.bad: line 2'
printf '\n\n' >labels.none
run 2 "a file without labels" create data:acme --labels-from labels.none
code=0
printf 'from-pipe' | "$aril" keys create data:acme --labels-from - >"$out" 2>"$err" || code=$?
check "a label from standard input" test "$code" == 0

run 0 "list" list
prints "a header" '^ID +KEY +VERSION +STATE +AGE +ROTATE$'
prints "a key" '^[0-9a-f]{16}  tenant:acme +1 +active +0 d +in (364|365) d$'
prints "name keys are rotated by hand" ' name:acme +1 +active +0 d +never$'
run 0 "list --json" list --json
parses "every key is there" 'len(d) > 400 and all(len(k["id"]) == 64 for k in d)'
parses "the tree is sound" 'all(k["purpose"] == "root" or k["parent"] in {p["id"] for p in d}
 for k in d)'
parses "policies are kept" 'all(k["rotate_by_s"] - k["created_s"] == 60 * 86400
 for k in d if k["purpose"] == "data")'
run 0 "list of a tenant" list --tenant globex --json
parses "its keys alone" '{k["owner"] for k in d} == {"globex"} and
 sorted(k["purpose"] for k in d) == ["data", "name", "tenant"]'
run 0 "list of purposes and states" list --purpose api --purpose root --state active --json
parses "those alone" 'sorted(k["selector"] for k in d) == ["api:gateway", "root"]'
run 0 "list of nothing" list --tenant nobody --json
parses "an empty array" 'd == []'

run 0 "show" show data:acme/label-0007
prints "its name" '^key +data:acme/label-0007$'
prints "its period" '^due +not-due, rotate in (59|60) d$'
run 0 "show --json" show data:globex --json
id=$(value 'd["id"]')
run 0 "show by id" show "$id"
prints "the same key" "^key +data:globex$"
run 0 "show by a prefix" show "${id:0:12}"
prints "the same key" "$id"
run 34 "show of an id that is not there" show 00000000000000000000
run 34 "show of a tenant that is not there" show tenant:nobody
run 0 "show --pem" show authority --pem
prints "a public key" 'BEGIN PUBLIC KEY'
cp "$out" authority.pem
code=0
"$aril" identity show authority.pem >"$out" 2>"$err" || code=$?
check "others can read it" test "$code" == 0
run 2 "show --pem of a tenant" show tenant:acme --pem
run 0 "an id in the name of a tenant" create tenant:a/b
run 0 "a slash at the end means no label" show data:a/b/
prints "it is named so" '^key +data:a/b/$'
run 0 "a tenant with bytes that are no text" create "tenant:"$'\xff\x1b[31m'
run 0 "list with it" list
prints "they are escaped" 'tenant:\\xff\\x1b\[31m '
check "no escape sequence in the output" bash -c "! grep -q $'\033' '$out'"
run 0 "list --json with it" list --json
parses "it is JSON" 'any(k["owner"].startswith("\\xff") for k in d)'

run 0 "status" status
prints "the tree has a root" '^root +v1 '
prints "data keys are below their tenant" '^    data +v1 '
prints "many labels collapse" '^    \.\.\. 39[0-9] more \(--all\)$'
prints "rollback is not noticed by a key file" 'rollback +not detected'
prints "there is a recovery key" 'recovery +there is'
check "no colours in a file" bash -c "! grep -q $'\033' '$out'"
run 0 "status --all" status --all
prints "all labels are there" '^    data/label-0400 '
run 0 "status --json" status --json
parses "it says that all is well" 'd["ok"] and not d["locked"] and d["overdue"] == 0'
parses "counts" 'd["counts"]["tenant"] == 4 and d["counts"]["data"] == 405'
parses "the policy" 'd["policy"]["data_days"] == 60 and d["policy"]["tenant_days"] == 365'
parses "the keystore" 'd["keystore"]["backend"] == "file" and
 d["keystore"]["protection"] == "software"'
parses "the tree" 'd["tree"]["purpose"] == "root" and
 {k["selector"] for k in d["tree"]["keys"]} >= {"tenant:acme", "api:gateway", "authority"}'
parses "its leaves" 'sum(len(k.get("keys", [])) for k in d["tree"]["keys"]) == 409'
run 0 "status --check" status --check

# --- rotate, retire

run 0 "rotate data keys" rotate data:globex data:acme/label-0001
prints "the new version is named" '^rotated data:globex: now version 2$'
is_silent "no progress without a terminal" "$err"
run 0 "rotate of what is due" rotate --due
prints "nothing is" '^nothing is due$'
run 0 "both versions are there" list --tenant globex --purpose data --json
parses "the old one opens alone" '[k["state"] for k in d] == ["decrypt-only", "active"] and
 d[1]["predecessor"] == d[0]["id"]'
run 0 "rotate a tenant" rotate tenant:acme --json
parses "it is JSON" 'd["rotated"][0]["version"] == 2 and d["rotated"][0]["children"] >= 403'
run 0 "init with a lead" init --keyring k5 --no-recovery --lead 300
run 0 "create" create tenant:acme --keyring k5
run 0 "rotate with a lead" rotate data:acme --keyring k5
prints "it says when the new version seals" '^rotated data:acme: version 2 seals from 20.*Z on$'
run 0 "rotate root twice in one command" rotate root root
prints "it was done once" '^rotated root: now version 2$'
run 34 "rotate of nothing" rotate tenant:nobody
run 17 "retire of an active key" retire data:globex@2
complains "the remedy is named" 'ARIL_E_USAGE_STATE'
run 0 "retire" retire data:globex@1
prints "what was done" '^retired data:globex version 1$'
run 2 "destroy without --yes" retire data:globex@1 --destroy
complains "--yes is named" '--yes'
run 0 "it is retired only" list --tenant globex --purpose data --json
parses "its state" 'd[0]["state"] == "retired"'
run 0 "destroy" retire "$id" --destroy --yes --json
parses "it is JSON" 'd["state"] == "destroyed" and d["version"] == 1'
run 0 "retire of what was destroyed" retire data:globex@1
prints "it stays destroyed" '^destroyed data:globex version 1$'
run 0 "verify" verify
prints "every key opens" 'every key opens'
run 0 "verify --json" verify --json
parses "no failures" 'd["ok"] and d["failures"] == []'
run 0 "the recovery key opens it still" verify --recovery r.pem

# --- lock

run 0 "lock" lock
run 0 "status of a locked keyring" status
prints "it is locked" '^  locked +yes'
run 27 "seal with a locked keyring" seal --tenant acme --out nothing
complains "the status is named" 'ARIL_E_KEY_LOCKED'
check "nothing was written" test ! -e nothing
run 0 "unlock" unlock --json
parses "it is JSON" 'd["locked"] is False'

# --- seal, open

secret="the password of the database"
printf '%s' "$secret" >plain
run 0 "seal" seal --tenant acme --context db --out box plain
is_silent "nothing is printed" "$out"
check "it is longer by the overhead" test "$(stat -c %s box)" == $((${#secret} + 80))
check "the plaintext is not in it" bash -c "! grep -q password box"
run 35 "seal over a file" seal --tenant acme --context db --out box plain
run 0 "seal --force" seal --tenant acme --context db --out box --force plain
code=0
"$aril" keys open --tenant acme --context db box >opened 2>"$err" </dev/null || code=$?
check "open gives it back" cmp -s plain opened
code=0
"$aril" keys seal --tenant acme <plain 2>"$err" | "$aril" keys open --tenant acme \
    >opened 2>>"$err" || code=$?
check "standard input and output" cmp -s plain opened
run 20 "open in another context" open --tenant acme --context other box
is_silent "nothing is printed" "$out"
run 25 "open by another tenant" open --tenant globex --context db box
head -c 90 box >short
run 20 "open of a part" open --tenant acme --context db short
run 19 "open of what is no box" open --tenant acme --context db labels
run 34 "seal for nobody" seal --tenant nobody --out nothing plain
: >empty
run 0 "seal an empty file" seal --tenant acme --out empty.box empty
run 0 "open it" open --tenant acme empty.box
is_silent "it is empty" "$out"

# --- import

old=$(printf '0123456789abcdef%.0s' {1..4})
older=$(printf 'fedcba9876543210%.0s' {1..4})
printf '%s\n%s\n' "$old" "$older" >master
run 21 "a key file that others can read" import cachekit --tenant acme --key-file master
complains "the remedy is named" 'chmod 600'
chmod 600 master
run 0 "import" import cachekit --tenant acme --key-file master
prints "what was done" '^imported 2 keys for acme'
run 35 "import again" import cachekit --tenant acme --key-file master
printf '%s0\n' "$old" >master
run 19 "a key with a digit too many" import cachekit --tenant acme --key-file master
complains "the place is named" 'master: key 1 is not one'
printf '%s\n%s\n' "$old" "${older/0/g}" >master
run 19 "a digit that is none" import cachekit --tenant acme --key-file master
printf '%s\n%s\n' "$old" "$old" >master
run 2 "the same key twice" import cachekit --tenant acme --key-file master
: >master
run 19 "no key" import cachekit --tenant acme --key-file master
run 34 "import from an environment without it" import cachekit --tenant globex --env
export CACHEKIT_MASTER_KEY=${old/0/a} CACHEKIT_PREVIOUS_MASTER_KEYS=${older/f/A}
run 0 "import from the environment" import cachekit --tenant globex --env --json
unset CACHEKIT_MASTER_KEY CACHEKIT_PREVIOUS_MASTER_KEYS
parses "it is JSON" 'd["imported"] == 2'
code=0
printf '%s\n' "${old/0/1}" | "$aril" keys import cachekit --tenant globex --key-file - \
    >"$out" 2>"$err" || code=$?
check "import from standard input" test "$code" == 0
printf 'fifteen bytes..' >lmcache
run 21 "a master key that others can read" import lmcache --tenant acme --key-file lmcache
chmod 600 lmcache
run 19 "a master key that is too short" import lmcache --tenant acme --key-file lmcache
complains "its length is named" 'lmcache: 15 bytes'
printf 'sixteen bytes...' >lmcache
run 0 "import of LMCache's master key" import lmcache --tenant acme --key-file lmcache
prints "what was done" '^imported the master key for acme, label lmcache$'
run 35 "import of it again" import lmcache --tenant acme --key-file lmcache
head -c 4096 /dev/zero >lmcache
run 0 "a successor" import lmcache --tenant acme --key-file lmcache --json
parses "it is JSON" 'd["imported"] == 1 and d["tenant"] == "acme"'
run 0 "the first one can go" retire legacy:acme/lmcache@1 --destroy --yes
run 0 "they are listed" list --purpose legacy --json
parses "by tenant" 'len(d) == 7'

# --- backup, recover

run 0 "backup" backup copy
run 35 "backup over a file" backup copy
run 0 "backup list" backup list --json
parses "it is listed" 'len(d) == 1 and not d[0]["destroyed"] and d[0]["file"].endswith("copy")'
backup=$(value 'd[0]["id"]')
run 0 "status counts it" status --json
parses "as open" 'd["backups_open"] == 1'
cp copy restored
chmod 600 restored
run 2 "recover without --yes" recover --keyring restored --recovery r.pem
check "no key file was made" test ! -e restored.key
run 20 "recover with another key" recover --keyring restored --recovery offline.pem --yes
run 0 "recover" recover --keyring restored --recovery r.pem --yes
prints "the next step is named" 'rotate root'
run 0 "the new keystore opens it" verify --keyring restored
run 37 "the old one does not" verify --keyring restored --keystore file:k.key
run 0 "what was sealed opens" open --keyring restored --tenant acme --context db --out again box
check "it is the same" cmp -s again plain

# --- a fleet

run 0 "init of a node" init --keyring node --role node --node-name gpu7 \
    --authority authority.pem --no-recovery
prints "the next step is named" 'node card'
run 0 "node card" node card --keyring node
cp "$out" card
check "a card is PEM" grep -q 'BEGIN ARIL NODE CARD' card
run 0 "init of another" init --keyring node2 --role node --node-name gpu8 \
    --authority authority.pem --no-recovery
run 0 "node card" node card --keyring node2
cp "$out" card2
run 19 "a card that is none" node add labels --all-tenants
run 0 "node add" node add card --tenant acme
prints "its name" '^enrolled gpu7$'
prints "its DID" '^  did:pqaid:[0-9a-f]{64}$'
run 35 "node add again" node add card --all-tenants
run 0 "node add --json" node add card2 --all-tenants --json
parses "it is JSON" 'd["name"] == "gpu8" and d["all_tenants"] and d["tenants"] == []'
run 0 "node list" node list
prints "the nodes" '^gpu7 +enrolled +1 +nothing '
run 17 "a node cannot enrol" node add card --keyring node --all-tenants
run 17 "a node makes no keys" create tenant:x --keyring node

mkdir www
run 0 "bundle write" bundle write www/bundle
prints "its version" '^signed bundle version 1: www/bundle$'
run 0 "bundle pull of a file" bundle pull www/bundle --keyring node --receipt receipt
prints "it was taken" '^bundle version 1 was taken$'
run 0 "bundle pull again" bundle pull "file://$work/www/bundle" --keyring node
prints "it is here" '^bundle version 1 is here already$'
"$aril" keys open --keyring node --tenant acme --context db box >opened 2>"$err" </dev/null || true
check "the node opens what the authority sealed" cmp -s plain opened
run 34 "it has no other tenant" seal --keyring node --tenant globex --out nothing plain
run 0 "node confirm" node confirm receipt
run 0 "bundle show" bundle show --json
parses "who has it" 'd["version"] == 1 and d["nodes_confirmed"] == 1 and d["nodes_behind"] == 1'
run 0 "bundle show at the node" bundle show --keyring node
prints "what it has" '^bundle version 1 was taken last$'
run 34 "bundle pull of a missing file" bundle pull nothing --keyring node
run 21 "bundle pull of a folder" bundle pull www --keyring node
run 19 "bundle pull of something else" bundle pull labels --keyring node
cp www/bundle old.bundle
"$python" - old.bundle changed.bundle <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[-1] ^= 1
open(sys.argv[2], "wb").write(data)
PY
run 20 "bundle pull of a changed one" bundle pull changed.bundle --keyring node2
run 0 "bundle write" bundle write www/bundle
run 0 "bundle pull" bundle pull www/bundle --keyring node
run 26 "bundle pull of the one before" bundle pull old.bundle --keyring node
complains "the status is named" 'ARIL_E_REPLAY_ROLLBACK'

# --- pull over HTTP

"$python" "$scripts/keys_server.py" www port requests 2>server.log &
server=$!
pids+=("$server")
check "the server starts" wait_for test -s port
url=http://127.0.0.1:$(cat port)
if "$aril" doctor | grep -qE '^  ok +HTTP '; then
    run 0 "bundle write" bundle write www/bundle
    run 0 "pull by http" bundle pull "$url/bundle" --keyring node --json
    parses "it is JSON" 'd["version"] == 3 and d["changed"]'
    check "the user agent" grep -qE "^GET /bundle .*agent=aril/[0-9.]+ " requests
    run 0 "pull by a redirect" bundle pull "$url/redirect/3" --keyring node
    prints "it is the same" 'is here already'
    run 21 "too many redirects" bundle pull "$url/redirect/4" --keyring node
    run 21 "a redirect to a file" bundle pull "$url/to-file" --keyring node
    complains "the status is named" 'ARIL_E_IO'
    run 34 "a missing file" bundle pull "$url/missing" --keyring node
    complains "the answer is named" 'the server answered 404'
    run 21 "a server that fails" bundle pull "$url/broken" --keyring node
    complains "the answer is named" 'answered 503'
    run 21 "half of a file" bundle pull "$url/half" --keyring node
    complains "it is named" 'it ended early'
    run 23 "a file that is too long" bundle pull "$url/huge" --keyring node
    complains "the limit is named" 'longer than the 268435456 bytes'
    run 22 "a server that does not answer" bundle pull "$url/silent" --keyring node --timeout 1000
    run 21 "a query is not shown" bundle pull "$url/broken?token=hunter2" --keyring node
    check "it is not" bash -c "! grep -q hunter2 '$err'"
    run 21 "a server that is not there" bundle pull http://127.0.0.1:1/bundle --keyring node

    # watch: a new bundle, a server that goes and comes back, an end by signal
    : >requests
    "$aril" keys bundle pull "$url/bundle" --keyring node --watch 1 --receipt receipt \
        >watch.out 2>watch.err </dev/null &
    watch=$!
    pids+=("$watch")
    check "an unchanged bundle is not sent again" wait_for grep -q '304' requests
    is_silent "nothing is printed for it" watch.out
    run 0 "bundle write" bundle write www/bundle
    check "watch sees a new bundle" wait_for grep -qE 'Z took bundle version 4$' watch.out
    check "the receipt is there" wait_for test -s receipt
    run 0 "node confirm" node confirm receipt
    run 0 "node list" node list --json
    parses "the node has confirmed" \
        '[n["confirmed_version"] for n in d if n["name"] == "gpu7"] == [4]'
    mv www/bundle away
    check "watch reports a failure" wait_for grep -q ARIL_E_NOT_FOUND watch.err
    lines=$(wc -l <requests)
    more_requests() { (($(wc -l <requests) > lines + 2)); }
    check "it goes on" wait_for more_requests
    check "it reports it once" test "$(grep -c ARIL_E_NOT_FOUND watch.err)" == 1
    mv away www/bundle
    check "it says when it works again" wait_for grep -q 'works again' watch.err
    kill "$watch"
    code=0
    wait "$watch" || code=$?
    check "SIGTERM ends it with 0" test "$code" == 0
    cat watch.out watch.err >>"$transcript"
else
    echo "without libcurl: no pull over HTTP"
    run 3 "pull without libcurl" bundle pull "$url/bundle" --keyring node
fi
kill "$server"
wait "$server" 2>/dev/null || true

# --- revoke, shred

run 2 "node revoke without --yes" node revoke gpu8
run 34 "node revoke of nobody" node revoke gpu9 --yes
run 0 "node revoke" node revoke gpu8 --yes --json
parses "its keys were rotated" 'd["revoked"] == "gpu8" and d["keys_rotated"] > 400'
run 32 "its card is not taken again" node add card2 --all-tenants
run 2 "shred without --yes" shred acme
complains "--yes is named" '--yes'
run 34 "shred of nobody" shred nobody --yes
run 34 "shred of a selector" shred tenant:acme --yes
complains "the name alone is asked for" 'hint: give the name alone'
run 0 "no shreds" shred --status
prints "none" '^no tenant was shredded$'
run 0 "shred" shred acme --yes
prints "what was done" '^acme: [0-9]+ keys destroyed on '
prints "nodes are open" '1 nodes have not confirmed'
prints "backups are open" '1 backups from before'
run 27 "nothing of it opens" open --tenant acme --context db box
complains "the status is named" 'ARIL_E_KEY_DESTROYED'
run 27 "its name is not used again" create tenant:acme
run 0 "bundle write" bundle write www/bundle
run 0 "the node takes it" bundle pull www/bundle --keyring node --receipt receipt
run 27 "the node does not open it either" open --keyring node --tenant acme --context db box
run 0 "the authority notes that" node confirm receipt --json
run 2 "backup destroyed without --yes" backup destroyed "${backup:0:8}"
run 34 "backup destroyed of another" backup destroyed 00000000 --yes
run 0 "backup destroyed" backup destroyed "${backup:0:8}" --yes
run 0 "shred --status" shred --status --json
parses "nodes and backups are done" 'd[0]["tenant"] == "acme" and d[0]["nodes_open"] == 0 and
 d[0]["backups_open"] == 0'
run 0 "verify at the end" verify
run 0 "verify of the node" verify --keyring node

# --- terminals: prompts, signals, progress

export ARIL_TEST_COMMAND=$aril
if "$python" "$scripts/keys_terminal.py" "$work/terminal" >terminal.out 2>&1; then
    note "terminals" yes
else
    cp terminal.out "$out"
    note "terminals" no
    cat terminal.out
fi
cat terminal.out >>"$transcript"

# --- secrets stay where they are

secrets=("$old" "$older" "$secret" hunter2)
for file in r.pem offline.pem printed.pem; do
    secrets+=("$(sed -n 2p "$file")")
done
for i in "${!secrets[@]}"; do
    check "there is a secret $i" test -n "${secrets[i]}"
    if grep -qF -- "${secrets[i]}" "$transcript"; then
        note "secret $i is in no output" no
    else
        note "secret $i is in no output" yes
    fi
done
for name in box again receipt empty.box www/bundle; do
    check "no temporary file of $name is left" bash -c "! compgen -G '$name.??????' >/dev/null"
done

printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
