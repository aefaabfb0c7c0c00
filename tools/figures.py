#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the figures of README.md from the results of "make bench".

    tools/figures.py MACHINE [build/bench.json]

MACHINE is a sentence for people: processor, number of cores, system, date.
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
MARKED = re.compile(r"(<!-- figures: begin.*?-->\n).*?(<!-- figures: end -->)", re.S)

SPEED = "{:.1f} GB/s, {:.0f} ns"
# Row, keys, and how they are written.
ROWS = [
    ("seal, 64 KiB blocks", ["kv.seal.64KiB.gbps", "kv.seal.64KiB.ns"], SPEED),
    ("open, 64 KiB blocks", ["kv.open.64KiB.gbps", "kv.open.64KiB.ns"], SPEED),
    ("seal, 2 KiB blocks", ["kv.seal.2KiB.gbps", "kv.seal.2KiB.ns"], SPEED),
    ("open, 2 KiB blocks", ["kv.open.2KiB.gbps", "kv.open.2KiB.ns"], SPEED),
    ("share of the speed of bare AES-256-GCM of the same OpenSSL, 64 KiB and 2 KiB",
     ["kv.seal.64KiB.ratio_raw", "kv.seal.2KiB.ratio_raw"], "{:.0%}, {:.0%}"),
    ("times as fast as AES-256-GCM, hex and JSON in Python, 2 KiB", ["kv.seal.2KiB.ratio_python"],
     "{:.0f}"),
    ("establish a session, `hybrid`, both ends", ["session.establish.hybrid.p50_us"], "{:.0f} us"),
    ("rotate", ["session.rotate.ns"], "{:.0f} ns"),
    ("allocations for each record", ["kv.path.allocations"], "{:.0f}"),
    ("get a tenant's data key that is in memory", ["keyring.tenant_key.cached.ns"], "{:.0f} ns"),
    ("open a keyring of 10,000 keys, every MAC checked", ["keyring.open.10000.ms"], "{:.0f} ms"),
    ("rotate a tenant with 10,000 keys, share of the speed of its HPKE calls alone",
     ["keyring.rewrap.10000.ratio_raw"], "{:.0%}"),
    ("get 1 KiB from the memory of a cache, verified and decrypted", ["cache.l1.get.1KiB.ns"],
     "{:.0f} ns"),
    ("get 64 KiB and 4 MiB through a cache from a Redis of this host, share of the speed of the "
     "same without sealing",
     ["cache.l2.redis.get.64KiB.ratio_plain", "cache.l2.redis.get.4MiB.ratio_plain"],
     "{:.0%}, {:.0%}"),
    ("the same with both on one core",
     ["cache.l2.redis_one_cpu.get.64KiB.ratio_plain",
      "cache.l2.redis_one_cpu.get.4MiB.ratio_plain"], "{:.0%}, {:.0%}"),
    ("put 4 MiB blocks into files, asynchronously, share of the speed of the same without sealing",
     ["cache.async.put.4MiB.ratio_raw_io"], "{:.0%}"),
    ("set and get 64 KiB, get 4 MiB, 16 gets of 1 KiB at once through `arild`, one client, share "
     "of the speed of the same `arild` without sealing",
     ["proxy.set.64KiB.ratio_plainproxy", "proxy.get.64KiB.ratio_plainproxy",
      "proxy.get.4MiB.ratio_plainproxy", "proxy.get.1KiB.pipeline16.ratio_plainproxy"],
     "{:.0%}, {:.0%}, {:.0%}, {:.0%}"),
    ("the same with client, server and `arild` on one core",
     ["proxy_one_cpu.set.64KiB.ratio_plainproxy", "proxy_one_cpu.get.64KiB.ratio_plainproxy",
      "proxy_one_cpu.get.4MiB.ratio_plainproxy",
      "proxy_one_cpu.get.1KiB.pipeline16.ratio_plainproxy"], "{:.0%}, {:.0%}, {:.0%}, {:.0%}"),
    ("memory of `arild` with 10,000 idle connections", ["proxy.conn.10000.rss_mib"],
     "{:.0f} MiB"),
    ("memory with 10,000 tenants", ["tenants.10000.rss_mib"], "{:.0f} MiB"),
]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    results = pathlib.Path(sys.argv[2] if len(sys.argv) == 3 else ROOT / "build/bench.json")
    figures = json.loads(results.read_text(encoding="utf-8"))
    lines = ["| One core, records from and to memory, medians | Figure |", "|---|---|"]
    for row, keys, form in ROWS:
        if all(key in figures for key in keys):
            lines.append(f"| {row} | {form.format(*(figures[key] for key in keys))} |")
        else:
            print(f"not measured: {row}")
    lines.append(f"""
Machine: {sys.argv[1]}.
`make bench` repeats them and writes `build/bench.json`; `tools/figures.py` writes this
table; `aril bench` is a short form.
""")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    assert len(MARKED.findall(text)) == 1, "README.md has one marked place"
    table = "\n".join(lines)
    readme.write_text(MARKED.sub(lambda m: m.group(1) + table + m.group(2), text),
                      encoding="utf-8")


if __name__ == "__main__":
    main()
