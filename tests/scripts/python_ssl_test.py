#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libaril works in a process that has another OpenSSL loaded, before it or after it.

Python's ssl brings the system's libcrypto, which may be a 3.0 without ML-KEM. libaril.so has
its own inside and must neither use that one nor disturb it.
"""
import ctypes
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = pathlib.Path(os.environ.get("ARIL_BUILD_DIR", ROOT / "build/release")) / "libaril.so"
SKIPPED = 77
SEAL_BYTES = 80
PROFILES = {1: 65, 2: 65, 3: 87}  # profile: algorithm of the server's key


class Bytes(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class Span(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Layout(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_char_p),
                ("block_tokens", ctypes.c_uint32), ("layers", ctypes.c_uint32),
                ("kv_heads", ctypes.c_uint32), ("key_dim", ctypes.c_uint32),
                ("value_dim", ctypes.c_uint32), ("world_size", ctypes.c_uint32)]


class Config(ctypes.Structure):
    _fields_ = [("model", Bytes), ("layout", Layout), ("source", ctypes.c_int),
                ("mode", ctypes.c_int), ("slot_pins", ctypes.c_size_t),
                ("executor", ctypes.c_void_p)]


class Block(ctypes.Structure):
    _fields_ = [("layer_first", ctypes.c_uint32), ("layer_count", ctypes.c_uint32),
                ("rank", ctypes.c_uint32), ("group", ctypes.c_uint32),
                ("identity", ctypes.c_int), ("chain", ctypes.c_uint8 * 32),
                ("slot", ctypes.c_uint64), ("position", ctypes.c_uint64),
                ("count", ctypes.c_uint64)]


class Item(ctypes.Structure):
    _fields_ = [("block", ctypes.POINTER(Block)), ("spans", ctypes.POINTER(Span)),
                ("span_count", ctypes.c_size_t), ("body", ctypes.c_void_p),
                ("body_len", ctypes.c_size_t), ("seal", ctypes.c_void_p),
                ("staging", ctypes.c_void_p), ("flags", ctypes.c_uint32),
                ("status", ctypes.c_int)]


SELF_TEST_FN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)


def check(cond, text):
    if not cond:
        raise AssertionError(text)


def load():
    lib = ctypes.CDLL(str(LIBRARY))  # RTLD_LOCAL
    lib.aril_status_name.restype = ctypes.c_char_p
    for name in ("aril_runtime_free", "aril_identity_free", "aril_session_close",
                 "aril_kv_free"):
        getattr(lib, name).restype = None
        getattr(lib, name).argtypes = [ctypes.c_void_p]
    return lib


def must(lib, st):
    check(st == 0, lib.aril_status_name(st).decode())


def self_test(lib, rt):
    tests = []
    report = SELF_TEST_FN(lambda user, name, st: tests.append((name.decode(), st)))
    must(lib, lib.aril_runtime_self_test(rt, report, None))
    names = " ".join(name for name, _ in tests)
    for wanted in ("ML-KEM-768", "ML-KEM-1024", "ML-DSA-65", "ML-DSA-87"):
        check(wanted in names, f"no known-answer test of {wanted} among: {names}")
    check(all(st == 0 for _, st in tests), "a known-answer test failed")


def record(span_data, body, seal, block):
    span = Span(ctypes.addressof(span_data), len(span_data))
    item = Item(block=ctypes.pointer(block), spans=ctypes.pointer(span), span_count=1,
                body=ctypes.addressof(body), body_len=len(body),
                seal=ctypes.addressof(seal))
    return item


def round_trip(lib, rt, profile, alg):
    identity, tenant, server = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    must(lib, lib.aril_identity_generate(rt, alg, ctypes.byref(identity)))
    must(lib, lib.aril_session_pair(rt, profile, Bytes(b"acme", 4), identity,
                                    Bytes(b"k" * 32, 32), None, ctypes.byref(tenant),
                                    ctypes.byref(server)))
    config = Config(model=Bytes(b"model@1", 7),
                    layout=Layout(name=b"rows", dtype=b"f16", layers=2), source=1)
    views = [ctypes.c_void_p(), ctypes.c_void_p()]
    for view, session in zip(views, (tenant, server)):
        must(lib, lib.aril_kv_new(session, ctypes.byref(config), ctypes.byref(view)))
    plain = ctypes.create_string_buffer(bytes(range(256)) * 16, 4096)
    body, seal = ctypes.create_string_buffer(4096), ctypes.create_string_buffer(SEAL_BYTES)
    out = ctypes.create_string_buffer(4096)
    block = Block(layer_count=2, identity=1)
    sealing, opening = record(plain, body, seal, block), record(out, body, seal, block)
    must(lib, lib.aril_kv_seal(views[0], ctypes.byref(sealing)))
    check(body.raw != plain.raw, "the body is the plaintext")
    must(lib, lib.aril_kv_open(views[1], ctypes.byref(opening)))
    check(out.raw == plain.raw, "another plaintext")
    body[100] = bytes([body.raw[100] ^ 1])
    st = lib.aril_kv_open(views[1], ctypes.byref(opening))
    check(lib.aril_status_name(st) == b"ARIL_E_AUTH", "a changed record opened")
    for view in views:
        lib.aril_kv_free(view)
    for session in (tenant, server):
        lib.aril_session_close(session)
    lib.aril_identity_free(identity)


def use_aril(lib):
    rt = ctypes.c_void_p()
    must(lib, lib.aril_runtime_new(None, ctypes.byref(rt)))
    self_test(lib, rt)
    for profile, alg in PROFILES.items():
        round_trip(lib, rt, profile, alg)
    lib.aril_runtime_free(rt)


def use_system_openssl():
    import hashlib
    import ssl
    check(hashlib.new("sha256", b"abc").hexdigest().startswith("ba7816bf"), "sha256")
    ssl.create_default_context()
    ssl.MemoryBIO().write(b"x")
    ssl.RAND_bytes(16)
    return ssl.OPENSSL_VERSION


def loaded_libcrypto():
    maps = pathlib.Path("/proc/self/maps").read_text(encoding="ascii", errors="replace")
    return sorted(set(re.findall(r"\S*/libcrypto\S*", maps)))


def child(order):
    """One process, because what is loaded stays loaded."""
    if order == "ssl-first":
        version = use_system_openssl()
        check(loaded_libcrypto(), "no other libcrypto is loaded")
        use_aril(load())
    else:
        lib = load()
        check(not loaded_libcrypto(), "libaril.so brought a shared libcrypto along")
        use_aril(lib)
        version = use_system_openssl()
        check(loaded_libcrypto(), "no other libcrypto is loaded")
        use_aril(lib)
    use_system_openssl()  # which libaril did not disturb
    print(f"ok: {order}, beside {version} ({loaded_libcrypto()[0]})")


def no_openssl_symbols():
    names = subprocess.run(["nm", "-D", str(LIBRARY)], check=True, capture_output=True,
                           text=True).stdout.split()
    foreign = [n for n in names if re.match(r"(EVP|OPENSSL|OSSL|CRYPTO|ERR|BIO|RAND|AES|EC)_", n)]
    check(not foreign, f"libaril.so has dynamic symbols of OpenSSL: {foreign[:5]}")
    print("ok: no dynamic symbol of OpenSSL")


def main():
    if len(sys.argv) > 1:
        child(sys.argv[1])
        return 0
    if not LIBRARY.exists():
        print("this build has no libaril.so")
        return SKIPPED
    probe = subprocess.run([sys.executable, "-c", "import ssl, hashlib, re; hashlib.new('sha256');"
                            "print('libcrypto' in open('/proc/self/maps').read())"],
                           capture_output=True, text=True)
    if probe.stdout.strip() != "True":
        print("this python3 has no ssl, or its libcrypto is not a shared library")
        return SKIPPED
    passed, failed = 0, 0
    for order in ("ssl-first", "aril-first"):
        ran = subprocess.run([sys.executable, __file__, order], capture_output=True, text=True,
                             timeout=120)
        if ran.returncode == 0:
            passed += 1
            print(ran.stdout.strip())
        else:
            failed += 1
            print(f"FAILED: {order} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    try:
        no_openssl_symbols()
        passed += 1
    except AssertionError as error:
        failed += 1
        print(f"FAILED: {error}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
