#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compares what the built libraries export with tools/exports.txt: exactly those
# names, so nothing of OpenSSL and nothing internal.
#
#   tools/check_exports.sh BUILD_DIR
set -euo pipefail

build=${1:?usage: tools/check_exports.sh BUILD_DIR}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
wanted=$(grep '^[a-z]' "$root/tools/exports.txt" | sort) || true
passed=0
failed=0

result() { # STATUS TEXT
    if (($1 == 0)); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n' "$2"
    fi
}

compare() { # FILE NAMES
    local changes
    changes=$(diff <(printf '%s\n' "$wanted") <(printf '%s\n' "$2") | grep '^[<>]') || true
    if [[ -n $changes ]]; then
        printf '%s\n' "$changes" | head -n 20 |
            sed -e 's/^</missing in the library: /' -e 's/^>/not in exports.txt:     /'
        result 1 "$1 exports exactly tools/exports.txt"
    else
        result 0 "$1"
    fi
}

so=$build/libaril.so
a=$build/libaril.a
compare libaril.so "$(nm -D --defined-only "$so" | awk '{ print $NF }' | sort)"
compare libaril.a "$(nm --defined-only --extern-only "$a" | awk 'NF == 3 { print $3 }' | sort)"

# All of libcrypto and libssl that is used must be inside.
undefined=$({ nm -D --undefined-only "$so"; nm --undefined-only "$a"; } |
    awk '$1 ~ /^[Uw]$/ { print $2 }' |
    grep -E '^(EVP|OSSL|OPENSSL|CRYPTO|ERR|BIO|BN|PEM|SSL|TLS|X509)_' | head) || true
status=0
[[ -z $undefined ]] || status=1
result "$status" "no undefined symbol of OpenSSL: $undefined"

libraries=$(readelf -d "$so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
    grep -E 'crypto|ssl') || true
status=0
[[ -z $libraries ]] || status=1
result "$status" "libaril.so needs no libcrypto: $libraries"

printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
