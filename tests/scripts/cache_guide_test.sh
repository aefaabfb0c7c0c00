#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every command of docs/cache.md runs, in the order in which a reader meets them.
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
guide=$ARIL_SOURCE_DIR/docs/cache.md
if [[ ! -x $aril ]]; then
    echo "this build has no command aril"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/run"
ln -s "$aril" "$work/bin/aril"
unset ARIL_KEYRING ARIL_KEYSTORE ARIL_CACHE_STORE CREDENTIALS_DIRECTORY
unset CACHEKIT_MASTER_KEY CACHEKIT_PREVIOUS_MASTER_KEYS

awk '/^```$/ { inside = !inside; next } inside' "$guide" >"$work/commands"
count=$(grep -c '^aril ' "$work/commands")
if ((count < 25)); then
    echo "FAILED: only $count commands were found in docs/cache.md"
    exit 1
fi
cd "$work/run"
code=0
PATH=$work/bin:$PATH TMPDIR=$work bash -eu "$work/commands" >"$work/out" 2>&1 </dev/null || code=$?
if ((code != 0)); then
    tail -n 20 "$work/out"
    echo "FAILED: exit code $code"
    exit 1
fi
# What the guide says of what it shows.
for line in hello user-1 '"old_key": true' 'format     cachekit-interop' 'migrated 1,' \
    'format     native' 'format     lmcache' 'sealed takes'; do
    grep -qF -- "$line" "$work/out" || {
        echo "FAILED: nothing printed: $line"
        exit 1
    }
done
cmp "$work/run/block.kv" "$work/run/block.out"
echo "$count commands ran"
