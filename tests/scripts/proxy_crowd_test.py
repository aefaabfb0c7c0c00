#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many clients of arild: ten thousand that say nothing, more than may be, and more than there are
descriptors for. Those that are there do not notice, and there is room again afterwards."""

import contextlib
import os
import pathlib
import resource
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import proxy_watch  # noqa: E402
import proxy_world  # noqa: E402
from proxy_watch import descriptors, figure, rss_bytes, status, until  # noqa: E402
from proxy_world import Score, Wire, encode  # noqa: E402

MIB = 1 << 20
IDLE = 10000
IDLE_RSS_MAX = 256 * MIB
FILES = IDLE + 1000  # of this test, and of arild
REFUSED = "ERR max number of clients reached"

score = Score()


def refused(wire):
    """Why a client was sent away, without having said anything."""
    try:
        reply = wire.reply()
    finally:
        wire.socket.close()
    return str(reply)


def log_in_all(world, count):
    """Many at a time; their answers are read afterwards."""
    wires = []
    hello = encode("AUTH", "acme-orchard", world.token("acme-orchard"))
    for begin in range(0, count, 500):
        some = [Wire(("127.0.0.1", world.port)) for _ in range(min(500, count - begin))]
        for wire in some:
            wire.socket.sendall(hello)
        wires += [w for w in some if w.reply() == b"OK"]
    return wires


def idle_crowd():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < FILES:
        score.skip(f"{IDLE} clients need {FILES} open files, and {hard} are allowed")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
    with proxy_watch.World(top=f"threads = 2\n[limits]\nclients_max = {IDLE + 1}") as world:
        before = rss_bytes(world.pid)
        wires = log_in_all(world, IDLE)
        score.equal("as many as came are logged in", len(wires), IDLE)
        used = rss_bytes(world.pid)
        print(f"{IDLE} idle clients: {used / MIB:.1f} MiB resident, {before / MIB:.1f} before")
        score.check("memory of idle clients", proxy_watch.is_within(used, IDLE_RSS_MAX),
                    f"{used / MIB:.1f} MiB")
        last = world.wire()
        score.equal("one more has room", last.ask("SET", "crowd", "v"), b"OK")
        score.equal("and one is too many", refused(Wire(world.socket)), REFUSED)
        score.equal("over TCP too", refused(Wire(("127.0.0.1", world.port))), REFUSED)
        score.equal("they are counted", figure(world, "rejected"), 2)
        score.equal("all others are served", [w.ask("GET", "crowd") for w in wires[::37]],
                    [b"v"] * len(wires[::37]))
        wires.pop().socket.close()
        score.check("its place is free", until(lambda: status(world)["clients"] == IDLE))
        score.equal("for another", world.wire().ask("GET", "crowd"), b"v")
        for wire in wires:
            wire.socket.close()
        score.check("they are gone", until(lambda: status(world)["clients"] <= 1))
        score.equal("the last one stays", last.ask("GET", "crowd"), b"v")
        score.check("no buffer is left", until(lambda: status(world)["memory"]["used"] < 1024))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def more_than_may_be():
    """Far more than clients_max, at once: those that are there do not notice."""
    with proxy_watch.World(top="threads = 2\n[limits]\nclients_max = 10") as world:
        wires = [world.wire() for _ in range(10)]
        for wire in wires:
            score.equal("SET", wire.ask("SET", "k", "v"), b"OK")
        crowd = [Wire(world.socket) for _ in range(400)]
        score.equal("each of the others is told", {refused(w) for w in crowd}, {REFUSED})
        score.equal("each of them is counted or was not let in", figure(world, "rejected") <= 400,
                    True)
        score.equal("the ten go on", {w.ask("GET", "k") for w in wires}, {b"v"})
        world.top = "threads = 2\n[limits]\nclients_max = 11"
        world.prepare()
        world.reload()
        score.equal("a reload makes room", until(lambda: try_ping(world)), b"PONG")
        world.top = "threads = 2\n[limits]\nclients_max = 2"
        world.prepare()
        world.reload()
        score.equal("and none without ending anybody", {w.ask("GET", "k") for w in wires}, {b"v"})
        score.check("but there is none for others", until(lambda: not try_ping(world)))


def try_ping(world):
    """PONG; None where one is sent away."""
    wire = world.wire()
    try:
        reply = wire.ask("PING")
        return None if isinstance(reply, Exception) else reply
    except OSError:
        return None
    finally:
        wire.socket.close()


def limit_files(world, count):
    """From now on; what it was."""
    soft, hard = resource.prlimit(world.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(world.pid, resource.RLIMIT_NOFILE, (count, hard))
    return soft


def next_descriptor(pid):
    """The lowest that is free: with that as its limit it gets none. Closed ones, as the admin
    listener's, may take a moment."""
    lowest = []
    for _ in range(20):
        taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
        lowest.append(min(set(range(len(taken) + 1)) - taken))
        proxy_watch.pause()
    return min(lowest)


