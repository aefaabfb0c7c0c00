#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts test cases in a JUnit file of ctest and prints one line.

    tools/test_summary.py build/gcc/junit.xml

ctest counts programs; one program holds many cmocka cases. A script counts by
its last line "N passed, N failed[, N skipped]", or as one case. Skipped cases
are listed with their reason. The last line of output is always

    cases: N passed, N failed, N skipped

and the exit status is 0 only when something passed and nothing failed.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree

PASSED = re.compile(r"^\[  PASSED  \] (\d+) test\(s\)", re.M)
FAILED = re.compile(r"^\[  FAILED  \] (\d+) test\(s\)", re.M)
SKIPPED = re.compile(r"^\[  SKIPPED \] (\d+) test\(s\)", re.M)
GROUPS = re.compile(r"^\[==========\] (?:\S+: )?Running \d+ test\(s\)", re.M)
GROUPS_DONE = re.compile(r"^\[==========\] (?:\S+: )?\d+ test\(s\) run", re.M)
CASE_OK = re.compile(r"^\[       OK \] ", re.M)
SKIPPED_NAME = re.compile(r"^\[  SKIPPED \] (?!\d+ test\(s\))(\S+)", re.M)
COUNTS = re.compile(r"^(?:cases: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\b", re.M)


def total(pattern, text):
    return sum(int(number) for number in pattern.findall(text))


def count_cmocka(text):
    passed, failed, skipped = total(PASSED, text), total(FAILED, text), total(SKIPPED, text)
    if len(GROUPS.findall(text)) > len(GROUPS_DONE.findall(text)):
        # The program died inside a group: no summary for that group.
        last_group = [match.end() for match in GROUPS.finditer(text)][-1]
        passed += len(CASE_OK.findall(text, last_group))
        skipped += len(SKIPPED_NAME.findall(text, last_group))
        failed += 1
    return passed, failed, skipped


def reason(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def count_entry(entry, skips):
    """Returns (passed, failed, skipped) of one ctest entry."""
    text = entry.findtext("system-out") or ""
    name = entry.get("name")
    status = entry.get("status")
    if status == "notrun" or entry.find("skipped") is not None:
        if "SKIP_RETURN_CODE" in ElementTree.tostring(entry, encoding="unicode"):
            skips.append(f"{name}: {reason(text)}")
            return 0, 0, 1
        return 0, 1, 0  # the program is missing
    counts = list(COUNTS.finditer(text))
    if GROUPS.search(text):
        passed, failed, skipped = count_cmocka(text)
        skips += [f"{name}: {case}" for case in sorted(set(SKIPPED_NAME.findall(text)))]
    elif counts:
        passed, failed, skipped = (int(number or 0) for number in counts[-1].groups())
    else:
        passed, failed, skipped = (1, 0, 0) if status == "run" else (0, 1, 0)
    if status != "run" and failed == 0:
        failed = 1  # a leak or a sanitizer report after the last case
    if status == "run" and passed + failed + skipped == 0:
        failed = 1  # a program without a case is a mistake
    return passed, failed, skipped


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: tools/test_summary.py JUNIT.xml")
    try:
        root = ElementTree.parse(sys.argv[1]).getroot()
    except (OSError, ElementTree.ParseError) as error:
        sys.exit(f"tools/test_summary.py: {sys.argv[1]}: {error}")
    skips = []
    passed = failed = skipped = 0
    for entry in root.iter("testcase"):
        counts = count_entry(entry, skips)
        if counts[1]:
            print(f"failed: {entry.get('name')}")
        passed, failed, skipped = (a + b for a, b in zip((passed, failed, skipped), counts))
    for line in skips:
        print(f"skipped: {line}")
    print(f"cases: {passed} passed, {failed} failed, {skipped} skipped")
    return 0 if passed > 0 and failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
