#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes cache-proxy.json of tests/data/vectors: what arild adds to the formats of the cache.

    tests/scripts/gen_proxy_vectors.py [FOLDER]

Written from docs/CACHE-FORMAT.md section 11 with the module cryptography and nothing of aril. Every
input is fixed: the file is the same on each run.
"""
import hashlib
import pathlib
import struct
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from gen_cache_vectors import (HASH_FIELD, HASHES, OUTPUT, TENANT, b64, context, counter, expand,
                               fixed, key_id, key_of, text_of)

LABELS = {"field": b"aril proxy field v1", "member": b"aril proxy member v1"}
LONGEST = 1 << 20

PLACES = [key_of(b"h", b"redis"), key_of(b"h"), key_of(b"i", b"redis"),
          key_of(b"h", b"redis", database=1), key_of(b"{user}:1", b"redis"),
          key_of(b"x" * 512, b"redis")]
TEXTS = [b"", b"\0", b"f", b"field", b"\xff" * 15, b"m" * 16, b"m" * 17, bytes(range(256))]
LONG = [4096, LONGEST - 1, LONGEST]


class Inner:
    def __init__(self, profile):
        self.profile = profile
        self.name_key = fixed(f"name key {profile}", 32)
        self.siv = AESSIV(expand(profile, self.name_key, b"aril cache listing v1", 64))

    def raw(self, what, place, text, empty=None):
        empty = text == b"" if empty is None else empty
        aad = LABELS[what] + bytes([empty]) + context(self.profile, place)
        if text == b"":
            return self.siv.encrypt(b"\0", [aad])[:16]
        return self.siv.encrypt(text, [aad])

    def sealed(self, what, place, text):
        raw = self.raw(what, place, text)
        return stored(what, raw)

    def place(self, what, place):
        return {"what": what, "space": place["space"].hex(), "key": place["key"].hex(),
                "database": place["database"], "context": context(self.profile, place).hex()}

    def cases(self):
        out = []
        for what in LABELS:
            for place in PLACES:
                for text in TEXTS:
                    out.append({**self.place(what, place), "text": text.hex(),
                                "sealed": self.sealed(what, place, text).hex()})
            for size in LONG:
                sealed = self.sealed(what, PLACES[0], counter(size))
                out.append({**self.place(what, PLACES[0]), "text_length": size,
                            "sealed_length": len(sealed),
                            "sealed_sha256": hashlib.sha256(sealed).hexdigest()})
        return out

    def refused(self):
        out = []

        def case(name, what, status, sealed, place=PLACES[0]):
            out.append({"name": name, **self.place(what, place), "sealed": sealed.hex(),
                        "status": "ARIL_E_" + status})

        for what, other in (("field", "member"), ("member", "field")):
            for text in (b"", b"f", b"some text"):
                good = self.raw(what, PLACES[0], text)
                for n, place in enumerate(PLACES[1:]):
                    case(f"of place {n + 1}", what, "AUTH", self.sealed(what, place, text))
                case(f"a {other}", what, "AUTH", stored(what, self.raw(other, PLACES[0], text)))
                for at in (0, 15, len(good) - 1):
                    changed = bytearray(good)
                    changed[at] ^= 1
                    case(f"a bit of byte {at}", what, "AUTH", stored(what, bytes(changed)))
                case("a byte less", what, "FORMAT_TRUNCATED" if text == b"" else "AUTH",
                     stored(what, good[:-1]))
                case("a byte more", what, "AUTH", stored(what, good + b"\0"))
                if text:
                    case("under the label of an empty text", what, "AUTH",
                         stored(what, self.raw(what, PLACES[0], text, True)))
            zero = self.raw(what, PLACES[0], b"\0")
            case("the iv of a zero byte", what, "AUTH", stored(what, zero[:16]))
            case("an empty text with its ciphertext", what, "AUTH",
                 stored(what, self.raw(what, PLACES[0], b"\0", True)))
            for size in (0, 1, 15):
                case(f"{size} bytes", what, "FORMAT_TRUNCATED", stored(what, bytes(size)))
        good = self.sealed("field", PLACES[0], b"field")
        for sealed, status in ((b"", "KIND"), (good[1:], "KIND"), (b"-" + good[1:], "KIND"),
                               (b"~A", "LENGTH"), (b"~" + b"A" * 21, "LENGTH"),
                               (b"~" + b"A" * 21 + b"B", "FIELD"), (good + b"==", "FIELD"),
                               (b"~" + b"A" * 23 + b"+", "FIELD")):
            case("its form", "field", "FORMAT_" + status, sealed)
        return out

    def group(self):
        fields = [{"space": p["space"].hex(), "key": p["key"].hex(), "database": p["database"],
                   "field": text.hex(),
                   "context": context(self.profile, {**p, "field": text,
                                                     "type": HASH_FIELD}).hex()}
                  for p in PLACES for text in TEXTS]
        return {"profile": self.profile, "tenant": TENANT, "name_key": self.name_key.hex(),
                "name_key_id": key_id(self.profile, self.name_key).hex(), "inner": self.cases(),
                "refused": self.refused(), "fields": fields}


def stored(what, raw):
    return b"~" + b64(raw).encode() if what == "field" else raw


def lengths():
    segment, most, out = 1 << 20, 5 << 26, []
    for n in (0, 1, 16, 1000, segment - 1, segment, segment + 1, 2 * segment, 2 * segment + 1,
              100 * segment + 12345, most - 1, most):
        out.append({"plain": n, "stored": 96 + n + 16 * max(1, -(-n // segment))})
    for n in (0, 95, 96, 111, 96 + segment + 17, 96 + segment + 32,
              96 + most + 16 * (most // segment) + 1):
        out.append({"plain": None, "stored": n})
    return out


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    content = {"groups": [Inner(profile).group() for profile in HASHES], "lengths": lengths()}
    (folder / "cache-proxy.json").write_text(text_of(content), encoding="utf-8")


if __name__ == "__main__":
    main()
