#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The exchanges of LMCache's four Redis clients through arild, compared byte by byte.

    RedisConnector   two keys, KEYmetadata (28 bytes) and KEYkv_bytes; the payload goes first
    ValkeyConnector  one key with EX; the length must be the expected one, else it is a miss
    RESPClient       C++, one key: the bytes of each answer are compared, "$-1" is a miss, and any
                     other header leaves the connection out of step for good
    valkey adapter   one key, several in a pipeline

What was changed behind arild must be "$-1" in each: the engine computes the value again.
"""

import os
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import proxy_world  # noqa: E402
from proxy_world import PLAIN, Score, Wire, World, encode  # noqa: E402

TENANT = "acme-orchard"
MODEL = "pomegranate-llama-8b"
OK, NIL, NO, YES = b"+OK\r\n", b"$-1\r\n", b":0\r\n", b":1\r\n"
CHUNK = 4 << 20
score = Score()


def cache_key(number, layer=""):
    """CacheEngineKey.to_string()."""
    return f"{MODEL}@8@3@{number:x}@bfloat16{layer}"


def object_key(number):
    """_object_key_to_string() of the multi-process mode."""
    return f"{MODEL}@08030803@0@{number:016x}@salt-of-acme"


def metadata(length):
    """RemoteMetadata: length, format, data type, shape of four."""
    return struct.pack("=7i", length, 2, 4, 2, 32, 256, length // (2 * 32 * 256))


class Client(Wire):
    """As the C++ client: it knows how many bytes the answer has, and reads those."""

    def __init__(self, world, login):
        super().__init__(("127.0.0.1", world.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for args in login:
            self.must(f"{args[0]} of {len(args) - 1}", OK, *args)

    def must(self, text, answer, *args):
        self.send(*args)
        got = self.exactly(len(answer))
        if not score.check(text, got == answer, f"{got[:80]!r} instead of {answer[:80]!r}"):
            raise ValueError("out of step")

    def must_get(self, text, name, value):
        self.must(text, b"$%d\r\n%s\r\n" % (len(value), value), "GET", name)

    def must_be_in_step(self, text):
        self.must(f"{text}: nothing was left over", b"$4\r\nstep\r\n", "ECHO", "step")


def two_keys(world):
    c = Client(world, [("AUTH", TENANT, world.token(TENANT))])
    for number, size in ((0xa1, CHUNK), (0xa2, 7), (0xa3, (2 << 20) + 3)):
        name, payload = cache_key(number), os.urandom(size)
        c.must("EXISTS before", NO, "EXISTS", name + "metadata")
        c.must("GET of metadata before", NIL, "GET", name + "metadata")
        c.must("SET kv_bytes", OK, "SET", name + "kv_bytes", payload)
        c.must("EXISTS between", NO, "EXISTS", name + "metadata")
        c.must("SET metadata", OK, "SET", name + "metadata", metadata(size))
        c.must("EXISTS after", YES, "EXISTS", name + "metadata")
        c.must_get("GET metadata", name + "metadata", metadata(size))
        c.must_get("GET kv_bytes", name + "kv_bytes", payload)
        c.must_be_in_step("two keys")
    # The payload vanished: the metadata is taken away.
    c.must("DEL of the payload", YES, "DEL", cache_key(0xa2) + "kv_bytes")
    c.must_get("the metadata is there", cache_key(0xa2) + "metadata", metadata(7))
    c.must("the payload is not", NIL, "GET", cache_key(0xa2) + "kv_bytes")
    c.must("DEL of the metadata", YES, "DEL", cache_key(0xa2) + "metadata")
    c.must("DEL again", NO, "DEL", cache_key(0xa2) + "metadata")
    c.must("EXISTS at the end", NO, "EXISTS", cache_key(0xa2) + "metadata")


def layers(world):
    """Layerwise: a key for each layer, all in flight at once."""
    c = Client(world, [("AUTH", TENANT, world.token(TENANT))])
    names = [cache_key(0xb1, f"@{layer}") for layer in range(32)]
    payloads = [os.urandom(64 << 10) for _ in names]
    c.socket.sendall(b"".join(encode("SET", n, p) for n, p in zip(names, payloads)))
    score.equal("SET of 32 layers", c.exactly(32 * len(OK)), OK * 32)
    c.socket.sendall(b"".join(encode("GET", n) for n in names))
    want = b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in payloads)
    score.check("GET of 32 layers", c.exactly(len(want)) == want)
    c.must_be_in_step("layers")


def one_key(world):
    c = Client(world, [("AUTH", TENANT, world.token(TENANT))])
    name, payload = object_key(0xc1), os.urandom(CHUNK)
    c.must("EXISTS before", NO, "EXISTS", name)
    c.must("SET EX", OK, "SET", name, payload, "EX", 86400)
    c.must("EXISTS after", YES, "EXISTS", name)
    c.must_get("GET", name, payload)
    ttl = c.ask("TTL", name)
    score.check("TTL", 86300 <= ttl <= 86400, ttl)
    c.must_be_in_step("one key")


def exact(world):
    """AUTH with the token alone, then only GET, SET, EXISTS, DEL; no HELLO, no SELECT."""
    # The stand-in lets the user "default" in and wants its name.
    name = ("default",) if PLAIN else ()
    c = Client(world, [("AUTH", *name, world.token(TENANT))])
    for number, size in ((0xd1, CHUNK), (0xd2, 1), (0xd3, 0), (0xd4, 8 << 20)):
        name, payload = object_key(number), os.urandom(size)
        c.must("GET of nothing", NIL, "GET", name)
        c.must("EXISTS of nothing", NO, "EXISTS", name)
        c.must("DEL of nothing", NO, "DEL", name)
        c.must("SET", OK, "SET", name, payload)
        c.must("EXISTS", YES, "EXISTS", name)
        c.must_get("GET", name, payload)
        c.must("SET again", OK, "SET", name, payload[::-1])
        c.must_get("GET of the new value", name, payload[::-1])
        c.must("DEL", YES, "DEL", name)
        c.must("GET of what was", NIL, "GET", name)
    c.must_be_in_step("exact")


def in_pieces(world):
    """A client whose bytes come one by one."""
    c = Client(world, [("AUTH", TENANT, world.token(TENANT))])
    value = b"\r\n$-1\r\n" * 5
    for args, answer in ((("SET", object_key(0xe1), value), OK),
                         (("GET", object_key(0xe1)), b"$%d\r\n%s\r\n" % (len(value), value)),
                         (("EXISTS", object_key(0xe1)), YES)):
        for byte in encode(*args):
            c.socket.sendall(bytes([byte]))
        score.equal(f"{args[0]} in pieces", c.exactly(len(answer)), answer)
    c.must_be_in_step("in pieces")


# --- Behind arild. Each takes a direct connection and names of two values, and changes the first.

def flip(at):
    def change(direct, name, _):
        size = direct.ask("STRLEN", name)
        offset = at if at >= 0 else size + at
        byte = direct.ask("GETRANGE", name, offset, offset)
        direct.ask("SETRANGE", name, offset, bytes([byte[0] ^ 1]))
    return change


def swap(direct, name, other):
    mine, theirs = direct.ask("GET", name), direct.ask("GET", other)
    direct.ask("MSET", name, theirs, other, mine)


def replace(content):
    def change(direct, name, _):
        direct.ask("SET", name, content(direct.ask("GET", name)))
    return change


CHANGES = (
    ("first byte", flip(0)), ("byte 20", flip(20)), ("byte in the middle", flip(100_000)),
    ("last byte", flip(-1)), ("swapped", swap),
    ("one byte less", replace(lambda v: v[:-1])), ("one byte more", replace(lambda v: v + b"\0")),
    ("half", replace(lambda v: v[:len(v) // 2])), ("empty", replace(lambda v: b"")),
    ("plaintext", replace(lambda v: b"p" * len(v))), ("short plaintext", replace(lambda v: b"p")),
    ("gone", lambda direct, name, _: direct.ask("DEL", name)),
)


def stored_as(direct, c, name, value):
    """The name behind: a plain server has none but the client's."""
    before = set(direct.ask("KEYS", "*"))
    c.must("SET", OK, "SET", name, value)
    new = set(direct.ask("KEYS", "*")) - before
    score.equal("a SET makes one name behind", len(new), 1)
    return new.pop()


