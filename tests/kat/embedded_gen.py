#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints embedded.h: a few cases of each published file, for checkouts without the files.

usage: tests/kat/embedded_gen.py FOLDER-OF-VECTORS | clang-format > tests/kat/embedded.h
"""
import hashlib
import json
import pathlib
import sys

ROOT = pathlib.Path(sys.argv[1])


def load(name):
    return json.loads((ROOT / name).read_text())


def digest(hexed):
    return hashlib.sha256(bytes.fromhex(hexed)).hexdigest()


def table(kind, name, origin, rows):
    print(f"/* {origin} */")
    print(f"static const struct {kind} {name}[] = {{")
    for row in rows:
        cells = ", ".join(str(c) if isinstance(c, int) else json.dumps(c.lower()) for c in row)
        print(f"    {{ {cells} }},")
    print("};\n")


def wycheproof(name, keep):
    return [t for g in load(name)["testGroups"] for t in g["tests"] if keep(g, t)]


gcm = wycheproof("aes-gcm/wycheproof_aes_gcm_test.json",
                 lambda g, t: g["keySize"] == 256 and g["ivSize"] == 96 and len(t["msg"]) <= 64)
gcm = [t for t in gcm if t["aad"]][:2] + [t for t in gcm if t["result"] == "invalid"][:1]
hkdf = wycheproof("hkdf/wycheproof_hkdf_sha256_groups_128_256.json",
                  lambda g, t: t["result"] == "valid" and t["size"] <= 64)
hkdf = [t for t in hkdf if not t["salt"]][:1] + [t for t in hkdf if t["salt"] and t["info"]][:2]
x25519 = wycheproof("x25519/wycheproof_x25519_even_tcid.json", lambda g, t: True)
zero = [t for t in x25519 if int(t["shared"], 16) == 0]
kem = {g["parameterSet"]: g["tests"]
       for g in load("ml-kem/acvp_ML-KEM-keyGen_768_1024.json")["testGroups"]}
kem_ct = wycheproof("ml-kem/wycheproof_mlkem_768_test.json",
                    lambda g, t: t["result"] == "valid")
dsa = {g["parameterSet"]: g["tests"]
       for g in load("ml-dsa/acvp_ML-DSA-keyGen_65_87.json")["testGroups"]}
signs = [(g["privateSeed"], t.get("ctx", ""), t["msg"], digest(t["sig"]))
         for g in load("ml-dsa/wycheproof_mldsa_65_sign_seed_test.json")["testGroups"]
         for t in g["tests"]
         if t["result"] == "valid" and "msg" in t and "rnd" not in t and len(t["msg"]) <= 200]
xwing = load("x-wing/draft_test-vectors.json")
hpke = [v for v in load("hpke/hpke-pq_test-vectors.json")
        if (v["kem_id"], v["kdf_id"], v["aead_id"]) == (0x42, 2, 2)]
hpke += load("hpke/generated_xwing_hkdfsha256_aes256gcm.json")[1:]

print("/* SPDX-License-Identifier: Apache-2.0 */")
print("/* Written by embedded_gen.py; do not edit. Included by embedded_test.c alone. */\n")
table("gcm_case", "gcm_cases", "C2SP/wycheproof aes_gcm_test, Apache-2.0",
      [(t["key"], t["iv"], t["aad"], t["msg"], t["ct"], t["tag"], int(t["result"] == "valid"))
       for t in gcm])
table("hkdf_case", "hkdf_cases", "C2SP/wycheproof hkdf_sha256_test, Apache-2.0",
      [(t["ikm"], t["salt"], t["info"], t["okm"]) for t in hkdf])
table("x25519_case", "x25519_cases", "C2SP/wycheproof x25519_test, Apache-2.0",
      [(t["private"], t["public"], t["shared"]) for t in x25519[:2] + zero[:1]])
table("keygen_case", "ml_kem_cases", "NIST ACVP ML-KEM-keyGen, public domain; SHA-256 of ek",
      [(int(name[7:]), t["d"] + t["z"], digest(t["ek"]))
       for name in kem for t in kem[name][:2]])
table("decaps_case", "decaps_cases", "C2SP/wycheproof mlkem_768_test, Apache-2.0",
      [(t["seed"], t["c"], t["K"]) for t in kem_ct[1:3]])
table("keygen_case", "ml_dsa_cases", "NIST ACVP ML-DSA-keyGen, public domain; SHA-256 of pk",
      [(int(name[7:]), t["seed"], digest(t["pk"])) for name in dsa for t in dsa[name][:2]])
table("sign_case", "sign_cases",
      "C2SP/wycheproof mldsa_65_sign_seed_test, Apache-2.0; SHA-256 of the signature",
      signs[:1] + [s for s in signs if s[1]][:1])
table("xwing_case", "xwing_cases", "draft-connolly-cfrg-xwing-kem, BSD-3-Clause; SHA-256 of ct",
      [(v["seed"], v["eseed"], digest(v["ct"]), v["ss"]) for v in xwing[1:3]])
table("hpke_case", "hpke_cases",
      "hpkewg/hpke-pq test-vectors, BSD-3-Clause; generated for this project, CC0-1.0",
      [(v["kem_id"], v["kdf_id"], v["skRm"], v.get("ikmE") or v["eseed"], v["info"],
        digest(v["enc"]), v["encryptions"][0]["aad"], v["encryptions"][0]["pt"],
        v["encryptions"][0]["ct"], v["exports"][-1]["exporter_context"],
        v["exports"][-1]["exported_value"]) for v in hpke])
