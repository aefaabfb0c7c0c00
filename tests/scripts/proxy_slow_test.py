#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients of arild that send and read a byte at a time, or nothing: each is closed, buffers stay
within their bound, and those beside them are served."""

import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import proxy_watch  # noqa: E402
import proxy_world  # noqa: E402
from proxy_watch import figure, rss_bytes, status, until  # noqa: E402
from proxy_world import Score, Wire, encode  # noqa: E402

MIB = 1 << 20
MEMORY_MAX = 64 * MIB
EACH = 10  # clients of one kind
DRIP_S = 0.02
TIMES = "[timeouts]\ncommand = 500 ms\nlogin = 500 ms\nwrite = 700 ms\n"
TOP = (f"threads = 2\n[limits]\nmemory_max = {MEMORY_MAX // MIB} MiB\n"
       f"max_verified_value = 16 MiB\n{TIMES}")
VALUE = os.urandom(4 * MIB)

score = Score()


class Slow:
    """A connection and what it says, a byte each turn; for ever, when there is enough."""

    def __init__(self, kind, address, first, rest):
        self.kind, self.rest, self.at = kind, rest, 0
        self.socket = Wire(address).socket
        self.socket.sendall(first)
        self.socket.setblocking(False)

    def turn(self):
        """False when it is closed."""
        try:
            while self.socket.recv(4096):
                pass
            return False
        except BlockingIOError:
            pass
        except ConnectionError:
            return False
        try:
            self.socket.send(self.rest[self.at:self.at + 1])
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        self.at += 1
        return self.at < len(self.rest) or self.fail("said all that it had to say")

    def fail(self, why):
        score.check(f"{self.kind}: it {why}", False)
        return False


class Reader(Slow):
    """Asks for much and reads a byte each turn, or none. What it does not take stays with arild."""

    def __init__(self, kind, address, step):
        self.kind, self.step, self.got = kind, step, 0
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(address)
        self.socket.sendall(encode("GET", "slow:value") * 3)
        self.socket.setblocking(False)
        self.poll = select.poll()
        self.poll.register(self.socket, 0)

    def turn(self):
        try:
            got = self.socket.recv(self.step) if self.step else b""
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        self.got += len(got)
        if self.step and not got:
            return False
        if self.got >= 4 * MIB:
            return self.fail("was given all")
        return not self.poll.poll(0)  # POLLHUP: the other end is closed


def crowd(world, tls_port):
    """Some of each kind: (what it is, whether arild counts it as slow)."""
    tcp = ("127.0.0.1", world.port)
    kinds = [
        ("a command", world.socket, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9999\r\n", b"v" * 9000),
        ("an inline command", world.socket, b"ECHO ", b"x" * 9000),
        ("a long number", world.socket, b"*1\r\n", b"$" + b"0" * 9000),
        ("a value", world.socket, encode("SET", "slow:half", VALUE)[:100000], b"v" * 9000),
        ("AUTH", tcp, b"*3\r\n$4\r\nAUTH\r\n$4\r\nacme\r\n$9999\r\n", b"x" * 9000),
        ("nobody with something to say", tcp, b"", b"PING\r\n" * 2000),
        ("nobody", tcp, b"", b"\r\n" * 9000),
    ]
    slow = [Slow(*kind) for kind in kinds for _ in range(EACH)]
    if tls_port:
        hello = b"\x16\x03\x01\x20\x00\x01"
        slow += [Slow("a handshake", ("127.0.0.1", tls_port), hello, b"\0" * 9000)
                 for _ in range(EACH)]
    slow += [Reader("an answer", world.socket, 1) for _ in range(EACH)]
    slow += [Reader("an answer that nobody reads", world.socket, 0) for _ in range(EACH)]
    return slow


def sit_out(world, slow):
    """Until all are closed, and somebody else is served all the while."""
    other = world.wire()
    deadline = time.monotonic() + proxy_watch.LIMIT_S
    served, most_used, most_rss, worst = 0, 0, 0, 0.0
    while slow and time.monotonic() < deadline:
        slow = [s for s in slow if s.turn()]
        began = time.monotonic()
        got = [other.ask("SET", "slow:other", served), other.ask("GET", "slow:other")]
        if got != [b"OK", b"%d" % served]:
            score.equal("others are served", got, [b"OK", b"%d" % served])
            break
        worst = max(worst, time.monotonic() - began)
        served += 1
        most_used = max(most_used, status(world)["memory"]["used"])
        most_rss = max(most_rss, rss_bytes(world.pid))
        proxy_watch.pause(DRIP_S)
    score.equal("all are closed", sorted({s.kind for s in slow}), [])
    score.check("others were served meanwhile", served > 10, served)
    score.check("buffers stay about memory_max", most_used <= MEMORY_MAX * 5 // 4,
                f"{most_used / MIB:.1f} MiB")
    score.check("and so does the process", proxy_watch.is_within(most_rss, 2 * MEMORY_MAX),
                f"{most_rss / MIB:.1f} MiB")
    print(f"{served} commands of others, {worst * 1000:.1f} ms the slowest; "
          f"{most_used / MIB:.1f} MiB of buffers, {most_rss / MIB:.1f} MiB resident")
    score.equal("others are served afterwards", other.ask("GET", "slow:value"), VALUE)
    other.socket.close()


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(folder / "tls.key"),
                    "-out", str(folder / "tls.pem"), "-days", "2", "-subj", "/CN=localhost"],
                   check=True, capture_output=True)
    (folder / "tls.key").chmod(0o600)


class World(proxy_watch.World):
    """With a TLS listener, where openssl can make a certificate for it."""
    tls_port = 0

    def prepare(self):
        if shutil.which("openssl") is not None and not self.tls_port:
            certificate(self.front_folder)
            self.tls_port = proxy_world.free_port()
            self.conf += (f"[listen]\naddress = tls://127.0.0.1:{self.tls_port}\n"
                          "tls_cert = tls.pem\ntls_key = tls.key\ntenant = acme-orchard\n")
        super().prepare()


def main():
    proxy_world.demand()
    if proxy_world.PLAIN:
        proxy_world.skip_all("a plain server has other limits")
    with World(top=TOP) as world:
        if not world.tls_port:
            score.skip("openssl is not there to make a certificate: no slow handshakes")
        setter = world.wire()
        score.equal("SET", setter.ask("SET", "slow:value", VALUE), b"OK")
        setter.socket.close()
        slow = crowd(world, world.tls_port)
        counted = sum(s.kind != "a handshake" for s in slow)
        sit_out(world, slow)
        score.equal("each is counted", figure(world, "slow_clients"), counted)
        score.check("nothing of half a value is there",
                    world.wire().ask("EXISTS", "slow:half") == 0)
        for s in slow:
            s.socket.close()
        score.check("no buffer is left", until(lambda: status(world)["memory"]["used"] < 1024))
        score.equal("it ends well", world.proxy.end(signal.SIGTERM), 0)
    score.end()


main()
