#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Key files, public keys and signatures of aril and of the openssl command are good
# for one another.
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
passed=0
failed=0

skip() { # REASON
    echo "skipped: $1"
    exit 77
}

check() { # TEXT COMMAND...
    local text=$1
    shift
    if "$@" >"$work/output" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n' "$text"
        sed 's/^/    /' "$work/output"
    fi
}

not() { # COMMAND... fails, as a refusal and not as a crash
    local status=0
    "$@" || status=$?
    ((status > 0 && status < 126))
}

[[ -x $aril ]] || skip "this build has no command aril"
prefix=$("$ARIL_SOURCE_DIR/tools/setup.sh" where openssl 2>/dev/null) || prefix=
[[ -n $prefix && -x $prefix/bin/openssl ]] ||
    skip "there is no OpenSSL of at least 3.5 with its command"

# Only the openssl command needs its own shared libraries.
openssl() {
    LD_LIBRARY_PATH=$prefix/lib "$prefix/bin/openssl" "$@"
}
case $(openssl version) in
"OpenSSL 3."[0-4].*) skip "the openssl command is older than 3.5" ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
umask 077
printf 'a message of two lines\nand a zero byte: \0\n' >message
printf 'another message\n' >other

# openssl_verify KEY CONTEXT FILE SIGNATURE
openssl_verify() {
    openssl pkeyutl -verify -pubin -inkey "$1" -rawin -in "$3" -sigfile "$4" \
        ${2:+-pkeyopt "context-string:$2"}
}

# openssl_sign KEY CONTEXT FILE SIGNATURE
openssl_sign() {
    openssl pkeyutl -sign -inkey "$1" -rawin -in "$3" -out "$4" \
        ${2:+-pkeyopt "context-string:$2"}
}

# The public key that aril and openssl see in a key file are the same text.
same_public() { # KEYFILE
    "$aril" identity show "$1" --pem >aril-public.pem
    openssl pkey -in "$1" -pubout -out openssl-public.pem
    cmp aril-public.pem openssl-public.pem
}

both_ways() { # NAME KEYFILE PUBLIC CONTEXT
    local name=$1 key=$2 public=$3 context=$4
    rm -f aril.sig openssl.sig
    check "$name: aril signs" \
        "$aril" identity sign "$key" --context "$context" --in message --out aril.sig
    check "$name: openssl verifies what aril signed" \
        openssl_verify "$public" "$context" message aril.sig
    check "$name: openssl refuses it for another message" \
        not openssl_verify "$public" "$context" other aril.sig
    check "$name: openssl refuses it under another context" \
        not openssl_verify "$public" "${context}x" message aril.sig
    check "$name: openssl signs" openssl_sign "$key" "$context" message openssl.sig
    check "$name: aril verifies what openssl signed" \
        "$aril" identity verify --key "$public" --context "$context" --in message --sig openssl.sig
    check "$name: aril refuses it for another message" \
        not "$aril" identity verify --key "$public" --context "$context" --in other \
        --sig openssl.sig
    check "$name: aril refuses it under another context" \
        not "$aril" identity verify --key "$public" --context "${context}x" --in message \
        --sig openssl.sig
}

for alg in 65 87; do
    check "ML-DSA-$alg: aril makes a key" "$aril" identity new "aril-$alg.pem" --alg "ml-dsa-$alg"
    check "ML-DSA-$alg: openssl reads the key file of aril" same_public "aril-$alg.pem"
    cp aril-public.pem "public-$alg.pem"
    both_ways "ML-DSA-$alg, empty context" "aril-$alg.pem" "public-$alg.pem" ""
    both_ways "ML-DSA-$alg, label" "aril-$alg.pem" "public-$alg.pem" "aril file signature v1"

    # OpenSSL's own default is seed and expanded key.
    check "ML-DSA-$alg: openssl makes a key with seed and expanded key" \
        openssl genpkey -algorithm "ML-DSA-$alg" -out "both-$alg.pem"
    check "ML-DSA-$alg: aril reads it" same_public "both-$alg.pem"
    both_ways "ML-DSA-$alg with expanded key" "both-$alg.pem" aril-public.pem ""
    check "ML-DSA-$alg: openssl writes the seed alone" \
        openssl pkey -in "both-$alg.pem" -provparam ml-dsa.output_formats=seed-only \
        -out "seed-$alg.pem"
    check "ML-DSA-$alg: aril reads it" same_public "seed-$alg.pem"
    check "ML-DSA-$alg: openssl writes the expanded key alone" \
        openssl pkey -in "both-$alg.pem" -provparam ml-dsa.output_formats=priv-only \
        -out "expanded-$alg.pem"
    check "ML-DSA-$alg: aril refuses it" not "$aril" identity show "expanded-$alg.pem"
done

printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
