#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs each fuzzer for some seconds, starting from its corpus in tests/fuzz. New
# inputs stay in the build folder; a finding stops the run and names its file.
#
#   tools/fuzz.sh BUILD_DIR [SECONDS [NAME...]]
set -euo pipefail

build=${1:?usage: tools/fuzz.sh BUILD_DIR [SECONDS [NAME...]]}
seconds=${2:-30}
shift $(($# < 2 ? $# : 2))
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

names=("$@")
if ((${#names[@]} == 0)); then
    for fuzzer in "$build"/fuzz/*_fuzz; do
        [[ -x $fuzzer ]] || continue
        fuzzer=${fuzzer##*/}
        names+=("${fuzzer%_fuzz}")
    done
fi
if ((${#names[@]} == 0)); then
    echo "fuzz: there is no fuzzer in $build/fuzz" >&2
    exit 1
fi

for name in "${names[@]}"; do
    found=$build/findings/$name
    corpus=$build/corpus/$name
    log=$build/fuzz-$name.log
    mkdir -p "$found" "$corpus"
    printf 'fuzz: %s for %s s ... ' "$name" "$seconds"
    if ! "$build/fuzz/${name}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$found/" \
        "$corpus" "$root/tests/fuzz/corpus/$name" >"$log" 2>&1; then
        printf 'FAILED\n'
        tail -n 40 "$log" >&2
        printf 'fuzz: the input is in %s; the log is %s\n' "$found" "$log" >&2
        exit 1
    fi
    awk '/number_of_executed_units/ { runs = $2 }
         /cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
         END { printf "ok, %d runs, coverage %d\n", runs, cov }' "$log"
done
