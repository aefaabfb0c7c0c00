#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""aril proxy top: over TCP and UNIX sockets, with and without a terminal, and what it makes of
servers that are not arild."""
import fcntl
import http.server
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading

from fake_admin import Fake

BUILD = pathlib.Path(os.environ["ARIL_BUILD_DIR"])
ARIL = BUILD / "aril"
SECONDS = 60
ENVIRONMENT = {"PATH": os.environ["PATH"], "TERM": "xterm", "HOME": "/nonexistent",
               "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}

passed, failed = 0, 0


def check(text, good, more=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {text} {more}")


def top(*arguments, **environment):
    return subprocess.run([ARIL, "proxy", "top", *arguments], capture_output=True, text=True,
                          timeout=SECONDS, env=ENVIRONMENT | environment, check=False,
                          stdin=subprocess.DEVNULL)


def usage():
    for arguments in ([], ["a", "b"], ["127.0.0.1"], [":1"], ["127.0.0.1:"], ["127.0.0.1:x"],
                      ["127.0.0.1:123456"], ["user@127.0.0.1:1"], ["127.0.0.1/x:1"],
                      ["http://127.0.0.1:1"], ["127.0.0.1:1", "--interval", "99"],
                      ["127.0.0.1:1", "--interval", "3600001"], ["127.0.0.1:1", "--onse"],
                      ["127.0.0.1:1", "--once", "--interval", "500"], ["/" + "a" * 120], [""],
                      ["unix:"], ["unix:/" + "a" * 120]):
        ran = top(*arguments)
        check(f"{arguments} is wrong usage", ran.returncode == 2 and ran.stdout == "", ran)
    ran = top("--help")
    check("help names the options", ran.returncode == 0 and "--interval MS" in ran.stdout, ran)


def plain(address, fake):
    fake.tell("tamper 3")
    ran = top(address)
    lines = ran.stdout.splitlines()
    check("without a terminal it is one look", ran.returncode == 0 and ran.stderr == "", ran)
    check("no escapes", "\x1b" not in ran.stdout)
    check("the head", lines[0] == f"arild 0.0.0-fake at {address}   up 3 d" and
          lines[1] == "ready" and lines[2].startswith("28 clients   - commands/s   hits 8"), lines)
    check("latencies since the start",
          lines[4] == "latency   p50 50 us   p99 512 us   p99.9 15.6 ms   (since the start)", lines)
    check("servers that are down", lines[5:7] == ["2 of 3 servers up", "  10.1.0.3:6379: refused"],
          lines)
    check("who was tampered with comes first",
          lines[9].startswith("<img src=x onerror=document. "), lines[9])
    check("all tenants", len(lines) == 16, lines)
    check("an overdue key", any(re.search(r" 1 d late  the key is past its date", line)
                                for line in lines), lines)
    check("--once is the same", len(top(address, "--once").stdout.splitlines()) == 16)
    fake.tell("locked")
    check("not ready", "\nnot ready: the keyring is locked; run: aril keys unlock\n"
          in top(address).stdout)
    fake.tell("ready")
    fake.tell("tenants 1500")
    ran = top(address)
    check("what is left out is said", ran.stdout.endswith("\nand 500 more\n"), ran.stdout[-200:])
    fake.tell("tenants 7")
    status = json.loads(top(address, "--json").stdout)
    check("--json is the status", status["schema"] == 1 and len(status["tenants"]) == 7)


def as_configured(path, fake):
    """A UNIX socket as [admin] has it: unix: before it, and perhaps of this folder."""
    folder, name = os.path.split(path)
    for address in (f"unix:{path}", f"unix:{name}"):
        ran = subprocess.run([ARIL, "proxy", "top", address], capture_output=True, text=True,
                             timeout=SECONDS, env=ENVIRONMENT, check=False, cwd=folder,
                             stdin=subprocess.DEVNULL)
        check(f"{address} is understood", ran.returncode == 0 and ran.stderr == "" and
              ran.stdout.startswith(f"arild 0.0.0-fake at {address}   up 3 d\nready\n"), ran)
    fake.end()
    ran = top(f"unix:{path}")
    check("nobody there: the error names the address", ran.returncode == 21 and
          f"unix:{path}: " in ran.stderr, ran)


def repeated(address):
    """Until the reader has enough; then the write error ends it."""
    run = subprocess.Popen([ARIL, "proxy", "top", address, "--json", "--interval", "100"],
                           stdout=subprocess.PIPE, env=ENVIRONMENT, text=True)
    looks = [json.loads(run.stdout.readline()) for _ in range(3)]
    check("one line for each look", looks[0]["now"] < looks[1]["now"] < looks[2]["now"])
    run.send_signal(signal.SIGINT)
    run.stdout.read()
    check("Ctrl-C ends it well", run.wait(SECONDS) == 0)
    run = subprocess.Popen([ARIL, "proxy", "top", address, "--interval", "100"],
                           stdout=subprocess.PIPE, env=ENVIRONMENT, text=True)
    text = ""
    while "(last " not in text:
        text += run.stdout.readline()
    check("rates from the second look on", re.search(r"28 clients   \d+ commands/s", text), text)
    run.stdout.close()
    check("nobody reads: it ends", run.wait(SECONDS) == 21)


def others(fake):
    """Servers that are something else."""
    answers = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            code, body, fields = answers["now"]
            self.send_response(code)
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                pass

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_port}"
    good = {"schema": 1, "state": "ready", "tenants": [], "servers": []}
    for name, answer, code in (
            ("an empty answer", b"", 19),
            ("no JSON", b"<html>", 19),
            ("a list", b"[]", 19),
            ("another schema", json.dumps(good | {"schema": 2}).encode(), 19),
            ("no tenants", json.dumps(good | {"tenants": {}}).encode(), 19),
            ("a member twice", b'{"schema":1,"schema":1,"state":"","tenants":[],"servers":[]}', 19),
            ("an endless one", b" " * (17 << 20), 23)):
        answers["now"] = (200, answer, {})
        ran = top(address)
        check(f"{name} is refused", ran.returncode == code and ran.stdout == "", ran)
        check(f"{name}: the address is told, on one line",
              ran.stderr.startswith(f"aril proxy top: {address}: ") and
              len(ran.stderr.splitlines()) == 2, ran.stderr)
    answers["now"] = (404, b"", {})
    check("404", top(address).returncode == 34)
    answers["now"] = (302, b"", {"Location": f"http://{fake.address}/status.json"})
    check("no redirect is followed", top(address).returncode == 21)
    odd = good | {"version": "\x1b[2J\u0007", "clients": -5, "memory": 7, "latency": [],
                  "tenants": [7, None, {}, {"tenant": 5, "key": "x"},
                              {"tenant": "a\x1b[31m\nb", "figures": {"hits": 1e300}}],
                  "servers": [None, {"address": "\x9b\x1b]0;x\x07", "state": []}]}
    answers["now"] = (200, json.dumps(odd).encode(), {})
    ran = top(address)
    check("members of other types are nothing", ran.returncode == 0, ran)
    check("no control character gets through", re.fullmatch(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f]*",
                                                            ran.stdout), repr(ran.stdout))
    answers["now"] = (200, json.dumps(good).encode(), {})
    ran = top(address, http_proxy=f"http://{fake.address}", all_proxy="http://127.0.0.1:1")
    check("proxies of the environment are not asked", ran.returncode == 0, ran)
    server.shutdown()
    server.server_close()
    ran = top(address)
    check("nobody there", ran.returncode == 21 and "hint: is arild running" in ran.stderr, ran)
    check("no such socket", top("/nonexistent/admin.sock").returncode == 21)


class Terminal:
    """The command on a terminal of 100 columns."""

    def __init__(self, rows, *arguments):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 100, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.run = subprocess.Popen([ARIL, "proxy", "top", *arguments], stdin=self.slave,
                                    stdout=self.slave, stderr=self.slave, env=ENVIRONMENT,
                                    start_new_session=True)
        self.text = ""

    def until(self, pattern):
        """Read on until it was printed; what came with it."""
        while not re.search(pattern, self.text):
            if not select.select([self.master], [], [], SECONDS)[0]:
                check(f"the terminal shows {pattern}", False, repr(self.text[-500:]))
                return ""
            self.text += os.read(self.master, 65536).decode()
        end = re.search(pattern, self.text).end()
        seen, self.text = self.text[:end], self.text[end:]
        return seen

    def press(self, key):
        os.write(self.master, key.encode())

    def ends(self, text, code=0):
        self.until(r"\x1b\[\?1049l")
        check(f"{text}: exit code", self.run.wait(SECONDS) == code)
        check(f"{text}: the terminal is as it was", termios.tcgetattr(self.slave) == self.before)
        os.close(self.master)
        os.close(self.slave)


def live(address, fake):
    fake.tell("tamper 3")
    term = Terminal(14, address, "--interval", "100")
    seen = term.until(r"q quits   p pauses")
    check("another screen", "\x1b[?1049h" in seen and "\x1b[?25l" in seen, repr(seen))
    check("no echo", not termios.tcgetattr(term.slave)[3] & termios.ECHO)
    check("the first look has no rates", "- commands/s" in seen, repr(seen))
    check("it fits the screen", seen.count("\r\n") == 13, repr(seen))
    check("tenants that do not fit are counted", "and 4 more" in seen, repr(seen))
    check("and so do lines", all(len(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line)) <= 100
                                 for line in seen.split("\r\n")), repr(seen))
    term.until(r"28 clients   \d+ commands/s")
    term.press("p")
    term.until("p goes on")
    term.press("x")  # draws again, without another look
    first = term.until("p goes on")
    term.press("x")
    check("paused stays as it is", term.until("p goes on") == first and "paused" in first)
    term.press("p")
    term.until("p pauses")
    fake.tell("locked")
    term.until("not ready: the keyring is locked")
    fake.tell("ready")
    check("the fake ended well", fake.end() == 0)
    seen = term.until(r"Couldn't connect|Failed to connect")
    check("trouble is told and the last look stays", "acme" in seen or
          "28 clients" in term.until("q quits"), repr(seen))
    term.press("q")
    term.ends("q")


def signals(address):
    for number in (signal.SIGINT, signal.SIGTERM):
        term = Terminal(24, address)
        term.until("q quits")
        term.run.send_signal(number)
        term.ends(number.name)
    term = Terminal(24, "127.0.0.1:1")
    term.until("hint: is arild running")
    check("nobody there from the start: an error, no screen", term.run.wait(SECONDS) == 21)


def main():
    if not ARIL.exists() or not (BUILD / "tests/tools/fake_admin").exists():
        print("FAILED: the build has no aril or no tests/tools/fake_admin")
        return 1
    usage()
    with tempfile.TemporaryDirectory() as folder:
        for address in ("127.0.0.1", f"{folder}/admin.sock"):
            fake = Fake(BUILD, address)
            if top(fake.address).returncode == 3:
                print("SKIPPED: no libcurl: aril proxy top is not tested")
                return 77
            plain(fake.address, fake)
            repeated(fake.address)
            if address == "127.0.0.1":
                others(fake)
            signals(fake.address)
            live(fake.address, fake)
        fake = Fake(BUILD, f"{folder}/again.sock")
        as_configured(fake.address, fake)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
