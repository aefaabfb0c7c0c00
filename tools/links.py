#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that what the documents name exists.

    tools/links.py

Looked at are the Markdown files at the root, in docs/ and in tests/data/:
  - links to files, and their anchors;
  - names in back quotes that are paths of this repository;
  - functions of ours in back quotes, statuses, macros and variables named ARIL_...;
  - "make ENTRY" in back quotes or code blocks.
The last line of output is "N passed, N failed".
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
CODE_FOLDERS = ("include", "src", "cmd", "cmake", "tools", "tests", "bench")
CODE_SUFFIXES = {".h", ".c", ".def", ".cmake", ".sh", ".py", ".txt"}
TOPS = "src|include|cmd|tests|tools|docs|bench|man|cmake"

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
QUOTED = re.compile(r"`([^`\n]+)`")
BLOCK = re.compile(r"^```.*?^```$", re.M | re.S)
PATH = re.compile(rf"^(?:(?:{TOPS})(?:/[\w.*-]+)*/?|[A-Z][\w.-]*\.md|LICENSE|Makefile)$")
FUNCTION = re.compile(r"\b(arili?_[a-z0-9_]+)\(\)")
NAME = re.compile(r"\b(ARILI?_[A-Z0-9_]*[A-Z0-9])\b(?!\*)")
MAKE = re.compile(r"\bmake ([a-z]+)\b")


def pages():
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"),
             *(ROOT / "tests/data").glob("*/*.md")]
    return sorted(found)


def code_words():
    words = set()
    for folder in CODE_FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in CODE_SUFFIXES and path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")
                words.update(re.findall(r"\b(?:arili?|ARILI?)_\w+", text))
    words.update(re.findall(r"\bARIL_\w+", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")))
    return words


def exists(name):
    if "*" in name:
        return any(ROOT.glob(name))
    return (ROOT / name).exists()


def anchors(page):
    """The anchors that a renderer makes of the headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}


class Checker:
    def __init__(self):
        self.words = code_words()
        self.entries = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
        self.passed, self.errors = 0, []

    def check(self, page, what, good):
        if good:
            self.passed += 1
        else:
            self.errors.append(f"{page.relative_to(ROOT)}: {what} does not exist")

    def check_link(self, page, target):
        if re.match(r"[a-z]+:", target):
            return
        name, _, anchor = target.partition("#")
        to = (page.parent / name) if name else page
        self.check(page, target, to.exists() and (not anchor or anchor in anchors(to)))

    def check_page(self, page):
        text = page.read_text(encoding="utf-8")
        blocks = "\n".join(BLOCK.findall(text))
        prose = BLOCK.sub("", text)
        for target in LINK.findall(prose):
            self.check_link(page, target)
        quoted = QUOTED.findall(prose)
        for name in quoted:
            if PATH.match(name):
                self.check(page, name, exists(name))
        for name in FUNCTION.findall(prose) + NAME.findall(prose):
            self.check(page, name, name in self.words)
        for entry in MAKE.findall("\n".join(quoted)) + MAKE.findall(blocks):
            self.check(page, f"make {entry}", entry in self.entries)

    def run(self):
        for page in pages():
            self.check_page(page)
        for error in sorted(set(self.errors)):
            print(error)
        print(f"{self.passed} passed, {len(self.errors)} failed")
        return 1 if self.errors else 0


if __name__ == "__main__":
    sys.exit(Checker().run())
