#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What happens to the keyring while arild runs: locked and unlocked, data keys rotated under load,
a restart over old values, a retired key, a tenant that is shredded."""

import pathlib
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import proxy_world  # noqa: E402
from proxy_world import BUILD, READY_S, Score, Wire, World, encode  # noqa: E402

ACME, ZETA = "acme-orchard", "zeta-orchard"
KEYS = 200
KEY_ID = slice(40, 72)  # of a stored value
NO_KEYS = "ERR aril: no keys for this tenant"
score = Score()


def aril_keys(world, *args):
    done = subprocess.run([str(BUILD / "aril"), "keys", *args, "--keyring",
                           str(world.front_folder / "ring")], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    score.check(f"aril keys {' '.join(args)}", done.returncode == 0, done.stderr)
    return done.stdout


def until(text, good):
    """Asks again and again until it is so; how long that was."""
    began = time.monotonic()
    while not good():
        if time.monotonic() - began > READY_S:
            score.check(text, False, "it did not come about")
            break
    else:
        score.check(text, True)
    return time.monotonic() - began


def http(admin, path):
    try:
        with urllib.request.urlopen(f"http://{admin}{path}", timeout=READY_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def figure(admin, name, labels=""):
    for line in http(admin, "/metrics")[1].splitlines():
        if line.startswith(f"aril_proxy_{name}{labels} "):
            return float(line.rsplit(" ", 1)[1])
    raise KeyError(name)


def is_error(got, begins=NO_KEYS):
    return isinstance(got, Exception) and str(got).startswith(begins)


def login(world, tenant):
    wire = Wire(("127.0.0.1", world.port))
    score.equal(f"{tenant} logs in", wire.ask("AUTH", tenant, world.token(tenant)), b"OK")
    return wire


def check_lock(world, admin):
    wire, idle = world.wire(), world.wire()
    zeta = login(world, ZETA)
    score.equal("SET", wire.ask("SET", "lock:k", "value"), b"OK")
    score.equal("HSET", wire.ask("HSET", "lock:h", "f", "value"), 1)
    score.equal("SET of the other tenant", zeta.ask("SET", "lock:k", "other"), b"OK")
    score.equal("/readyz", http(admin, "/readyz")[0], 200)
    aril_keys(world, "lock")
    took = until("after a lock there are errors", lambda: is_error(wire.ask("GET", "lock:k")))
    print(f"-- it was locked after {took:.2f} s")
    for command in (("GET", "lock:k"), ("SET", "lock:k", "new"), ("SET", "lock:k", "new", "NX"),
                    ("MGET", "lock:k", "lock:l"), ("HGET", "lock:h", "f"), ("HGETALL", "lock:h"),
                    ("DEL", "lock:k"), ("EXISTS", "lock:k"), ("EXPIRE", "lock:k", 100),
                    ("GETEX", "lock:k", "EX", 100), ("SCAN", 0), ("KEYS", "*"), ("DBSIZE",),
                    ("SADD", "lock:s", "m"), ("INCR", "lock:n")):
        got = wire.ask(*command)
        score.check(f"locked: {command[0]} is an error", is_error(got, "ERR aril: "), repr(got))
    score.equal("locked: PING", wire.ask("PING"), b"PONG")
    until("locked: the other tenant too", lambda: is_error(zeta.ask("GET", "lock:k")))
    until("locked: a new connection", lambda: is_error(world.wire().ask("GET", "lock:k")))
    score.equal("locked: a token is still one", login(world, ZETA).ask("PING"), b"PONG")
    until("locked: not ready", lambda: http(admin, "/readyz")[0] == 503)
    score.check("it says why", "no tenant has keys" in http(admin, "/readyz")[1])
    score.equal("key_usable", figure(admin, "key_usable", f'{{tenant="{ACME}"}}'), 0)
    wire.ask("MULTI")
    score.check("locked: in MULTI", is_error(wire.ask("SET", "lock:k", "new"), "ERR aril: "))
    score.check("locked: EXEC does nothing", is_error(wire.ask("EXEC"), "EXECABORT"))
    aril_keys(world, "unlock")
    took = until("an unlock brings it back", lambda: wire.ask("GET", "lock:k") == b"value")
    print(f"-- it was back after {took:.2f} s")
    score.equal("nothing was changed", wire.ask("HGET", "lock:h", "f"), b"value")
    score.equal("for those who waited", idle.ask("GET", "lock:k"), b"value")
    until("for the other tenant", lambda: zeta.ask("GET", "lock:k") == b"other")
    until("ready again", lambda: http(admin, "/readyz")[0] == 200)


class Load(threading.Thread):
    """Reads all keys again and again; what was not there counts."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.wire = world.wire()
        self.wrong, self.reads, self.ending = [], 0, False

    def run(self):
        while not self.ending:
            for i in range(KEYS):
                got = self.wire.ask("GET", f"turn:{i}")
                self.reads += 1
                if got != b"value-%d" % i:
                    self.wrong.append((i, repr(got)))

    def end(self):
        self.ending = True
        self.join(READY_S)