def tampering(world):
    c = Client(world, [("AUTH", TENANT, world.token(TENANT))])
    direct = world.direct()
    for number, (text, change) in enumerate(CHANGES):
        if PLAIN:  # a plain server notices nothing, so the value goes
            change = CHANGES[-2][1]
        name, other = object_key(0xf00 + number), object_key(0xe00 + number)
        value = os.urandom(200_000)
        here = stored_as(direct, c, name, value)
        there = stored_as(direct, c, other, os.urandom(200_000))
        c.must_get(f"{text}: before", name, value)
        change(direct, here, there)
        c.must(f"{text}: exactly nil", NIL, "GET", name)
        c.must(f"{text}: and again", NIL, "GET", name)
        c.must(f"{text}: then it does not exist", NO, "EXISTS", name)
        c.must_be_in_step(text)
        c.must(f"{text}: SET", OK, "SET", name, value)
        c.must_get(f"{text}: it is as before", name, value)
    direct.close()


def main():
    proxy_world.demand()
    with World() as world:
        for test in (two_keys, layers, one_key, exact, in_pieces, tampering):
            try:
                test(world)
            except (OSError, EOFError, ValueError) as error:
                score.check(test.__name__, False, repr(error))
        world.check_hidden(score, [MODEL, "kv_bytes", "metadata", "salt-of-acme", TENANT,
                                   metadata(CHUNK)])
    score.end()


main()
