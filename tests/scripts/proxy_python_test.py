#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""python3-redis through arild: what applications do with it."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import proxy_world  # noqa: E402
from proxy_world import Score, World  # noqa: E402

try:
    import redis
except ImportError:
    proxy_world.skip_all("python3-redis is not installed")

SECRET = "pomegranate-plaintext"
ACME, ZETA = "acme-orchard", "zeta-orchard"
score = Score()


def client_of(world, tenant=ACME, **more):
    return redis.Redis(host="127.0.0.1", port=world.port, username=tenant,
                       password=world.token(tenant), **more)


def strings(r):
    big = os.urandom(1 << 20)
    score.equal("SET", r.set("py:name", SECRET), True)
    score.equal("GET", r.get("py:name"), SECRET.encode())
    score.equal("GET of nothing", r.get("py:none"), None)
    score.equal("SET of 1 MiB", r.set("py:big", big), True)
    score.check("GET of 1 MiB", r.get("py:big") == big)
    score.equal("STRLEN", r.strlen("py:big"), 1 << 20)
    binary = bytes(range(256)) + b"\r\n$-1\r\n"
    score.equal("a binary key and value", r.set(binary, binary), True)
    score.equal("and back", r.get(binary), binary)
    score.equal("an empty value", r.set("py:empty", b""), True)
    score.equal("and back", r.get("py:empty"), b"")
    score.equal("MSET", r.mset({"py:a": 1, "py:b": 2.5, "py:c": SECRET}), True)
    score.equal("MGET", r.mget("py:a", "py:none", "py:b", "py:c"),
                [b"1", None, b"2.5", SECRET.encode()])
    score.equal("GETSET", r.getset("py:a", "new"), b"1")
    score.equal("GETDEL", r.getdel("py:a"), b"new")
    score.equal("SET GET", r.set("py:b", "x", get=True), b"2.5")
    score.equal("EXISTS", r.exists("py:b", "py:c", "py:none"), 2)
    score.equal("TYPE", r.type("py:b"), b"string")
    score.equal("DEL", r.delete("py:b", "py:none"), 1)


def expiry(r):
    score.equal("SET EX", r.set("py:ttl", "v", ex=1000), True)
    score.check("TTL", 990 <= r.ttl("py:ttl") <= 1000)
    score.equal("EXPIRE shorter", r.expire("py:ttl", 500), True)
    score.check("TTL of it", 490 <= r.ttl("py:ttl") <= 500)
    score.equal("EXPIRE longer", r.expire("py:ttl", 5000), True)
    score.check("TTL of it", 4990 <= r.ttl("py:ttl") <= 5000)
    score.equal("the value is still there", r.get("py:ttl"), b"v")
    score.equal("PERSIST", r.persist("py:ttl"), True)
    score.equal("TTL of what stays", r.ttl("py:ttl"), -1)
    score.equal("GETEX", r.getex("py:ttl", px=700000), b"v")
    score.check("PTTL", 690000 <= r.pttl("py:ttl") <= 700000)
    score.equal("SET KEEPTTL", r.set("py:ttl", "w", keepttl=True), True)
    score.check("PTTL is kept", 680000 <= r.pttl("py:ttl") <= 700000)
    score.equal("SETEX", r.setex("py:setex", 100, "v"), True)
    score.equal("EXPIRE now", r.expire("py:setex", 0), True)
    score.equal("it is gone", r.get("py:setex"), None)


def locks(r):
    """What redis.lock.Lock does needs a script to release; applications that do without."""
    score.equal("a lock is taken", r.set("py:lock", "me", nx=True, px=60000), True)
    score.equal("and not twice", r.set("py:lock", "you", nx=True, px=60000), None)
    score.equal("its owner", r.get("py:lock"), b"me")
    score.equal("its owner takes it longer", r.set("py:lock", "me", xx=True, px=90000), True)
    score.check("PTTL", 60000 < r.pttl("py:lock") <= 90000)
    with r.pipeline(transaction=True) as p:
        p.watch("py:lock")
        owner = p.get("py:lock")
        p.multi()
        p.delete("py:lock")
        score.equal("and gives it back", (owner, p.execute()), (b"me", [1]))
    score.equal("it is free", r.set("py:lock", "you", nx=True, px=60000), True)


