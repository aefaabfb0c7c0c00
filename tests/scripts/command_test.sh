#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The command aril: help, options, exit codes, messages, JSON, files.
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
page=$ARIL_SOURCE_DIR/man/aril.1
python=${ARIL_PYTHON:-python3}
passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [[ ! -x $aril ]]; then
    echo "this build has no command aril"
    exit 77
fi
cd "$work"
out=$work/stdout
err=$work/stderr

note() { # TEXT WELL
    if [[ $2 == yes ]]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n' "$1"
        sed 's/^/    stdout: /' "$out" | head -n 5
        sed 's/^/    stderr: /' "$err" | head -n 5
    fi
}

# run CODE TEXT ARGUMENTS...: the command exits with CODE. Standard input is empty.
run() {
    local want=$1 text=$2 code=0
    shift 2
    "$aril" "$@" >"$out" 2>"$err" </dev/null || code=$?
    if [[ $code == "$want" ]]; then
        note "$text" yes
    else
        note "$text: exit $code instead of $want" no
    fi
}

# These look at the last run.
prints() { # TEXT PATTERN
    if grep -qE -- "$2" "$out"; then note "$1" yes; else note "$1" no; fi
}
complains() {
    if grep -qE -- "$2" "$err"; then note "$1" yes; else note "$1" no; fi
}
is_silent() { # TEXT FILE
    if [[ -s $2 ]]; then note "$1" no; else note "$1" yes; fi
}
parses() { # TEXT EXPRESSION: standard output is JSON, and the expression over d is true
    if "$python" -c "import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not ($2))" "$out" 2>"$err"; then note "$1" yes; else note "$1" no; fi
}

# --- help

run 0 "aril --help" --help
prints "the overview lists demo" '^  demo '
is_silent "help goes to standard output" "$err"
run 2 "aril without a command"
complains "it shows the overview" '^  doctor '
run 0 "aril --version" --version
version=$(sed -n 's/^#define ARIL_VERSION  *"\(.*\)"/\1/p' "$ARIL_SOURCE_DIR/include/aril/base.h")
prints "the version is that of base.h" "^aril $version\$"
for name in demo doctor identity keys cache bench; do
    run 0 "aril help $name" help "$name"
    cp "$out" "$work/help"
    prints "it says how to use $name" "^Usage: aril $name"
    run 0 "aril $name --help" "$name" --help
    if cmp -s "$out" "$work/help"; then note "help $name and $name --help agree" yes; else
        note "help $name and $name --help agree" no
    fi
done
for name in new show sign verify; do
    run 0 "aril identity $name --help" identity "$name" --help
    prints "it says how to use identity $name" "^Usage: aril identity $name"
done
for option in $("$aril" demo --help | grep -oE '^  --[a-z]+' | tr -d ' '); do
    [[ $option == --help ]] && continue
    if grep -q -- "${option//-/\\\\-}" "$ARIL_SOURCE_DIR/man/aril-demo.1"; then
        note "$option is in aril-demo(1)" yes
    else
        note "$option is in aril-demo(1)" no
    fi
done

# --- mistakes in the command line

run 2 "an unknown command" dmeo
complains "it is named, with the nearest one" 'unknown command: dmeo; did you mean demo\?'
run 2 "a command like no other" xyzzy
complains "no guess is made" 'unknown command: xyzzy$'
run 2 "an unknown option" demo --jsn
complains "it is named, with the nearest one" \
    'aril demo: unknown option --jsn; did you mean --json\?'
