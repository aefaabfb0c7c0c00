#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""redis-cli on a terminal, as a person uses it: what it asks for by itself, then commands.

    redis_cli_terminal.py PORT USER TOKEN_FILE [OPTION]     OPTION for redis-cli: -3
"""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

SECONDS = 60
passed = failed = 0


def check(text, good, detail=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {text}: {detail}")


class Terminal:
    def __init__(self, argv):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            # Without a width the line editor asks the terminal for it, and waits.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
            os.environ.pop("REDISCLI_AUTH", None)
            os.execvp(argv[0], argv)

    def expect(self, pattern):
        """What came up to the end of the pattern; the test ends when it does not come."""
        deadline = time.monotonic() + SECONDS
        while True:
            # Escapes of the line editor are no text.
            clean = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen)
            found = re.search(pattern, clean)
            if found:
                self.seen = clean[found.end():]
                return clean[:found.end()]
            left = max(deadline - time.monotonic(), 0)
            try:
                ready = select.select([self.fd], [], [], left)[0]
                more = os.read(self.fd, 65536) if ready else b""
            except OSError:  # the other end is closed
                more = b""
            if not more:
                print(f"FAILED: expects {pattern!r}: {clean[-300:]!r}")
                sys.exit(1)
            self.seen += more.decode(errors="replace")

    def say(self, line, answer):
        os.write(self.fd, line.encode() + b"\r")
        # The line editor shows a line while it is typed; the answer is what follows its end.
        # What is typed before the next prompt is there would not reach the line editor.
        self.expect(r"\n" + answer + r"\r?\n[^\r\n]*> ")
        check(f"{line.split()[0]} is answered", True)

    def end(self):
        os.write(self.fd, b"quit\r")
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def main():
    port, user, token_file = sys.argv[1:4]
    with open(token_file, encoding="ascii") as file:
        token = file.read().strip()
    options = sys.argv[4:]
    three = "-3" in options
    t = Terminal(["redis-cli", "-h", "127.0.0.1", "-p", port, *options])
    t.expect(r"127\.0\.0\.1:\d+> ")
    t.say(f"AUTH {user} {token}", "OK")
    if three:  # its first HELLO came before AUTH, and was refused as by any server with passwords
        t.say("HELLO 3", r'1# "server" => "redis"[\s\S]*')
    t.say("PING", "PONG")
    t.say('SET term:name "pomegranate on a terminal"', "OK")
    t.say("GET term:name", '"pomegranate on a terminal"')
    t.say("GET term:none", r"\(nil\)")
    t.say("DEL term:hash term:set", r"\(integer\) \d")
    t.say("HSET term:hash f v", r"\(integer\) 1")
    t.say("HGETALL term:hash", r'1# "f" => "v"' if three else r'1\) "f"\r?\n2\) "v"')
    t.say("SADD term:set m", r"\(integer\) 1")
    t.say("SMEMBERS term:set", r'1~ "m"' if three else r'1\) "m"')
    t.say("HGET term:name f", r"\(error\) WRONGTYPE .*")
    t.say("GET", r"\(error\) ERR wrong number of arguments for 'get' command")
    t.say("MULTI", "OK")
    t.say("SET term:name new", "QUEUED")
    t.say("GET term:name", "QUEUED")
    t.say("EXEC", r'1\) OK\r?\n2\) "new"')
    t.say("SELECT 1", "OK")
    t.say("GET term:name", r"\(nil\)")
    check("quit", t.end() == 0)
    print(f"{passed} passed, {failed} failed")
    sys.exit(0 if failed == 0 else 1)


main()
