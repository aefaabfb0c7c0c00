#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the #include lines and fails where a folder includes what it may not.

    tools/layers.py [ROOT]

The rules are the three tables below. A new folder, or a new library of others,
is one line there, and a decision.
"""

import pathlib
import re
import sys

# src/FOLDER may include itself and these.
LAYERS = {
    "base": [],
    "format": ["base"],
    "crypto": ["format", "base"],
    "record": ["crypto", "format", "base"],
    "identity": ["record", "crypto", "format", "base"],
    "audit": ["record", "crypto", "format", "base"],
    "keyring": ["identity", "audit", "record", "crypto", "format", "base"],
    "session": ["identity", "audit", "record", "crypto", "format", "base"],
    "kv": ["session", "identity", "audit", "record", "crypto", "format", "base"],
    "resp": ["format", "base"],
    "cache": ["keyring", "identity", "audit", "record", "resp", "crypto", "format", "base"],
    "proxy": ["cache", "keyring", "identity", "audit", "record", "resp", "crypto", "format",
              "base"],
    "tenants": ["kv", "session", "identity", "audit", "record", "crypto", "format", "base"],
}

# A library of others is included only by files that start with one of these.
LIBRARIES = {
    "openssl/": ["src/crypto/openssl_", "bench/", "tests/"],
    "sqlite3.h": ["src/keyring/database.c", "src/cache/stores/sqlite", "bench/", "tests/"],
    "tss2/": ["src/keyring/stores/tpm2", "tests/"],
    "p11-kit/": ["src/keyring/stores/pkcs11", "tests/"],
    "curl/": ["cmd/aril/fetch", "src/cache/stores/http"],
    "lz4.h": ["src/cache/envelope.c", "tests/"],
    "xxhash.h": ["src/cache/envelope.c", "tests/"],
    "event2/": ["cmd/arild/", "tests/"],
    "jansson.h": ["cmd/", "bench/", "tests/"],
    "cmocka.h": ["tests/"],
}

# The daemon is made of the proxy, which is not public: it may include these folders of src/, and
# what it shares with the command aril is compiled from there.
DAEMON = "arild"
DAEMON_MAY = ["proxy", "base"]
DAEMON_FILES = ["crypto/tls.h"]
DAEMON_SHARED = ["args.h", "failure.h", "out.h"]

# What counts as the C library and the kernel.
SYSTEM = re.compile(
    r"^((sys|linux|asm|arpa|net|netinet|bits)/\w+\.h|\w*intrin\.h|cpuid\.h|"
    r"(assert|complex|ctype|dirent|dlfcn|elf|endian|errno|fcntl|fenv|float|fnmatch|ftw|getopt|glob|"
    r"grp|inttypes|iso646|libgen|limits|link|locale|malloc|math|netdb|poll|pthread|pwd|regex|"
    r"sched|semaphore|setjmp|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|"
    r"stdlib|stdnoreturn|string|strings|syslog|termios|time|unistd|wchar)\.h)$")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(path):
    """Yields (line number, '<' or '"', name) of each #include line."""
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


class Checker:
    def __init__(self, root):
        self.root = root
        self.errors = []

    def error(self, name, line, text):
        self.errors.append(f"{name}:{line}: {text}")

    def check_library(self, name, line, include):
        for prefix, allowed in LIBRARIES.items():
            if include.startswith(prefix):
                if not name.startswith(tuple(allowed)):
                    self.error(name, line, f"<{include}> is only for {', '.join(allowed)}")
                return
        if not SYSTEM.match(include):
            self.error(name, line, f"<{include}> is no header of the C library; "
                       "a new library needs a line in LIBRARIES of tools/layers.py")

    def check_src(self, path, name):
        folder = path.relative_to(self.root / "src").parts[0]
        if folder not in LAYERS:
            self.error(name, 1, f"src/{folder} has no line in LAYERS of tools/layers.py")
            return
        own = path.with_suffix(".h") if path.suffix == ".c" else None
        first = True
        for line, mark, include in includes(path):
            if first and own is not None and own.exists():
                wanted = own.relative_to(self.root / "src").as_posix()
                if (mark, include) != ('"', wanted):
                    self.error(name, line, f'the first include is its own header, "{wanted}"')
            first = False
            if mark == '"':
                target = include.split("/")[0]
                if not (self.root / "src" / include).is_file():
                    self.error(name, line, f'"{include}" is not a file below src/')
                elif target != folder and target not in LAYERS[folder]:
                    allowed = ", ".join(LAYERS[folder]) or "nothing but the C library"
                    self.error(name, line, f"{folder} may not include {target}; "
                               f"it may include {allowed}")
            elif include.startswith("aril/"):
                self.check_public(name, line, include)
            else:
                self.check_library(name, line, include)

    def check_public(self, name, line, include):
        if not (self.root / "include" / include).is_file():
            self.error(name, line, f"<{include}> is not a file below include/")

    def daemon_may(self, include):
        inside = include.split("/")[0] in DAEMON_MAY or include in DAEMON_FILES
        return ((inside and (self.root / "src" / include).is_file()) or
                (include in DAEMON_SHARED and (self.root / "cmd" / "aril" / include).is_file()))

    def check_cmd(self, path, name):
        """Public headers, the folder's own, and proxy/ where it is what the file is about."""
        folder = self.root / "cmd" / path.relative_to(self.root / "cmd").parts[0]
        has_proxy = path.name.startswith("proxy")
        for line, mark, include in includes(path):
            if mark == '"' and folder.name == DAEMON and self.daemon_may(include):
                continue
            if mark == '"' and has_proxy and include.startswith("proxy/"):
                if not (self.root / "src" / include).is_file():
                    self.error(name, line, f'"{include}" is not a file below src/')
            elif mark == '"':
                if not (folder / include).is_file() and not (path.parent / include).is_file():
                    self.error(name, line, f'"{include}" is not in cmd/{folder.name}; commands '
                               "include public headers <aril/...>, their own folder, and proxy/ "
                               "from proxy*.c and arild")
            elif include.startswith("aril/"):
                self.check_public(name, line, include)
            else:
                self.check_library(name, line, include)

    def check_include(self, path, name):
        for line, mark, include in includes(path):
            if include.startswith("aril/"):
                if mark == '"':
                    self.error(name, line, f"public headers are included as <{include}>")
                self.check_public(name, line, include)
            elif not SYSTEM.match(include):
                self.error(name, line, f"a public header includes {mark}{include}: "
                           "only <aril/...> and the C library")

    def run(self):
        checks = {"src": self.check_src, "cmd": self.check_cmd, "include": self.check_include}
        files = 0
        for top, check in checks.items():
            for path in sorted((self.root / top).rglob("*.[ch]")):
                files += 1
                check(path, path.relative_to(self.root).as_posix())
        return files


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1])
    checker = Checker(root.resolve())
    files = checker.run()
    for error in checker.errors:
        print(error)
    print(f"layers: {files} files, {len(checker.errors)} errors")
    return 1 if checker.errors else 0


if __name__ == "__main__":
    sys.exit(main())
