#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How "aril proxy passwd" asks on a terminal: twice, without echo.

    proxy_terminal.py FILE      ARIL_TEST_COMMAND names the command; FILE the password file
"""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

ARIL = os.environ["ARIL_TEST_COMMAND"]
FILE = sys.argv[1]
PHRASE = b"correct horse battery staple"
SECONDS = 60
failures = []
checks = []


def check(text, well):
    checks.append(text)
    if not well:
        failures.append(text)
        print(f"FAILED: {text}")


def run(*steps):
    """Each step is (what the command prints, what is typed). Returns exit code and the screen."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(ARIL, [ARIL, "proxy", "passwd", FILE, "--tenant", "ann"])
    seen = b""
    steps = list(steps)
    from_here = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if not select.select([fd], [], [], 1)[0]:
            continue
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
        while steps and (match := re.search(steps[0][0], seen[from_here:])):
            from_here += match.end()
            os.write(fd, steps.pop(0)[1])
    else:
        os.kill(pid, signal.SIGKILL)
        check("the command ends in time", False)
    os.close(fd)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    check("it took every answer", not steps)
    check("it does not echo the passphrase", PHRASE not in seen)
    return code, seen.decode(errors="replace")


def contents():
    try:
        with open(FILE, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def main():
    new = rb'New passphrase for "passphrase" of ann: '
    again = rb"Again: "
    code, seen = run((new, PHRASE + b"\n"), (again, b"another one\n"), (new, PHRASE + b"\n"),
                     (again, PHRASE + b"\n"))
    check("it asks twice", code == 0 and "They differ." in seen and "set the passphrase" in seen)
    first = contents()
    check("there is a line", first.count("ann:passphrase:argon2id:65536,3,4:") == 1)
    code, seen = run((new, b"short\n"), (again, b"short\n"))
    check("a short one is refused", code == 17 and "8 to 1024 bytes" in seen)
    code, seen = run((new, b"\x03"))
    check("Ctrl-C ends it", code == -signal.SIGINT)
    check("and nothing was changed", contents() == first)
    done = subprocess.run([ARIL, "proxy", "passwd", FILE, "--tenant", "ann"], check=False,
                          capture_output=True, stdin=subprocess.DEVNULL, start_new_session=True)
    check("without a terminal it says what to do",
          done.returncode == 37 and b"--passphrase-file" in done.stderr)
    print(f"{len(checks)} checks, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
