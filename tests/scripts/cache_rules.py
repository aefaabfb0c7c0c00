# SPDX-License-Identifier: Apache-2.0
"""What docs/CACHE-FORMAT.md says, in Python, with nothing of aril's.

Offsets, labels, constants and types are read from the document's tables, so that document,
vectors and library cannot drift apart.
"""
import base64
import hmac
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from format_rules import ROOT, Refused, ensure, expand, hash_of, layout, table, u, vec16

TEXT = (ROOT / "docs/CACHE-FORMAT.md").read_text(encoding="utf-8")
LABEL = {row["Name"]: row["Label"].encode() for row in table("### 1.1", "Name", TEXT)}
CONST = {row["Constant"]: int(row["Value"]) for row in table("## 1.", "Constant", TEXT)}
TYPE = {row["Type"]: int(row["Number"]) for row in table("## 1.", "Type", TEXT)}
LISTED = {int(row["Number"]) for row in table("## 1.", "Type", TEXT) if row["Listed"] == "yes"}
HEADER, END = layout("### 2.1", TEXT), layout("### 5.1", TEXT)
ENTRY = [int(row["Bytes"]) for row in table("### 5.1", "Entry", TEXT)]
CHANGE = [row["Part"] for row in table("## 6.", "Part", TEXT)]
HEADER_BYTES, END_BYTES = sum(HEADER["end"]), sum(END["value length"])
SEGMENT, TAG = CONST["segment bytes"], CONST["tag bytes"]


def vec32(data):
    return u(len(data), 4) + data


