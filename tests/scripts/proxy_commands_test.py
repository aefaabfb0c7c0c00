#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of commands beside that of a redis-server: nothing is missing, and arity, keys and
sub-commands are the same. Also what tools/proxy_commands.py says about tables that are wrong."""

import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import proxy_commands  # noqa: E402

SKIPPED = 77
# Where a server of 7.0 differs from the table, which is that of 7.2.
KNOWN = {("zrank", "arity"): 3, ("zrevrank", "arity"): 3}
# In the table although no Redis up to 7.2 has it.
OF_OTHERS = {"sentinel"}
# Flags of the table and of a server.
FLAGS = {"WRITE": "write", "FAST": "fast", "BLOCKS": "blocking"}
# Commands that have keys where neither first, last and step nor a number of keys find them.
MOVABLE = {"xread", "xreadgroup", "sort", "sort_ro", "migrate", "georadius", "georadiusbymember"}


class Server:
    """A redis-server on a UNIX socket, in a folder of its own."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(pathlib.Path(self.folder.name) / "s")
        # It says on its output when it is ready, so nobody has to wait for a time.
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "",
             "--dir", self.folder.name], stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if "ready to accept connections" in line.lower():
                break
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(self.path)
        self.file = self.socket.makefile("rb")
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()
        self.process.terminate()
        self.process.stdout.close()
        self.process.wait()
        self.folder.cleanup()

    def read(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind in b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        raise RuntimeError(f"not an answer: {line}")

    def ask(self, *words):
        self.socket.sendall(b"*%d\r\n" % len(words) +
                            b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode())
                                     for word in words))
        return self.read()

    def version(self):
        info = dict(line.split(":", 1) for line in self.ask("INFO", "server").split("\r\n")
                    if ":" in line)
        return as_version(info["redis_version"])


def as_version(text):
    return tuple(int(part) for part in text.split("."))


def keynums(specs):
    """The arguments that say how many keys follow them."""
    found = []
    for spec in specs:
        parts = dict(zip(spec[::2], spec[1::2]))
        begin, find = (dict(zip(parts[name][::2], parts[name][1::2]))
                       for name in ("begin_search", "find_keys"))
        if find["type"] == "keynum":
            found.append(dict(zip(begin["spec"][::2], begin["spec"][1::2]))["index"])
    return found


def entries(server):
    for entry in server.ask("COMMAND"):
        yield entry
        yield from entry[9]


def differences(rows, server):
    """One line each."""
    version, seen = server.version(), set()
    for name, arity, flags, first, last, step, _, _, specs, subs in entries(server):
        row = rows.get(name)
        seen.add(name)
        if row is None:
            yield f"{name}: not in the table"
            continue
        theirs = {"arity": arity, "first": first, "last": last, "step": step}
        for column, number in theirs.items():
            known = version < (7, 2) and KNOWN.get((name, column)) == number
            if row[column] != number and not known:
                yield f"{name}: {column} is {row[column]}, and {number} in the server"
        for flag, word in FLAGS.items():
            if (flag in row["flags"]) != (word in flags):
                yield f"{name}: {flag} is not what the server says: {flags}"
        if ("CONTAINER" in row["flags"]) != bool(subs):
            yield f"{name}: CONTAINER is not what the server says"
        if ("MOVABLE" in row["flags"]) != (name in MOVABLE):
            yield f"{name}: MOVABLE is wrong"
        if name not in MOVABLE and keynums(specs) != [row["numkeys"]] * (row["numkeys"] > 0):
            yield f"{name}: numkeys is {row['numkeys']}, and {keynums(specs)} in the server"
        if "movablekeys" in flags and name not in MOVABLE and row["numkeys"] == 0:
            yield f"{name}: the server has keys that the table does not find"
    for name, row in rows.items():
        if name not in seen and name not in OF_OTHERS and as_version(row["since"]) <= version:
            yield f"{name}: in the table, not in the server"


def check_keys(rows, server):
    """Keys that COMMAND GETKEYS of the server finds, one line for each row that may be passed and
    whose arguments can be made up."""
    compared = 0
    for name, row in rows.items():
        if "PASS" not in row["flags"] or row["numkeys"] > 0:
            continue
        words = name.split("|") + [f"a{i}" for i in range(9)]
        words = words[:max(abs(row["arity"]), row["first"] + 2)] if row["arity"] < 0 else \
            words[:row["arity"]]
        last = row["last"] if row["last"] >= 0 else len(words) + row["last"]
        wanted = words[row["first"]:last + 1:row["step"]]
        try:
            found = server.ask("COMMAND", "GETKEYS", *words)
        except RuntimeError as error:
            raise AssertionError(f"{words}: {error}") from error
        assert found == wanted, f"{words}: {found}, not {wanted}"
        compared += 1
    assert compared > 100, compared
    return compared


def check_mistakes():
    """Each wrong table has its message, and the right one has none."""
    right = proxy_commands.TABLE.read_text(encoding="utf-8")
    assert not list(proxy_commands.mistakes(proxy_commands.table(right)))
    get = 'ARILI_COMMAND("get", GET, 2, 1, 1, 1, 0, FAST | PASS, "string", "1.0.0",'
    for old, new, message in [
            (get, get.replace('"get"', '"zzz"'), "not sorted"),
            (get, get.replace('"get"', '"Get"'), "not a name"),
            (get, get.replace("FAST | PASS", "SUB | PASS"), "SUB is the flag"),
            (get, get.replace("1, 1, 1, 0, FAST", "0, 0, 0, 0, FAST"), "cannot be PASS"),
            (get, get.replace("FAST |", "BLOCKS |"), "cannot be PASS"),
            (get, get.replace("1, 1, 1, 0, FAST", "1, 1, 0, 0, FAST"), "first and step"),
            (get, get.replace('"string"', '"strings"'), "no group"),
            ("LOCAL, -2, 0, 0, 0, 0, CONTAINER, \"connection\"",
             "LOCAL, -2, 0, 0, 0, 0, NONE, \"connection\"", "is no CONTAINER"),
            ('"The value is verified and opened.")', '"The value is opened")', "one sentence")]:
        assert old in right, old
        found = list(proxy_commands.mistakes(proxy_commands.table(right.replace(old, new, 1))))
        assert any(message in text for text in found), (message, found)


def check_out_of_date():
    """A file that was changed by hand is named."""
    rows = proxy_commands.table()
    for path, text in proxy_commands.made(rows).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is out of date"
    next(row for row in rows if row["name"] == "get")["meaning"] = "Something else."
    assert proxy_commands.document(rows) != proxy_commands.DOCUMENT.read_text(encoding="utf-8")


def main():
    check_mistakes()
    check_out_of_date()
    if shutil.which("redis-server") is None:
        print("SKIPPED: redis-server is not installed (Debian: redis-server)")
        return SKIPPED
    rows = {row["name"]: row for row in proxy_commands.table()}
    with Server() as server:
        found = list(differences(rows, server))
        for line in found:
            print(line)
        assert not found
        # The comparison finds what is wrong.
        broken = {name: dict(row) for name, row in rows.items() if name != "getdel"}
        broken["set"]["arity"] = 3
        broken["zunion"]["numkeys"] = 2
        broken["nothing"] = rows["get"]
        assert len(list(differences(broken, server))) == 4
        compared = check_keys(rows, server)
        names = len(list(entries(server)))
    print(f"{names} commands of the server are in the table of {len(rows)}; "
          f"keys of {compared} compared")
    return 0


if __name__ == "__main__":
    sys.exit(main())
