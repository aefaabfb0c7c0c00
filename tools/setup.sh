#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Brings what aril needs onto this machine: packages of the distribution, an
# OpenSSL of at least 3.5, and npm packages for tests and the demo.
#
#   tools/setup.sh build           what "make" needs
#   tools/setup.sh test            and what "make test" needs (the default)
#   tools/setup.sh demo            and what "make demo" needs
#   tools/setup.sh check           and what "make check" and "make fuzz" need
#   tools/setup.sh where NAME      prints the folder of openssl, oracles, clients or llama
#   tools/setup.sh openssl-update  builds OpenSSL again if there is a newer one
#
# Environment:
#   ARIL_CACHE_DIR      where everything goes that is not a package
#                       (default: $XDG_CACHE_HOME/aril or ~/.cache/aril)
#   ARIL_NO_INSTALL=1   print what is missing and stop; install and build nothing
#   ARIL_OPENSSL_ROOT   use this OpenSSL (prefix with include/ and lib/), 3.5 or newer
#   ARIL_DEBIAN_MIRROR  Debian mirror for the OpenSSL source, if not the system's own
#
# A second run finds everything in place and returns in well under a second.
set -euo pipefail

tools_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${ARIL_CACHE_DIR:-}${XDG_CACHE_HOME:-}${HOME:-} ]]; then
    echo "setup: HOME is not set; set ARIL_CACHE_DIR" >&2
    exit 1
fi
cache_dir=${ARIL_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/aril}
openssl_dir=$cache_dir/openssl
openssl_stamp=$openssl_dir/.aril-version

say() {
    printf 'setup: %s\n' "$*"
}

warn() {
    printf 'setup: %s\n' "$*" >&2
}

# fail MESSAGE [REMEDY...]: one line each, then exit status 1.
fail() {
    local line
    warn "$1"
    shift
    for line in "$@"; do
        printf '       %s\n' "$line" >&2
    done
    exit 1
}

# Runs COMMAND with its output in LOG. On a terminal a counter shows that it is
# alive; elsewhere one line a minute does. The command has its own process group,
# so that an interrupted run leaves nothing behind.
run_logged() {
    local log=$1 label=$2 status=0 pid started=$SECONDS beat
    shift 2
    set -m
    "$@" >>"$log" 2>&1 </dev/null &
    pid=$!
    set +m
    # shellcheck disable=SC2064 # the pid of now
    trap "kill -TERM -- -$pid 2>/dev/null; exit 130" INT TERM HUP
    beat=60
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        if [[ -t 1 ]]; then
            printf '\rsetup: %s ... %d s ' "$label" $((SECONDS - started))
        elif ((SECONDS - started >= beat)); then
            say "$label ... $((SECONDS - started)) s"
            beat=$((beat + 60))
        fi
    done
    wait "$pid" || status=$?
    trap - INT TERM HUP
    if [[ -t 1 ]]; then
        printf '\r%60s\r' ''
    fi
    return "$status"
}

# --- OpenSSL: which one ------------------------------------------------------

# The version "MAJOR.MINOR.PATCH" of the OpenSSL headers under prefix $1.
openssl_header_version() {
    local header=$1/include/openssl/opensslv.h
    [[ -r $header ]] || return 1
    awk '/^# *define +OPENSSL_VERSION_(MAJOR|MINOR|PATCH) / { v = v sep $NF; sep = "." }
         END { print v }' "$header"
}

# True when version $1 is 3.5 or newer. Reads "3.5.7" and "3.5.7-1~deb13u2".
openssl_is_new_enough() {
    local major minor
    IFS=.- read -r major minor _ <<<"$1"
    [[ $major =~ ^[0-9]+$ && $minor =~ ^[0-9]+$ ]] || return 1
    ((major > 3 || (major == 3 && minor >= 5)))
}

