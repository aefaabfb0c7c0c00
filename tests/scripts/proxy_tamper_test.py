#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server that changes, moves, cuts, replaces and brings back what it holds, behind a real arild:
what clients hear under each on_tamper, what is left on the server, what is counted and audited."""

import json
import os
import pathlib
import re
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import proxy_world  # noqa: E402
from proxy_world import READY_S, Score, Wire, World  # noqa: E402

ACME, ZETA = "acme-orchard", "zeta-orchard"
SECRET = b"pomegranate-plaintext-of-a-value"
PLANTED = b"planted by the server"
KEY_ID = range(40, 72)  # of a stored value: another id there is a key that is gone, not a bad value
POLICIES = ("nil", "error", "quarantine")
WRONG = "is not what was put there"
score = Score()


class Bench:
    """A world whose server the test is, and who looks at it."""

    def __init__(self, world, admin):
        self.world, self.admin = world, admin
        self.acme = world.wire()
        self.zeta = Wire(("127.0.0.1", world.port))
        score.equal("zeta logs in", self.zeta.ask("AUTH", ZETA, world.token(ZETA)), b"OK")
        self.other = Wire(("127.0.0.1", world.port))
        score.equal("acme logs in", self.other.ask("AUTH", ACME, world.token(ACME)), b"OK")
        self.raw = world.direct()
        self.number = 0

    def key(self, policy):
        self.number += 1
        return f"{policy}:pear-{self.number}"

    def raw_at(self, database):
        self.raw.ask("SELECT", database)
        return self.raw

    def put(self, wire, *args, database=0):
        """A write of a new key: its name in the store."""
        raw = self.raw_at(database)
        before = set(raw.ask("KEYS", "*"))
        got = wire.ask(*args)
        if isinstance(got, Exception):
            raise RuntimeError(f"{args[:2]}: {got}")
        new = set(raw.ask("KEYS", "*")) - before
        score.equal(f"{args[0]} makes one name", len(new), 1)
        return new.pop()

    def figures(self):
        """Figures of the first tenant and of none, by name."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=READY_S) as answer:
            text = answer.read().decode()
        found = {}
        for name, labels, value in re.findall(r"^aril_proxy_(\w+)(\{[^}]*\})? ([0-9.e+]+)$", text,
                                              re.M):
            if not labels or f'tenant="{ACME}"' in labels:
                found[name] = float(value)
        return found

    def audit(self):
        path = self.world.front_folder / "audit"
        return [json.loads(line) for line in path.read_text().splitlines()]


def flip(at):
    def change(raw):
        return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1:] if at >= 0 else flip(len(raw) + at)(
            raw)
    return change


