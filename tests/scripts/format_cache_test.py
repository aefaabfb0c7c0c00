#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Replays the vectors of the cache by the rules of docs/CACHE-FORMAT.md, and opens by them what a
cache put into a store.

A second implementation: it has nothing of aril's. Exit status 77: a module is missing.
"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from format_rules import ROOT, Refused, vectors

try:
    import cache_rules as rules
    import gen_cache_vectors as gen
    import gen_proxy_vectors as gen_proxy
except ImportError as missing:
    print(f"python3-cryptography is missing: {missing}")
    sys.exit(77)

MAKER = pathlib.Path(os.environ.get("ARIL_BUILD_DIR", ROOT / "build/gcc")) / \
    "tests/tools/cache_maker"


def status_of(call, *args):
    try:
        return "ARIL_OK", call(*args)
    except Refused as refused:
        return str(refused), None


def key_of(tenant, case):
    k = {n: bytes.fromhex(case[n]) for n in ("space", "key", "field")}
    return {**k, "tenant": tenant, "database": case["database"], "type": case["type"]}


def value_of(case):
    return (bytes.fromhex(case["value"]) if "value" in case
            else rules.counter(case["value_length"]))


# --- Vectors

def check_value(group, case):
    profile, key = group["profile"], bytes.fromhex(group["data_key"])
    key_id, ctx = bytes.fromhex(group["data_key_id"]), bytes.fromhex(case["context"])
    reader = {"now": int(group["now_ms"], 16), "floor": int(group["floor"], 16),
              "keys": {key_id: key}}
    assert rules.key_id(profile, key) == key_id
    stored = bytes.fromhex(case.get("stored", ""))
    tags = [(bytes.fromhex(t["id"]), bytes.fromhex(t["stamp"])) for t in case.get("tags", ())]
    if case["status"] == "ARIL_OK":
        assert rules.context(profile, key_of(group["tenant"].encode(), case)) == ctx
        body, flags = rules.body_of(value_of(case), case["padding"], tags)
        times = [int(case[n], 16) for n in ("created_ms", "not_after_ms", "generation")]
        sealed = rules.seal(key, key_id, bytes.fromhex(case["nonce"]), ctx, times, body, flags)
        assert len(body) == case["body_length"]
        if "stored" not in case:
            assert hashlib.sha256(sealed).hexdigest() == case["stored_sha256"]
            stored = sealed
        assert stored == sealed
    status, got = status_of(rules.read, stored, ctx, reader)
    assert status == case["status"], f"{case['class']}, {case['name']}: {status}"
    assert got is None or got == (value_of(case), tags), case["name"]


def check_name(group, case):
    profile, name_key = group["profile"], bytes.fromhex(group["name_key"])
    k = key_of(group["tenant"].encode(), case)
    assert rules.context(profile, k).hex() == case["context"]
    name = rules.name(profile, name_key, k, case["listable"], case["hash_tags"])
    assert name == case["name"], case
    status, got = status_of(rules.open_name, profile, name_key, k["space"], name)
    if case["listable"] and k["type"] in rules.LISTED:
        assert status == "ARIL_OK" and all(k[n] == got[n] for n in got), case
    else:
        assert status == "ARIL_E_NOT_FOUND", case


def check_message(group, case):
    plain = bytes.fromhex(case["plaintext"])
    status, got = status_of(rules.parse_change, plain)
    assert status == case["status"], case
    if got is not None:
        assert got["all"] == case["all"] and got["sender"].hex() == case["sender"]
        assert got["space"].hex() == case["space"]
        assert case["all"] or key_of(b"", case) == {**key_of(b"", case), **{
            n: got[n] for n in ("key", "field", "database", "type")}}
        box = bytes.fromhex(case["box"])
        assert box[8:40].hex() == group["data_key_id"]
        key = bytes.fromhex(group["data_key"])
        assert rules.open_box(key, group["tenant"].encode(), box) == plain


def check_names(group):
    profile, name_key = group["profile"], bytes.fromhex(group["name_key"])
    assert rules.key_id(profile, name_key).hex() == group["name_key_id"]
    for p in group["prefixes"]:
        assert rules.prefix(profile, name_key, bytes.fromhex(p["space"])) == p["prefix"]
    for case in group["names"]:
        check_name(group, case)
    for case in group["refused_names"]:
        status, _ = status_of(rules.open_name, profile, name_key, bytes.fromhex(case["space"]),
                              case["name"])
        assert status == case["status"], case
    for b in group["blocks"]:
        block = {**b, **{n: bytes.fromhex(b[n]) for n in ("model", "layout", "chain")}}
        assert rules.block_key(profile, block).hex() == b["block_key"]
    for s in group["salts"]:
        assert rules.salt(profile, name_key, bytes.fromhex(s["domain"])) == s["salt"]
    for f in group["floors"]:
        assert f["floor"] == rules.floor_name(profile, f["tenant"].encode(),
                                              bytes.fromhex(f["space"]))
    for t in group["tags"]:
        k = {"tenant": group["tenant"].encode(), "space": bytes.fromhex(t["space"]),
             "database": 0, "type": rules.TYPE["tag id"], "key": bytes.fromhex(t["tag"]),
             "field": b""}
        assert rules.context(profile, k).hex() == t["id"]
    for case in group["messages"]:
        check_message(group, case)
    return sum(len(cases) for cases in group.values() if isinstance(cases, list))