# libcrypto.a with libssl.a beside it.
has_static_libs() {
    local crypto
    while read -r crypto; do
        [[ -e ${crypto%/*}/libssl.a ]] && return
    done < <(compgen -G "$1/lib*/libcrypto.a" || compgen -G "$1/lib/*/libcrypto.a" || true)
    return 1
}

# Prints the prefix to build with; fails when there is none yet.
openssl_where() {
    local prefix version
    if [[ -n ${ARIL_OPENSSL_ROOT:-} ]]; then
        version=$(openssl_header_version "$ARIL_OPENSSL_ROOT") ||
            fail "ARIL_OPENSSL_ROOT has no include/openssl/opensslv.h: $ARIL_OPENSSL_ROOT"
        openssl_is_new_enough "$version" ||
            fail "ARIL_OPENSSL_ROOT is OpenSSL $version; aril needs 3.5 or newer"
        printf '%s\n' "$ARIL_OPENSSL_ROOT"
        return
    fi
    for prefix in /usr /usr/local; do
        version=$(openssl_header_version "$prefix") || continue
        if openssl_is_new_enough "$version" && has_static_libs "$prefix"; then
            printf '%s\n' "$prefix"
            return
        fi
    done
    [[ -s $openssl_stamp ]] || return 1
    printf '%s\n' "$openssl_dir"
}

# True when the distribution offers libssl-dev 3.5 or newer.
openssl_is_packaged() {
    local version
    version=$(apt-cache policy libssl-dev 2>/dev/null | awk '$1 == "Candidate:" { print $2 }')
    [[ -n $version && $version != '(none)' ]] && openssl_is_new_enough "$version"
}

# --- packages of the distribution ---------------------------------------------

# NAME|MODES|COMMAND|PURPOSE. A package counts as present when COMMAND is found,
# wherever it came from, or, without a COMMAND, when dpkg knows it as installed.
packages() {
    cat <<'TABLE'
gcc|build|gcc|the C compiler
libc6-dev|build||the headers of the C library
make|build|make|the front door and the build of OpenSSL
cmake|build|cmake|the build of aril, 3.25 or newer
pkgconf|build|pkg-config|finds libraries
binutils|build|objcopy|ar, nm and objcopy for the libraries
libjansson-dev|build||JSON in configuration and reports
libsqlite3-dev|build||the file of the keyring
libtss2-dev|build||keystores in a TPM 2.0; loaded when one is used
libp11-kit-dev|build||headers of PKCS#11, for keystores in an HSM
libevent-dev|build||the event loop of arild
libcurl4-openssl-dev|build||key bundles and cache stores by HTTP; loaded when a URL is used
liblz4-dev|build||reads what cachekit compressed
libxxhash-dev|build||checks what cachekit compressed
libcmocka-dev|test||the unit tests
g++|test|g++|checks that the public headers are C++
python3|test|python3|scripts of the build and test oracles
python3-cryptography|test||an independent implementation to test against
swtpm|test|swtpm|a TPM 2.0 in software
softhsm2|test|softhsm2-util|a PKCS#11 token in software
redis-server|test|redis-server|the store that the cache is tested with
faketime|test|faketime|jumps of the clock under arild
chromium|test|chromium|shows arild's status page, without a screen
python3-redis|test||a Redis client that the proxy is tested with
npm|test demo|npm|fetches test oracles and the demo's llama.cpp
clang|check|clang|the second compiler, sanitizers and libFuzzer
libclang-rt-dev|check||the runtime of clang's sanitizers
clang-format|check|clang-format|the format of the code
cppcheck|check|cppcheck|static analysis
shellcheck|check|shellcheck|static analysis of the scripts
valgrind|check|valgrind|reads of memory that was never written
TABLE
    case $openssl_plan in
    package)
        cat <<'TABLE'
libssl-dev|build||OpenSSL 3.5: all cryptographic primitives, TLS
zlib1g-dev|build||needed by the distribution's static libcrypto
libzstd-dev|build||needed by the distribution's static libcrypto
TABLE
        ;;
    build)
        cat <<'TABLE'
dpkg-dev|build|dpkg-source|unpacks the source of OpenSSL 3.5
perl|build|perl|configures OpenSSL 3.5
xz-utils|build|xz|unpacks the patches of OpenSSL 3.5
TABLE
        ;;
    esac
}

# True when a package of mode $1 is wanted in mode $2.
mode_wants() {
    case $2 in
    build) [[ $1 == build ]] ;;
    test) [[ $1 == build || $1 == *test* ]] ;;
    demo) [[ $1 == build || $1 == *demo* ]] ;;
    check) true ;;
    esac
}

is_required() {
    [[ $1 != npm && $1 != shellcheck && $1 != chromium ]]
}

apt_install() {
    local log=$cache_dir/log/apt.log
    local -a apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y
        -o DPkg::Lock::Timeout=300)
    if ((EUID != 0)); then
        apt=(sudo -n "${apt[@]}")
    fi
    mkdir -p "$cache_dir/log"
    : >"$log"
    local -a install=("${apt[@]}" install --no-install-recommends "$@")
    if run_logged "$log" "installing packages" "${install[@]}"; then
        return
    fi
    # The usual reason: no package lists, or lists that are older than the mirror.
    if run_logged "$log" "reading package lists" "${apt[@]}" update &&
        run_logged "$log" "installing packages" "${install[@]}"; then
        return
    fi
    tail -n 15 "$log" >&2
    return 1
}

setup_packages() {
    local mode=$1 name modes command purpose installed optional=no
    local -a wanted=() missing=()

    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        warn "this is not a Debian or Ubuntu system: packages are not checked"
        return
    fi
    # shellcheck disable=SC2016 # dpkg-query expands these
    installed=$(packages | cut -d '|' -f 1 |
        xargs dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
        sed -n 's/^installed //p') || true
    while IFS='|' read -r name modes command purpose; do
        mode_wants "$modes" "$mode" || continue
        if [[ -n $command ]]; then
            command -v "$command" >/dev/null && continue
        elif grep -qxF -- "$name" <<<"$installed"; then
            continue
        fi
        if ((${#missing[@]} == 0)); then
            say "missing packages:"
        fi
        printf '  %-22s %s\n' "$name" "$purpose"
        missing+=("$name")
        is_required "$name" && wanted+=("$name")
    done < <(packages)
    ((${#missing[@]} > 0)) || return 0

    if [[ ${ARIL_NO_INSTALL:-} == 1 ]]; then
        ((${#wanted[@]} > 0)) || return 0
        fail "nothing was installed (ARIL_NO_INSTALL=1); install them with:" \
            "apt-get install ${missing[*]}"
    fi
    if ((EUID != 0)) && ! sudo -n true 2>/dev/null; then
        ((${#wanted[@]} > 0)) || return 0
        fail "installing packages needs root; run this, then try again:" \
            "sudo apt-get install ${missing[*]}"
    fi
    if ((${#wanted[@]} > 0)); then
        apt_install "${wanted[@]}" ||
            fail "packages could not be installed" \
                "the log is $cache_dir/log/apt.log" \
                "check the network and the package sources, then run: apt-get install ${wanted[*]}"
    fi
    # What is left makes tests skip, not fail; a failure here stops nothing.
    for name in "${missing[@]}"; do
        is_required "$name" && continue
        optional=yes
        apt_install "$name" || warn "$name could not be installed; what needs it is skipped"
    done
    if [[ $optional == yes ]]; then
        hash -r
    fi
    say "packages are in place"
}

# --- npm ------------------------------------------------------------------------

npm_dir() {
    local name=$1 hash
    hash=$(sha256sum <"$tools_dir/npm/$name/package-lock.json")
    printf '%s/npm/%s-%s\n' "$cache_dir" "$name" "${hash:0:16}"
}

# Installs tools/npm/NAME into the cache. Never fatal: without it tests skip and
# the demo says what it does instead.
setup_npm() {
    local name=$1 purpose=$2 dir log
    dir=$(npm_dir "$name")
    [[ -e $dir/.done ]] && return
    if [[ ${ARIL_NO_INSTALL:-} == 1 ]]; then
        warn "npm packages are missing: $purpose"
        return
    fi
    if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
        warn "node and npm are missing, so are: $purpose"
        return
    fi
    log=$cache_dir/log/npm-$name.log
    mkdir -p "$dir" "$cache_dir/log"
    : >"$log"
    exec {npm_lock}>"$dir/.lock"
    flock "$npm_lock"
    if [[ ! -e $dir/.done ]]; then
        cp "$tools_dir/npm/$name/package.json" "$tools_dir/npm/$name/package-lock.json" "$dir/"
        if run_logged "$log" "fetching $purpose" \
            npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund \
            --no-update-notifier --fetch-retries=1 --fetch-retry-mintimeout=1000; then
            : >"$dir/.done"
            say "fetched $purpose"
        else
            tail -n 5 "$log" >&2
            warn "could not fetch $purpose; the log is $log"
            warn "check the network and npm's registry setting, then run this again"
        fi
    fi
    exec {npm_lock}>&-
}

where() {
    local dir
    case ${1:-} in
    openssl) openssl_where ;;
    oracles | clients | llama)
        dir=$(npm_dir "$1")
        [[ -e $dir/.done ]] || return 1
        printf '%s/node_modules\n' "$dir"
        ;;
    *) fail "usage: tools/setup.sh where openssl|oracles|clients|llama" ;;
    esac
}

# --- main -----------------------------------------------------------------------

# Sets openssl_plan: "ready", "package" (install libssl-dev) or "build".
plan_openssl() {
    if openssl_where >/dev/null; then
        openssl_plan=ready
    elif command -v apt-cache >/dev/null && openssl_is_packaged; then
        openssl_plan=package
    else
        openssl_plan=build
    fi
}

setup_openssl() {
    [[ $openssl_plan == build ]] || return 0
    if [[ ${ARIL_NO_INSTALL:-} == 1 ]]; then
        fail "OpenSSL 3.5 or newer is missing (ARIL_NO_INSTALL=1: it is not built)" \
            "run tools/setup.sh build without ARIL_NO_INSTALL, or set ARIL_OPENSSL_ROOT"
    fi
    # shellcheck source=tools/setup_openssl.sh
    . "$tools_dir/setup_openssl.sh"
    build_openssl "$1"
}

main() {
    local mode=${1:-test}
    case $mode in
    where)
        where "${2:-}"
        return
        ;;
    -h | --help | help)
        sed -n '3,/^set /p' "${BASH_SOURCE[0]}" | sed -n 's/^# \{0,1\}//p'
        return
        ;;
    build | test | demo | check) ;;
    openssl-update)
        openssl_plan=build
        setup_packages build
        setup_openssl update
        return
        ;;
    *) fail "unknown mode: $mode" "one of: build, test, demo, check, where, openssl-update, help" ;;
    esac

    plan_openssl
    setup_packages "$mode"
    setup_openssl missing
    case $mode in
    test | check)
        setup_npm oracles "npm test oracles (@noble, @hpke)"
        setup_npm clients "npm Redis clients (ioredis, redis, GLIDE, LangChain)"
        ;;
    esac
    if [[ $mode != build ]]; then
        if [[ $(uname -m) == x86_64 ]]; then
            setup_npm llama "llama.cpp for the demo (@node-llama-cpp/linux-x64)"
        else
            warn "there is no llama.cpp package for $(uname -m); the demo uses synthetic tensors"
        fi
    fi
}

main "$@"
