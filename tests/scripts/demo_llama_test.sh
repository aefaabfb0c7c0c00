#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# "aril demo" with a real llama.cpp: ARIL_LLAMA_DIR, or the one that setup.sh fetched.
set -euo pipefail

aril=$ARIL_BUILD_DIR/aril
python=${ARIL_PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [[ ! -x $aril ]]; then
    echo "this build has no command aril"
    exit 77
fi
if [[ ${ARIL_SANITIZE:-} == *thread* ]]; then
    echo "llama.cpp is not built for the thread sanitizer"
    exit 77
fi
llama=${ARIL_LLAMA_DIR:-${ARIL_LLAMA_MODULES:-}}
if [[ -z $llama ]] && ! llama=$("$ARIL_SOURCE_DIR/tools/setup.sh" where llama); then
    echo "there is no llama.cpp: run tools/setup.sh demo, or set ARIL_LLAMA_DIR"
    exit 77
fi
passed=0
failed=0

check() { # TEXT EXPRESSION: true over the JSON d of the last run
    if "$python" -c "import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not ($2))" "$work/json"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n' "$1"
    fi
}

# A second seed is another model and other prompts.
for seed in 1 20; do
    code=0
    "$aril" demo --llama "$llama" --json --seed "$seed" >"$work/json" 2>"$work/err" || code=$?
    if ((code != 0)) || [[ -s $work/err ]]; then
        printf 'FAILED: seed %d: exit %d\n' "$seed" "$code"
        head -n 5 "$work/err"
        failed=$((failed + 1))
    fi
    check "seed $seed: a real llama.cpp ran" 'd["engine"] == "llama.cpp"'
    check "seed $seed: no check failed" 'd["failed"] == 0 and d["passed"] == len(d["checks"]) > 30'
    check "seed $seed: both tenants went on bit for bit" \
        'sum("identical" in c["name"] and c["passed"] for c in d["checks"]) == 2'
    check "seed $seed: bare llama.cpp took the flipped bit" \
        'any("llama.cpp alone" in c["name"] and c["passed"] for c in d["checks"])'
    check "seed $seed: seals are 80 bytes a block" \
        'all(t["seal_bytes"] == 80 * t["blocks"] and t["blocks"] > 5 for t in d["tenants"])'
done

# As text: nothing of llama.cpp's own log, and the last line counts.
"$aril" demo --llama "$llama" --verbose >"$work/text" 2>&1 || true
if [[ $(tail -n 1 "$work/text") =~ ^demo:\ [0-9]+\ checks\ passed,\ 0\ failed$ ]] &&
    ! grep -q 'llama_\|ggml_' "$work/text"; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "FAILED: the text of the demo"
    tail -n 3 "$work/text"
fi
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
