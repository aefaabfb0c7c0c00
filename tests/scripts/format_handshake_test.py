#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the messages of tests/data/vectors/handshake.json by section 5 of docs/FORMAT.md
and computes transcript, session secret and MACs from them. Needs nothing but Python.
"""
import sys

sys.dont_write_bytecode = True
from format_rules import (LABEL, PROFILES, Refused, ensure, expand, hash_bytes, hash_of, layout,
                          mac, table, tenant_tag, u, vec16, vectors)

HEAD = layout("## 5.")
HEAD_BYTES = sum(HEAD["flags"])
TYPES = {"offer": 1, "accept": 2, "confirm": 3}
PARTS = {"offer": table("### 5.2", "Part"), "accept": table("### 5.3", "Part"),
         "confirm": table("### 5.4", "Part")}
MESSAGE_BYTES_MAX = 12288


def parse(kind, message):
    """The parts by name, and where each one begins."""
    ensure(len(message) <= MESSAGE_BYTES_MAX, "FORMAT_LENGTH")
    ensure(len(message) >= HEAD_BYTES, "FORMAT_TRUNCATED")
    head = {name: message[at:at + size] for name, (at, size) in HEAD.items()}
    ensure(head["magic"] == b"aril" and head["type"][0] == TYPES[kind], "FORMAT_KIND")
    ensure(head["version"][0] == 1, "FORMAT_VERSION")
    ensure(1 <= head["profile"][0] <= len(PROFILES), "FORMAT_FIELD")
    flags = head["flags"][0]
    ensure(flags == 0 or (kind == "offer" and flags == 1), "FORMAT_FIELD")
    at, parts, begins = HEAD_BYTES, {"profile": head["profile"][0]}, {}
    for row in PARTS[kind][1:]:
        if kind == "offer" and row["Part"] in ("signer", "signature") and flags == 0:
            continue
        begins[row["Part"]] = at
        size = row["Bytes"]
        if size == "vec16":
            ensure(at + 2 <= len(message), "FORMAT_TRUNCATED")
            size, at = int.from_bytes(message[at:at + 2], "big"), at + 2
        ensure(at + int(size) <= len(message), "FORMAT_TRUNCATED")
        parts[row["Part"]] = message[at:at + int(size)]
        at += int(size)
    ensure(at == len(message), "FORMAT_LENGTH")
    if kind == "offer":
        tenant = parts["tenant id"]
        ensure(1 <= len(tenant) <= 255 and 0 not in tenant, "FORMAT_FIELD")
    return parts, begins


def hpke_export(profile, exporter_secret, context, length):
    """RFC 9180, sections 4 and 5.3."""
    row = PROFILES[profile]
    kem, kdf = int(row["HPKE KEM"].split(", ")[1], 16), int(row["HPKE KDF"].split(", ")[1])
    suite = b"HPKE" + u(kem, 2) + u(kdf, 2) + u(2, 2)
    return expand(profile, exporter_secret, u(length, 2) + b"HPKE-v1" + suite + b"sec" + context,
                  length)


def check_lengths(row, offer, accept):
    assert len(offer["KEM public key"]) == int(row["KEM public key"])
    assert len(accept["enc"]) == int(row["HPKE enc"])
    for message in (offer, accept):
        if "signer" in message:
            assert len(message["signer"]) == int(row["Public key"])
            assert len(message["signature"]) == int(row["Signature bytes"])


def check_handshake(c):
    profile, size = c["profile"], hash_bytes(c["profile"])
    whole = {kind: bytes.fromhex(c[kind]) for kind in TYPES}
    (offer, _), (accept, begins), (confirm, _) = (parse(kind, whole[kind]) for kind in TYPES)
    for message in (offer, accept, confirm):
        assert message["profile"] == int(PROFILES[profile]["Number"])
    check_lengths(PROFILES[profile], offer, accept)
    assert ("signer" in offer) == c["offer_is_signed"]
    assert offer["tenant id"].decode() == c["tenant_id"]
    assert accept["tenant tag"] == tenant_tag(bytes.fromhex(c["tag_key"]), c["tenant_id"])
    core = whole["accept"][:begins["MAC"]]
    info = LABEL["info"] + hash_of(profile)(whole["offer"]).digest()
    sizes = u(len(whole["offer"]), 4), u(len(core), 4)
    t = hash_of(profile)(sizes[0] + whole["offer"] + sizes[1] + core).digest()
    secret = hpke_export(profile, bytes.fromhex(c["exporter_secret"]), LABEL["secret"] + t, size)
    server = mac(profile, expand(profile, secret, LABEL["server confirm"], size), t)
    tenant = mac(profile, expand(profile, secret, LABEL["tenant confirm"], size), t)
    got = {"info": info, "transcript_hash": t, "session_secret": secret, "server_mac": server,
           "tenant_mac": tenant}
    for name, value in got.items():
        assert value.hex() == c[name], f"{profile}: {name}"
    assert accept["MAC"] == server and confirm["MAC"] == tenant
    assert confirm["session id"] == accept["session id"]
    assert vec16(tenant) == whole["confirm"][-2 - size:]


def check_message(m):
    status = "ARIL_OK"
    try:
        parse(m["type"], bytes.fromhex(m["message"]))
    except Refused as refused:
        status = str(refused)
    assert status == m["status"], f"{m['type']}, {m['name']}: {status}"


def main():
    root = vectors("handshake.json")
    for c in root["handshakes"]:
        check_handshake(c)
    for m in root["messages"]:
        check_message(m)
    passed = len(root["handshakes"]) + len(root["messages"])
    assert passed > 50, "the vectors are there"
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
