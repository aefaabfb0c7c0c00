#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The clock of arild's machine jumps, forwards and back, by libfaketime: sealed times are the
clock's, deadlines of connections are not. The server behind keeps its own clock."""

import glob
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import proxy_watch  # noqa: E402
import proxy_world  # noqa: E402
from proxy_watch import status, until  # noqa: E402
from proxy_world import Score  # noqa: E402

LIBRARY = sorted(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))
TOP = "threads = 1\n[timeouts]\nidle = 60 s\nlogin = 60 s"

score = Score()


class World(proxy_watch.World):
    def __init__(self, **more):
        super().__init__(**more)
        self.clock = self.folder / "clock"
        self.jump("+0")
        self.before = ["env", f"LD_PRELOAD={LIBRARY[0]}", f"FAKETIME_TIMESTAMP_FILE={self.clock}",
                       "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]

    def jump(self, to):
        """As faketime(1) writes it: +3600, -3600, @1980-01-01 00:00:00."""
        fresh = self.folder / "clock.new"
        fresh.write_text(to + "\n")
        os.replace(fresh, self.clock)


def now(world):
    return status(world)["now"]


def figure_of(world, name):
    return next(t for t in status(world)["tenants"]
                if t["tenant"] == "acme-orchard")["figures"][name]


def check(world):
    wire = world.wire()
    score.equal("SET", wire.ask("SET", "short", "v", "EX", 600), b"OK")
    score.equal("SET without an end", wire.ask("SET", "long", "w"), b"OK")
    score.equal("GET", wire.ask("GET", "short"), b"v")
    began = now(world)

    world.jump("+3600")
    score.check("the clock jumped", until(lambda: now(world) >= began + 3600))
    score.check("what has ended is missing", until(lambda: wire.ask("GET", "short") is None))
    score.check("and counted", figure_of(world, "expired") > 0)
    score.equal("what has no end is there", wire.ask("GET", "long"), b"w")
    score.equal("a new one", wire.ask("SET", "ahead", "x", "EX", 600), b"OK")
    score.equal("is there", wire.ask("GET", "ahead"), b"x")
    score.equal("SET of what ends soon", wire.ask("SET", "short", "v", "EX", 600), b"OK")

    world.jump("-3600")
    score.check("back, and further", until(lambda: now(world) <= began - 3500))
    score.equal("what was sealed is there", wire.ask("MGET", "short", "long", "ahead"),
                [b"v", b"w", b"x"])
    score.equal("and can be sealed", wire.ask("SET", "behind", "y", "EX", 600), b"OK")
    score.equal("a longer life", wire.ask("EXPIRE", "behind", 9000), 1)
    score.equal("is there", wire.ask("GET", "behind"), b"y")

    world.jump("+63072000")
    score.check("years ahead", until(lambda: now(world) >= began + 63000000))
    reply = until(lambda: failed(wire.ask("SET", "new", "z")))
    score.check("keys have ended: a clear error", "the key is past its date" in str(reply), reply)
    score.equal("no client is closed", wire.ask("PING"), b"PONG")

    world.jump("@1980-01-01 00:00:00")
    score.check("decades back", until(lambda: now(world) < 400000000))
    score.equal("no client is closed", wire.ask("PING"), b"PONG")

    world.jump("+0")
    score.check("right again", until(lambda: abs(now(world) - began) < 600))
    score.check("all is well", until(lambda: wire.ask("SET", "new", "z") == b"OK"))
    score.equal("and there", wire.ask("MGET", "short", "long", "new"), [b"v", b"w", b"z"])
    score.equal("no value was taken for tampered with", figure_of(world, "tampered"), 0)
    score.equal("nobody was too slow", status(world)["figures"]["slow_clients"], 0)
    score.equal("it ends well", world.proxy.end(signal.SIGTERM), 0)


def failed(reply):
    return reply if isinstance(reply, Exception) else None


def main():
    proxy_world.demand()
    if proxy_world.PLAIN:
        proxy_world.skip_all("a plain server has no sealed times")
    if not LIBRARY:
        proxy_world.skip_all("libfaketime is not installed")
    if proxy_watch.SANITIZED:
        proxy_world.skip_all("a sanitizer wants to be loaded before libfaketime")
    with World(top=TOP) as world:
        check(world)
    score.end()


main()