def mac(profile, key, data):
    return hmac.new(key, data, hash_of(profile)).digest()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text, most):
    ensure(len(text) % 4 != 1 and len(text) * 6 // 8 <= most, "FORMAT_LENGTH")
    ensure(re.fullmatch("[A-Za-z0-9_-]*", text) is not None, "FORMAT_FIELD")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    ensure(b64(data) == text, "FORMAT_FIELD")
    return data


# --- XAES-256-GCM, C2SP

def xaes(key, nonce):
    ecb = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    double = int.from_bytes(ecb.update(bytes(16)), "big") << 1
    k1 = (double ^ (0x87 if double >> 128 else 0)) & (2 ** 128 - 1)
    blocks = (int.from_bytes(bytes([0, i]) + b"X\0" + nonce[:12], "big") ^ k1 for i in (1, 2))
    return AESGCM(b"".join(ecb.update(u(b, 16)) for b in blocks)), nonce[12:]


def xaes_open(key, nonce, sealed, aad):
    gcm, rest = xaes(key, nonce)
    try:
        return gcm.decrypt(rest, sealed, aad)
    except InvalidTag:
        raise Refused("ARIL_E_AUTH") from None


# --- Section 3 and 4

def context(profile, k):
    data = LABEL["context"] + vec16(k["tenant"]) + vec16(k["space"]) + u(k["database"], 4)
    data += u(k["type"], 1) + vec32(k["key"]) + vec32(k["field"])
    return hash_of(profile)(data).digest()[:CONST["context bytes"]]


def block_key(profile, b):
    data = LABEL["block"] + vec16(b["model"]) + b["layout"]
    data += b"".join(u(b[n], 4) for n in ("layer_first", "layer_count", "rank", "group"))
    return hash_of(profile)(data + u(len(b["chain"]), 1) + b["chain"]).digest()[:32]


def part(profile, key, label, text):
    return b64(mac(profile, key, LABEL[label] + vec32(text))[:CONST["part bytes"]])


def prefix(profile, key, space):
    return f"a1:{part(profile, key, 'tenant', b'')}:{part(profile, key, 'space', space)}:"


def hash_tag(key):
    found = re.search(rb"\{(.*?)\}", key, re.S)
    return found.group(1) if found else b""


def siv(profile, key, space, place):
    return AESSIV(expand(profile, key, LABEL["listing"], 64)), \
        [prefix(profile, key, space).encode() + place]


def name(profile, key, k, listable, hash_tags):
    tag = hash_tag(k["key"]) if hash_tags else b""
    if listable and k["type"] in LISTED:
        plain = vec16(k["key"]) + vec16(k["field"])
        plain += bytes(-len(plain) % CONST["listed step"])
        place = u(k["database"], 4) + u(k["type"], 1)
        cipher, aad = siv(profile, key, k["space"], place)
        own = "~" + b64(place + cipher.encrypt(plain, aad))
    else:
        own = b64(mac(profile, key, LABEL["name"] + context(profile, k))[:CONST["own part bytes"]])
    start = prefix(profile, key, k["space"])
    return start + ("{%s}%s" % (part(profile, key, "hash tag", tag), own) if tag else "{%s}" % own)


def open_name(profile, key, space, text):
    start = re.escape(prefix(profile, key, space))
    form = re.fullmatch(start + r"(?:\{~(.*)\}|\{([^~].{11})\}~(.*))", text, re.S)
    ensure(form is not None, "NOT_FOUND")
    longest = CONST["listed key max"] + 4 + CONST["listed step"]
    data = unb64(form.group(1) if form.group(2) is None else form.group(3), 21 + longest)
    ensure(len(data) > 21, "FORMAT_TRUNCATED")
    cipher, aad = siv(profile, key, space, data[:5])
    try:
        plain = cipher.decrypt(data[5:], aad)
    except InvalidTag:
        raise Refused("ARIL_E_AUTH") from None
    size = int.from_bytes(plain[:2], "big")
    own, rest = plain[2:2 + size], plain[2 + size:]
    field = rest[2:2 + int.from_bytes(rest[:2], "big")]
    tag = hash_tag(own)
    ensure(form.group(2) is None or
           (tag and form.group(2) == part(profile, key, "hash tag", tag)), "AUTH")
    return {"key": own, "field": field, "database": int.from_bytes(data[:4], "big"),
            "type": data[4]}


# --- Section 2 and 5

def field(data, name_of, where=None):
    at, size = (where or HEADER)[name_of]
    return data[at:at + size]


def number(data, name_of, where=None):
    return int.from_bytes(field(data, name_of, where), "big")


def stored_length(body):
    return HEADER_BYTES + body + TAG * max(1, -(-body // SEGMENT))


def parse(stored):
    """The steps of section 2.3 that need nothing but the bytes."""
    ensure(stored == b"" or stored[0] == CONST["level"], "FORMAT_VERSION")
    ensure(len(stored) >= HEADER_BYTES, "FORMAT_TRUNCATED")
    head = {n: number(stored, n) for n in HEADER}
    ensure(head["kind"] == CONST["kind random"] and head["use"] == CONST["use cached value"],
           "FORMAT_KIND")
    ensure(head["flags"] <= 1 and head["reserved"] == head["end"] == 0 and
           head["created"] <= head["not after"], "FORMAT_FIELD")
    ensure(head["body length"] <= CONST["body length max"], "FORMAT_LENGTH")
    want = stored_length(head["body length"])
    ensure(len(stored) >= want, "FORMAT_TRUNCATED")
    ensure(len(stored) == want, "FORMAT_LENGTH")
    return head


def open_segment(stored, key, ctx, index):
    at = HEADER_BYTES + index * (SEGMENT + TAG)
    return xaes_open(key, field(stored, "nonce") + u(index, 4), stored[at:at + SEGMENT + TAG],
                     stored[:HEADER_BYTES] + ctx)


def parse_trailer(last, body):
    """Value length and [(tag id, stamp)]."""
    ensure(len(last) >= END_BYTES, "FORMAT_TRUNCATED")
    end, entry = last[-END_BYTES:], sum(ENTRY)
    count, size = number(end, "count", END), number(end, "value length", END)
    ensure(count <= CONST["tags max"] and number(end, "zero", END) == 0, "FORMAT_FIELD")
    all_of_it = count * entry + END_BYTES
    ensure(len(last) >= all_of_it, "FORMAT_TRUNCATED")
    ensure(all_of_it <= body and size <= body - all_of_it, "FORMAT_LENGTH")
    rows = [last[len(last) - all_of_it + i * entry:][:entry] for i in range(count)]
    return size, [(row[:ENTRY[0]], row[ENTRY[0]:]) for row in rows]


def read(stored, ctx, reader):
    """Value and tags. reader has keys (id to key), now, floor."""
    head = parse(stored)
    ensure(head["generation"] >= reader["floor"], "REPLAY_SUPERSEDED")
    ensure(reader["now"] < head["not after"], "EXPIRED_VALUE")
    key = reader["keys"].get(field(stored, "key id"))
    ensure(key is not None, "KEY_UNKNOWN")
    body, tags = head["body length"], []
    segments = max(1, -(-body // SEGMENT))
    size = body
    if head["flags"] & 1:
        size, tags = parse_trailer(open_segment(stored, key, ctx, segments - 1), body)
    plain = b"".join(open_segment(stored, key, ctx, i) for i in range(segments))
    return plain[:size], tags


def seal(key, key_id, nonce, ctx, times, body, flags):
    """times: created, not after, generation."""
    head = bytearray(HEADER_BYTES)
    values = {"level": CONST["level"], "kind": CONST["kind random"], "flags": flags,
              "use": CONST["use cached value"], "created": times[0], "not after": times[1],
              "generation": times[2], "body length": len(body),
              "key id": int.from_bytes(key_id, "big"), "nonce": int.from_bytes(nonce, "big")}
    for name_of, value in values.items():
        at, size = HEADER[name_of]
        head[at:at + size] = u(value, size)
    out = bytes(head)
    for i in range(max(1, -(-len(body) // SEGMENT))):
        gcm, rest = xaes(key, nonce + u(i, 4))
        out += gcm.encrypt(rest, body[i * SEGMENT:(i + 1) * SEGMENT], bytes(head) + ctx)
    return out


def padme(n):
    if n < 2:
        return n
    e = n.bit_length() - 1
    s = e.bit_length()
    return n if e <= s else -(-n // 2 ** (e - s)) * 2 ** (e - s)


def body_of(value, padding, tags):
    """The body and flag bit 0, section 5.2."""
    if padding == "none" and not tags:
        return value, 0
    trailer = b"".join(tag + stamp for tag, stamp in tags)
    trailer += u(len(tags), 2) + u(0, 2) + u(len(value), 8)
    n = len(value) + len(trailer)
    if padding == "padme":
        n = padme(n)
    elif padding != "none":
        n = -(-n // int(padding)) * int(padding)
    last = n - (max(1, -(-n // SEGMENT)) - 1) * SEGMENT
    n += max(0, len(trailer) - last)
    return value + bytes(n - len(value) - len(trailer)) + trailer, 1


# --- Section 6 and 8

def parse_change(data):
    rest = [data]

    def take(size):
        ensure(len(rest[0]) >= size, "FORMAT_TRUNCATED")
        got, rest[0] = rest[0][:size], rest[0][size:]
        return got

    def integer(size):
        return int.from_bytes(take(size), "big")

    c = {"sender": take(16), "all": integer(1), "space": take(integer(2))}
    if c["all"] == 0:
        c.update(database=integer(4), type=integer(1))
        c.update(key=take(integer(4)), field=take(integer(4)))
    ensure(rest[0] == b"", "FORMAT_LENGTH")
    ensure(c["all"] <= 1, "FORMAT_FIELD")
    return c


def open_box(key, tenant, box):
    """docs/KEYRING-FORMAT.md section 12."""
    aad = box[:64] + b"aril box v1" + vec16(tenant) + vec16(LABEL["message"])
    return xaes_open(key, box[40:64], box[64:], aad)


def floor_name(profile, tenant, space):
    digest = hash_of(profile)(LABEL["floor"] + vec16(tenant) + space).digest()[:32]
    return "cache generation:" + digest.hex()


def salt(profile, key, domain):
    return b64(mac(profile, key, LABEL["salt"] + domain)[:CONST["salt bytes"]])


# --- Section 11

def inner(profile, key, place, what, empty):
    cipher = AESSIV(expand(profile, key, LABEL["listing"], 64))
    return cipher, [LABEL["proxy " + what] + u(empty, 1) + place]


def seal_inner(profile, key, place, what, text):
    cipher, aad = inner(profile, key, place, what, text == b"")
    sealed = cipher.encrypt(text, aad) if text else cipher.encrypt(b"\0", aad)[:16]
    return b"~" + b64(sealed).encode() if what == "field" else sealed


def open_inner(profile, key, place, what, sealed):
    if what == "field":
        ensure(sealed[:1] == b"~", "FORMAT_KIND")
        sealed = unb64(sealed[1:].decode("latin-1"), len(sealed))
    ensure(len(sealed) >= 16, "FORMAT_TRUNCATED")
    ensure(len(sealed) <= 16 + (1 << 20), "FORMAT_LENGTH")
    if len(sealed) == 16:
        cipher, aad = inner(profile, key, place, what, True)
        ensure(cipher.encrypt(b"\0", aad)[:16] == sealed, "AUTH")
        return b""
    cipher, aad = inner(profile, key, place, what, False)
    try:
        return cipher.decrypt(sealed, aad)
    except InvalidTag:
        raise Refused("ARIL_E_AUTH") from None


def key_id(profile, key):
    return expand(profile, key, b"aril key id v1", 32)


def counter(size):
    return b"".join(u(i, 4) for i in range(-(-size // 4)))[:size]
