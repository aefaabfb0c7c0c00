#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes man/aril-status.7 from include/aril/status.def.

    tools/status_page.py            write the page
    tools/status_page.py --check    fail when the page is not what would be written
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "man" / "aril-status.7"
STATUS = re.compile(r'ARIL_STATUS\(\s*(\w+),\s*(\d+),\s*(\d+),\s*"([^"]*)",\s*"([^"]*)"\)')

HEAD = r""".\" SPDX-License-Identifier: Apache-2.0
.\" Written by tools/status_page.py from include/aril/status.def.
.TH ARIL-STATUS 7 "" "aril {version}" "Miscellaneous"
.SH NAME
aril-status \- statuses of libaril and what to do about them
.SH DESCRIPTION
Every call of
.B libaril
that can fail gives a status; the command
.BR aril (1)
prints its name. The low byte is the class, which never changes its meaning; the bits above
it are the detail. Programs compare classes, people read details. A command that fails
with a status exits with 16 and its class;
.B ARIL_E_UNAVAILABLE
exits with 3.
.SH STATUSES
"""

TAIL = r""".SH SEE ALSO
.BR aril (1)
"""


def escape(text):
    return text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")


def page():
    text = (ROOT / "include/aril/status.def").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    version = re.search(r'define ARIL_VERSION +"([^"]+)"',
                        (ROOT / "include/aril/base.h").read_text(encoding="utf-8")).group(1)
    found = STATUS.findall(text)
    assert len(found) == text.count("ARIL_STATUS("), "every line of status.def is read"
    lines = [HEAD.format(version=version)]
    for name, cls, detail, sentence, hint in found:
        number = f"class {cls}" if detail == "0" else f"class {cls}, detail {detail}"
        lines.append(f".TP\n.BR {name} \" ({number})\"\n"
                     f"{escape(sentence[0].upper() + sentence[1:])}.\n"
                     f"{escape(hint[0].upper() + hint[1:])}.\n")
    return "".join(lines) + TAIL


def main():
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
            print("man/aril-status.7 is out of date: run tools/status_page.py")
            return 1
        return 0
    if sys.argv[1:]:
        sys.exit(__doc__)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
