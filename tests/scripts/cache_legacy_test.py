#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the library seals in formats of others opens with python3-cryptography, and the other way
round; and the committed vectors are those that gen_cache_legacy.py makes."""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HELPER = pathlib.Path(os.environ.get("ARIL_BUILD_DIR", ROOT / "build/gcc")) / \
    "tests/tools/oracle_helper"
VECTORS = ROOT / "tests/data/vectors/cache-legacy.json"
SKIPPED = 77
sys.dont_write_bytecode = True
INTEROP, LMCACHE = 1, 5  # aril_cache_format

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    import gen_cache_legacy as gen
except ImportError as error:
    print(f"skipped: this python3 has no module cryptography ({error})")
    sys.exit(SKIPPED)

MASTERS = [bytes(range(1, 33)), b"a file of another length\n", b"\x00" * 4096]
SALTS = ["", "tenant-a", "caf\u00e9", "x" * 128]
VALUES = [b"", b"x", bytes(range(256)) * 16]


class Helper:
    def __init__(self):
        self.process = subprocess.Popen([HELPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, command, numbers, fields):
        words = [str(n) for n in numbers] + [f.hex() or "-" for f in fields]
        self.process.stdin.write(" ".join([command, *words]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if answer[:1] == ["ok"]:
            return b"" if answer[1:] == ["-"] else bytes.fromhex(answer[1])
        return " ".join(answer)

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


def lmcache_key(master, salt, bits):
    return HKDF(SHA256(), bits // 8, None, b"lmcache-l2-aesgcm-v1" + salt.encode()).derive(master)


def same(text, got, want, failures):
    if got != want:
        failures.append(f"{text}: {got!r}, not {want!r}")


def lmcache(helper, failures):
    count = 0
    for bits in (128, 256):
        for master in MASTERS:
            for salt in SALTS:
                for value in VALUES:
                    what = f"LMCache, {bits} bits, salt {salt!r}, {len(value)} bytes"
                    gcm = AESGCM(lmcache_key(master, salt, bits))
                    fields = [salt.encode(), b"name", master]
                    frame = helper.ask("legacy-seal", (LMCACHE, bits), [*fields, value])
                    same(what, frame[:1], b"\x01", failures)
                    try:
                        same(what, gcm.decrypt(frame[1:13], frame[13:], None), value, failures)
                    except InvalidTag:
                        failures.append(f"{what}: python cannot open it")
                    iv = os.urandom(12)
                    theirs = b"\x01" + iv + gcm.encrypt(iv, value, None)
                    same(what, helper.ask("legacy-open", (LMCACHE, bits), [*fields, theirs]), value,
                         failures)
                    same(what, helper.ask("legacy-open", (LMCACHE, bits),
                                          [*fields, theirs[:-1] + bytes([theirs[-1] ^ 1])]),
                         "error ARIL_E_AUTH", failures)
                    count += 3
    return count


def interop(helper, failures):
    count = 0
    for tenant in ("default", "acme", "caf\u00e9"):
        for value in (b"\xc0", gen.MAP, b"\xc5\x10\x00" + bytes(4096)):
            what = f"interop, tenant {tenant!r}, {len(value)} bytes"
            name, master = "users:get_user:" + "0f" * 32, bytes(range(7, 39))
            data = gen.aad(tenant, name, "msgpack", False)
            fields = [tenant.encode(), name.encode(), master]
            sealed = helper.ask("legacy-seal", (INTEROP, 0), [*fields, value])
            gcm = AESGCM(gen.derive(master, tenant))
            try:
                same(what, gcm.decrypt(sealed[:12], sealed[12:], data), value, failures)
            except InvalidTag:
                failures.append(f"{what}: python cannot open it")
            nonce = os.urandom(12)
            theirs = nonce + gcm.encrypt(nonce, value, data)
            same(what, helper.ask("legacy-open", (INTEROP, 0), [*fields, theirs]), value, failures)
            count += 2
    return count


def committed(failures):
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder) / "made.json"
        subprocess.run([sys.executable, gen.__file__, made], check=True)
        same("tests/data/vectors/cache-legacy.json", made.read_bytes() == VECTORS.read_bytes(),
             True, failures)
    corpora = gen.corpora()
    for (target, name), content in corpora.items():
        path = gen.CORPUS / target / name
        same(f"tests/fuzz/corpus/{target}/{name}", path.exists() and path.read_bytes() == content,
             True, failures)
    return 1 + len(corpora)


def main():
    if not HELPER.exists():
        print("skipped: this build has no oracle_helper")
        return SKIPPED
    failures = []
    helper = Helper()
    count = lmcache(helper, failures) + interop(helper, failures) + committed(failures)
    same("exit status of the helper", helper.close(), 0, failures)
    for failure in failures:
        print(f"FAILED: {failure}")
    print(f"{count - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
