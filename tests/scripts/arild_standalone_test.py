#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""arild --standalone when something is wrong: its server is killed under load, its folder is not
ours, belongs to another arild, or is on a disk that is full."""

import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import proxy_world  # noqa: E402
from proxy_watch import LIMIT_S, until  # noqa: E402
from proxy_world import BUILD, Score, Wire, die_with_parent  # noqa: E402

ARILD = str(BUILD / "arild")
KILLS = 3
DISK = 24 << 20

score = Score()


class Standalone:
    def __init__(self, data):
        self.data = pathlib.Path(data)
        self.log = tempfile.TemporaryFile()
        self.child = subprocess.Popen(
            [ARILD, "--standalone", "--data", str(data), "--json", "--listen",
             f"127.0.0.1:{proxy_world.free_port()}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, text=True,
            preexec_fn=die_with_parent)
        host, _, port = json.loads(self.child.stdout.readline())["listen"].rpartition(":")
        self.address = (host, int(port))

    def server(self):
        """The process id of its server; None while there is none."""
        path = pathlib.Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children")
        found = path.read_text().split()
        return int(found[0]) if found else None

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def end(self):
        self.child.send_signal(signal.SIGTERM)
        code = self.child.wait(LIMIT_S)
        self.child.stdout.close()
        return code


def refused(code, text, data, contains, **how):
    done = subprocess.run([ARILD, "--standalone", "--data", str(data)], capture_output=True,
                          text=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL, check=False, **how)
    said = done.stdout + done.stderr
    score.check(f"{text}: no start", done.returncode == code and contains in said,
                f"{done.returncode}: {said}")


def killed_under_load(folder):
    """What was acknowledged a second before is there: the file is written to each second."""
    s = Standalone(folder / "killed")
    wire = Wire(s.address)
    value = os.urandom(100000)
    for i in range(KILLS):
        score.equal("SET", wire.ask("SET", f"k{i}", value), b"OK")
        path = s.data / "redis.sock"
        direct = Wire(str(path))
        # Until it is on the disk, as appendfsync everysec has it.
        score.check("it is written down", until(
            lambda: b"aof_pending_bio_fsync:0" in direct.ask("INFO", "persistence")))
        direct.socket.close()
        server = s.server()
        os.kill(server, signal.SIGKILL)
        errors = 0

        def comes_through():
            nonlocal errors
            reply = wire.ask("GET", f"k{i}")
            errors += isinstance(reply, Exception)
            return reply == value
        score.check("started again, with what it had", until(comes_through))
        score.check("it is another one", s.server() not in (None, server))
    score.equal("all of it", [wire.ask("STRLEN", f"k{i}") for i in range(KILLS)],
                [len(value)] * KILLS)
    score.equal("the log has each", s.said().count("the private server ended (signal 9)"), KILLS)
    score.equal("it ends with 0", s.end(), 0)


def folders(folder):
    """Permissions and owners of what is in it."""
    data = folder / "data"
    s = Standalone(data)
    wire = Wire(s.address)
    score.equal("SET", wire.ask("SET", "k", "v"), b"OK")
    refused(35, "a second arild", data, "another arild --standalone uses this folder")
    score.equal("the first one does not notice", wire.ask("GET", "k"), b"v")
    score.equal("it ends with 0", s.end(), 0)
    data.chmod(0o770)
    refused(21, "a folder of a group", data, "chmod 700")
    data.chmod(0o700)
    key = data / "keyring.key"
    mode = key.stat().st_mode & 0o777
    key.chmod(0o644)
    refused(21, "a key that all can read", data, "keyring.key")
    key.chmod(mode)
    link = folder / "link"
    link.symlink_to(data)
    refused(21, "a link to a folder", link, "must be a folder of ours")
    (folder / "file").write_text("")
    done = subprocess.run([ARILD, "--standalone", "--data", str(folder / "file")],
                          capture_output=True, timeout=LIMIT_S, check=False)
    score.check("a file", done.returncode in (21, 35), done)
    lock = data / "lock"
    lock.unlink()
    lock.symlink_to("/etc/passwd")
    refused(21, "a lock that is a link", data, "lock")
    lock.unlink()
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
        refused(21, "a folder of somebody else", data, "must be a folder of ours")
        os.chown(data, 0, 0)
    else:
        score.skip("a folder of somebody else can only be made by root")
    again = Standalone(data)
    score.equal("as it was, it starts", Wire(again.address).ask("GET", "k"), b"v")
    score.equal("it ends with 0", again.end(), 0)


def full_disk(folder):
    """Errors while there is no room, and all that was acknowledged before."""
    disk = folder / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "aril-test",
                            str(disk)], capture_output=True, check=False)
    if mount.returncode != 0:
        score.skip("a small disk can only be made by who may mount one")
        return
    try:
        s = Standalone(disk / "data")
        wire = Wire(s.address)
        value = os.urandom(1 << 20)
        there = 0
        while there < 2 * DISK >> 20:
            reply = wire.ask("SET", f"k{there}", value)
            if reply != b"OK":
                break
            there += 1
        score.check("some had room", 4 < there <= (DISK >> 20) + 1, there)
        score.check("then an error, which the server says", "MISCONF" in str(reply) or
                    "ERR aril" in str(reply), reply)
        score.check("reading goes on, or is told why", until(
            lambda: wire.ask("GET", "k0") == value), wire.ask("GET", "k0"))
        score.equal("arild is there", wire.ask("PING"), b"PONG")
        subprocess.run(["mount", "-o", f"remount,size={4 * DISK}", str(disk)], check=True)
        score.check("with more room it goes on", until(
            lambda: wire.ask("SET", "again", value) == b"OK"))
        score.equal("nothing is lost", [i for i in range(there)
                                        if wire.ask("GET", f"k{i}") != value], [])
        score.equal("it ends with 0", s.end(), 0)
        again = Standalone(disk / "data")
        wire = Wire(again.address)
        score.equal("nor after another start", [i for i in range(there)
                                                if wire.ask("GET", f"k{i}") != value], [])
        score.equal("it ends with 0", again.end(), 0)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def no_disk_at_all(folder):
    """No room for the keyring: no start, and no half of one."""
    disk = folder / "none"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=700", "aril-test", str(disk)],
                      capture_output=True, check=False).returncode != 0:
        score.skip("a small disk can only be made by who may mount one")
        return
    try:
        done = subprocess.run([ARILD, "--standalone", "--data", str(disk / "data")], text=True,
                              capture_output=True, timeout=LIMIT_S, check=False)
        score.check("no room for a keyring: no start", done.returncode not in (0, None) and
                    done.returncode > 0, done)
        subprocess.run(["mount", "-o", f"remount,size={DISK}", str(disk)], check=True)
        s = Standalone(disk / "data")
        score.equal("with room it starts", Wire(s.address).ask("SET", "k", "v"), b"OK")
        score.equal("it ends with 0", s.end(), 0)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def main():
    proxy_world.demand()
    if proxy_world.PLAIN:
        proxy_world.skip_all("a plain server is no arild")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="aril-alone-"))
    try:
        for check in (killed_under_load, folders, full_disk, no_disk_at_all):
            try:
                check(folder)
            except Exception as error:  # the others are tried all the same
                score.check(f"{check.__name__} went through", False, repr(error)[:500])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    score.end()


main()
