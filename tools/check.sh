#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that must hold before a change is merged. One line per step; what a
# step printed is in build/check/STEP.log and shown when it fails.
#
#   tools/check.sh [STEP...]    default: all steps, in this order
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
jobs=${JOBS:-$(nproc)}
logs=build/check
mkdir -p "$logs"
unset MAKEFLAGS MFLAGS MAKELEVEL

steps=(format lint layers shellcheck cppcheck gcc clang asan tsan valgrind)

c_files() {
    git ls-files -co --exclude-standard -- '*.c' '*.h' | while read -r file; do
        [[ -e $file ]] && printf '%s\n' "$file"
    done
}

build() {
    cmake --preset "$1" --log-level=WARNING && cmake --build "build/$1" --parallel "$jobs"
}

step_format() {
    c_files | xargs -r clang-format --dry-run -Werror
}

step_lint() {
    tools/lint.py
}

step_layers() {
    tools/layers.py
}

step_shellcheck() {
    if ! command -v shellcheck >/dev/null; then
        echo "SKIPPED: shellcheck is not installed"
        return
    fi
    { git ls-files -co --exclude-standard -- '*.sh'; echo .ci/run; } | sort -u |
        xargs shellcheck --severity=warning
}

step_cppcheck() {
    cppcheck --quiet --std=c11 --language=c -j "$jobs" --error-exitcode=1 --inline-suppr \
        --enable=warning,portability --suppress=missingIncludeSystem \
        --suppress=unmatchedSuppression --suppressions-list=tools/cppcheck.suppress \
        -D__GNUC__=12 -U_WIN32 -I include -I src src cmd
}

# Warnings are errors in both. gcc runs every test, clang those of the library's own code.
step_gcc() {
    build gcc && tools/run_tests.sh build/gcc "$jobs"
}

step_clang() {
    build clang && tools/run_tests.sh build/clang "$jobs" -L 'unit|kat|contract'
}

step_asan() {
    build asan && tools/run_tests.sh build/asan "$jobs"
}

# A race shows in some runs only, so each threaded test runs five times.
step_tsan() {
    build tsan && tools/run_tests.sh build/tsan 1 -L threads --repeat until-fail:5
}

step_valgrind() {
    build gcc >/dev/null || return
    find build/gcc/tests/unit -type f -perm -u+x -name 'test_*' | sort >"$logs/unit-tests"
    [[ -s $logs/unit-tests ]] || { echo "there are no unit tests" && return 1; }
    xargs -P "$jobs" -I '{}' valgrind -q --error-exitcode=99 --leak-check=full \
        --errors-for-leak-kinds=definite,indirect --trace-children=no '{}' <"$logs/unit-tests"
}

if (($# > 0)); then
    steps=("$@")
fi
failed=()
total=$SECONDS
for step in "${steps[@]}"; do
    if ! declare -F "step_$step" >/dev/null; then
        echo "check: there is no step $step" >&2
        exit 1
    fi
    [[ -t 1 ]] && printf '      %s ...\r' "$step"
    started=$SECONDS status=0
    ("step_$step") >"$logs/$step.log" 2>&1 || status=$?
    note=$(grep -E '^(cases: |SKIPPED: )' "$logs/$step.log" | tail -n 1) || true
    if ((status == 0)); then
        printf 'ok    %-11s %4d s  %s\n' "$step" $((SECONDS - started)) "$note"
    else
        printf 'FAIL  %-11s %4d s  %s\n' "$step" $((SECONDS - started)) "$note"
        tail -n 40 "$logs/$step.log" | sed 's/^/      /'
        printf '      the whole log is %s\n' "$logs/$step.log"
        failed+=("$step")
    fi
done
if ((${#failed[@]} > 0)); then
    printf 'check: failed: %s (%d s)\n' "${failed[*]}" $((SECONDS - total))
    exit 1
fi
printf 'check: all steps passed (%d s)\n' $((SECONDS - total))
