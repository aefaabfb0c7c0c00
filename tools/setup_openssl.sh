# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Part of setup.sh: builds Debian 13's own OpenSSL package into the cache.
#
# Trust: apt verifies the suite's InRelease with the archive keyring, that names
# the hash of Sources, that the hash of the .dsc and the tarballs. The hashes in
# the .dsc are checked once more before anything is unpacked.
#
# Steps leave stamps in $work, so a run that was killed continues where it was;
# make itself continues inside the compilation.
# shellcheck disable=SC2154 # cache_dir, openssl_dir, openssl_stamp come from setup.sh

work=$cache_dir/openssl-build
openssl_log=$cache_dir/log/openssl.log
archive_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

openssl_fail() {
    if [[ -s $openssl_log ]]; then
        tail -n 15 "$openssl_log" >&2
    fi
    fail "$1" "the log is $openssl_log" "${@:2}" \
        "or set ARIL_OPENSSL_ROOT to the prefix of an OpenSSL 3.5 or newer with its .a files"
}

# Prints "SUITE URI" for each enabled binary package source of the system, from
# one-line (.list) and deb822 (.sources) files.
apt_sources() {
    local -a lists=() sources=()
    local file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [[ -r $file ]] && lists+=("$file")
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        [[ -r $file ]] && sources+=("$file")
    done
    if ((${#sources[@]} > 0)); then
        awk '
            function flush(   u, s, i, j, nu, ns) {
                if (types ~ /(^| )deb( |$)/ && !off) {
                    nu = split(uris, u, " "); ns = split(suites, s, " ")
                    for (i = 1; i <= nu; i++)
                        for (j = 1; j <= ns; j++) print s[j], u[i]
                }
                types = uris = suites = field = ""; off = 0
            }
            FNR == 1 || /^[ \t]*$/ { flush() }
            /^#/ || /^[ \t]*$/ { next }
            /^[A-Za-z-]+:/ {
                field = tolower($1); sub(/^[^:]*:[ \t]*/, "")
                if (field == "enabled:" && tolower($1) == "no") off = 1
            }
            field == "types:" { types = types " " $0 }
            field == "uris:" { uris = uris " " $0 }
            field == "suites:" { suites = suites " " $0 }
            END { flush() }' "${sources[@]}"
    fi
    if ((${#lists[@]} > 0)); then
        sed -n 's/^[ \t]*deb[ \t]\{1,\}\(\[[^]]*\][ \t]*\)\{0,1\}//p' "${lists[@]}" |
            awk '{ print $2, $1 }'
    fi
}

# Writes the private apt configuration: the system's Debian mirror, suite trixie.
write_apt_sources() {
    local codename mirror security
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    mirror=${ARIL_DEBIAN_MIRROR:-$(apt_sources |
        awk -v suite="$codename" '$1 == suite && !n++ { print $2 }')}
    security=$(apt_sources | awk -v suite="$codename-security" '$1 == suite && !n++ { print $2 }')
    if [[ -z ${ARIL_DEBIAN_MIRROR:-} && $(. /etc/os-release && printf '%s' "$ID") != debian ]]; then
        mirror='' security=''
    fi
    [[ -n $mirror ]] || openssl_fail "no Debian mirror is configured on this system" \
        "set ARIL_DEBIAN_MIRROR to the URI of a Debian mirror and run this again,"
    [[ -r $archive_keyring ]] || openssl_fail "the keys of the Debian archive are missing" \
        "install the package debian-archive-keyring and run this again,"

    mkdir -p "$work"/apt/{lists/partial,cache/archives/partial,preferences.d,sources.list.d}
    {
        printf 'Types: deb-src\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: %s\n' \
            "$mirror" "$archive_keyring"
        if [[ -n $security ]]; then
            printf '\nTypes: deb-src\nURIs: %s\nSuites: trixie-security\nComponents: main\n' \
                "$security"
            printf 'Signed-By: %s\n' "$archive_keyring"
        fi
    } >"$work/apt/sources.list.d/trixie.sources"
}

private_apt() {
    local command=$1
    shift
    "$command" -q -o Dir::Etc::SourceList=/dev/null \
        -o Dir::Etc::SourceParts="$work/apt/sources.list.d" \
        -o Dir::State::Lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts="$work/apt/preferences.d" \
        -o APT::Sandbox::User="$(id -un)" -o APT::Get::List-Cleanup=0 "$@"
}

# The versions on offer, newest first.
offered_versions() {
    private_apt apt-cache showsrc --only-source openssl 2>/dev/null |
        awk '$1 == "Version:" { print $2 }' | sort -u |
        while read -r version; do
            openssl_is_new_enough "$version" && printf '%s\n' "$version"
        done | sort -rV
}

fetch_source() {
    cd "$work/download.part" &&
        private_apt apt-get source --only-source --download-only "openssl=$1"
}

# Downloads into $work/download and leaves the version in $work/version. A mirror
# may list a version that it no longer holds, so older ones are tried as well.
download_openssl() {
    local version dsc
    rm -rf "$work/download.part"
    mkdir -p "$work/download.part"
    for version in $(offered_versions); do
        run_logged "$openssl_log" "downloading OpenSSL ${version%%-*}" \
            fetch_source "$version" || continue
        dsc=$work/download.part/openssl_${version#*:}.dsc
        [[ -s $dsc ]] || continue
        (cd "$work/download.part" && awk '
            /^Checksums-Sha256:/ { on = 1; next }
            /^[^ ]/ { on = 0 }
            on { print $1 "  " $3 }' "$dsc" | sha256sum --check --strict) >>"$openssl_log" 2>&1 ||
            openssl_fail "the downloaded source of OpenSSL does not match its checksums" \
                "remove $work and run this again,"
        rm -rf "$work/download"
        mv "$work/download.part" "$work/download"
        printf '%s\n' "${version#*:}" >"$work/version"
        return
    done
    return 1
}

configure_openssl() {
    local target
    case $(uname -m) in
    x86_64) target=linux-x86_64 ;;
    aarch64) target=linux-aarch64 ;;
    *) openssl_fail "no OpenSSL build is prepared for $(uname -m)" ;;
    esac
    # Objects are position independent (shared is on), so libcrypto.a can go into
    # libaril.so. The system's /etc/ssl serves certificates; nothing is written there.
    run_logged "$openssl_log" "configuring OpenSSL" \
        env -C "$work/source" -u CC -u CFLAGS -u CPPFLAGS -u LDFLAGS \
        ./Configure "$target" --prefix="$openssl_dir" --openssldir=/etc/ssl --libdir=lib \
        no-tests no-docs
}

make_openssl() {
    # Not under the rules of the make that may have called this script.
    run_logged "$openssl_log" "$1" \
        env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u CC -u CFLAGS -u CPPFLAGS -u LDFLAGS \
        make -C "$work/source" -j"$(nproc)" "${@:2}"
}

# step NAME COMMAND...: runs the command once; the stamp goes with $work.
step() {
    local name=$1
    shift
    [[ -e $work/$name.done ]] && return
    "$@" || return
    : >"$work/$name.done"
}

unpack_openssl() {
    rm -rf "$work/source" "$work/source.part"
    run_logged "$openssl_log" "unpacking OpenSSL" \
        dpkg-source -x "$work/download/openssl_$(<"$work/version").dsc" "$work/source.part" &&
        mv "$work/source.part" "$work/source"
}

refresh_apt() {
    write_apt_sources
    run_logged "$openssl_log" "reading Debian 13's package lists" \
        private_apt apt-get update --error-on=any
}

# build_openssl missing|update
build_openssl() {
    local wish=$1 version openssl_lock
    mkdir -p "$cache_dir/log" "$work"
    exec {openssl_lock}>"$cache_dir/openssl.lock"
    if ! flock --nonblock "$openssl_lock"; then
        say "another run is building OpenSSL; waiting for it"
        flock "$openssl_lock"
    fi
    if [[ $wish == missing && -s $openssl_stamp ]]; then
        exec {openssl_lock}>&-
        return
    fi
    : >"$openssl_log"

    if [[ $wish == update ]]; then
        rm -rf "$work"
        mkdir -p "$work"
        refresh_apt || openssl_fail "the package lists of Debian 13 cannot be read" \
            "check the network and run this again,"
        version=$(offered_versions | head -n 1)
        if [[ -s $openssl_stamp && $version == "$(<"$openssl_stamp")" ]]; then
            say "OpenSSL $version is the newest"
            rm -rf "$work"
            exec {openssl_lock}>&-
            return
        fi
    fi
    step lists refresh_apt || openssl_fail "the package lists of Debian 13 cannot be read" \
        "check the network and run this again,"
    if ! step download download_openssl; then
        # Lists that were read by a killed run days ago may name what is gone.
        rm -f "$work/lists.done"
        if ! step lists refresh_apt || ! step download download_openssl; then
            openssl_fail "the source of OpenSSL 3.5 cannot be downloaded" \
                "check the network and run this again,"
        fi
    fi
    version=$(<"$work/version")
    say "building OpenSSL ${version%%-*} in the cache (about 3 minutes, only the first time)"
    step unpack unpack_openssl || openssl_fail "the source of OpenSSL cannot be unpacked" \
        "remove $work and run this again,"
    step configure configure_openssl || openssl_fail "OpenSSL cannot be configured" \
        "remove $work and run this again,"
    step make make_openssl "building OpenSSL ${version%%-*}" build_sw ||
        openssl_fail "OpenSSL does not build" "run this again to continue, or remove $work first,"
    rm -f "$openssl_stamp"
    step install make_openssl "installing OpenSSL ${version%%-*}" install_sw ||
        openssl_fail "OpenSSL cannot be installed into $openssl_dir" "check the disk space there,"
    printf '%s\n' "$version" >"$openssl_stamp.part"
    mv "$openssl_stamp.part" "$openssl_stamp"
    rm -rf "$work"
    exec {openssl_lock}>&-
    say "OpenSSL $version is ready"
}
