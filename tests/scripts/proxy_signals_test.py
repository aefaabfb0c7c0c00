#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM and SIGHUP to an arild under load, and a million wrong tokens (ARIL_SOAK_SECONDS=60 and
more; fewer without). What was acknowledged is there, what is broken is not taken over, and who has
the right token is let in."""

import os
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import proxy_watch  # noqa: E402
import proxy_world  # noqa: E402
from proxy_watch import figure, is_closed, status, until  # noqa: E402
from proxy_world import Score, Wire, encode  # noqa: E402

VALUE = os.urandom(2 << 20)
WRITERS = 6
WRONG = 1000000 if int(os.environ.get("ARIL_SOAK_SECONDS", "5")) >= 60 else 20000
GUESSERS, BATCH = 4, 500

score = Score()


class Writer(threading.Thread):
    """Pipelines of SET until it is closed; what was acknowledged, in order."""

    def __init__(self, world, number, value):
        super().__init__(daemon=True)
        self.wire, self.number, self.value = world.wire(), number, value
        self.acknowledged, self.wrong = -1, None

    def run(self):
        n = 0
        try:
            while True:
                self.wire.socket.sendall(b"".join(
                    encode("SET", f"w:{self.number}", b"%d:" % (n + i) + self.value)
                    for i in range(8)))
                for i in range(8):
                    reply = self.wire.reply()
                    if reply != b"OK":
                        self.wrong = f"{reply!r}"
                        return
                    self.acknowledged = n + i
                n += 8
        except (EOFError, ConnectionError):
            if self.wire.rest:
                self.wrong = f"half an answer: {self.wire.rest!r}"


def drains():
    with proxy_watch.World(top="threads = 2\n[timeouts]\ndrain = 20 s") as world:
        writers = [Writer(world, i, VALUE if i == 0 else b"v" * 100 * i) for i in range(WRITERS)]
        idle = world.wire()
        idle.ask("PING")
        for writer in writers:
            writer.start()
        until(lambda: all(w.acknowledged > 20 for w in writers))
        began = time.monotonic()
        score.equal("SIGTERM under load ends with 0", world.proxy.end(signal.SIGTERM), 0)
        print(f"drained in {time.monotonic() - began:.2f} s")
        for writer in writers:
            writer.join(proxy_watch.LIMIT_S)
            score.equal(f"writer {writer.number} heard whole answers", writer.wrong, None)
        score.check("an idle client is closed", is_closed(idle))
        score.check("nobody was cut off", "cut off" not in world.log(), world.log()[-300:])
        world.start()
        wire = world.wire()
        for w in writers:
            got = wire.ask("GET", f"w:{w.number}")
            number, _, value = got.partition(b":")
            score.check(f"what writer {w.number} was told is there",
                        value == w.value and int(number) >= w.acknowledged,
                        f"{number!r} and {w.acknowledged}")


def does_not_wait_for_ever():
    """A client that reads nothing holds it up until drain has passed, or until it hears again."""
    for again in (False, True):
        drain = "1 h" if again else "300 ms"
        with proxy_watch.World(top=f"threads = 2\n[timeouts]\ndrain = {drain}\n"
                                   "write = 1 h") as world:
            wire = world.wire()
            wire.ask("SET", "k", VALUE)
            wire.socket.sendall(encode("GET", "k") * 20)
            until(lambda: status(world)["memory"]["used"] > 1 << 20)
            world.proxy.child.send_signal(signal.SIGTERM)
            world.proxy.wait_for(b"STOPPING=1")
            if again:
                world.proxy.child.send_signal(signal.SIGTERM)
            score.equal("it ends with 0", world.proxy.child.wait(proxy_watch.LIMIT_S), 0)
            world.proxy.child = None
            score.check("and says that it cut somebody off", "cut off" in world.log(),
                        world.log()[-300:])


def reloads():
    with proxy_watch.World(top="threads = 2") as world:
        conf = world.front_folder / "arild.conf"
        good = conf.read_text()
        client, watching = world.wire(), world.wire()
        score.equal("SET", client.ask("SET", "k", "v"), b"OK")
        score.equal("WATCH", watching.ask("WATCH", "k"), b"OK")
        half = world.wire()
        whole = encode("SET", "half", VALUE)
        half.socket.sendall(whole[:len(whole) // 2])
        broken = {
            "nonsense": good + "\nnonsense\n",
            "an unknown key": good.replace("threads", "thraeds", 1),
            "nothing": "",
            "another listener": good.replace("arild.sock", "other.sock"),
            "one listener less": good.replace("address = 127.0.0.1", "tenant = acme-orchard\n"
                                              "[listen]\naddress = 127.0.0.1"),
            "no password file": good.replace("credentials = ", "credentials = /nowhere"),
            "binary": "\0\1\2" * 1000,
            "too long": good + "#" * (5 << 20),
        }
        for what, text in broken.items():
            conf.write_text(text)
            world.reload()
            score.equal(f"{what}: it is served as before", client.ask("GET", "k"), b"v")
        conf.unlink()
        world.reload()
        score.equal("no file: it is served as before", client.ask("GET", "k"), b"v")
        conf.mkdir()
        world.reload()
        score.equal("a folder: it is served as before", client.ask("GET", "k"), b"v")
        conf.rmdir()
        score.equal("each is counted", figure(world, "reload_failures"), len(broken) + 2)
        score.equal("and logged", world.log().count("the old configuration stays"),
                    len(broken) + 2)
        score.equal("none was taken over", figure(world, "reloads"), 0)
        conf.write_text(good + "\n[limits]\nclients_max = 10500\npipeline_max = 7\n")
        conf.chmod(0o600)
        world.reload()
        score.equal("a good one is", figure(world, "reloads"), 1)
        score.equal("clients stay", client.ask("GET", "k"), b"v")
        score.equal("so does what they watch", [watching.ask("MULTI"), watching.ask("GET", "k"),
                                                watching.ask("EXEC")],
                    [b"OK", b"QUEUED", [b"v"]])
        half.socket.sendall(whole[len(whole) // 2:])
        score.equal("and a value that was half there", half.reply(), b"OK")
        score.check("whole", client.ask("GET", "half") == VALUE)


class Guesser(threading.Thread):
    def __init__(self, world, count):
        super().__init__(daemon=True)
        self.wire, self.count, self.wrong = Wire(("127.0.0.1", world.port)), count, None

    def run(self):
        for begin in range(0, self.count, BATCH):
            n = min(BATCH, self.count - begin)
            self.wire.socket.sendall(b"".join(
                encode("AUTH", "acme-orchard", b"arilt_" + os.urandom(32).hex()[:43].encode())
                for _ in range(n)))
            for _ in range(n):
                reply = self.wire.reply()
                if not str(reply).startswith("WRONGPASS"):
                    self.wrong = repr(reply)
                    return


def wrong_tokens():
    with proxy_watch.World(top="threads = 2\n[timeouts]\nlogin = 10 m") as world:
        guessers = [Guesser(world, WRONG // GUESSERS) for _ in range(GUESSERS)]
        before = proxy_watch.rss_bytes(world.pid)
        began = time.monotonic()
        for guesser in guessers:
            guesser.start()
        right = 0
        while any(g.is_alive() for g in guessers) or right == 0:
            wire = world.login()
            if wire.ask("PING") != b"PONG":
                score.check("the right token is let in", False)
            wire.socket.close()
            right += 1
        took = time.monotonic() - began
        print(f"{WRONG} wrong tokens and {right} right ones in {took:.1f} s")
        score.equal("each hears WRONGPASS", [g.wrong for g in guessers], [None] * GUESSERS)
        score.equal("each is counted", figure(world, "login_failures"), WRONG)
        score.check("the log stays short", len(world.log()) < 1 << 20, len(world.log()))
        used = proxy_watch.rss_bytes(world.pid)
        score.check("memory too", proxy_watch.is_within(used, before + (32 << 20)), used)


def main():
    proxy_world.demand()
    if proxy_world.PLAIN:
        proxy_world.skip_all("a plain server has other signals")
    for check in (drains, does_not_wait_for_ever, reloads, wrong_tokens):
        if len(sys.argv) < 2 or check.__name__ in sys.argv[1:]:
            try:
                check()
            except Exception as error:  # the others are tried all the same
                score.check(f"{check.__name__} went through", False, repr(error)[:500])
    score.end()


main()