complains "the help is named" "'aril demo --help'"
is_silent "nothing is on standard output" "$out"
run 2 "an unknown option before the command" --versoin
complains "it is named, with the nearest one" 'did you mean --version\?'
run 2 "an unknown short option" doctor -x
run 2 "an unknown command of identity" identity sgin
complains "it is named, with the nearest one" 'did you mean sign\?'
run 2 "a flag with a value" doctor --json=yes
run 2 "an option without its value" demo --seed
run 2 "a number that is none" demo --seed 1x
complains "the value and the range are named" '--seed 1x: not a number from 0 to [0-9]+'
run 2 "an empty number" demo --seed=
run 2 "a negative number" demo --seed -1
run 2 "a number beyond 64 bits" demo --seed 99999999999999999999
run 2 "a number below its range" bench --threads 0
run 2 "a number above its range" bench --seconds 61
run 2 "a size of 0" bench --size 0
run 2 "a size with a wrong unit" bench --size 64X
run 2 "a size that wraps around" bench --size 99999999999G
run 2 "an empty size in a list" bench --size 64,,128
run 2 "a list that ends with a comma" bench --size 64,
run 2 "too many sizes" bench --size 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17
run 2 "an argument too many" doctor now
complains "it is named" 'unexpected argument: now'
run 2 "an argument too few" identity new
run 2 "help on an unknown command" help nothing

# --- doctor

run 0 "aril doctor" doctor
prints "the self-tests ran" '^doctor: [1-9][0-9]* self-tests, 0 failed$'
prints "ML-KEM was tested" '^  ok +ML-KEM-768'
prints "what is missing has a reason" '^  GPU +not in this release$'
prints "it says whether there is a TPM" '^  (ok|-) +TPM 2\.0 +[^ ]'
prints "no colours in a file" '^Self-tests$'
run 0 "aril doctor --json" doctor --json
parses "it is JSON, and all is well" 'd["ok"] and all(t["ok"] for t in d["self_tests"])'
parses "secure memory is described" 'd["secure_memory"]["bytes"] > 0'
parses "what keyrings use is there or has a reason" '[p["feature"] for p in d["keyring_ports"]] ==
 ["TPM 2.0", "PKCS#11", "HTTP"] and all(p["detail"] for p in d["keyring_ports"]) and
 {p["feature"] for p in d["keyring_ports"] if not p["available"]} <=
 {m["feature"] for m in d["unavailable"]}'
parses "HTTP is for bundles and stores, or has a reason" 'all(p["available"] ==
 p["detail"].endswith("; for bundles and stores") for p in d["keyring_ports"]
 if p["feature"] == "HTTP")'
parses "what is missing has reasons" 'all(m["reason"] for m in d["unavailable"])'

# --- demo without a llama.cpp

run 0 "aril demo" demo
prints "it says that there is no llama.cpp" 'synthetic tensors \(no llama\.cpp: '
prints "it counts its checks" '^demo: [1-9][0-9] checks passed, 0 failed$'
prints "isolation is refused" 'PASS .*ARIL_E_ISOLATION'
is_silent "nothing is on standard error" "$err"
run 0 "aril demo with an empty folder" demo --llama "$work"
prints "it names the folder" "no libllama and libggml in one folder below $work"
mkdir broken
echo "not a library" >broken/libllama.so
echo "not a library" >broken/libggml.so
run 0 "aril demo with broken libraries" demo --llama broken
prints "it names the library" 'synthetic tensors \(no llama\.cpp: broken/libllama\.so'
run 0 "aril demo --json" demo --json --seed 7
parses "it is JSON, and nothing failed" \
    'd["failed"] == 0 and d["passed"] == len(d["checks"]) > 30 and d["engine"] == "synthetic"'
parses "it gives a reason" 'd["reason"] and d["seed"] == 7'
parses "each check got what it expected" 'all(c["got"] == c["expected"] for c in d["checks"])'
wanted='{"ARIL_E_ISOLATION", "ARIL_E_AUTH", "ARIL_E_REPLAY", "ARIL_E_REPLAY_STALE",
 "ARIL_E_FORMAT_LENGTH", "ARIL_E_BATCH", "ARIL_E_TRUST_UNKNOWN", "ARIL_E_PROFILE",
 "ARIL_E_FORKED", "ARIL_E_KEY_RETIRED", "ARIL_E_EXPIRED"}'
parses "every kind of refusal is shown" "$wanted <= {c['got'] for c in d['checks']}"
parses "the audit log counts violations" 'd["audit"]["isolation-violation"] > 0'
parses "speeds were measured" 'all(s["gigabytes_per_second"] > 0 for s in d["speeds"])'

# --- bench

run 0 "aril bench --json" bench --json --seconds 1 --size 4K --threads 2
parses "it is JSON with every part" 'len(d["records"]) == 2 and len(d["sessions"]) == 3 and
 len(d["signatures"]) == 4 and d["threads"] == 2'