def no_descriptors():
    with proxy_watch.World(top="threads = 1\n[limits]\nclients_max = 100") as world:
        wire = world.wire()
        score.equal("SET", wire.ask("SET", "k", "v"), b"OK")
        soft = limit_files(world, descriptors(world.pid) + 3)
        crowd = [Wire(world.socket) for _ in range(20)]
        for other in crowd:
            with contextlib.suppress(ConnectionError):  # it may be sent away already
                other.socket.sendall(encode("PING"))
        score.check("it says so",
                    until(lambda: "clients cannot be accepted: Too many open files" in world.log()))
        score.equal("who is there is served", wire.ask("GET", "k"), b"v")
        limit_files(world, soft)
        answers = [answer_or_end(w) for w in crowd]
        score.check("some were served", b"PONG" in answers, answers)
        score.equal("and the others closed or served", set(answers) - {b"PONG", None}, set())
        score.equal("there is room again", until(lambda: try_ping(world)), b"PONG")
        score.check("the log is short", world.log().count("cannot be accepted") <= 2)
        for other in crowd:
            other.socket.close()
        no_descriptor_for_a_server(world, soft)
        wire.socket.close()


def no_descriptor_for_a_server(world, soft):
    """WATCH keeps a link, and there is no descriptor for another one: who finds none hears an error
    or is closed, as when a server dies; the others do not notice."""
    holders = [world.wire() for _ in range(links(world) + 3)]
    for other in holders:
        other.ask("PING")
    score.check("the crowd is gone",
                until(lambda: status(world)["clients"] == len(holders) + 1))
    limit_files(world, next_descriptor(world.pid))
    replies = [answer_or_end(w, "WATCH", "k") for w in holders]
    score.equal("who has a link keeps it", replies[0], b"OK")
    score.check("others have none", all(r != b"OK" for r in replies[-2:]), replies)
    score.equal("and nobody else knows", holders[0].ask("GET", "k"), b"v")
    limit_files(world, soft)
    for other in holders[1:]:
        other.socket.close()
    fresh = [world.wire() for _ in range(4)]
    score.check("all have one then",
                until(lambda: all(w.ask("GET", "k") == b"v" for w in fresh)))
    score.equal("to keep", [w.ask("WATCH", "k") for w in fresh], [b"OK"] * 4)
    for other in [*fresh, holders[0]]:
        other.socket.close()


def links(world):
    return sum(server["links"] for server in status(world)["servers"])


def answer_or_end(wire, *args):
    """What it hears, of a command if it says one; None: it is closed."""
    try:
        return wire.ask(*args) if args else wire.reply()
    except (EOFError, ConnectionError):
        return None


def main():
    proxy_world.demand()
    if proxy_world.PLAIN:
        proxy_world.skip_all("a plain server tells nothing of itself")
    idle_crowd()
    more_than_may_be()
    no_descriptors()
    score.end()


main()
