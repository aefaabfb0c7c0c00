#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""arild under all kinds of load at once, with reloads and rotations of keys meanwhile: every answer
is right, and memory, descriptors and buffers are as they were when it is over.

ARIL_SOAK_SECONDS=600 is a run that shows a leak; without it a few seconds show that all of it goes
together. A line each few seconds has what was measured."""

import os
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import proxy_watch  # noqa: E402
import proxy_world  # noqa: E402
from proxy_watch import descriptors, rss_bytes, status, until  # noqa: E402
from proxy_world import Score, Wire, encode  # noqa: E402

SECONDS = int(os.environ.get("ARIL_SOAK_SECONDS", "5"))
LONG_S = 60  # from here on memory must be flat, not only bounded
MIB = 1 << 20
THREADS = 2
MEMORY_MAX = 64 * MIB
RSS_MAX = 2 * MEMORY_MAX  # buffers, and what is none
TOP = f"threads = {THREADS}\n[limits]\nmemory_max = {MEMORY_MAX // MIB} MiB\n" \
      "max_verified_value = 16 MiB"
RELOAD_S, ROTATE_S, LOOK_S = 1.0, 3.0, 0.5

score = Score()
stop = threading.Event()


def content(seed, size):
    return random.Random(seed).randbytes(size)


class Load(threading.Thread):
    """One kind of load, again and again; a wrong answer ends it."""

    def __init__(self, world, number):
        super().__init__(daemon=True, name=f"{type(self).__name__} {number}")
        self.world, self.number = world, number
        self.random = random.Random(number)
        self.rounds, self.wrong = 0, None
        self.wire = None

    def key(self, more=""):
        return f"soak:{self.name}:{more}"

    def expect(self, got, want):
        if got != want:
            raise AssertionError(f"{got!r:.200} instead of {want!r:.200}")

    def run(self):
        try:
            self.wire = self.world.wire()
            while not stop.is_set() or self.rounds == 0:
                self.round()
                self.rounds += 1
        except Exception as error:  # whatever it is, it is what the test reports
            self.wrong = repr(error)
        finally:
            if self.wire is not None:
                self.wire.socket.close()


class Pipelines(Load):
    def round(self):
        n = self.random.randrange(1, 300)
        values = [content(self.random.random(), self.random.randrange(200)) for _ in range(n)]
        self.wire.socket.sendall(b"".join(
            encode("SET", self.key(i), v) + encode("GET", self.key(i))
            for i, v in enumerate(values)))
        for value in values:
            self.expect(self.wire.reply(), b"OK")
            self.expect(self.wire.reply(), value)
        self.expect(self.wire.ask("MGET", *(self.key(i) for i in range(n))), values)
        self.expect(self.wire.ask("DEL", *(self.key(i) for i in range(n))), n)


class Values(Load):
    sizes = [64 << 10, 1000000, 4 * MIB]

    def round(self):
        value = content(self.random.random(), self.random.choice(self.sizes))
        self.expect(self.wire.ask("SET", self.key(), value, "EX", 1000), b"OK")
        self.expect(self.wire.ask("STRLEN", self.key()), len(value))
        if self.wire.ask("GET", self.key()) != value:
            raise AssertionError("another value")


class Hashes(Load):
    def round(self):
        fields = [f"{i}" for i in range(self.random.randrange(1, 50))]
        self.expect(self.wire.ask("DEL", self.key()) in (0, 1), True)
        self.wire.ask("HSET", self.key(), *(x for f in fields for x in (f, "v" + f)))
        got = self.wire.ask("HGETALL", self.key())
        self.expect(dict(zip(got[::2], got[1::2])),
                    {f.encode(): b"v" + f.encode() for f in fields})


class Conflicts(Load):
    """Some count in one value, between WATCH and EXEC: what they did is what it says."""
    done = 0
    lock = threading.Lock()

    def round(self):
        w = self.wire
        self.expect(w.ask("WATCH", "soak:counter"), b"OK")
        now = int(w.ask("GET", "soak:counter") or b"0")
        self.expect(w.ask("MULTI"), b"OK")
        self.expect(w.ask("SET", "soak:counter", now + 1), b"QUEUED")
        self.expect(w.ask("GET", "soak:counter"), b"QUEUED")
        got = w.ask("EXEC")
        if got is not None:
            self.expect(got, [b"OK", b"%d" % (now + 1)])
            with self.lock:
                Conflicts.done += 1


class Reseals(Load):
    def round(self):
        value = content(self.random.random(), self.random.choice([10, 100000]))
        w = self.wire
        self.expect(w.ask("SET", self.key(), value, "EX", 100), b"OK")
        self.expect(w.ask("EXPIRE", self.key(), self.random.randrange(200, 9000)), 1)
        self.expect(w.ask("GETEX", self.key(), "EX", 9500), value)
        self.expect(w.ask("PERSIST", self.key()), 1)
        self.expect(w.ask("TTL", self.key()), -1)
        self.expect(w.ask("GET", self.key()), value)


class Scans(Load):
    """What stays there is seen by every walk, whatever comes and goes."""

    def round(self):
        if self.rounds == 0:
            for i in range(50):
                self.wire.ask("SET", self.key(i), "v")
        cursor, seen = b"0", set()
        while True:
            cursor, names = self.wire.ask("SCAN", cursor, "MATCH", self.key("*"), "COUNT", 100)
            seen.update(names)
            if cursor == b"0":
                break
        self.expect(len(seen), 50)


class Connections(Load):
    def round(self):
        wire = self.world.login("zeta-orchard")
        self.expect(wire.ask("PING"), b"PONG")
        self.expect(wire.ask("GET", "soak:counter"), None)  # of the other tenant
        if self.rounds % 2:
            self.expect(wire.ask("QUIT"), b"OK")
        wire.socket.close()


class Aborts(Load):
    """Up and down, left in the middle."""

    def round(self):
        value = content(self.number, 4 * MIB)
        if self.rounds % 10 == 0:
            self.expect(self.wire.ask("SET", self.key(), value), b"OK")
        up = Wire(self.world.socket)
        whole = encode("SET", self.key("half"), value)
        up.socket.sendall(whole[:self.random.randrange(20, len(whole) - 1)])
        up.socket.close()
        down = Wire(self.world.socket)
        down.send("GET", self.key())
        got = down.exactly(self.random.randrange(1, 3 * MIB))
        self.expect(got, (b"$%d\r\n" % len(value) + value)[:len(got)])
        down.socket.close()
        self.expect(self.wire.ask("GET", self.key("half")), None)


KINDS = (Pipelines, Pipelines, Values, Values, Hashes, Conflicts, Conflicts, Conflicts, Reseals,
         Scans, Connections, Aborts)


class Looks:
    """What was measured: seconds, resident bytes, descriptors, bytes of buffers."""

    def __init__(self, world):
        self.world, self.rows, self.began = world, [], time.monotonic()
        self.printed = 0

    def take(self):
        at = time.monotonic() - self.began
        s = status(self.world)
        row = (at, rss_bytes(self.world.pid), descriptors(self.world.pid), s["memory"]["used"])
        self.rows.append(row)
        if at - self.printed >= max(1, SECONDS / 20):
            self.printed = at
            print(f"{at:6.1f} s: {row[1] / MIB:6.1f} MiB, {row[2]} descriptors, "
                  f"{row[3] / MIB:6.2f} MiB of buffers", flush=True)

    def most(self, column, begin, end):
        """In that part of the run, 0 to 1."""
        return max(r[column] for r in self.rows if begin * SECONDS <= r[0] <= end * SECONDS + 1)


def run(world, loads):
    looks = Looks(world)
    next_reload, next_rotate, rotations, reloads = RELOAD_S, 0.2, 0, 0
    for load in loads:
        load.start()
    while time.monotonic() - looks.began < SECONDS and all(x.wrong is None for x in loads):
        looks.take()
        at = time.monotonic() - looks.began
        if at >= next_reload:
            world.reload()
            next_reload += RELOAD_S
            reloads += 1
        if at >= next_rotate:
            world.keys("rotate", "data:acme-orchard")
            next_rotate += ROTATE_S
            rotations += 1
        proxy_watch.pause(LOOK_S)
    stop.set()
    for load in loads:
        load.join(proxy_watch.LIMIT_S)
        score.check(f"{load.name} ended", not load.is_alive())
        score.equal(f"{load.name} heard the right answers", load.wrong, None)
    print(", ".join(f"{x.name}: {x.rounds}" for x in loads))
    print(f"{reloads} reloads, {rotations} rotations")
    score.check("there were reloads and rotations", reloads > 0 and rotations > 0)
    return looks


def links(world):
    return sum(server["links"] for server in status(world)["servers"])


def after(world, looks, before):
    """Nobody is there any more. Links to the server stay; they are counted."""
    score.check("all clients are gone", until(lambda: status(world)["clients"] == 0))
    score.check("no buffer is left", until(lambda: status(world)["memory"]["used"] == 0),
                status(world)["memory"])
    there = before["descriptors"] - before["links"]
    score.check("no descriptor is left",
                until(lambda: descriptors(world.pid) - links(world) == there),
                f"{descriptors(world.pid)} with {links(world)} links, {there} before")
    figures = status(world)["figures"]
    for name in ("protocol_errors", "slow_clients", "login_failures", "link_nonsense",
                 "reload_failures"):
        score.equal(name, figures[name], 0)
    acme = next(t for t in status(world)["tenants"] if t["tenant"] == "acme-orchard")["figures"]
    for name in ("tampered", "expired", "key_gone"):
        score.equal(name, acme[name], 0)
    score.check("values were sealed again", acme["resealed"] > 0)
    most = looks.most(1, 0, 1)
    score.check("memory stayed below its bound", proxy_watch.is_within(most, RSS_MAX),
                f"{most / MIB:.1f} MiB")
    print(f"idle: {rss_bytes(world.pid) / MIB:.1f} MiB, {descriptors(world.pid)} descriptors, "
          f"{links(world)} links")
    if SECONDS < LONG_S:
        score.skip(f"flat memory is for ARIL_SOAK_SECONDS={LONG_S} and more")
        return
    early, late = looks.most(1, 0.2, 0.5), looks.most(1, 0.7, 1)
    score.check("memory is flat", late <= early * 1.1, f"{early / MIB:.1f} to {late / MIB:.1f} MiB")
    early, late = looks.most(2, 0.2, 0.5), looks.most(2, 0.7, 1)
    score.check("descriptors are flat", late <= early + 10, f"{early} to {late}")


def main():
    proxy_world.demand()
    if proxy_world.PLAIN:
        proxy_world.skip_all("a plain server tells nothing of itself")
    with proxy_watch.World(top=TOP) as world:
        wire = world.wire()
        wire.ask("PING")
        wire.socket.close()
        until(lambda: status(world)["clients"] == 0)
        # An admin connection may not be closed yet when the next one asks.
        before = {"descriptors": min(descriptors(world.pid) for _ in range(20)
                                     if proxy_watch.pause() is None), "links": links(world)}
        loads = [kind(world, i) for i, kind in enumerate(KINDS)]
        looks = run(world, loads)
        wire = world.wire()
        score.equal("every EXEC counted once", wire.ask("GET", "soak:counter"),
                    b"%d" % Conflicts.done)
        wire.socket.close()
        after(world, looks, before)
        score.equal("it ends well", world.proxy.end(signal.SIGTERM), 0)
    score.end()


main()
