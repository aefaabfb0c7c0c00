#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seals and opens entries of 2 KiB the usual way: AES-256-GCM of python3-cryptography, bytes
as hex, all of it in JSON. Prints two numbers, the median nanoseconds for each entry."""

import json
import os
import statistics
import sys
import time

try:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError as error:
    sys.exit(f"python_reference: {error}; install python3-cryptography")

ENTRY_BYTES = 2048
AAD_BYTES = 64
ENTRIES = 200
ROUNDS = 25


def seal(cipher, plain, aad):
    nonce = os.urandom(12)
    sealed = cipher.encrypt(nonce, plain, aad)
    return json.dumps({"nonce": nonce.hex(), "ciphertext": sealed.hex()})


def open_(cipher, text, aad):
    entry = json.loads(text)
    return cipher.decrypt(bytes.fromhex(entry["nonce"]), bytes.fromhex(entry["ciphertext"]), aad)


def main():
    cipher = AESGCM(os.urandom(32))
    aad = bytes(AAD_BYTES)
    plains = [os.urandom(ENTRY_BYTES) for _ in range(ENTRIES)]
    seal_ns = []
    open_ns = []
    for _ in range(ROUNDS):
        start = time.thread_time_ns()
        texts = [seal(cipher, plain, aad) for plain in plains]
        middle = time.thread_time_ns()
        opened = [open_(cipher, text, aad) for text in texts]
        end = time.thread_time_ns()
        if opened != plains:
            sys.exit("python_reference: the plaintext did not come back")
        seal_ns.append((middle - start) / ENTRIES)
        open_ns.append((end - middle) / ENTRIES)
    print(statistics.median(seal_ns), statistics.median(open_ns))


main()
