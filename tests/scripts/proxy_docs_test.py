#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/proxy.md and docs/OPERATIONS.md say of arild is what the code has: every error of its
own has a row, every row is an error, and every key of the configuration that is named exists.
"""
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(os.environ.get("ARIL_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
PAGES = [ROOT / "docs/proxy.md", ROOT / "docs/OPERATIONS.md"]
# Errors that are arild's own; those that Redis has too need no explanation.
OWN = re.compile(r"^(?:[A-Z]+ aril: |WRONGPASS too many)")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*')
COMMENT = re.compile(r"/\*.*?\*/", re.S)
CONVERSION = re.compile(r"%(?:\.\*)?(?:zu|u|s|llu|d)")


def errors_of_code():
    """The texts, adjacent literals joined, and where they stand."""
    found = {}
    for path in sorted((ROOT / "src/proxy").glob("*.c")):
        for match in LITERAL.finditer(COMMENT.sub("", path.read_text(encoding="utf-8"))):
            text = "".join(STRING.findall(match.group())).replace('\\"', '"')
            if OWN.match(text):
                found[text] = path.name
    return found


def pattern_of(text):
    """What a text of printf() can become."""
    parts = CONVERSION.split(text)
    return re.compile(".*".join(re.escape(part) for part in parts))


def rows(page, heading):
    """First cells of the table below a heading, without their back quotes."""
    section = page.read_text(encoding="utf-8").split(f"\n## {heading}\n")
    assert len(section) == 2, f"{page.name} has no section {heading}"
    table = section[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`\n]+)` \|", table, re.M)


def is_row_of(row, text):
    """A row is the beginning of an error: its fixed parts in order, a sample for each %."""
    if not CONVERSION.search(text):
        return text.startswith(row)
    for end in range(len(text), 0, -1):
        head = text[:end]
        if head.endswith("%") or re.search(r"%[.*lzd]*$", head):
            continue
        if len(CONVERSION.sub("", head)) >= 12 and pattern_of(head).fullmatch(row):
            return True
    return False


def check_errors():
    wrong = []
    code = errors_of_code()
    listed = rows(ROOT / "docs/OPERATIONS.md", "Errors that clients see")
    assert len(code) > 20 and len(listed) > 20, "too little was found to compare"
    wrong += [f"docs/OPERATIONS.md: too short to tell errors apart: {row}" for row in listed
              if len(row) < 20]
    if len(set(listed)) != len(listed):
        wrong.append("docs/OPERATIONS.md has an error twice")
    for text, where in code.items():
        if text == "ERR aril: %s":  # a status of the library; man aril-status has them all
            continue
        if not any(is_row_of(row, text) for row in listed):
            wrong.append(f"docs/OPERATIONS.md does not explain, of src/proxy/{where}: {text}")
    for row in listed:
        if not any(is_row_of(row, text) for text in code):
            wrong.append(f"docs/OPERATIONS.md explains an error that nothing says: {row}")
    return len(code) + len(listed), wrong


def keys_of_man():
    page = (ROOT / "man/arild.conf.5").read_text(encoding="utf-8")
    return set(re.findall(r"^\.TP\n\.B ([a-z_]+)$", page, re.M))


def check_keys():
    """Names in back quotes followed by " = ": keys of arild.conf."""
    wrong, count = [], 0
    known = keys_of_man()
    assert "keyring" in known and "on_tamper" in known and len(known) > 30, "no keys in the page"
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"`([a-z_]+) = [^`\n]+`", text)
        for block in re.findall(r"<<'END'\n(.*?)\nEND\n", text, re.S):
            named += re.findall(r"^([a-z_]+) = ", block, re.M)
        for name in named:
            count += 1
            if name not in known:
                wrong.append(f"docs/{page.name} names {name}, which is no key of arild.conf")
    assert count >= 10, "no keys in the documents"
    return count, wrong


def main():
    passed, failed = 0, 0
    for check in (check_errors, check_keys):
        count, wrong = check()
        for text in wrong:
            print(f"FAILED: {text}")
        passed += count - len(wrong)
        failed += len(wrong)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
