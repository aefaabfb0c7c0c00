#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An installed aril is found by pkg-config and works from a C program, as a
# shared and as a static library, wherever its files were moved to.
set -euo pipefail

if [[ -n ${ARIL_SANITIZE:-} ]]; then
    echo "sanitizer builds are not installed"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0

ok() {
    passed=$((passed + 1))
    printf 'ok: %s\n' "$1"
}

die() {
    printf 'FAILED: %s\n%d passed, 1 failed\n' "$1" "$passed"
    exit 1
}

DESTDIR=$work/stage cmake --install "$ARIL_BUILD_DIR" --prefix /opt/aril >"$work/install.log" ||
    die "cmake --install"
prefix=$work/stage/opt/aril
pc=$(find "$prefix" -name aril.pc)
[[ -n $pc ]] || die "aril.pc is installed"
export PKG_CONFIG_PATH=${pc%/*}
ok "the files are installed"

cat >"$work/use.c" <<'SOURCE'
#include <aril/base.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    puts(aril_status_name(ARIL_OK));
    return strcmp(aril_status_name(ARIL_OK), "ARIL_OK") != 0;
}
SOURCE
cc=${CC:-cc}
libdir=$(pkg-config --variable=libdir aril)
version=$(pkg-config --modversion aril)
grep -q "^#define ARIL_VERSION  *\"$version\"" "$ARIL_SOURCE_DIR/include/aril/base.h" ||
    die "pkg-config and base.h agree on the version"
ok "pkg-config and base.h agree on the version"

read -ra flags < <(pkg-config --cflags --libs aril)
"$cc" "$work/use.c" -o "$work/shared" "${flags[@]}" || die "linking with libaril.so"
[[ $(LD_LIBRARY_PATH=$libdir "$work/shared") == ARIL_OK ]] || die "running with libaril.so"
ok "a program runs with libaril.so"

read -ra flags < <(pkg-config --cflags --libs --static aril)
flags=("${flags[@]/#-laril/-l:libaril.a}")
"$cc" "$work/use.c" -o "$work/static" "${flags[@]}" || die "linking with libaril.a"
[[ $(env -u LD_LIBRARY_PATH "$work/static") == ARIL_OK ]] || die "running with libaril.a"
ok "a program runs with libaril.a"

if [[ -e $ARIL_BUILD_DIR/aril ]]; then
    "$prefix/bin/aril" --version >/dev/null || die "the installed command runs"
    ok "the installed command runs"
fi

for page in "$ARIL_SOURCE_DIR"/man/*.[1-8]; do
    [[ -e $page ]] || continue
    [[ -e $prefix/share/man/man${page##*.}/${page##*/} ]] || die "${page##*/} is installed"
    ok "${page##*/} is installed"
done
printf '%d passed, 0 failed\n' "$passed"
