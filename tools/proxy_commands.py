#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes files from src/proxy/commands.def, the table of commands of arild.

    tools/proxy_commands.py          say what is wrong with the table and what is out of date
    tools/proxy_commands.py --write  write docs/PROXY-COMMANDS.md and src/proxy/commands_index.def
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
TABLE = ROOT / "src/proxy/commands.def"
INDEX = ROOT / "src/proxy/commands_index.def"
DOCUMENT = ROOT / "docs/PROXY-COMMANDS.md"
SLOTS = 1024  # of commands.c

COLUMNS = ("name", "verb", "arity", "first", "last", "step", "numkeys", "flags", "group", "since",
           "meaning")
NUMBERS = ("arity", "first", "last", "step", "numkeys")
TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[\w|-]+|[(),]')
COMMENT_OR_DIRECTIVE = re.compile(r"/\*.*?\*/|^#.*?$", re.S | re.M)

GROUPS = {  # in the order of the document
    "string": "Strings", "generic": "Keys", "hash": "Hashes", "set": "Sets",
    "transactions": "Transactions", "connection": "Connections", "server": "Server",
    "cluster": "Cluster", "list": "Lists", "sorted set": "Sorted sets", "stream": "Streams",
    "bitmap": "Bitmaps", "geo": "Places", "hyperloglog": "HyperLogLog",
    "pub/sub": "Publish and subscribe", "scripting": "Scripts", "sentinel": "Sentinel"}

HEAD = """\
# Commands of the proxy

What `arild` does with each command of Redis 7.2. Made from `src/proxy/commands.def` by
`tools/proxy_commands.py --write`; the same table decides in the code and answers `COMMAND`. What is
not listed is an unknown command.

- **sealed**: for keys whose policy has `values = seal`, which is the default. *yes*: values, names
  of keys, field names and members are sealed on their way to the server, and verified and opened on
  their way back, as the last column says. *here*: the proxy answers by itself. *no*: refused, with
  the reason in the last column.
- **passed**: whether a key whose policy has `values = pass` may be used with it. The server then
  sees the value in clear, and the name of the key sealed. Commands without a key have a dash.

"""


def tokens(text):
    """The rows of text as lists of arguments; string literals that stand together are one."""
    row, argument, depth = None, [], 0
    for token in TOKEN.findall(COMMENT_OR_DIRECTIVE.sub("", text)):
        if token == "(":
            depth += 1
            row.append([])
        elif token == ")":
            depth -= 1
            yield row[0], row[1:]
            row = None
        elif depth == 0:
            row = [token]
        elif token == ",":
            row.append([])
        else:
            row[-1].append(token)


def joined(words, reasons):
    if words[0].startswith("WHY_"):
        return reasons[words[0][4:]]
    if words[0].startswith('"'):
        return "".join(word[1:-1] for word in words)
    return " ".join(words)


def table(text=None):
    """The rows as dictionaries, in the order of the file."""
    reasons, rows = {}, []
    for macro, arguments in tokens(TABLE.read_text(encoding="utf-8") if text is None else text):
        values = [joined(argument, reasons) for argument in arguments]
        if macro == "ARILI_REASON":
            reasons[values[0]] = values[1]
        else:
            row = dict(zip(COLUMNS, values, strict=True))
            row.update({name: int(row[name]) for name in NUMBERS})
            row["flags"] = set(row["flags"].replace("|", " ").split()) - {"NONE"}
            rows.append(row)
    return rows


def mistakes(rows):
    names = [row["name"] for row in rows]
    by_name = {row["name"]: row for row in rows}
    if names != sorted(set(names)):
        yield "the rows are not sorted by name, or one is there twice"
    for row, before in zip(rows, [None] + rows[:-1]):
        name, flags = row["name"], row["flags"]
        if not re.fullmatch(r"[a-z][a-z_-]*(\|[a-z_-]+)?", name):
            yield f"{name}: not a name"
        if ("SUB" in flags) != ("|" in name):
            yield f"{name}: SUB is the flag of sub-commands, and of nothing else"
        if "SUB" in flags:
            parent = name.split("|")[0]
            if "CONTAINER" not in by_name.get(parent, {"flags": ()})["flags"]:
                yield f"{name}: {parent} is no CONTAINER"
            if before is None or before["name"].split("|")[0] != parent:
                yield f"{name}: does not stand behind {parent}"
        if row["group"] not in GROUPS:
            yield f"{name}: no group {row['group']}"
        if (row["first"] > 0) != (row["step"] > 0):
            yield f"{name}: first and step are both 0, or none"
        if "PASS" in flags and (flags & {"MOVABLE", "BLOCKS", "CONTAINER"} or
                                row["first"] == 0 and row["numkeys"] == 0):
            yield f"{name}: cannot be PASS: its keys are not found, or it holds a connection"
        if len(row["meaning"]) > 200 or not row["meaning"].endswith("."):
            yield f"{name}: the meaning is one sentence of at most 200 characters"


def index(rows):
    slots = [0] * SLOTS
    for number, row in enumerate(rows, 1):
        value = 2166136261
        for byte in row["name"].encode():
            value = (value ^ byte) * 16777619 & 0xffffffff
        slot = (value ^ value >> 15) % SLOTS
        while slots[slot] != 0:
            slot = (slot + 1) % SLOTS
        slots[slot] = number
    lines = [", ".join(f"{slot:3}" for slot in slots[at:at + 16]) + ","
             for at in range(0, SLOTS, 16)]
    return ("/* SPDX-License-Identifier: Apache-2.0 */\n"
            "/* Made by tools/proxy_commands.py --write. */\n"
            "/* clang-format off */\n" + "\n".join(lines) + "\n")


def is_here(row):
    return row["verb"] in ("LOCAL", "LOGIN", "CLUSTER")


def document(rows):
    def cell(row):
        sealed = "no" if row["verb"] == "REFUSED" else "here" if is_here(row) else "yes"
        keys = row["first"] > 0 or row["numkeys"] > 0 or "MOVABLE" in row["flags"]
        passed = "yes" if "PASS" in row["flags"] else "no" if keys else "-"
        name = row["name"].upper().replace("|", " ")
        return f"| `{name}` | {sealed} | {passed} | {row['meaning']} |"
    parts = [HEAD]
    shown = [row for row in rows if "CONTAINER" not in row["flags"]]
    for group, title in GROUPS.items():
        lines = [cell(row) for row in shown if row["group"] == group]
        parts.append(f"## {title}\n\n| command | sealed | passed | what happens |\n"
                     "|---|---|---|---|\n" + "\n".join(lines) + "\n\n")
    return "".join(parts).rstrip("\n") + "\n"


def made(rows):
    return {INDEX: index(rows), DOCUMENT: document(rows)}


def errors():
    """(file name, text) of each: for tools/lint.py."""
    rows = table()
    for text in mistakes(rows):
        yield TABLE.relative_to(ROOT).as_posix(), text
    for path, text in made(rows).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            yield (path.relative_to(ROOT).as_posix(),
                   "is not what tools/proxy_commands.py --write makes")


def main():
    if sys.argv[1:] == ["--write"]:
        for path, text in made(table()).items():
            path.write_text(text, encoding="utf-8")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    found = list(errors())
    for name, text in found:
        print(f"{name}:1: commands: {text}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
