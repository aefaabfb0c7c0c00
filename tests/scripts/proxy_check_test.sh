#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# "aril proxy check": what it says of a configuration that works, and of each thing that does not.
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
page=$ARIL_SOURCE_DIR/man/aril-proxy.1
work=$(mktemp -d)
server_pid=
skipped=
finish() {
    if [[ -n $server_pid ]]; then
        kill -KILL "$server_pid" 2>/dev/null || true
        wait "$server_pid" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT

aril_family=proxy
# shellcheck source=tests/support/command_checks.sh
. "$ARIL_SOURCE_DIR/tests/support/command_checks.sh"
python=${ARIL_PYTHON:-python3}
unset CREDENTIALS_DIRECTORY

says() { # TEXT EXPRESSION: of the JSON of the last run
    check "$1" "$python" -c "import json, sys
d = json.load(open(sys.argv[1]))
bad = [(c['kind'], c['subject']) for c in d['checks'] if not c['good']]
text = ' '.join(c['text'] for c in d['checks'] if not c['good'])
sys.exit(not ($2))" "$out"
}

run 0 "help" check --help
while read -r option; do
    [[ $option == --help ]] && continue
    check "$option is in aril-proxy(1)" grep -qF -- "${option//-/\\-}" "$page"
done < <(grep -oE '^  --[a-z-]+' "$out" | tr -d ' ')
check "aril-proxy(1) has a section for it" grep -qx "\.SS check" "$page"
run 2 "two files" check a b

# --- a configuration that works
"$aril" keys init --keyring ring --recovery recovery.pem </dev/null >/dev/null
"$aril" keys create tenant:acme --keyring ring </dev/null >/dev/null
"$aril" keys create tenant:zeta --keyring ring </dev/null >/dev/null
"$aril" proxy token passwords --tenant acme --output token </dev/null >/dev/null
write() { # SED...: the configuration, changed
    cat >plain.conf <<END
keyring = ring
credentials = passwords
[upstream]
server = redis+unix:$PWD/s.sock
[listen]
address = 127.0.0.1:6390
announce = proxy.example:7000
[listen]
address = unix:arild.sock
tenant = zeta
[admin]
address = 127.0.0.1:9121
[tenant acme]
[tenant zeta]
[policy counter:*]
values = pass
END
    sed "$@" plain.conf >arild.conf
}
write ''
run 0 "all is well" check "$PWD/arild.conf"
prints "listeners" "^ok   listener     127.0.0.1:6390: clients are known by password; announced as "
prints "fixed tenants" "^ok   listener     $PWD/arild.sock: every client is tenant zeta"
prints "the admin listener" "^ok   admin        127.0.0.1:9121"
prints "policies" "^ok   policy       counter:\*: tenants: all; values = pass"
prints "the last policy" "^ok   policy       \*: .*seal, on_tamper = nil, ttl_max = 31536000 s"
prints "the password file" "^ok   credentials  .*passwords: 1 tokens and passphrases"
prints "the keyring" "^ok   keyring      .*ring: it opens"
prints "tenants" "^ok   tenant       acme: 1 tokens and passphrases, .*; it has keys"
run 0 "the same in JSON" check "$PWD/arild.conf" --json
says "nothing is bad" "d['good'] and not bad and len(d['checks']) == 9"

# --- what does not
run 34 "no file" check missing.conf
write 's/^values = pass/values = nonsense/'
run 19 "a mistake in it" check "$PWD/arild.conf"
complains "file and line" 'arild.conf:16: '
write 's/^keyring = .*/keyring = elsewhere/'
run 1 "no keyring" check "$PWD/arild.conf" --json
says "it is said" "bad == [('keyring', '$PWD/elsewhere')]"
write 's/^\[tenant zeta\]/[tenant zeta]\n[tenant nobody]/'
run 1 "a tenant without keys" check "$PWD/arild.conf" --json
says "it is named" "bad == [('tenant', 'nobody')] and 'name key' in text"
"$aril" keys create tenant:nobody --keyring ring </dev/null >/dev/null
run 1 "a tenant that nobody can be" check "$PWD/arild.conf" --json
says "it is said why" "bad == [('tenant', 'nobody')] and 'nobody can be this tenant' in text"
write 's/^\[policy .*/[policy *]\nvalues = seal\n&/'
run 19 "a policy that never counts" check "$PWD/arild.conf"
write ''
chmod 644 passwords
run 1 "a password file that others can read" check "$PWD/arild.conf" --json
says "it is named" "bad == [('credentials', '$PWD/passwords'), ('tenant', 'acme')]"
chmod 600 passwords
write 's|^keyring = ring|&\nkeystore = passphrase:ring.key\nunlock_credential = pin|'
run 1 "a credential without its folder" check "$PWD/arild.conf" --json
says "it is said" "bad == [('keyring', '$PWD/ring')] and 'CREDENTIALS_DIRECTORY' in text"
write 's|^address = 127.0.0.1:6390|address = tls://127.0.0.1:6390\ntls_cert = c.pem\ntls_key = k|'
run 1 "certificates that are not there" check "$PWD/arild.conf" --json
says "it is named" "bad == [('listener', '127.0.0.1:6390')] and 'c.pem' in text"

# --- the server
write ''
run 1 "no server" check "$PWD/arild.conf" --connect --json
says "it is named" "bad == [('server', '$PWD/s.sock')]"
if ! command -v redis-server >/dev/null || ! command -v redis-cli >/dev/null; then
    echo "SKIPPED: there is no redis-server"
    skipped=", 1 skipped"
else
    printf '%s\n' "port 0" "unixsocket $PWD/s.sock" 'save ""' "dir $PWD" \
        "user arild@x on >secret ~a1:* resetchannels +@all -@dangerous" \
        "user default off" >redis.conf
    redis-server redis.conf >server.log 2>&1 &
    server_pid=$!
    for ((i = 0; i < 6000; i++)); do
        [[ -S s.sock ]] && break
        read -rt 0.01 <> <(:) || true
    done
    run 1 "a server that wants a password" check "$PWD/arild.conf" --connect --json
    says "it is named" "bad == [('server', '$PWD/s.sock')]"
    printf secret >upstream-password
    chmod 600 upstream-password
    write 's|^server = .*|&\nuser = arild@x\npassword_file = upstream-password|'
    run 0 "a server that answers" check "$PWD/arild.conf" --connect
    prints "it is told" "^ok   server       .*s.sock: it answers"
    write 's|^server = .*|&\nuser = arild@y\npassword_file = upstream-password|'
    run 1 "another user" check "$PWD/arild.conf" --connect
fi

printf '%d passed, %d failed%s\n' "$passed" "$failed" "$skipped"
((failed == 0 && passed > 0))