def hashes(r):
    score.equal("HSET", r.hset("py:h", mapping={"f1": SECRET, "f2": b"\0\xff", "f3": ""}), 3)
    score.equal("HGET", r.hget("py:h", "f1"), SECRET.encode())
    score.equal("HGET of nothing", r.hget("py:h", "none"), None)
    score.equal("HMGET", r.hmget("py:h", "f2", "none"), [b"\0\xff", None])
    score.equal("HGETALL", r.hgetall("py:h"),
                {b"f1": SECRET.encode(), b"f2": b"\0\xff", b"f3": b""})
    score.equal("HKEYS", sorted(r.hkeys("py:h")), [b"f1", b"f2", b"f3"])
    score.equal("HVALS", sorted(r.hvals("py:h")), [b"", b"\0\xff", SECRET.encode()])
    score.equal("HSETNX", r.hsetnx("py:h", "f1", "x"), False)
    score.equal("HSTRLEN", r.hstrlen("py:h", "f1"), len(SECRET))
    score.equal("HEXISTS", (r.hexists("py:h", "f2"), r.hexists("py:h", "none")), (True, False))
    score.equal("HDEL", r.hdel("py:h", "f2", "none"), 1)
    score.equal("HLEN", r.hlen("py:h"), 2)
    r.hset("py:many", mapping={f"field-{i}": f"value-{i}" for i in range(1000)})
    score.equal("HSCAN", dict(r.hscan_iter("py:many", count=100)),
                {b"field-%d" % i: b"value-%d" % i for i in range(1000)})


def sets(r):
    score.equal("SADD", r.sadd("py:s", SECRET, "b", b"\xff\0"), 3)
    score.equal("SADD again", r.sadd("py:s", "b"), 0)
    score.equal("SMEMBERS", r.smembers("py:s"), {SECRET.encode(), b"b", b"\xff\0"})
    score.equal("SISMEMBER", (r.sismember("py:s", "b"), r.sismember("py:s", "c")), (1, 0))
    score.equal("SMISMEMBER", r.smismember("py:s", "b", "c"), [1, 0])
    score.equal("SREM", r.srem("py:s", "b", "c"), 1)
    score.equal("SCARD", r.scard("py:s"), 2)
    score.check("SPOP", r.spop("py:s") in (SECRET.encode(), b"\xff\0"))
    r.sadd("py:sm", *[f"member-{i}" for i in range(1000)])
    score.equal("SSCAN", set(r.sscan_iter("py:sm", count=100)),
                {b"member-%d" % i for i in range(1000)})


def pipelines(r):
    for transaction in (False, True):
        with r.pipeline(transaction=transaction) as p:
            for i in range(500):
                p.set(f"py:p{i}", f"{SECRET}-{i}", ex=3600)
            for i in range(500):
                p.get(f"py:p{i}")
            p.hset("py:ph", "f", "v").hgetall("py:ph").ttl("py:p1").delete("py:ph")
            got = p.execute()
        text = f"pipeline, transaction {transaction}"
        score.equal(text + ": SET", got[:500], [True] * 500)
        score.equal(text + ": GET", got[500:1000],
                    [f"{SECRET}-{i}".encode() for i in range(500)])
        score.equal(text + ": the rest", (got[1001], got[1003]), ({b"f": b"v"}, 1))
    with r.pipeline(transaction=True) as p:
        p.set("py:mixed", "v").hget("py:mixed", "f").get("py:mixed")
        got = p.execute(raise_on_error=False)
        score.check("one command of a transaction fails alone",
                    got[0] is True and isinstance(got[1], redis.ResponseError) and got[2] == b"v",
                    got)


def watches(r, other):
    with r.pipeline() as p:
        p.watch("py:w")
        other.set("py:w", "theirs")
        p.multi()
        p.set("py:w", "ours")
        score.raises("WATCH sees another's change", redis.WatchError, p.execute)
    score.equal("which stays", r.get("py:w"), b"theirs")
    score.equal("transaction() tries again",
                r.transaction(lambda p: (p.multi(), p.set("py:w", "ours")), "py:w"), [True])
    score.equal("and wins", r.get("py:w"), b"ours")


def scans(r):
    names = {b"scan:%d" % i for i in range(500)}
    with r.pipeline(transaction=False) as p:
        for name in names:
            p.set(name, "v")
        p.execute()
    score.equal("SCAN MATCH", set(r.scan_iter(match="scan:*", count=50)), names)
    score.equal("SCAN of one", list(r.scan_iter(match="scan:42")), [b"scan:42"])
    score.equal("KEYS", set(r.keys("scan:4??")), {b"scan:%d" % i for i in range(400, 500)})
    score.equal("DBSIZE", r.dbsize(), len(set(r.scan_iter())))
    score.equal("UNLINK", r.unlink(*names), 500)


