# SPDX-License-Identifier: Apache-2.0
"""What docs/FORMAT.md says, in Python, with nothing of aril's.

Offsets, labels, constants and profiles are read from the document's tables, so that
document, vectors and library cannot drift apart.
"""
import hashlib
import hmac
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/FORMAT.md").read_text(encoding="utf-8")


def table(heading, first_cell, text=TEXT):
    """Rows of the table under a heading whose header begins with first_cell."""
    part = text.split(f"\n{heading}")[1]
    lines = part[part.index(f"| {first_cell} |"):].split("\n\n")[0].splitlines()
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(rows[0], row)) for row in rows[2:]]


def layout(heading, text=TEXT):
    return {row["Field"]: (int(row["Offset"]), int(row["Bytes"]))
            for row in table(heading, "Offset", text)}


LABEL = {row["Name"]: row["Label"].encode() for row in table("### 4.1", "Name")}
CONST = {row["Constant"]: int(row["Value"]) for row in table("## 1.", "Constant")}
PROFILES = {row["Profile"]: row for row in table("## 1.", "Profile")}
SEAL, CONTEXT = layout("## 2."), layout("## 3.")


class Refused(Exception):
    """Its text is the name of a status."""


def ensure(condition, status):
    if not condition:
        raise Refused("ARIL_E_" + status)


def vectors(name):
    return json.loads((ROOT / "tests/data/vectors" / name).read_text(encoding="utf-8"))


def u(value, size):
    return value.to_bytes(size, "big")


def vec16(data):
    return u(len(data), 2) + data


def hash_of(profile):
    return {"SHA-256": hashlib.sha256, "SHA-384": hashlib.sha384}[PROFILES[profile]["H"]]


def hash_bytes(profile):
    return int(PROFILES[profile]["Nh"])


def mac(profile, key, message):
    return hmac.new(key, message, hash_of(profile)).digest()


def expand(profile, prk, info, length):
    out = block = b""
    count = 0
    while len(out) < length:
        count += 1
        block = mac(profile, prk, block + info + u(count, 1))
        out += block
    return out[:length]


def ratchet(profile, secret, direction, epoch):
    size = hash_bytes(profile)
    r = expand(profile, secret, LABEL["ratchet"] + u(direction, 1) + u(0, 4), size)
    for e in range(epoch):
        r = expand(profile, r, LABEL["ratchet next"] + u(direction, 1) + u(e, 4), size)
    return r


def epoch_keys(profile, secret, direction, epoch):
    """Key, nonce prefix and key id."""
    r = ratchet(profile, secret, direction, epoch)
    keys = expand(profile, r, LABEL["record key"] + u(direction, 1) + u(epoch, 4), 36)
    return keys[:32], keys[32:], expand(profile, keys[:32], LABEL["key id"], 32)


def tenant_tag(tag_key, tenant_id):
    return hmac.new(tag_key, LABEL["tenant tag"] + tenant_id.encode(), hashlib.sha384).digest()[:8]


def scope_digest(view):
    """Of anything with profile, tenant_id, model and layout."""
    l = view["layout"]
    texts = [view["tenant_id"], view["model"], l["name"], l["dtype"]]
    numbers = ["block_tokens", "layers", "kv_heads", "key_dim", "value_dim", "world_size"]
    data = LABEL["kv scope"] + b"".join(vec16(text.encode()) for text in texts)
    data += b"".join(u(l[name], 4) for name in numbers)
    return hash_of(view["profile"])(data).digest()[:32]


def kv_context(view, block):
    chain = block["identity"] == "chain"
    place = ("slot", "position", "count")
    name = block["chain"] if chain else "".join(block[k] for k in place) + "0" * 16
    parts = {"scope digest": scope_digest(view), "identity": u(1 if chain else 2, 1),
             "name": bytes.fromhex(name)}
    for field in ("layer first", "layer count", "rank", "group"):
        parts[field] = u(block[field.replace(" ", "_")], 4)
    out = bytearray(sum(CONTEXT["name"]))
    for field, value in parts.items():
        at, size = CONTEXT[field]
        assert len(value) == size, field
        out[at:at + size] = value
    return bytes(out)