parses "percentiles are in order" 'all(0 < x["p50_us"] <= x["p99_us"]
 for part in ("records", "sessions", "signatures") for x in d[part])'

# --- identity

run 0 "a new identity" identity new a.key
prints "its DID is printed" '^did:pqaid:[0-9a-f]{64}$'
did=$(cat "$out")
[[ $(stat -c %a a.key) == 600 ]] && note "the key file is private" yes ||
    note "the key file is private" no
cp a.key before
run 35 "a new identity over an old one" identity new a.key
complains "the file and the status are named" 'a\.key.*ARIL_E_EXISTS'
if cmp -s a.key before; then note "the old one is unchanged" yes; else
    note "the old one is unchanged" no
fi
run 2 "an unknown algorithm" identity new b.key --alg rsa
complains "the value is named" '--alg rsa: not one of ml-dsa-65, ml-dsa-87'
if [[ -e b.key ]]; then note "no file was made" no; else note "no file was made" yes; fi
run 0 "an ML-DSA-87 identity" identity new b.key --alg ml-dsa-87
run 0 "show" identity show a.key
prints "the DID is the same" "$did"
run 0 "show --did pqaid" identity show a.key --did pqaid
if [[ $(cat "$out") == "$did" ]]; then note "the DID alone" yes; else note "the DID alone" no; fi
run 0 "show --did key" identity show a.key --did key
prints "a did:key" '^did:key:z[1-9A-HJ-NP-Za-km-z]+$'
did_key=$(cat "$out")
run 2 "show --did with another method" identity show a.key --did web
run 2 "two ways to show at once" identity show a.key --pem --json
run 0 "show --json" identity show b.key --json
parses "it is JSON" 'd["algorithm"] == "ml-dsa-87" and "PUBLIC KEY" in d["public_pem"]'
run 0 "show --pem" identity show a.key --pem
cp "$out" a.pem
run 0 "show of a public key" identity show a.pem
prints "the same DID from the public key" "$did"
if grep -qF "$(sed -n 2p a.key)" "$out" "$err" a.pem; then
    note "no private key in the output" no
else
    note "no private key in the output" yes
fi
run 34 "show of a missing file" identity show missing
complains "the file and the status are named" 'missing.*ARIL_E_NOT_FOUND'
chmod 644 a.key
run 21 "a key file that others can read" identity show a.key
complains "the remedy is named" 'a\.key.*chmod 600.*ARIL_E_IO_PERMISSION'
chmod 600 a.key
head -c 100 a.key >cut.key
chmod 600 cut.key
run 19 "a key file that is cut short" identity show cut.key
complains "the file is named" 'cut\.key'
if grep -qF "$(sed -n 2p a.key | head -c 20)" "$out" "$err"; then
    note "no piece of it is shown" no
else
    note "no piece of it is shown" yes
fi

# --- sign and verify

printf 'what is signed' >message
run 0 "sign" identity sign a.key --in message --out sig
is_silent "nothing is printed" "$out"
if [[ $(stat -c %s sig) == 3309 ]]; then note "the bare signature" yes; else
    note "the bare signature" no
fi
run 0 "verify" identity verify --key a.pem --in message --sig sig
prints "the signer is named" "^good signature by $did\$"
run 0 "verify with the DID" identity verify --key a.pem --in message --sig sig --did "$did"
run 0 "verify with the other DID" identity verify --key a.pem --in message --sig sig \
    --did "$did_key"
run 32 "verify with another DID" identity verify --key a.pem --in message --sig sig \
    --did "did:pqaid:$(printf '0%.0s' {1..64})"
complains "the status is named" 'ARIL_E_TRUST_DID'
run 35 "sign over an old signature" identity sign a.key --in message --out sig
complains "the remedy is named" 'force'
run 0 "sign --force" identity sign a.key --in message --out sig --force
run 0 "verify again" identity verify --key a.pem --in message --sig sig
run 20 "verify under another label" identity verify --key a.pem --in message --sig sig --context ''
complains "the file is named" 'message: the signature sig does not fit \(ARIL_E_AUTH\)'
run 0 "sign under the empty label" identity sign a.key --in message --out plain.sig --context ''
run 0 "verify under the empty label" identity verify --key a.pem --in message --sig plain.sig \
    --context ''