def errors(r, world):
    r.set("py:text", "v")
    score.raises("the wrong type", redis.ResponseError, lambda: r.hget("py:text", "f"),
                 "wrong kind of value")
    score.raises("no number", redis.ResponseError, lambda: r.execute_command("SET", "k", "v",
                                                                            "EX", "soon"))
    score.raises("no such command", redis.ResponseError, lambda: r.execute_command("NOSUCH"))
    score.raises("too few arguments", redis.ResponseError, lambda: r.execute_command("GET"))
    score.equal("the connection lives", r.get("py:text"), b"v")
    wrong = redis.Redis(port=world.port, username=ACME, password="arilt_" + "A" * 43)
    score.raises("a wrong token", redis.RedisError, wrong.ping, "WRONGPASS")
    if proxy_world.PLAIN:
        score.skip("a plain server lets everybody in, and has scripts and lists")
        return
    score.raises("nobody", redis.RedisError, redis.Redis(port=world.port).ping,
                 "uthentication")
    score.equal("a token without a name", redis.Redis(
        port=world.port, password=world.token(ACME)).get("py:text"), b"v")
    for args in (("EVAL", "return 1", "0"), ("APPEND", "py:text", "x"), ("MONITOR",),
                 ("RENAME", "py:text", "py:x"), ("CONFIG", "SET", "save", "")):
        score.raises(f"{args[0]} is refused", redis.ResponseError,
                     lambda args=args: r.execute_command(*args))
    score.equal("which changes nothing", r.get("py:text"), b"v")


def tenants(world, r):
    if proxy_world.PLAIN:
        score.skip("a plain server knows no tenants")
        return
    other = client_of(world, ZETA)
    r.set("py:own", "acme's")
    score.equal("another tenant does not see it", other.get("py:own"), None)
    score.equal("nor its name", list(other.scan_iter()), [])
    score.equal("nor how many there are", other.dbsize(), 0)
    other.set("py:own", "zeta's")
    score.equal("the name is its own", r.get("py:own"), b"acme's")
    other.flushdb()
    score.equal("FLUSHDB takes one's own", (r.get("py:own"), other.get("py:own")),
                (b"acme's", None))


def databases(world, r):
    second = client_of(world, db=1)
    r.set("py:db", "zero")
    score.equal("another database", second.get("py:db"), None)
    second.set("py:db", "one")
    score.equal("each has its own", (r.get("py:db"), second.get("py:db")), (b"zero", b"one"))
    second.flushdb()
    score.equal("FLUSHDB of one", (r.get("py:db"), second.dbsize()), (b"zero", 0))


def cluster():
    """One node has all slots, behind as well as towards the client."""
    with World(cluster=True) as world:
        node = redis.cluster.RedisCluster(host="127.0.0.1", port=world.port, username=ACME,
                                          password=world.token(ACME))
        score.equal("the cluster's nodes", [n.port for n in node.get_nodes()], [world.port])
        score.equal("SET", [node.set(f"py:{i}", SECRET) for i in range(100)], [True] * 100)
        score.equal("GET", [node.get(f"py:{i}") for i in range(100)], [SECRET.encode()] * 100)
        score.equal("MSET of one slot", node.mset({"{py}:a": "1", "{py}:b": "2"}), True)
        score.equal("MGET of one slot", node.mget("{py}:a", "{py}:b"), [b"1", b"2"])
        with node.pipeline() as p:
            for i in range(50):
                p.set(f"py:p{i}", i).get(f"py:p{i}")
            score.equal("a pipeline", p.execute()[1::2], [b"%d" % i for i in range(50)])
        score.equal("SCAN", len(set(node.scan_iter(match="py:p*"))), 50)
        score.equal("DEL", node.delete("{py}:a", "{py}:b"), 2)
        world.check_hidden(score, [SECRET, "py:p49", "{py}:a", ACME])


def main():
    proxy_world.demand()
    with World() as world:
        r = client_of(world)
        score.equal("PING", r.ping(), True)
        score.equal("ECHO", r.echo("hello"), b"hello")
        score.equal("CLIENT SETNAME", r.client_setname("aril-test"), True)
        score.check("INFO", "redis_version" in r.info())
        for test in (strings, expiry, locks, hashes, sets, pipelines, scans):
            test(r)
        watches(r, client_of(world))
        errors(r, world)
        tenants(world, r)
        databases(world, r)
        unix = redis.Redis(unix_socket_path=world.socket, decode_responses=True)
        score.equal("the UNIX socket, text decoded", unix.get("py:name"), SECRET)
        world.check_hidden(score, [SECRET, "py:name", "member-1", "field-1", "value-1", ACME,
                                   "scan:4", "py:p49"])
    cluster()
    score.end()


main()
