#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds simple mistakes that a compiler does not.

    tools/lint.py                  check all files that git knows or would add
    tools/lint.py --write-exports  write tools/exports.txt from include/aril/

A line that is right in spite of a rule says so at its end, with the reason:

    memcmp(a, b, n); /* lint: allow memcmp-secret, both are public tags */
"""

import pathlib
import re
import subprocess
import sys

import proxy_commands

ROOT = pathlib.Path(__file__).resolve().parents[1]
COLUMNS_MAX = 100
SOURCE_SUFFIXES = {".c", ".h", ".def", ".py", ".sh", ".cmake", ".in"}
SOURCE_NAMES = {"CMakeLists.txt", "Makefile", "run"}

SECRET = (r"(?:key|keys|secret|secrets|seed|psk|ikm|okm|prk|priv|private|shared|"
          r"plain|plaintext)")
# NAME, where it holds, pattern in code without comments and strings, what to do.
RULES = [
    ("unbounded", ("src", "cmd", "bench", "tests", "include"),
     r"\b(strcpy|strcat|sprintf|vsprintf|gets|alloca|strtok)\s*\(",
     "use a function that knows the size of its output"),
    ("atoi", ("src", "cmd", "bench", "tests"), r"\b(atoi|atol|atoll|atof)\s*\(",
     "use strtoull and check its end and range"),
    ("rand", ("src", "cmd", "bench", "include"),
     r"(?<![\w.>])(s?rand|s?random|drand48|rand_r)\s*\(",
     "use random() of the crypto table, or a generator handed in by the test"),
    ("alloc", ("src", "include"), r"(?<![\w.>])(malloc|calloc|realloc|free|strdup)\s*\(",
     "only src/base allocates; use arili_alloc and arili_free, which wipes"),
    ("output", ("src", "include"),
     r"(?<![\w.>])(printf|fprintf|vfprintf|puts|fputs|putchar|perror|syslog)\s*\(",
     "the library does not log"),
    ("process", ("src", "include"),
     r"(?<![\w.>])(getenv|secure_getenv|setenv|exit|_exit|abort|signal|sigaction|system|popen)"
     r"\s*\(",
     "the library does not exit, read the environment or touch process-wide state"),
    ("goto", ("src", "cmd", "bench", "tests", "include"), r"\bgoto\b",
     "use the cleanup attribute (ARILI_DEFER)"),
    ("memset-secret", ("src", "cmd"),
     rf"\bmemset\s*\(\s*[^,]*(?<![a-z]){SECRET}(?![a-z])",
     "a compiler may drop this; use arili_wipe"),
    ("memcmp-secret", ("src", "cmd"),
     r"\bmemcmp\s*\([^;]*(?<![a-z])(tag|tags|mac|hmac|secret|seed|psk)(?![a-z])",
     "compare secrets and tags in constant time"),
]
RULES = [(name, folders, re.compile(pattern), hint) for name, folders, pattern, hint in RULES]
# src/base is where these live.
BASE_MAY = {"alloc", "memset-secret"}

ALLOW = re.compile(r"lint: allow ([a-z-]+),\s*\S")
OPEN_END = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
HOME = re.compile(r"/(?:home|root|Users)/[a-z]")
COMMENT_OR_STRING = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


def files():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT,
                            check=True, capture_output=True).stdout.decode()
    return sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()})


def blank(match):
    """Comments and strings become spaces, so line numbers stay."""
    return re.sub(r"[^\n]", " ", match.group(0))


def public_names():
    """The names declared with ARIL_API in include/aril/*.h."""
    names = set()
    for header in sorted((ROOT / "include" / "aril").glob("*.h")):
        code = COMMENT_OR_STRING.sub(blank, header.read_text(encoding="utf-8"))
        code = re.sub(r"^\s*#(?:.*\\\n)*.*$", "", code, flags=re.M)
        for declaration in re.findall(r"\bARIL_API\b([^;{]*)", code):
            declaration = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", declaration, flags=re.S)
            match = re.search(r"\b(aril_\w+)\s*\(", declaration)
            match = match or re.search(r"\b(aril_\w+)\s*(?:\[[^\]]*\])?\s*$", declaration)
            if match:
                names.add(match.group(1))
    return names


class Linter:
    def __init__(self):
        self.errors = []

    def error(self, name, line, rule, text):
        self.errors.append(f"{name}:{line}: {rule}: {text}")

    def lint_text(self, name, text, is_source):
        for number, line in enumerate(text.splitlines(), 1):
            if HOME.search(line):
                self.error(name, number, "machine-path", "a path of one machine")
            if line != line.rstrip() and not name.endswith(".md"):
                self.error(name, number, "space", "spaces at the end of the line")
            if not is_source:
                continue
            if OPEN_END.search(line) and name != "tools/lint.py":
                self.error(name, number, "open-end", "write it as TODO(#12), with its issue")
            if "\t" in line and not name.endswith("Makefile"):
                self.error(name, number, "tab", "use spaces")
            if len(line) > COLUMNS_MAX:
                self.error(name, number, "columns", f"{len(line)} columns, {COLUMNS_MAX} at most")
            if not line.isascii():
                self.error(name, number, "ascii", "only ASCII in sources; use an escape")
        if text and not text.endswith("\n"):
            self.error(name, text.count("\n") + 1, "newline", "no newline at the end of the file")
        if is_source and "SPDX-License-Identifier:" not in "\n".join(text.splitlines()[:3]):
            self.error(name, 1, "spdx", "no SPDX-License-Identifier in the first three lines")

    def lint_c(self, name, text):
        folder = name.split("/")[0]
        lines = text.splitlines()
        code = COMMENT_OR_STRING.sub(blank, text)
        for number, line in enumerate(code.splitlines(), 1):
            if line.lstrip().startswith("#include"):
                continue
            for rule, folders, pattern, hint in RULES:
                if folder not in folders or (rule in BASE_MAY and name.startswith("src/base/")):
                    continue
                match = pattern.search(line)
                if not match:
                    continue
                allowed = ALLOW.search(lines[number - 1])
                if not (allowed and allowed.group(1) == rule):
                    self.error(name, number, rule, f"{match.group(0).strip()} ... {hint}")

    def lint_exports(self):
        name = "tools/exports.txt"
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        listed = [line for line in lines if line and not line.startswith("#")]
        if listed != sorted(set(listed)):
            self.error(name, 1, "exports", "the names are not sorted, or one is there twice")
        declared = public_names()
        for symbol in sorted(declared - set(listed)):
            self.error(name, 1, "exports", f"{symbol} is declared with ARIL_API and not listed")
        for symbol in sorted(set(listed) - declared):
            self.error(name, 1, "exports", f"{symbol} is listed and not declared with ARIL_API")

    def lint_commands(self):
        for name, text in proxy_commands.errors():
            self.error(name, 1, "commands", text)

    def run(self):
        names = files()
        for name in names:
            path = ROOT / name
            is_source = path.suffix in SOURCE_SUFFIXES or path.name in SOURCE_NAMES
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                if is_source:
                    self.error(name, 1, "ascii", "not a text file")
                continue
            if name == "LICENSE" or name.startswith(("tests/data/", "tests/fuzz/corpus/")):
                continue
            self.lint_text(name, text, is_source)
            if path.suffix in {".c", ".h"}:
                self.lint_c(name, text)
        self.lint_exports()
        self.lint_commands()
        return len(names)


def write_exports():
    path = ROOT / "tools" / "exports.txt"
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    path.write_text("\n".join(head + sorted(public_names())) + "\n", encoding="utf-8")


def main():
    if sys.argv[1:] == ["--write-exports"]:
        write_exports()
        return 0
    if sys.argv[1:]:
        sys.exit(__doc__)
    linter = Linter()
    count = linter.run()
    for error in linter.errors:
        print(error)
    print(f"lint: {count} files, {len(linter.errors)} errors")
    return 1 if linter.errors else 0


if __name__ == "__main__":
    sys.exit(main())