run 2 "a label that is too long" identity sign a.key --in message --out x \
    --context "$(printf 'x%.0s' {1..256})"
run 20 "verify with another key" identity verify --key b.key --in message --sig sig
printf 'what is not signed' >other
run 20 "verify of another file" identity verify --key a.pem --in other --sig sig
is_silent "nothing good is printed" "$out"
head -c 3308 sig >short.sig
run 20 "verify of a cut signature" identity verify --key a.pem --in message --sig short.sig
run 34 "sign a missing file" identity sign a.key --in nothing --out x
run 34 "sign into a missing folder" identity sign a.key --in message --out none/x
run 2 "sign without --out" identity sign a.key --in message
run 2 "verify without --key" identity verify --in message --sig sig
run 23 "a signature that is none" identity verify --key a.pem --in message --sig "$aril"
if compgen -G 'x*' >/dev/null || compgen -G 'sig.*' >/dev/null; then
    note "no temporary files are left" no
else
    note "no temporary files are left" yes
fi
: >empty
run 0 "sign an empty file" identity sign a.key --in empty --out empty.sig
run 0 "verify an empty file" identity verify --key a.pem --in empty --sig empty.sig
if "$aril" identity sign a.key --in - --out - <message >pipe.sig 2>"$err" &&
    "$aril" identity verify --key a.pem --in - --sig pipe.sig <message >"$out" 2>"$err"; then
    note "standard input and output" yes
else
    note "standard input and output" no
fi
printf 'trust %s the release key\n' "$did_key" >list
chmod 600 list
run 0 "verify with a trust list" identity verify --key a.pem --in message --sig sig --trust list
prints "the name is shown" '\(the release key\)$'
printf 'revoke %s lost\n' "$did" >>list
run 32 "verify of a revoked key" identity verify --key a.pem --in message --sig sig --trust list
complains "the status is named" 'ARIL_E_TRUST_REVOKED'
printf '# nobody\n' >list
run 32 "verify of an unlisted key" identity verify --key a.pem --in message --sig sig --trust list
printf 'belief %s me\n' "$did" >list
run 19 "a trust list with a mistake" identity verify --key a.pem --in message --sig sig --trust list
complains "file and line are named" 'list: line 1'

# --- a terminal

if command -v script >/dev/null; then
    export TERM=xterm
    script -qec "$aril doctor" /dev/null </dev/null >"$out" 2>"$err" || true
    prints "colours on a terminal" $'\033'
    NO_COLOR=1 script -qec "$aril doctor" /dev/null </dev/null >"$out" 2>"$err" || true
    if [[ -s $out ]] && ! grep -q $'\033' "$out"; then note "none with NO_COLOR" yes; else
        note "none with NO_COLOR" no
    fi
    script -qec "$aril identity sign a.key --in message --out -" /dev/null </dev/null \
        >"$out" 2>"$err" || true
    prints "no bytes of a signature on a terminal" 'does not go to a terminal'
fi

# --- output that cannot be written

if [[ -w /dev/full ]]; then
    code=0
    "$aril" --version >/dev/full 2>"$err" || code=$?
    if [[ $code == 21 ]]; then note "a full disk is an error" yes; else
        note "a full disk is an error" no
    fi
    complains "it is named" 'standard output: .*ARIL_E_IO'
fi

# --- exit codes in the manual: 16 and the class of every status

while IFS=, read -r name class detail _; do
    class=${class// /}
    [[ ${detail// /} == 0 && $class != 0 && $class != 8 ]] || continue
    if grep -q "^$((16 + class))"$'\t'"$name"$'\t' "$page"; then
        note "aril(1) has the exit code of $name" yes
    else
        note "aril(1) has the exit code of $name" no
    fi
done < <(sed -n 's/^ARIL_STATUS(\(ARIL_[A-Z_]*\),/\1,/p' "$ARIL_SOURCE_DIR/include/aril/status.def")

printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