def check_inner(group):
    """Section 11: fields and members, what is refused, contexts of fields."""
    profile, name_key = group["profile"], bytes.fromhex(group["name_key"])
    tenant = group["tenant"].encode()
    for case in group["inner"] + group["refused"]:
        k = key_of(tenant, {**case, "field": "", "type": rules.TYPE["string"]})
        place = rules.context(profile, k)
        assert place.hex() == case["context"]
        if "status" in case:
            status, _ = status_of(rules.open_inner, profile, name_key, place, case["what"],
                                  bytes.fromhex(case["sealed"]))
            assert status == case["status"], case
            continue
        text = (bytes.fromhex(case["text"]) if "text" in case
                else rules.counter(case["text_length"]))
        sealed = rules.seal_inner(profile, name_key, place, case["what"], text)
        if "sealed" in case:
            assert sealed.hex() == case["sealed"], case
        else:
            assert len(sealed) == case["sealed_length"]
            assert hashlib.sha256(sealed).hexdigest() == case["sealed_sha256"]
        assert rules.open_inner(profile, name_key, place, case["what"], sealed) == text
    for case in group["fields"]:
        k = key_of(tenant, {**case, "type": rules.TYPE["hash field"]})
        assert rules.context(profile, k).hex() == case["context"]
    return sum(len(cases) for cases in group.values() if isinstance(cases, list))


def check_proxy():
    content = vectors("cache-proxy.json")
    count = sum(check_inner(group) for group in content["groups"])
    for case in content["lengths"]:
        if case["plain"] is not None:
            assert rules.stored_length(case["plain"]) == case["stored"]
    assert count > 300, "the vectors are there"
    return count + len(content["lengths"])


def check_vectors():
    count, values = 0, vectors("cache-value.json")
    for group in values["groups"]:
        for case in group["cases"]:
            check_value(group, case)
            count += 1
    for p in values["padme"]:
        assert rules.padme(p["length"]) == p["padded"], p
    count += sum(check_names(group) for group in vectors("cache-names.json")["groups"])
    assert count > 400, "the vectors are there"
    return count


def check_committed():
    with tempfile.TemporaryDirectory() as folder:
        for maker in (gen, gen_proxy):
            subprocess.run([sys.executable, "-B", maker.__file__, folder], check=True)
        for path in pathlib.Path(folder).iterdir():
            committed = ROOT / "tests/data/vectors" / path.name
            assert path.read_bytes() == committed.read_bytes(), path.name
    corpora = gen.corpora()
    for (target, name), content in corpora.items():
        path = gen.CORPUS / target / name
        assert path.exists() and path.read_bytes() == content, path
    return 3 + len(corpora)


# --- What a cache stored

def stored_files(folder):
    """Name to value of a file: store, src/cache/stores/files_head.c."""
    out = {}
    for path in folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        if data[:8] != b"ARILFILE":
            continue
        flags, size = int.from_bytes(data[10:12], "big"), int.from_bytes(data[12:16], "big")
        length = int.from_bytes(data[24:32], "big")
        at = 4096 if flags & 1 else 64 + size
        out[data[64:64 + size].decode()] = data[at:at + length]
    return out


def check_made(made, files):
    profile, tenant = made["profile"], made["tenant"].encode()
    name_key = bytes.fromhex(made["name_key"])
    key, key_id = bytes.fromhex(made["data_key"]), bytes.fromhex(made["data_key_id"])
    assert rules.key_id(profile, key) == key_id
    seen = set()

    def read(k, listed, floor):
        name = rules.name(profile, name_key, k, listed, listed)
        seen.add(name)
        head = rules.parse(files[name])
        reader = {"now": head["created"], "floor": floor, "keys": {key_id: key}}
        assert head["generation"] == floor, name
        return (*rules.read(files[name], rules.context(profile, k), reader), head)

    for case in made["values"]:
        k = key_of(tenant, case)
        listed = case["listed"]
        floor = made["padded_generation"] if k["space"] == b"padded" else 0
        value, tags, head = read(k, listed, floor)
        assert value == value_of(case), case
        assert head["not after"] == head["created"] + 1000 + 3600000
        body, flags = rules.body_of(value, case["padding"], tags)
        assert (len(body), flags) == (head["body length"], head["flags"]), case
        assert len(tags) == len(case["tags"])
        for text, (tag_id, stamp) in zip(case["tags"], tags):
            tag = {"tenant": tenant, "space": k["space"], "database": 0, "field": b"",
                   "type": rules.TYPE["tag id"], "key": bytes.fromhex(text)}
            assert rules.context(profile, tag) == tag_id
            record = {**tag, "type": rules.TYPE["tag record"], "key": tag_id}
            assert read(record, listed, floor)[:2] == (stamp, [])
    assert seen == set(files), "the store has what was put and nothing else"
    assert rules.salt(profile, name_key, b"d") == made["salt"]
    own = made["message"]
    plain = rules.open_box(bytes.fromhex(own["data_key"]), tenant, bytes.fromhex(own["box"]))
    change = rules.parse_change(plain)
    assert (change["all"], change["space"], change["key"]) == (0, b"space", b"key")
    return len(seen) + 2


def check_cache():
    if not MAKER.exists():
        print("skipped: this build has no cache_maker")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run([MAKER, folder], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        made = json.loads((pathlib.Path(folder) / "made.json").read_text(encoding="utf-8"))
        count = check_made(made, stored_files(pathlib.Path(folder) / "store"))
    assert count > 40
    return count


def main():
    count = check_vectors() + check_proxy() + check_committed() + check_cache()
    print(f"{count} passed, 0 failed")


if __name__ == "__main__":
    main()