def string_changes(bench, policy):
    """Name and stored bytes of a key, and what the server makes of them; by a description."""
    b, key = bench, bench.key(policy)
    name = b.put(b.acme, "SET", key, SECRET)
    value = b.raw.ask("GET", name)
    other = b.raw.ask("GET", b.put(b.acme, "SET", b.key(policy), SECRET))
    foreign = b.raw.ask("GET", b.put(b.zeta, "SET", key, SECRET))
    b.acme.ask("SELECT", 1)
    elsewhere = b.raw_at(1).ask("GET", b.put(b.acme, "SET", key, SECRET, database=1))
    b.acme.ask("SELECT", 0)
    of_field = b.put(b.acme, "HSET", b.key(policy), "field", SECRET)
    field = b.raw_at(0).ask("HVALS", of_field)[0]
    made = {f"bit {at} flipped": flip(at)(value)
            for at in (0, 4, 8, 16, 30, 39, 72, 90, 95, 96, len(value) // 2, -1)}
    made.update({f"cut to {n}": value[:n] for n in (0, 1, 40, 95, 96, len(value) - 1)})
    made.update({"a byte too many": value + b"\0", "twice": value + value,
                 "another key's": other, "another tenant's": foreign,
                 "another database's": elsewhere, "a field's": field,
                 "plaintext": PLANTED, "much plaintext": PLANTED * 100})
    return key, name, value, made


def check_after_nil(b, text, key, name):
    score.equal(f"{text}: it is not there", b.acme.ask("EXISTS", key), 0)
    score.equal(f"{text}: nor behind", b.raw.ask("EXISTS", name), 0)
    score.equal(f"{text}: SET NX", b.acme.ask("SET", key, SECRET, "NX"), b"OK")
    score.equal(f"{text}: the new one", b.acme.ask("GET", key), SECRET)


def check_string(b, policy, text, key, name, bad):
    text = f"{policy}, {text}"
    b.raw.ask("SET", name, bad)
    aside_before = set(b.raw.ask("KEYS", "aq1:*"))
    before = b.figures()
    got = b.acme.ask("GET", key)
    exists = b.other.ask("EXISTS", key)  # at once, over another connection
    after = b.figures()
    score.equal(f"{text}: counted", after["tampered_total"] - before["tampered_total"], 1)
    score.equal(f"{text}: EXISTS elsewhere", exists, 1 if policy == "error" else 0)
    removed = after["removed_total"] - before["removed_total"]
    moved = after["quarantined_total"] - before["quarantined_total"]
    score.equal(f"{text}: removed, moved", (removed, moved),
                {"nil": (1, 0), "error": (0, 0), "quarantine": (0, 1)}[policy])
    if policy == "error":
        score.check(f"{text}: an error", isinstance(got, Exception) and WRONG in str(got),
                    repr(got))
        score.equal(f"{text}: it is left", b.raw.ask("GET", name), bad)
        score.equal(f"{text}: EXISTS", b.acme.ask("EXISTS", key), 1)
        score.equal(f"{text}: SET NX", b.acme.ask("SET", key, SECRET, "NX"), None)
        return
    score.equal(f"{text}: nil", got, None)
    aside = set(b.raw.ask("KEYS", "aq1:*")) - aside_before
    if policy == "quarantine":
        score.equal(f"{text}: one is aside", len(aside), 1)
        for found in aside:
            score.check(f"{text}: under its name", found.startswith(b"aq1:" + name), found)
            score.equal(f"{text}: as it was found", b.raw.ask("GET", found), bad)
    else:
        score.equal(f"{text}: none is aside", aside, set())
    check_after_nil(b, text, key, name)


def check_strings(b):
    for policy in POLICIES:
        key, name, value, made = string_changes(b, policy)
        score.equal(f"{policy}: the value itself", b.acme.ask("GET", key), SECRET)
        for text, bad in made.items():
            check_string(b, policy, text, key, name, bad)
        b.raw.ask("SET", name, value)
        score.equal(f"{policy}: the value itself again", b.acme.ask("GET", key), SECRET)


def check_gone_key(b):
    """The id of a key that nobody has: a miss, as after a retirement, and nothing is removed: a
    node of a fleet may only not have the key yet."""
    key = b.key("nil")
    name = b.put(b.acme, "SET", key, SECRET)
    value = b.raw.ask("GET", name)
    gone = 0
    for at in KEY_ID:
        b.raw.ask("SET", name, flip(at)(value))
        before = b.figures()
        score.equal(f"byte {at}: nil", b.acme.ask("GET", key), None)
        after = b.figures()
        gone += after["key_gone_total"] - before["key_gone_total"]
        if after["key_gone_total"] > before["key_gone_total"]:
            score.equal(f"byte {at}: it stays", b.raw.ask("GET", name), flip(at)(value))
        else:
            score.equal(f"byte {at}: else it is tampering",
                        after["tampered_total"] - before["tampered_total"], 1)
    score.equal("32 bytes name the key", gone, 32)


def check_commands(b):
    """Every way to read a string finds the same."""
    for policy in POLICIES:
        key, good = b.key(policy), b.key(policy)
        name = b.put(b.acme, "SET", key, SECRET)
        b.put(b.acme, "SET", good, SECRET)
        bad = flip(-1)(b.raw.ask("GET", name))
        for command, lone in ((("MGET", good, key, good), False), (("GETDEL", key), True),
                              (("GETEX", key, "EX", 100), True), (("GETSET", key, "new"), True),
                              (("SET", key, "new", "GET"), True)):
            b.raw.ask("SET", name, bad)
            got = b.acme.ask(*command)
            got = got if lone else got[1] if isinstance(got, list) else got
            text = f"{policy}: {command[0]}"
            if policy == "error":
                score.check(f"{text}: an error", isinstance(got, Exception), repr(got))
            else:
                score.equal(f"{text}: nil", got, None)
        b.raw.ask("SET", name, bad)
        b.acme.ask("MULTI")
        b.acme.ask("GET", key)
        b.acme.ask("GET", good)
        got = b.acme.ask("EXEC")
        score.check(f"{policy}: EXEC", isinstance(got, list) and len(got) == 2, repr(got))
        score.equal(f"{policy}: what is good in it", got[1], SECRET)
        score.check(f"{policy}: what is bad in it",
                    isinstance(got[0], Exception) if policy == "error" else got[0] is None,
                    repr(got[0]))


def check_hashes(b):
    for policy in POLICIES:
        key, other = b.key(policy), b.key(policy)
        name = b.put(b.acme, "HSET", key, "one", SECRET + b"1", "two", SECRET + b"2")
        name2 = b.put(b.acme, "HSET", other, "one", SECRET + b"3")
        stored = b.raw.ask("HGETALL", name)
        pairs = dict(zip(stored[::2], stored[1::2]))
        ones = {f: v for f, v in pairs.items()}
        fields = {}
        for field in ones:  # which is which
            b.raw.ask("HDEL", name, field)
            gone = [k for k in ("one", "two") if b.acme.ask("HEXISTS", key, k) == 0]
            score.equal(f"{policy}: a field is one field", len(gone), 1)
            fields[gone[0]] = field
            b.raw.ask("HSET", name, field, ones[field])
        one, two = fields["one"], fields["two"]
        changes = {"swapped in one hash": ones[two], "of another hash":
                   b.raw.ask("HVALS", name2)[0], "flipped": flip(-1)(ones[one]),
                   "cut": ones[one][:-1], "plaintext": PLANTED}
        for text, bad in changes.items():
            text = f"{policy}: a field, {text}"
            b.raw.ask("HSET", name, one, bad)
            before = b.figures()
            got = b.acme.ask("HGET", key, "one")
            after = b.figures()
            score.equal(f"{text}: counted", after["tampered_total"] - before["tampered_total"], 1)
            score.equal(f"{text}: the other one", b.acme.ask("HGET", key, "two"), SECRET + b"2")
            if policy == "error":
                score.check(f"{text}: an error", isinstance(got, Exception), repr(got))
                continue
            score.equal(f"{text}: nil", got, None)
            score.equal(f"{text}: removed", after["removed_total"] - before["removed_total"], 1)
            score.equal(f"{text}: HEXISTS", b.acme.ask("HEXISTS", key, "one"), 0)
            score.equal(f"{text}: HSETNX", b.acme.ask("HSETNX", key, "one", SECRET), 1)
            score.equal(f"{text}: the new one", b.acme.ask("HGET", key, "one"), SECRET)
        b.raw.ask("HSET", name, one, ones[one])
        b.raw.ask("HSET", name, "planted", ones[one], "~" + "A" * 40, ones[one])
        got = b.acme.ask("HGETALL", key)
        score.check(f"{policy}: planted fields are not handed out",
                    not isinstance(got, list) or len(got) == 4, repr(got))


def check_sets(b):
    key, other = b.key("nil"), b.key("nil")
    name = b.put(b.acme, "SADD", key, "member-a", "member-b")
    name2 = b.put(b.acme, "SADD", other, "member-c")
    b.raw.ask("SADD", name, PLANTED, b"", b.raw.ask("SMEMBERS", name2)[0])
    before = b.figures()
    score.equal("members of others are not handed out", sorted(b.acme.ask("SMEMBERS", key)),
                [b"member-a", b"member-b"])
    score.check("and counted", b.figures()["tampered_total"] > before["tampered_total"])


def check_wrong_types(b):
    """A name that has a value of another kind: as Redis has it, or nil, and nobody is stuck."""
    key = b.key("nil")
    name = b.put(b.acme, "SET", key, SECRET)
    b.raw.ask("DEL", name)
    b.raw.ask("RPUSH", name, PLANTED)
    got = b.acme.ask("GET", key)
    score.check("a list in place of a value", isinstance(got, Exception) and
                str(got).startswith("WRONGTYPE"), repr(got))
    score.equal("the client is served on", b.acme.ask("SET", b.key("nil"), SECRET), b"OK")


def check_replay(b):
    """A value that was kept and is given out again after its end."""
    key, ms = b.key("nil"), 200
    while True:  # a machine that is slow gets more time
        b.acme.ask("SET", key, SECRET, "PX", ms)
        names = [n for n in b.raw.ask("KEYS", "*") if b.raw.ask("PTTL", n) not in (-1, -2)]
        kept = {n: b.raw.ask("GET", n) for n in names}
        if len(names) == 1 and None not in kept.values():
            break
        ms *= 2
    (name, value), = kept.items()
    b.raw.ask("SET", name, value)
    deadline = time.monotonic() + READY_S
    before = b.figures()
    while b.acme.ask("GET", key) is not None and time.monotonic() < deadline:
        pass
    score.equal("after its end it is nil", b.acme.ask("GET", key), None)
    after = b.figures()
    score.check("counted", after["expired_total"] > before["expired_total"])
    score.equal("and no tampering", after["tampered_total"], before["tampered_total"])
    while time.monotonic() < deadline:  # a server's clock may be 2 s behind
        replays = [e for e in b.audit() if e["kind"] == "replay"]
        if replays:
            break
        b.acme.ask("GET", key)
    score.equal("it is audited with its name", replays[0]["subject"].encode(), name)
    score.equal("and why", replays[0]["status"], "ARIL_E_EXPIRED")


def wait_until_told(b):
    """Until nothing is owed to the audit log: within about a second of the last event."""
    deadline = time.monotonic() + READY_S
    while True:
        figures = b.figures()
        events = b.audit()
        told = sum(e.get("suppressed", 0) for e in events)
        if told == figures["audit_suppressed_total"] or time.monotonic() > deadline:
            return events, figures


def check_audit(b):
    events, figures = wait_until_told(b)
    told = sum(e.get("suppressed", 0) for e in events)
    score.equal("what was left out is in it as a number", told, figures["audit_suppressed_total"])
    score.equal("nothing was lost", figures["audit_lost_total"], 0)
    # A sum stands for itself and no event of its own.
    sums = sum(1 for e in events if "suppressed" in e and "subject" not in e)
    bad = [e for e in events if e.get("action") in ("value", "field", "name") and
           e["kind"] in ("auth-failure", "isolation-violation")]
    own = sum("subject" in e for e in bad) + sum(e.get("suppressed", 0) for e in bad)
    tampered = {ACME: figures["tampered_total"]}
    score.equal("each tampered value is an event", own, tampered[ACME])
    score.check("there are sums", sums > 0)
    for action, figure in (("removed", "removed_total"), ("moved-aside", "quarantined_total")):
        of = [e for e in events if e.get("action") == action]
        score.equal(f"each one that was {action}", sum("subject" in e for e in of) +
                    sum(e.get("suppressed", 0) for e in of), figures[figure])
    violations = [e for e in events if e["kind"] == "isolation-violation" and "subject" in e]
    score.check("values of others are violations", len(violations) >= 1)
    score.equal("of whom", {e["tenant"] for e in violations}, {ACME})
    score.check("names are those of the store", all(
        re.match(r"(a1:|aq1:a1:)", e["subject"]) for e in bad if "subject" in e))
    logins = {(e["tenant"], e["status"]) for e in events if e.get("action") == "login"}
    score.equal("logins", logins, {(ACME, "ARIL_OK"), (ZETA, "ARIL_OK"), ("", "ARIL_E_AUTH")})
    score.equal("the start", [e["action"] for e in events if e["kind"] == "service"][0], "start")
    path = b.world.front_folder / "audit"
    text = path.read_bytes()
    for secret in (SECRET, PLANTED, b"pear-", b"member-a", b.world.token(ACME).encode()):
        score.check(f"no {secret[:20]} in it", secret not in text)
        score.check(f"nor in the log: {secret[:20]}",
                    secret not in (b.world.front_folder / "log").read_bytes())
    score.equal("mode of the file", path.stat().st_mode & 0o777, 0o600)


def check_rotation(b):
    """logrotate: the file is moved away, and SIGHUP opens it again."""
    path = b.world.front_folder / "audit"
    os.rename(path, str(path) + ".1")
    b.world.reload()
    kinds = [(e["kind"], e.get("action")) for e in b.audit()]
    score.check("the new file", all(k != ("service", "start") for k in kinds))
    wire = b.world.wire()
    score.equal("a client after it", wire.ask("PING"), b"PONG")
    score.equal("one from before", b.acme.ask("PING"), b"PONG")
    wire.close()


def check_wrong_password(b):
    wire = Wire(("127.0.0.1", b.world.port))
    got = wire.ask("AUTH", ACME, "no such token")
    score.check("a wrong password", str(got).startswith("WRONGPASS"), repr(got))
    wire.close()


def main():
    proxy_world.demand()
    if proxy_world.PLAIN:
        proxy_world.skip_all("a plain server has nothing to tamper with")
    admin = f"127.0.0.1:{proxy_world.free_port()}"
    conf = f"[admin]\naddress = {admin}\n" + "".join(
        f"[policy {p}:*]\non_tamper = {p}\n" for p in POLICIES)
    with World(top="audit_log = audit", conf=conf) as world:
        b = Bench(world, admin)
        check_wrong_password(b)
        for check in (check_strings, check_gone_key, check_commands, check_hashes, check_sets,
                      check_wrong_types, check_replay, check_audit):
            print(f"-- {check.__name__}")
            check(b)
        world.check_hidden(score, [SECRET, b"pear-", b"member-a", ACME, ZETA])
        check_rotation(b)
    score.end()


main()
