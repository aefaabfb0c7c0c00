#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What "aril keys" does on a terminal: prompts without echo, signals, confirmation, progress.

    keys_terminal.py FOLDER      ARIL_TEST_COMMAND names the command

Every command runs as a shell would run it: a job of its own in the session of a terminal.
"""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

ARIL = os.environ["ARIL_TEST_COMMAND"]
PHRASE = "correct horse battery staple"
SECONDS = 60
failures = []
checks = []


def check(text, well):
    checks.append(text)
    if not well:
        failures.append(text)
        print(f"FAILED: {text}")


def has_echo(fd):
    return bool(termios.tcgetattr(fd)[3] & termios.ECHO)


def lead(arguments, report):
    """The session's leader: runs the job, goes on with it when it stops."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        while os.tcgetpgrp(0) != os.getpid():
            os.sched_yield()
        os.execv(ARIL, [ARIL, "keys", *arguments])
    try:
        os.setpgid(job, job)
    except PermissionError:
        pass  # it did so itself, and runs already
    os.tcsetpgrp(0, job)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            break
        os.write(report, f"stopped echo={has_echo(0)}\n".encode())
        os.kill(job, signal.SIGCONT)
    code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    os.write(report, f"ended echo={has_echo(0)}\n".encode())
    os._exit(code)


def run(arguments, *steps):
    """Runs a command; each step is (what it prints, what is typed). Returns exit code, what was
    on the terminal, and the leader's report."""
    read_end, write_end = os.pipe()
    pid, fd = pty.fork()
    if pid == 0:
        os.close(read_end)
        lead(arguments, write_end)
    os.close(write_end)
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
        check(f"{arguments} ends in time", False)
    report = b""
    while data := os.read(read_end, 4096):
        report += data
    os.close(read_end)
    os.close(fd)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    check(f"{arguments} got every answer", not steps)
    check(f"{arguments} does not echo the passphrase", PHRASE.encode() not in seen)
    return code, seen.decode(errors="replace"), report.decode()


def quiet(*arguments):
    done = subprocess.run([ARIL, "keys", *arguments], capture_output=True, check=False,
                          stdin=subprocess.DEVNULL)
    check(f"{arguments}: {done.stderr.decode()}", done.returncode == 0)
    return done.stdout.decode()


def prompts():
    phrase = PHRASE.encode()
    ring = ["--keyring", "phrase", "--keystore", "passphrase:"]
    new = rb"New passphrase for [^\n]*: "
    again = rb"Again: "
    ask = rb"(?<!New )Passphrase for [^\n]*: "
    code, seen, _ = run(["init", "--no-recovery", *ring], (new, phrase + b"\n"),
                        (again, b"something else\n"), (new, b"\n"), (new, phrase + b"\n"),
                        (again, phrase + b"\n"))
    check("init asks for a passphrase twice", code == 0 and "They differ." in seen)
    check("init refuses an empty one", "It is empty." in seen)
    code, seen, report = run(["status", *ring], (ask, phrase + b"\n"))
    check("status asks for it", code == 0 and "passphrase" in seen)
    check("the terminal echoes again", report == "ended echo=True\n")
    code, seen, _ = run(["status", *ring], (ask, b"wrong\n"))
    check("a wrong passphrase is refused", code == 37 and "ARIL_E_KEYSTORE" in seen)
    code, seen, report = run(["status", *ring], (ask, b"\x03"))
    check("Ctrl-C at the prompt ends it", code == 128 + signal.SIGINT)
    check("and leaves the terminal with echo", report == "ended echo=True\n")
    code, seen, report = run(["status", *ring], (ask, b"\x1a"), (ask, phrase + b"\n"))
    check("Ctrl-Z at the prompt stops it, with echo", "stopped echo=True" in report)
    check("and it asks again after that", code == 0 and "ended echo=True" in report)
    done = subprocess.run([ARIL, "keys", "status", *ring], capture_output=True, check=False,
                          stdin=subprocess.DEVNULL, start_new_session=True)
    check("without a terminal nobody is asked", done.returncode == 37)


def confirmations():
    ring = ["--keyring", "confirm"]
    quiet("init", "--no-recovery", *ring)
    quiet("create", "tenant:acme", *ring)
    code, seen, _ = run(["shred", "acme", *ring], (rb"Type acme to go on: ", b"acne\n"))
    check("a slip is no confirmation", code == 2 and "nothing was changed" in seen)
    check("nothing was shredded", "tenant:acme" in quiet("list", *ring))
    code, seen, _ = run(["shred", "acme", *ring], (rb"Type acme to go on: ", b"acme\n"))
    check("the name is one", code == 0 and "keys destroyed" in seen)
    _, seen, _ = run(["status", *ring])
    check("colours on a terminal", "\033[" in seen)
    os.environ["NO_COLOR"] = "1"
    _, seen, _ = run(["status", *ring])
    check("none with NO_COLOR", "\033[" not in seen)
    del os.environ["NO_COLOR"]


def progress():
    ring = ["--keyring", "many"]
    quiet("init", "--no-recovery", *ring)
    quiet("create", "tenant:acme", *ring)
    with open("labels", "w", encoding="ascii") as file:
        file.writelines(f"label-{i}\n" for i in range(20000))
    quiet("create", "data:acme", "--labels-from", "labels", *ring)
    code, seen, _ = run(["rotate", "tenant:acme", *ring], (rb"rotating: \d+ of \d+ keys", b"\x03"))
    check("Ctrl-C stops a rotation", code == 39 and "ARIL_E_INTERRUPTED" in seen)
    check("it says how to go on", "again" in seen)
    status = json.loads(quiet("status", "--json", *ring))
    check("the rotation is pending", status["rotation_pending"] and not status["ok"])
    done = subprocess.run([ARIL, "keys", "status", "--check", *ring], capture_output=True,
                          check=False)
    check("status --check says so", done.returncode == 1)
    done = subprocess.run([ARIL, "keys", "rotate", "tenant:acme", *ring], capture_output=True,
                          check=False)
    check("the same command ends it", done.returncode == 0)
    check("no progress without a terminal", done.stderr == b"")
    status = json.loads(quiet("status", "--json", *ring))
    check("nothing is pending any more", not status["rotation_pending"] and status["ok"])
    quiet("verify", *ring)


def main():
    os.makedirs(sys.argv[1])
    os.chdir(sys.argv[1])
    os.environ["TERM"] = "xterm"
    for name in ("ARIL_KEYRING", "ARIL_KEYSTORE"):
        os.environ.pop(name, None)
    prompts()
    confirmations()
    progress()
    print(f"{len(checks)} checks, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
