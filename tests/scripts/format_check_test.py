#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens and refuses the records of tests/data/vectors by the rules of docs/FORMAT.md.

A second implementation: it has nothing of aril's. Exit status 77: a module is missing.
"""
import hashlib
import sys

sys.dont_write_bytecode = True
from format_rules import (CONST, SEAL, Refused, ensure, epoch_keys, kv_context, ratchet,
                          scope_digest, tenant_tag, u, vectors)

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError as missing:
    print(f"python3-cryptography is missing: {missing}")
    sys.exit(77)

HEADER_BYTES = SEAL["tag"][0]


def field(seal, name):
    at, size = SEAL[name]
    return seal[at:at + size]


class Opener:
    """One end of a session that opens the records of one direction, section 4.5."""

    def __init__(self, view):
        self.view, self.newest = view, view["newest_epoch"]
        self.secret = bytes.fromhex(view["session_secret"])
        self.opened, self.pins = {}, {}

    def keys(self, epoch):
        return epoch_keys(self.view["profile"], self.secret, self.view["direction"], epoch)

    def check_place(self, block, age):
        place = tuple(block[k] for k in ("layer_first", "rank", "group", "slot", "position"))
        pin = self.pins.get(place)
        own = self.view["source"] == "self"
        ensure(pin == age if own else pin is None or age >= pin, "REPLAY_STALE")
        ensure(pin is not None or len(self.pins) < self.view["slot_pins"], "LIMIT_PINS")
        return place

    def open(self, block, seal, body):
        f = {name: int.from_bytes(field(seal, name), "big") for name in SEAL}
        ensure(f["level"] == CONST["level"], "FORMAT_VERSION")
        ensure(f["kind"] == CONST["kind counted"], "FORMAT_KIND")
        ensure(f["flags"] <= 1 and 1 <= f["sequence"] <= CONST["sequence max"], "FORMAT_FIELD")
        ensure(f["body length"] <= CONST["body length max"], "FORMAT_LENGTH")
        ensure(f["use"] == CONST["use KV"], "FORMAT_KIND")
        ensure(field(seal, "tenant tag").hex() == self.view["tenant_tag"], "ISOLATION")
        ensure(f["body length"] == len(body), "FORMAT_LENGTH")
        ensure(f["flags"] == self.view["direction"], "AUTH")
        epoch, sequence = f["epoch"], f["sequence"]
        ensure(epoch <= self.newest or self.view["source"] == "peer", "KEY_UNKNOWN")
        ensure(epoch <= self.newest + CONST["epochs ahead"], "KEY_FUTURE")
        ensure(epoch > self.newest - self.view["readable_epochs"], "KEY_RETIRED")
        key, prefix, key_id = self.keys(epoch)
        ensure(field(seal, "key id") == key_id, "KEY_UNKNOWN")
        opened = self.opened.get(epoch, set())
        too_old = opened and max(opened) - sequence >= CONST["replay window"]
        ensure(self.view["mode"] != "once" or (sequence not in opened and not too_old), "REPLAY")
        by_slot = block["identity"] == "slot"
        place = self.check_place(block, (epoch, sequence)) if by_slot else None
        try:
            plain = AESGCM(key).decrypt(prefix + u(sequence, 8), body + field(seal, "tag"),
                                        seal[:HEADER_BYTES] + kv_context(self.view, block))
        except InvalidTag:
            raise Refused("ARIL_E_AUTH") from None
        self.newest = max(self.newest, epoch)
        self.opened[epoch] = opened | {sequence}
        if by_slot:
            self.pins[place] = (epoch, sequence)
        return plain


def long_record(opener, case, seal):
    """Its plaintext is known; what it becomes is checked by hash."""
    key, prefix, _ = opener.keys(int.from_bytes(field(seal, "epoch"), "big"))
    plain = b"".join(u(i, 4) for i in range(case["length"] // 4))
    aad = seal[:HEADER_BYTES] + kv_context(opener.view, case["block"])
    body = AESGCM(key).encrypt(prefix + field(seal, "sequence"), plain, aad)[:-16]
    assert hashlib.sha256(body).hexdigest() == case["body_sha256"], case["name"]
    return plain, body


def check_record(view, case):
    opener, seal = Opener(view), bytes.fromhex(case["seal"])
    for r in case.get("before", []):
        opener.open(r["block"], bytes.fromhex(r["seal"]), bytes.fromhex(r["body"]))
    if "length" in case:
        plain, body = long_record(opener, case, seal)
    else:
        plain, body = bytes.fromhex(case.get("plaintext", "")), bytes.fromhex(case["body"])
    status = "ARIL_OK"
    try:
        assert opener.open(case["block"], seal, body) == plain, case["name"]
    except Refused as refused:
        status = str(refused)
    assert status == case["status"], f"{case['class']}, {case['name']}: {status}"


def check_keys(keys):
    for s in keys["schedules"]:
        secret = bytes.fromhex(s["session_secret"])
        for d in s["directions"]:
            for e in d["epochs"]:
                where = s["profile"], secret, d["direction"], e["epoch"]
                names = "ratchet", "key", "nonce_prefix", "key_id"
                for name, got in zip(names, (ratchet(*where), *epoch_keys(*where))):
                    assert got.hex() == e[name], (*where, name)
    for c in keys["contexts"]:
        assert scope_digest(c).hex() == c["scope_digest"]
        assert kv_context(c, c["block"]).hex() == c["context"]
    for t in keys["tenant_tags"]:
        assert tenant_tag(bytes.fromhex(t["tag_key"]), t["tenant_id"]).hex() == t["tenant_tag"]


def main():
    check_keys(vectors("keys.json"))
    passed = 0
    for group in vectors("records.json")["groups"]:
        for case in group["cases"]:
            check_record(group["opener"], case)
            passed += 1
    assert passed > 200, "the vectors are there"
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
