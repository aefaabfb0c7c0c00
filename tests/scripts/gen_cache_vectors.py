#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes cache-value.json and cache-names.json of tests/data/vectors, and the corpora that begin
with them.

    tests/scripts/gen_cache_vectors.py [FOLDER]
    tests/scripts/gen_cache_vectors.py --corpus [FOLDER]

Written from docs/CACHE-FORMAT.md with the module cryptography and nothing of aril, so that it is a
second opinion. Every input is fixed: the files are the same on each run.
"""
import base64
import hashlib
import hmac
import json
import pathlib
import struct
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

TESTS = pathlib.Path(__file__).resolve().parents[1]
OUTPUT = TESTS / "data" / "vectors"
CORPUS = TESTS / "fuzz" / "corpus"

SEGMENT = 1 << 20
HASHES = {"hybrid": hashlib.sha256, "strict": hashlib.sha384}
TENANT = "acme"
CREATED, NOT_AFTER, GENERATION = 1_790_000_000_000, 1_790_003_601_000, 3
NOW, FLOOR = CREATED + 5000, 3
STRING, HASH_FIELD, SET_MEMBER, BLOCK, TAG_ID, TAG = 0, 1, 2, 3, 0x80, 0x81


def vec16(data):
    return struct.pack(">H", len(data)) + data


def vec32(data):
    return struct.pack(">I", len(data)) + data


def fixed(text, size):
    """Bytes that only look random."""
    return hashlib.shake_256(text.encode()).digest(size)


def counter(size):
    return b"".join(struct.pack(">I", i) for i in range((size + 3) // 4))[:size]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def expand(name, key, info, size):
    out = block = b""
    for count in range(1, 256):
        block = hmac.new(key, block + info + bytes([count]), HASHES[name]).digest()
        out += block
        if len(out) >= size:
            break
    return out[:size]


def key_id(name, key):
    return expand(name, key, b"aril key id v1", 32)


def xaes(key, nonce):
    """Key and nonce of one AES-256-GCM message, C2SP XAES-256-GCM."""
    ecb = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    left = int.from_bytes(ecb.update(bytes(16)), "big")
    k1 = (left << 1) ^ (0x87 if left >> 127 else 0)
    k1 = (k1 & ((1 << 128) - 1)).to_bytes(16, "big")
    derived = b""
    for number in (1, 2):
        block = b"\0" + bytes([number]) + b"X\0" + nonce[:12]
        derived += ecb.update(bytes(a ^ b for a, b in zip(block, k1)))
    return derived, nonce[12:]


def xaes_seal(key, nonce, plain, aad):
    derived, rest = xaes(key, nonce)
    return AESGCM(derived).encrypt(rest, plain, aad)


# --- Names

def context(name, k):
    data = b"aril cache context v1" + vec16(k["tenant"]) + vec16(k["space"])
    data += struct.pack(">IB", k["database"], k["type"]) + vec32(k["key"]) + vec32(k["field"])
    return HASHES[name](data).digest()[:32]


def key_of(key, space=b"", field=b"", database=0, kind=STRING, tenant=TENANT):
    return {"tenant": tenant.encode(), "space": space, "key": key, "field": field,
            "database": database, "type": kind}


def part(name, name_key, label, text):
    return b64(hmac.new(name_key, label + vec32(text), HASHES[name]).digest()[:9])


def prefix(name, name_key, space):
    return (f"a1:{part(name, name_key, b'aril cache tenant v1', b'')}:"
            f"{part(name, name_key, b'aril cache space v1', space)}:")


def hash_tag(key):
    start = key.find(b"{")
    end = key.find(b"}", start + 1)
    return key[start + 1:end] if start >= 0 and end > start else b""


def listed(name, name_key, k):
    plain = vec16(k["key"]) + vec16(k["field"])
    plain += bytes(-len(plain) % 16)
    siv = expand(name, name_key, b"aril cache listing v1", 64)
    place = struct.pack(">IB", k["database"], k["type"])
    aad = prefix(name, name_key, k["space"]).encode() + place
    return "~" + b64(place + AESSIV(siv).encrypt(plain, [aad]))


def store_name(name, name_key, k, listable=False, tags=False):
    if listable and k["type"] < TAG_ID:
        own = listed(name, name_key, k)
    else:
        own = b64(hmac.new(name_key, b"aril cache name v1" + context(name, k),
                           HASHES[name]).digest()[:32])
    tag = hash_tag(k["key"]) if tags else b""
    start = prefix(name, name_key, k["space"])
    if tag:
        return start + "{" + part(name, name_key, b"aril cache hash tag v1", tag) + "}" + own
    return start + "{" + own + "}"


# --- Values

def padme(size):
    if size < 2:
        return size
    exponent = size.bit_length() - 1
    low = exponent - exponent.bit_length()
    return size if low <= 0 else -(-size >> low) << low


def body_of(value, padding, tags):
    """The plaintext, and whether it ends with a trailer."""
    if padding == "none" and not tags:
        return value, 0
    trailer = b"".join(tag + stamp for tag, stamp in tags)
    trailer += struct.pack(">HHQ", len(tags), 0, len(value))
    size = len(value) + len(trailer)
    if padding == "padme":
        size = padme(size)
    elif padding != "none":
        step = int(padding)
        size = -(-size // step) * step
    last = (size - 1) % SEGMENT + 1
    if last < len(trailer):
        size += len(trailer) - last
    return value + bytes(size - len(value) - len(trailer)) + trailer, 1


def header(key_name, nonce, size, flags=0, level=0xa1, kind=2, use=4, zero=0, created=CREATED,
           not_after=NOT_AFTER, generation=GENERATION, end=0):
    return struct.pack(">BBBBIQQQQ32s20sI", level, kind, use, flags, zero, created, not_after,
                       generation, size, key_name, nonce, end)


def seal(key, head, nonce, body, ctx):
    out = head
    for i in range(max(1, -(-len(body) // SEGMENT))):
        out += xaes_seal(key, nonce + struct.pack(">I", i), body[i * SEGMENT:(i + 1) * SEGMENT],
                         head + ctx)
    return out


class Values:
    def __init__(self, profile):
        self.profile = profile
        self.key = fixed(f"data key {profile}", 32)
        self.id = key_id(profile, self.key)
        self.cases = []

    def group(self):
        return {"profile": self.profile, "tenant": TENANT, "data_key": self.key.hex(),
                "data_key_id": self.id.hex(), "now_ms": f"{NOW:016x}", "floor": f"{FLOOR:016x}",
                "cases": self.cases}

    def make(self, what, k, body, flags, **fields):
        nonce = fixed(f"nonce {self.profile} {what}", 20)
        size = fields.pop("size", len(body))
        head = header(fields.pop("id", self.id), nonce, size, flags, **fields)
        return seal(self.key, head, nonce, body, context(self.profile, k))

    def case(self, what, kind, status, k, stored, **more):
        c = {"name": what, "class": kind, "status": status, "space": k["space"].hex(),
             "key": k["key"].hex(), "field": k["field"].hex(), "database": k["database"],
             "type": k["type"], "context": context(self.profile, k).hex(), **more}
        if len(stored) <= 4096:
            c["stored"] = stored.hex()
        else:
            c["stored_length"] = len(stored)
            c["stored_sha256"] = hashlib.sha256(stored).hexdigest()
        self.cases.append(c)

    def opens(self, what, k, value, padding="none", tags=()):
        body, flags = body_of(value, padding, tags)
        long = {"value": value.hex()} if len(value) <= 1024 else {"value_length": len(value)}
        self.case(what, "opens", "ARIL_OK", k, self.make(what, k, body, flags), padding=padding,
                  tags=[{"id": t.hex(), "stamp": s.hex()} for t, s in tags],
                  nonce=fixed(f"nonce {self.profile} {what}", 20).hex(),
                  created_ms=f"{CREATED:016x}", not_after_ms=f"{NOT_AFTER:016x}",
                  generation=f"{GENERATION:016x}", body_length=len(body), **long)

    def refused(self, what, kind, status, k, stored):
        self.case(what, kind, "ARIL_E_" + status, k, stored)


def tags_of(profile, space, count):
    return [(context(profile, key_of(b"tag %d" % i, space, kind=TAG_ID)), fixed(f"stamp {i}", 16))
            for i in range(count)]


def add_opening(v):
    space = b"sessions"
    k = key_of(b"user:1", space)
    for size in (0, 1, 10, 1000):
        v.opens(f"{size} bytes", k, counter(size))
    v.opens("in the namespace without a name", key_of(b"user:1"), b"value")
    v.opens("a hash field", key_of(b"h", space, b"f", kind=HASH_FIELD), b"value")
    v.opens("a member of a set", key_of(b"s", space, b"m", kind=SET_MEMBER), b"\1")
    v.opens("another database", key_of(b"user:1", space, database=0xffffffff), b"value")
    v.opens("a block", key_of(fixed("block", 32), space, kind=BLOCK), counter(300))
    for size in (0, 1, 10, 100, 1000):
        v.opens(f"{size} bytes, Padm\u00e9", k, counter(size), "padme")
    v.opens("to multiples of 64", k, counter(53), "64")
    v.opens("fills a multiple of 64", k, counter(52), "64")
    v.opens("one tag", k, b"value", tags=tags_of(v.profile, space, 1))
    v.opens("16 tags", k, b"value", tags=tags_of(v.profile, space, 16))
    v.opens("two tags, Padm\u00e9", k, b"value", "padme", tags_of(v.profile, space, 2))
    v.opens("a tag's record", key_of(fixed("tag", 32), space, kind=TAG), fixed("stamp", 16))


def add_long(v):
    k = key_of(b"long", b"blobs")
    for size in (SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 3 * SEGMENT + 5):
        v.opens(f"{size} bytes", k, counter(size))
    v.opens("the trailer ends the first segment", k, counter(SEGMENT - 12 - 48),
            tags=tags_of(v.profile, b"blobs", 1))
    for over in (1, 11, 59, 60):
        v.opens(f"the trailer would lie in two segments, {over} bytes in the second", k,
                counter(SEGMENT - 60 + over), tags=tags_of(v.profile, b"blobs", 1))
    v.opens("the trailer alone in the second segment", k, counter(SEGMENT),
            tags=tags_of(v.profile, b"blobs", 1))
    v.opens("a segment of zeros", k, counter(SEGMENT // 2), str(SEGMENT))
    v.opens("Padm\u00e9 over a segment", k, counter(SEGMENT + 1), "padme")


def add_fields(v):
    k, body = key_of(b"user:1", b"sessions"), b"value"

    def forged(what, wrong, status, **fields):
        v.refused(what, wrong, status, k, v.make(what, k, body, fields.pop("flags", 0), **fields))

    forged("level 0xa2", "wrong-version", "FORMAT_VERSION", level=0xa2)
    forged("level 0", "wrong-version", "FORMAT_VERSION", level=0)
    forged("kind 1", "wrong-kind", "FORMAT_KIND", kind=1)
    forged("use of a KV block", "wrong-use", "FORMAT_KIND", use=1)
    forged("use of a box", "wrong-use", "FORMAT_KIND", use=3)
    for bit in range(1, 8):
        forged(f"flag bit {bit}", "wrong-field", "FORMAT_FIELD", flags=1 << bit)
    forged("the first reserved bytes", "wrong-field", "FORMAT_FIELD", zero=1)
    forged("the last reserved bytes", "wrong-field", "FORMAT_FIELD", end=0x80000000)
    forged("ends before it begins", "wrong-field", "FORMAT_FIELD", created=NOT_AFTER + 1)
    forged("a body of 320 MiB and a byte", "wrong-field", "FORMAT_LENGTH", size=(320 << 20) + 1)
    forged("a body of 2^64 - 1", "wrong-field", "FORMAT_LENGTH", size=(1 << 64) - 1)
    forged("a body that says more", "truncated", "FORMAT_TRUNCATED", size=6)
    forged("a body that says less", "extended", "FORMAT_LENGTH", size=4)
    forged("level and kind", "order", "FORMAT_VERSION", level=0xa2, kind=1)
    forged("kind and flags", "order", "FORMAT_KIND", kind=1, flags=2)
    forged("flags and length", "order", "FORMAT_FIELD", flags=2, size=6)
    forged("generation below the floor", "superseded", "REPLAY_SUPERSEDED", generation=FLOOR - 1)
    forged("generation 0", "superseded", "REPLAY_SUPERSEDED", generation=0)
    forged("ends now", "expired", "EXPIRED_VALUE", not_after=NOW)
    forged("another key id", "key-unknown", "KEY_UNKNOWN", id=fixed("no key", 32))
    forged("generation and end", "order", "REPLAY_SUPERSEDED", generation=0, not_after=NOW)
    forged("end and key", "order", "EXPIRED_VALUE", not_after=NOW, id=fixed("no key", 32))
    forged("length and generation", "order", "FORMAT_TRUNCATED", size=6, generation=0)


def add_forged(v):
    k, body = key_of(b"user:1", b"sessions", b"", 1), b"value"
    good = v.make("forged", k, body, 0)
    for size in (0, 1, 95, 96, 111, len(good) - 1):
        v.refused(f"the first {size} bytes", "truncated", "FORMAT_TRUNCATED", k, good[:size])
    v.refused("a byte more", "extended", "FORMAT_LENGTH", k, good + b"\0")
    for at in (8, 15, 16, 24, 72, 91, 96, 100, 101, len(good) - 1):
        changed = bytearray(good)
        changed[at] ^= 1
        v.refused(f"a bit of byte {at}", "forged", "FORMAT_FIELD" if at == 8 else "AUTH", k,
                  bytes(changed))
    flag = bytearray(good)
    flag[3] = 1
    v.refused("a trailer that is none", "forged", "AUTH", k, bytes(flag))
    for what, other in (("tenant", key_of(b"user:1", b"sessions", database=1, tenant="acmf")),
                        ("namespace", key_of(b"user:1", b"session", database=1)),
                        ("key", key_of(b"user:2", b"sessions", database=1)),
                        ("field", key_of(b"user:1", b"sessions", b"f", 1)),
                        ("database", key_of(b"user:1", b"sessions")),
                        ("type", key_of(b"user:1", b"sessions", b"", 1, HASH_FIELD)),
                        ("bytes in namespace and key", key_of(b"suser:1", b"session", b"", 1))):
        v.refused(f"opened under another {what}", "moved", "AUTH", other, good)


def add_trailers(v):
    k = key_of(b"user:1", b"sessions")

    def trailer(what, status, body):
        v.refused(what, "trailer", status, k, v.make(what, k, body, 1))

    trailer("an empty body", "FORMAT_TRUNCATED", b"")
    trailer("a body of 11 bytes", "FORMAT_TRUNCATED", bytes(11))
    trailer("17 tags", "FORMAT_FIELD", bytes(17 * 48) + struct.pack(">HHQ", 17, 0, 0))
    trailer("its reserved bytes", "FORMAT_FIELD", struct.pack(">HHQ", 0, 1, 0))
    trailer("a tag that is not there", "FORMAT_TRUNCATED", bytes(47) + struct.pack(">HHQ", 1, 0, 0))
    trailer("a value that is longer", "FORMAT_LENGTH", b"value" + struct.pack(">HHQ", 0, 0, 6))
    trailer("a value of 2^64 - 1", "FORMAT_LENGTH",
            b"value" + struct.pack(">HHQ", 0, 0, (1 << 64) - 1))


def add_segments(v):
    k = key_of(b"long", b"blobs")
    body = counter(SEGMENT + 5)
    v.case("bytes of two segments, in their order", "opens", "ARIL_OK", k,
           v.make("segments", k, body, 0), padding="none", tags=[], value_length=len(body),
           nonce=fixed(f"nonce {v.profile} segments", 20).hex(), created_ms=f"{CREATED:016x}",
           not_after_ms=f"{NOT_AFTER:016x}", generation=f"{GENERATION:016x}",
           body_length=len(body))


def values():
    groups = []
    for profile in HASHES:
        v = Values(profile)
        add_opening(v)
        if profile == "hybrid":
            add_long(v)
            add_segments(v)
        add_fields(v)
        add_forged(v)
        add_trailers(v)
        groups.append(v.group())
    lengths = [0, 1, 2, 3, 7, 8, 9, 10, 11, 15, 16, 17, 32, 33, 63, 64, 65, 100, 127, 128, 129, 255,
               256, 257, 1000, 1023, 1024, 1025, 4097, 65535, 65536, 65537, 1000000, 1048576,
               1048577, 16777217, 268435456, 268435457]
    return {"groups": groups,
            "padme": [{"length": n, "padded": padme(n)} for n in lengths]}


# --- Names, salts, messages

NAMED = [
    key_of(b"user:1", b"sessions"),
    key_of(b"user:1"),
    key_of(b"user:2", b"sessions"),
    key_of(b"user:1", b"sessions", database=7),
    key_of(b"h", b"sessions", b"field", kind=HASH_FIELD),
    key_of(b"s", b"sessions", b"member", kind=SET_MEMBER),
    key_of(fixed("block", 32), b"kv", kind=BLOCK),
    key_of(b"{user}:1", b"sessions"),
    key_of(b"a{user}{other}", b"sessions"),
    key_of(b"a{}{other}", b"sessions"),
    key_of(b"a{user", b"sessions"),
    key_of(b"}a{user}", b"sessions"),
    key_of(b"a{{user}}", b"sessions"),
    key_of(b"\0\xff{\n}", b"sessions"),
    key_of(b"x" * 12, b"sessions"),
    key_of(b"x" * 13, b"sessions"),
    key_of(b"x" * 400, b"sessions", b"y" * 112, kind=HASH_FIELD),
    key_of(b"x" * 513, b"sessions"),
    key_of(fixed("tag", 32), b"sessions", kind=TAG),
    key_of(b"k", b"s" * 255),
]


def name_cases(profile, name_key):
    cases = []
    for k in NAMED:
        for listable in (False, True):
            if listable and len(k["key"]) + len(k["field"]) > 512:
                continue
            for tags in (False, True):
                cases.append({"space": k["space"].hex(), "key": k["key"].hex(),
                              "field": k["field"].hex(), "database": k["database"],
                              "type": k["type"], "listable": listable, "hash_tags": tags,
                              "context": context(profile, k).hex(),
                              "name": store_name(profile, name_key, k, listable, tags)})
    return cases


def refused_names(profile, name_key):
    k = key_of(b"user:1", b"sessions")
    good = store_name(profile, name_key, k, True)
    start = len(prefix(profile, name_key, b"sessions"))
    other = prefix(profile, name_key, b"others") + good[start:]
    changed = good[:-4] + ("A" if good[-4] != "A" else "B") + good[-3:]
    tagged = store_name(profile, name_key, key_of(b"{user}:1", b"sessions"), True, True)
    short = good[:start] + "{~" + b64(bytes(21)) + "}"
    cases = [("", "NOT_FOUND"), (good[:start], "NOT_FOUND"), (good[:-1], "NOT_FOUND"),
             (good + "x", "NOT_FOUND"), (store_name(profile, name_key, k), "NOT_FOUND"),
             (other, "NOT_FOUND"), (changed, "AUTH"), (good[:start] + "{~}", "FORMAT_TRUNCATED"),
             (short, "FORMAT_TRUNCATED"),
             (good[:start + 2] + "=" + good[start + 3:], "FORMAT_FIELD"),
             (good[:start + 2] + "+" + good[start + 3:], "FORMAT_FIELD"),
             (good[:start] + "{~A}", "FORMAT_LENGTH"),
             (good[:start] + "{~AB}", "FORMAT_FIELD"),
             (good[:start] + "{~" + "A" * 2000 + "}", "FORMAT_LENGTH"),
             (good[:start] + "{" + "A" * 12 + "}x" + good[start + 2:-1], "NOT_FOUND"),
             (good[:start] + "{" + "A" * 12 + "}" + good[start + 1:-1], "AUTH"),
             (tagged[:start + 1] + "A" * 12 + tagged[start + 13:], "AUTH")]
    return [{"name": n, "space": b"sessions".hex(), "status": "ARIL_E_" + s} for n, s in cases]


def blocks(profile):
    out = []
    for model, first, count, rank, group, chain in (
            (b"m", 0, 1, 0, 0, 16), (b"llama-3-8b@rev1", 0, 32, 0, 0, 32),
            (b"llama-3-8b@rev1", 1, 32, 0, 0, 32), (b"llama-3-8b@rev1", 0, 31, 0, 0, 32),
            (b"llama-3-8b@rev1", 0, 32, 1, 0, 32), (b"llama-3-8b@rev1", 0, 32, 0, 1, 32),
            (b"x" * 1024, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 64)):
        layout, links = fixed("layout", 32), fixed("chain", chain)
        data = b"aril cache block v1" + vec16(model) + layout
        data += struct.pack(">IIIIB", first, count, rank, group, chain) + links
        out.append({"model": model.hex(), "layout": layout.hex(), "layer_first": first,
                    "layer_count": count, "rank": rank, "group": group, "chain": links.hex(),
                    "block_key": HASHES[profile](data).digest()[:32].hex()})
    return out


def salts(profile, name_key):
    out = []
    for domain in (b"", b"a", b"team red", bytes(range(255))):
        mac = hmac.new(name_key, b"aril cache salt v1" + domain, HASHES[profile]).digest()[:32]
        out.append({"domain": domain.hex(), "salt": b64(mac)})
    return out


def floors(profile):
    out = []
    for tenant, space in (("acme", b""), ("acme", b"sessions"), ("acm", b"esessions"),
                          ("t" * 255, b"s" * 255)):
        data = b"aril cache floor v1" + vec16(tenant.encode()) + space
        digest = HASHES[profile](data).digest()[:32].hex()
        out.append({"tenant": tenant, "space": space.hex(), "floor": f"cache generation:{digest}"})
    return out


def change(sender, k):
    if k["key"] == b"":
        return sender + b"\1" + vec16(k["space"])
    return (sender + b"\0" + vec16(k["space"]) + struct.pack(">IB", k["database"], k["type"])
            + vec32(k["key"]) + vec32(k["field"]))


def box(data_key, name_of_key, nonce, plain):
    head = b"\xa1\x02\x03" + bytes(5) + name_of_key + nonce
    aad = head + b"aril box v1" + vec16(TENANT.encode()) + vec16(b"aril cache message v1")
    return head + xaes_seal(data_key, nonce, plain, aad)


def messages(profile):
    data_key = fixed(f"data key {profile}", 32)
    name_of_key, sender = key_id(profile, data_key), fixed("sender", 16)
    out = []
    for i, k in enumerate([*NAMED[:7], key_of(b"", b"sessions"), key_of(b"")]):
        plain = change(sender, k)
        out.append({"all": k["key"] == b"", "sender": sender.hex(), "space": k["space"].hex(),
                    "key": k["key"].hex(), "field": k["field"].hex(), "database": k["database"],
                    "type": k["type"], "plaintext": plain.hex(), "status": "ARIL_OK",
                    "box": box(data_key, name_of_key, fixed(f"message {i}", 24), plain).hex()})
    good = change(sender, NAMED[0])
    for plain, status in ((b"", "TRUNCATED"), (good[:16], "TRUNCATED"), (good[:-1], "TRUNCATED"),
                          (good + b"\0", "LENGTH"), (sender + b"\2" + vec16(b""), "FIELD"),
                          (sender + b"\1" + vec16(b"") + b"\0", "LENGTH"),
                          (sender + b"\0" + vec16(b"") + bytes(5) + b"\xff" * 4, "TRUNCATED")):
        out.append({"plaintext": plain.hex(), "status": "ARIL_E_FORMAT_" + status})
    return data_key, name_of_key, out


def names():
    groups = []
    for profile in HASHES:
        name_key = fixed(f"name key {profile}", 32)
        data_key, data_id, told = messages(profile)
        spaces = sorted({k["space"] for k in NAMED})
        groups.append({
            "profile": profile, "tenant": TENANT, "name_key": name_key.hex(),
            "name_key_id": key_id(profile, name_key).hex(), "data_key": data_key.hex(),
            "data_key_id": data_id.hex(),
            "prefixes": [{"space": s.hex(), "prefix": prefix(profile, name_key, s)}
                         for s in spaces],
            "names": name_cases(profile, name_key),
            "refused_names": refused_names(profile, name_key), "blocks": blocks(profile),
            "salts": salts(profile, name_key), "floors": floors(profile),
            "tags": [{"space": b"sessions".hex(), "tag": t.hex(),
                      "id": context(profile, key_of(t, b"sessions", kind=TAG_ID)).hex()}
                     for t in (b"red", b"\0" * 3)],
            "messages": told})
    return {"groups": groups}


# --- Corpora

def corpora():
    """(target, name) -> content. cache_open: a kind, 0 a value and 1 a name, and its bytes."""
    v, files = Values("hybrid"), {}
    k = key_of(b"user:1", b"sessions")
    two = tags_of("hybrid", b"sessions", 2)
    for what, value, padding, tags in (("empty", b"", "none", ()), ("ten", counter(10), "none", ()),
                                       ("padme", counter(100), "padme", ()),
                                       ("tags", counter(10), "none", two),
                                       ("tags-padme", counter(10), "padme", two)):
        body, flags = body_of(value, padding, tags)
        stored = v.make(f"corpus {what}", k, body, flags)
        files["cachevalue", what] = b"\0" + stored
        files["cache_open", "value-" + what] = b"\0" + stored
        if flags:
            files["cachevalue", "trailer-" + what] = b"\1" + body
    stored = v.make("corpus ten", k, counter(10), 0)
    files["cachevalue", "cut"] = b"\0" + stored[:60]
    files["cachevalue", "trailer-17-tags"] = b"\1" + bytes(17 * 48) + struct.pack(">HHQ", 17, 0, 0)
    changed = bytearray(stored)
    changed[100] ^= 1
    files["cache_open", "value-forged"] = b"\0" + bytes(changed)
    name_key = fixed("name key hybrid", 32)
    for what, listable, tags in (("mac", False, False), ("listed", True, False),
                                 ("listed-tag", True, True)):
        text = store_name("hybrid", name_key, key_of(b"{user}:1", b"sessions"), listable, tags)
        files["cache_open", "name-" + what] = b"\1" + text.encode()
    for i, m in enumerate(messages("hybrid")[2]):
        kind = m["status"][5:].lower().replace("e_format_", "")
        files["cache_message", f"{kind}-{i}"] = bytes.fromhex(m["plaintext"])
    return files


def text_of(content):
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def main():
    if sys.argv[1:2] == ["--corpus"]:
        folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else CORPUS
        for (target, name), content in corpora().items():
            (folder / target).mkdir(parents=True, exist_ok=True)
            (folder / target / name).write_bytes(content)
        return
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    (folder / "cache-value.json").write_text(text_of(values()), encoding="utf-8")
    (folder / "cache-names.json").write_text(text_of(names()), encoding="utf-8")


if __name__ == "__main__":
    main()
