#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers behind arild that freeze, die, are full, are replicas, refuse its password, or are no
Redis: clients hear an error in time, and are served again when the server is well."""

import os
import pathlib
import signal
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import proxy_watch  # noqa: E402
import proxy_world  # noqa: E402
from proxy_watch import figure, status, until  # noqa: E402
from proxy_world import Score, Wire, encode  # noqa: E402

VALUE = os.urandom(3 << 20)
TIMES = "threads = 1"
ANSWER = "answer_timeout = 500 ms"

score = Score()


class World(proxy_watch.World):
    """upstream: more lines of [upstream]."""

    def __init__(self, upstream="", **more):
        super().__init__(**more)
        self.upstream = upstream

    def prepare(self):
        super().prepare()
        conf = self.front_folder / "arild.conf"
        conf.write_text(conf.read_text().replace("[upstream]\n", f"[upstream]\n{self.upstream}\n"))


class StubWorld(World):
    """Behind it is what talk(connection) does with each connection."""

    def __init__(self, talk, **more):
        super().__init__(**more)
        self.talk = talk

    def start_behind(self):
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(self.behind_socket)
        self.listening.listen(64)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection = self.listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.one, args=(connection,), daemon=True).start()

    def one(self, connection):
        try:
            self.talk(connection)
        except OSError:
            pass
        finally:
            connection.close()


def is_error(reply, *begins):
    return isinstance(reply, Exception) and str(reply).startswith(begins or ("ERR aril: ",))


def served(world):
    """Whether a command goes through; until() it."""
    wire = world.wire()
    try:
        return wire.ask("SET", "again", "v") == b"OK" and wire.ask("GET", "again") == b"v"
    except (EOFError, OSError):
        return False
    finally:
        wire.socket.close()


def freezes():
    with World(upstream=ANSWER, top=TIMES) as world:
        wire, watching = world.wire(), world.wire()
        score.equal("SET", wire.ask("SET", "k", "v"), b"OK")
        score.equal("WATCH", watching.ask("WATCH", "k"), b"OK")
        world.server.child.send_signal(signal.SIGSTOP)
        reply = wire.ask("GET", "k")
        score.check("a frozen server: an error in time", is_error(reply), reply)
        score.equal("what needs no server is answered", wire.ask("PING"), b"PONG")
        reply = wire.ask("SET", "k", VALUE)
        score.check("a large value too", is_error(reply), reply)
        world.server.child.send_signal(signal.SIGCONT)
        score.check("it goes on when the server does", until(lambda: served(world)))
        score.check("for who was there, too", until(lambda: wire.ask("GET", "k") in (b"v", VALUE)))
        score.check("failures are counted", figure(world, "link_failures") > 0)
        score.check("the log says why", "no answer in time" in world.log(), world.log()[-500:])
        score.equal("a transaction that was watching is whole or over",
                    watch_end(watching), True)


def watch_end(wire):
    """It was idle meanwhile: either the link is still there, or the client is closed."""
    try:
        return wire.ask("MULTI") == b"OK" and wire.ask("EXEC") in ([], None)
    except (EOFError, OSError):
        return True


def dies():
    with World(upstream=ANSWER, top=TIMES) as world:
        wire = world.wire()
        score.equal("SET", wire.ask("SET", "k", VALUE), b"OK")
        half = world.wire()
        whole = encode("SET", "half", VALUE)
        half.socket.sendall(whole[:len(whole) // 2])
        score.check("half of it is with the server", until(
            lambda: b"qbuf" in (info := world.behind("CLIENT", "LIST")) and any(
                int(word[5:]) > 0 for word in info.decode().split() if word.startswith("qbuf="))))
        world.server.child.send_signal(signal.SIGKILL)
        world.server.child.wait()
        world.server.child = None
        half.socket.sendall(whole[len(whole) // 2:])
        reply = half.reply()
        score.check("it died in the middle of a value", is_error(reply), reply)
        score.equal("the client is where it was", half.ask("PING"), b"PONG")
        score.check("nobody listens: an error", until(lambda: is_error(wire.ask("GET", "k"))))
        score.equal("it is not ready", until(lambda: status(world)["state"] == "not ready"), True)
        world.server.start()
        score.check("back again", until(lambda: served(world)))
        score.check("with what it had", until(lambda: wire.ask("GET", "k") == VALUE))
        score.equal("and not with the half", wire.ask("EXISTS", "half"), 0)
        score.equal("it is ready", until(lambda: status(world)["state"] == "ready"), True)


def is_full():
    with World(top=TIMES) as world:
        wire = world.wire()
        score.equal("SET", wire.ask("SET", "k", "v", "EX", 100), b"OK")
        world.behind("CONFIG", "SET", "maxmemory", "1")
        world.behind("CONFIG", "SET", "maxmemory-policy", "noeviction")
        for what, args in {"SET": ("SET", "a", "v"), "a large SET": ("SET", "a", VALUE),
                           "MSET": ("MSET", "a", "v", "b", "v"),
                           "HSET": ("HSET", "h", "f", "v"),
                           "a re-seal": ("GETEX", "k", "EX", 5000),
                           "a longer life": ("EXPIRE", "k", 5000)}.items():
            reply = wire.ask(*args)
            score.check(f"{what} hears OOM", is_error(reply, "OOM "), reply)
        score.equal("reading goes on", wire.ask("GET", "k"), b"v")
        score.equal("MULTI", wire.ask("MULTI"), b"OK")
        replies = [wire.ask("SET", "a", "v"), wire.ask("EXEC")]
        score.check("in MULTI: OOM, then EXECABORT", is_error(replies[0], "OOM ") and
                    is_error(replies[1], "EXECABORT"), replies)
        score.check("nothing is changed", wire.ask("GET", "k") == b"v" and
                    0 < wire.ask("TTL", "k") <= 100)
        world.behind("CONFIG", "SET", "maxmemory", "0")
        score.equal("room again", wire.ask("SET", "a", VALUE), b"OK")
        score.equal("MULTI", [wire.ask("MULTI"), wire.ask("SET", "a", "v"), wire.ask("EXEC")],
                    [b"OK", b"QUEUED", [b"OK"]])


def is_a_replica():
    with World(top=TIMES) as world:
        wire = world.wire()
        score.equal("SET", wire.ask("SET", "k", "v", "EX", 100), b"OK")
        world.behind("CONFIG", "SET", "replica-serve-stale-data", "yes")
        world.behind("REPLICAOF", "127.0.0.1", proxy_world.free_port())
        for args in (("SET", "k", "w"), ("SET", "k", VALUE), ("EXPIRE", "k", 5000), ("DEL", "k")):
            reply = wire.ask(*args)
            score.check(f"{args[0]} hears READONLY", is_error(reply, "READONLY "), reply)
        score.equal("reading goes on", wire.ask("GET", "k"), b"v")
        world.behind("REPLICAOF", "NO", "ONE")
        score.equal("a master again", wire.ask("SET", "k", "w"), b"OK")


def refuses_the_password():
    with World(top=TIMES) as world:
        world.behind("CONFIG", "SET", "requirepass", "right")
        reply = world.wire().ask("GET", "k")
        score.check("no password", is_error(reply), reply)
        score.check("with the server's words", "NOAUTH" in str(reply) or "WRONGPASS" in str(reply),
                    reply)
        secret = world.front_folder / "server.password"
        secret.touch(0o600)
        for word, good in (("wrong", False), ("right", True)):
            secret.write_text(word)
            world.upstream = "password_file = server.password"
            world.prepare()
            world.reload()
            if good:
                score.check("the right one, after SIGHUP", until(lambda: served(world)))
            else:
                score.check("a wrong one", until(
                    lambda: "WRONGPASS" in str(world.wire().ask("GET", "k"))))
            score.check("the log has none", word not in world.log())


def loads():
    """The server says so to everything."""
    with StubWorld(answers(b"-LOADING Redis is loading the dataset in memory\r\n"),
                   top=TIMES) as world:
        reply = world.wire().ask("GET", "k")
        score.check("LOADING", "LOADING" in str(reply), reply)
        score.equal("it is not ready", until(lambda: status(world)["state"] == "not ready"), True)


def answers(text):
    def talk(connection):
        while connection.recv(65536):
            connection.sendall(text)
    return talk


def says(text):
    def talk(connection):
        connection.sendall(text)
        while connection.recv(65536):
            pass
    return talk


def closes(connection):
    connection.recv(10)


def endless(connection):
    connection.recv(10)
    while True:
        connection.sendall(b"x" * 65536)


def half_value(connection):
    """Logs in, and then begins a value without an end."""
    connection.recv(65536)
    connection.sendall(b"+OK\r\n")
    connection.recv(65536)
    connection.sendall(b"$100000\r\nabc")
    while connection.recv(65536):
        pass


def is_no_redis():
    kinds = {
        "HTTP": answers(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        "garbage": answers(bytes(range(1, 256))),
        "a number of 10^18": answers(b"*1000000000000000000\r\n$1000000000000000000\r\n"),
        "deep nesting": answers(b"*1\r\n" * 100000),
        "a greeting": says(b"220 mail.example ESMTP\r\n"),
        "nothing": says(b""),
        "half a value": half_value,
        "the end": closes,
        "no end": endless,
    }
    for what, talk in kinds.items():
        with StubWorld(talk, upstream=ANSWER + "\nconnect_timeout = 500 ms", top=TIMES) as world:
            wire = world.wire()
            for _ in range(3):
                reply = wire.ask("GET", "k")
                score.check(f"{what}: an error", is_error(reply), reply)
            reply = wire.ask("SET", "k", VALUE)
            score.check(f"{what}: for a large value", is_error(reply), reply)
            score.equal(f"{what}: the client stays", wire.ask("PING"), b"PONG")
            score.check(f"{what}: memory", status(world)["memory"]["used"] < 8 << 20)
            wire.socket.close()
            score.equal(f"{what}: it ends well", world.proxy.end(signal.SIGTERM), 0)
            world.proxy.child = None
            world.listening.close()


def main():
    proxy_world.demand()
    if proxy_world.PLAIN:
        proxy_world.skip_all("a plain server has none behind it")
    for check in (freezes, dies, is_full, is_a_replica, refuses_the_password, loads, is_no_redis):
        if len(sys.argv) < 2 or check.__name__ in sys.argv[1:]:
            try:
                check()
            except Exception as error:  # the others are tried all the same
                score.check(f"{check.__name__} went through", False, repr(error)[:500])
    score.end()


main()