def key_ids(world):
    """Under which data keys the values of turn:* lie, by a count."""
    raw = world.direct()
    ids = {}
    for name in raw.ask("KEYS", "a1:*"):
        value = raw.ask("GET", name)
        if isinstance(value, bytes) and len(value) >= 96:
            ids[value[KEY_ID]] = ids.get(value[KEY_ID], 0) + 1
    return ids


def check_rotation(world):
    wire = world.wire()
    for i in range(KEYS):
        wire.ask("SET", f"turn:{i}", f"value-{i}")
    load = Load(world)
    load.start()
    for turn in range(3):
        before = set(key_ids(world))
        aril_keys(world, "rotate", f"data:{ACME}")

        def seals_with_another(turn=turn, before=before):
            wire.ask("SET", f"new:{turn}", "value")
            return len(set(key_ids(world)) - before) > 0
        until(f"turn {turn}: another key seals", seals_with_another)
    load.end()
    score.equal("no read was a miss", load.wrong[:3], [])
    score.check("there was load", load.reads > KEYS)
    score.check("values lie under several keys", len(key_ids(world)) >= 4)


def check_restart(world, admin):
    """Old values need keys that nobody has in memory: they are unwrapped, and order is kept."""
    score.equal("it ends", world.proxy.end(), 0)
    world.start()
    wire = world.wire()
    wire.socket.sendall(b"".join(encode("GET", f"turn:{i}") + encode("GET", f"new:{i % 3}")
                                 for i in range(KEYS)))
    got = [wire.reply() for _ in range(2 * KEYS)]
    score.check("old and new values, in order",
                got == [v for i in range(KEYS) for v in (b"value-%d" % i, b"value")],
                repr([g for g in got if isinstance(g, Exception) or g is None][:3]))
    score.check("keys were unwrapped", figure(admin, "key_waits_total") >= 1)


def check_retired(world, admin):
    """A key that is gone: misses, and no tampering."""
    wire = world.wire()
    aril_keys(world, "retire", f"data:{ACME}@1", "--yes")
    until("values under it are misses", lambda: wire.ask("GET", "turn:0") is None)
    score.check("they are counted",
                figure(admin, "key_gone_total", f'{{tenant="{ACME}"}}') >= 1)
    score.equal("as no tampering", figure(admin, "tampered_total", f'{{tenant="{ACME}"}}'), 0)
    score.equal("the others stay", wire.ask("GET", "new:2"), b"value")
    score.equal("it may be set anew", wire.ask("SET", "turn:0", "again"), b"OK")
    score.equal("and read", wire.ask("GET", "turn:0"), b"again")


def check_shredded(world):
    acme, zeta = world.wire(), login(world, ZETA)
    acme.ask("SET", "shred:k", "value")
    score.equal("SET", zeta.ask("SET", "shred:k", "other"), b"OK")
    aril_keys(world, "shred", ZETA, "--yes")
    until("a shredded tenant hears errors", lambda: is_error(zeta.ask("GET", "shred:k")))
    score.check("also for what it writes", is_error(zeta.ask("SET", "shred:k", "new")))
    score.equal("the other one goes on", acme.ask("GET", "shred:k"), b"value")
    score.equal("and writes", acme.ask("SET", "shred:k", "new"), b"OK")
    score.equal("arild ends", world.proxy.end(), 0)
    world.start()
    score.check("it is so after a restart", is_error(login(world, ZETA).ask("GET", "shred:k")))
    score.equal("for that one alone", world.wire().ask("GET", "shred:k"), b"new")


def main():
    proxy_world.demand()
    if proxy_world.PLAIN:
        proxy_world.skip_all("a plain server has no keys")
    admin = f"127.0.0.1:{proxy_world.free_port()}"
    with World(conf=f"[admin]\naddress = {admin}\n") as world:
        check_lock(world, admin)
        check_rotation(world)
        check_restart(world, admin)
        check_retired(world, admin)
        check_shredded(world)
        for tenant in (ACME, ZETA):
            score.check("no token in the log",
                        world.token(tenant) not in (world.front_folder / "log").read_text())
    score.end()


main()
