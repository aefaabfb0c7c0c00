#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/vectors/cache-legacy.json: values as cachekit and LMCache write them.

    tests/scripts/gen_cache_legacy.py [OUTPUT]
    tests/scripts/gen_cache_legacy.py --corpus [FOLDER]

The second form writes what of it the fuzz targets start from, to tests/fuzz/corpus.

Written from the descriptions of the formats (docs/CACHE-FORMAT.md section 7) with the module
cryptography and nothing of aril, so that it is a second opinion. Every input is fixed: the file is
the same on each run.

LZ4 blocks are made by hand, of literals alone. The two checksums are those that
cachekit-io/protocol publishes for the same inputs (MIT): wire-format.json 'simple_string',
python-frame.json 'default_saas_write_msgpack_bytestorage'.
"""
import hashlib
import json
import pathlib
import struct
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TESTS = pathlib.Path(__file__).resolve().parents[1]
OUTPUT = TESTS / "data" / "vectors" / "cache-legacy.json"
CORPUS = TESTS / "fuzz" / "corpus"

MASTERS = [bytes([0x10 + i]) * 32 for i in range(4)]
TENANT = "acme"
TEXT = b"hello, cachekit!"
TEXT_SUM = bytes.fromhex("6d8a34b63a3c52d3")
MAP = bytes.fromhex("83a7757365725f69642aa46e616d65a863616368656b6974a6616374697665c3")
MAP_SUM = bytes.fromhex("daf468618e624bfe")
NUMBERS = bytes.fromhex("93010203")


def derive(master, tenant):
    domain, name = b"encryption", tenant.encode()
    salt = (b"cachekit_v1_" + bytes([len(domain)]) + domain + struct.pack(">H", len(name)) + name)
    return HKDF(SHA256(), 32, salt, domain).derive(master)


def fingerprint(key):
    return hashlib.sha256(b"key_fingerprint_v1" + key).digest()[:16]


def aad(tenant, name, form, compressed, original_type=None):
    parts = [tenant, name, form, str(compressed)]
    if original_type:
        parts.append(original_type)
    out = b"\x03"
    for part in parts:
        raw = part.encode()
        out += struct.pack(">I", len(raw)) + raw
    return out


def nonce(number):
    return bytes.fromhex("a1b2c3d4e5f60718") + struct.pack(">I", number)


def encrypt(master, tenant, number, plain, data):
    return nonce(number) + AESGCM(derive(master, tenant)).encrypt(nonce(number), plain, data)


def octet(value):
    return bytes([value]) if value < 0x80 else bytes([0xcc, value])


def octets(values):
    count = len(values)
    head = bytes([0x90 + count]) if count < 16 else b"\xdc" + struct.pack(">H", count)
    return head + b"".join(octet(v) for v in values)


def block(plain):
    """An LZ4 block without a match."""
    count = len(plain)
    if count < 15:
        return bytes([count << 4]) + plain
    more = count - 15
    return bytes([0xf0]) + bytes([255]) * (more // 255) + bytes([more % 255]) + plain


def envelope(plain, checksum, as_integers=False):
    packed = block(plain)
    data = octets(packed) if as_integers else b"\xc4" + bytes([len(packed)]) + packed
    return b"\x94" + data + octets(checksum) + octet(len(plain)) + b"\xa7msgpack"


def py_frame(master, tenant, number, name, plain, form, compressed, original_type, serializer):
    meta = {"format": form, "encoding": "utf-8", "compressed": compressed,
            "original_type": original_type, "encrypted": True, "tenant_id": tenant,
            "encryption_algorithm": "AES-256-GCM",
            "key_fingerprint": fingerprint(derive(master, tenant)).hex()}
    header = json.dumps({"s": serializer, "m": meta, "v": "2.0"}, ensure_ascii=False).encode()
    sealed = encrypt(master, tenant, number, plain,
                     aad(tenant, name, form, compressed, original_type))
    return b"CK\x03" + struct.pack(">I", len(header)) + header + sealed


class Cases:
    def __init__(self):
        self.list = []

    def add(self, name, form, cache_key, key_index, value, stored, tenant=TENANT):
        self.list.append({"name": name, "format": form, "tenant": tenant, "cache_key": cache_key,
                          "key_index": key_index, "value_hex": value.hex(),
                          "stored_hex": stored.hex()})


def cachekit_cases():
    cases = Cases()
    interop = "users:get_user:61598716255080080f6456eb065c2e51badfaa4320b0efe97469c29cffee8875"
    auto = "ns:shop:func:app.load:args:" + "ab" * 32 + ":1s"
    for index, master in enumerate(MASTERS):
        cases.add(f"interop_key_{index}", "interop", interop, index, MAP,
                  encrypt(master, TENANT, index, MAP, aad(TENANT, interop, "msgpack", False)))
    cases.add("interop_default_tenant", "interop", interop, 0, b"\xc0",
              encrypt(MASTERS[0], "default", 9, b"\xc0", aad("default", interop, "msgpack", False)),
              tenant="default")
    cases.add("interop_tenant_beyond_ascii", "interop", interop, 0, NUMBERS,
              encrypt(MASTERS[0], "caf\u00e9", 10, NUMBERS,
                      aad("caf\u00e9", interop, "msgpack", False)), tenant="caf\u00e9")
    cases.add("rs", "rs", auto, 0, MAP,
              encrypt(MASTERS[0], TENANT, 20, MAP, aad(TENANT, auto, "msgpack", False)))
    for name, as_integers in (("ts", False), ("ts_integers", True)):
        cases.add(name, "ts", auto, 1, MAP,
                  encrypt(MASTERS[1], TENANT, 30 + as_integers, envelope(MAP, MAP_SUM, as_integers),
                          aad(TENANT, auto, "msgpack", True)))
    frames = [
        ("py", 0, envelope(MAP, MAP_SUM), MAP, "msgpack", True, "msgpack", "default"),
        ("py_integers", 0, envelope(TEXT, TEXT_SUM, True), TEXT, "msgpack", True, "msgpack",
         "default"),
        ("py_old_key", 3, envelope(TEXT, TEXT_SUM), TEXT, "msgpack", True, "dataframe", "auto"),
        ("py_uncompressed", 0, MAP, MAP, "msgpack", False, "msgpack", "default"),
        ("py_numpy", 2, NUMBERS, NUMBERS, "msgpack", False, "numpy", "auto"),
        ("py_arrow", 1, b"ARROW1 itself", b"ARROW1 itself", "arrow", True, "arrow", "arrow"),
        ("py_orjson", 0, b'{"a":1}', b'{"a":1}', "orjson", False, "orjson", "orjson"),
        ("py_no_type", 0, MAP, MAP, "msgpack", False, None, "default"),
    ]
    for number, (name, index, plain, value, form, compressed, kind, serializer) in \
            enumerate(frames, 40):
        cases.add(name, "py", auto, index, value,
                  py_frame(MASTERS[index], TENANT, number, auto, plain, form, compressed, kind,
                           serializer))
    cases.add("py_tenant_beyond_ascii", "py", auto, 0, TEXT,
              py_frame(MASTERS[0], 'a "caf\u00e9"', 60, auto, envelope(TEXT, TEXT_SUM), "msgpack",
                       True, "msgpack", "default"), tenant='a "caf\u00e9"')
    return cases.list


def lmcache_cases():
    out = []
    masters = [bytes(range(32)), b"a passphrase of some length, with a line end\n"]
    for number, (master, salt, bits, plain) in enumerate([
            (masters[0], "tenant-a", 128, bytes(range(256))),
            (masters[0], "tenant-a", 256, bytes(range(256))),
            (masters[0], "", 128, b"x"),
            (masters[1], "caf\u00e9", 256, b""),
            (masters[1], "tenant-b", 128, b"\x00" * 100)]):
        key = HKDF(SHA256(), bits // 8, None,
                   b"lmcache-l2-aesgcm-v1" + salt.encode()).derive(master)
        iv = nonce(1000 + number)
        frame = b"\x01" + iv + AESGCM(key).encrypt(iv, plain, None)
        out.append({"name": f"aes{bits}_{number}", "master_hex": master.hex(), "salt": salt,
                    "key_bits": bits, "value_hex": plain.hex(), "stored_hex": frame.hex()})
    return out


def corpora():
    """(target, name) of each file, and its bytes."""
    out = {}
    for case in cachekit_cases():
        if case["format"] == "py":
            out["cachekit_frame", case["name"]] = bytes.fromhex(case["stored_hex"])
    for case in lmcache_cases():
        out["lmcache", case["name"]] = bytes.fromhex(case["stored_hex"])
    out["cachekit_frame", "plain"] = (
        b'CK\x03\0\0\0\x4d{"s": "default", "m": {"format": "msgpack", "compressed": false}, '
        b'"v": "2.0"}' + TEXT)
    out["envelope", "text"] = envelope(TEXT, TEXT_SUM)
    out["envelope", "text_integers"] = envelope(TEXT, TEXT_SUM, True)
    out["envelope", "map"] = envelope(MAP, MAP_SUM)
    out["envelope", "bomb"] = out["envelope", "text"].replace(b"\x10\xa7",
                                                             b"\xce\x20\0\0\0\xa7")
    # 'large_compressible_bin' of wire-format.json: 1024 times 'A'.
    out["envelope", "match"] = bytes.fromhex(
        "94c40f1f410100ffffffe960414141414141" "984d35ccad08cce9ccd77c0d" "cd0400"
        "a76d73677061636b")
    out["msgpack", "map"] = MAP
    out["msgpack", "every_type"] = bytes.fromhex(
        "dc0010c0c2c37fe0ccff" "d080cdffffd18000ceffffffff" "d280000000cfffffffffffffffff"
        "d38000000000000000" "ca3fc00000" "cb40091eb851eb851f" "a3616263c403010203")
    out["msgpack", "ext"] = bytes.fromhex("93d40101c70205aabbd6ff00000000")
    out["msgpack", "unsorted"] = bytes.fromhex("9182a162920203a16182a17a01a17902")
    out["msgpack", "twice"] = bytes.fromhex("82a16101d9016102")
    out["msgpack", "nested"] = b"\x91" * 33 + b"\xc0"
    out["msgpack", "claims"] = bytes.fromhex("dd0000157c") * 20
    return out


def main():
    if sys.argv[1:2] == ["--corpus"]:
        folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else CORPUS
        for (target, name), content in corpora().items():
            (folder / target).mkdir(parents=True, exist_ok=True)
            (folder / target / name).write_bytes(content)
        return
    made = {
        "format": "values of cachekit and LMCache",
        "generator": "tests/scripts/gen_cache_legacy.py",
        "masters_hex": [m.hex() for m in MASTERS],
        "fingerprints_hex": [fingerprint(derive(m, TENANT)).hex() for m in MASTERS],
        "cachekit": cachekit_cases(),
        "lmcache": lmcache_cases(),
    }
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    output.write_text(json.dumps(made, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
