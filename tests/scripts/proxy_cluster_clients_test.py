#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that speak to a Cluster, through two arild before a Cluster of three nodes."""

import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import proxy_world  # noqa: E402
from proxy_world import Process, Score, Wire, World, free_port  # noqa: E402

TENANT = "acme-orchard"
HIDDEN = ("pomegranate-plaintext", "cl:io:299", "cl:gl:299", "cl:py:49", "cl:cli", TENANT)
LIMIT_S = 300
SLOTS = ((0, 5460), (5461, 10922), (10923, 16383))
score = Score()


class Nodes(World):
    """A Cluster of three nodes behind, of which World has the first, and two arild."""

    def __init__(self):
        super().__init__(tenants=(TENANT,), cluster=True)
        self.more = []
        self.second = None
        self.second_port = free_port()

    def own_slots(self, address):
        ports = [self.behind_port]
        sockets = [address]
        for _ in SLOTS[1:]:
            folder = self.folder / f"node{len(sockets)}"
            folder.mkdir()
            ports.append(free_port())
            sockets.append(str(folder / "s.sock"))
            conf = folder / "redis.conf"
            conf.write_text(f"bind 127.0.0.1\nport {ports[-1]}\nunixsocket {sockets[-1]}\n"
                            f"dir {folder}\nsupervised systemd\nsave \"\"\n" + self.cluster_conf())
            self.more.append(Process(folder, ["redis-server", str(conf)]))
            self.more[-1].start()
        wires = [Wire(path) for path in sockets]
        for i, wire in enumerate(wires):
            wire.ask("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            wire.ask("CLUSTER", "ADDSLOTSRANGE", *SLOTS[i])
        for port, wire in zip(ports[1:], wires[1:]):
            bus = wire.ask("CONFIG", "GET", "cluster-port")[1]
            wires[0].ask("CLUSTER", "MEET", "127.0.0.1", port, bus)
        deadline = time.monotonic() + proxy_world.READY_S
        while not all(b"cluster_known_nodes:3" in info and b"cluster_state:ok" in info
                      for info in (wire.ask("CLUSTER", "INFO") for wire in wires)):
            if time.monotonic() > deadline:
                raise RuntimeError("the cluster does not become whole")
        self.sockets = sockets

    def start(self):
        super().start()
        folder = self.folder / "second"
        folder.mkdir()
        conf = (self.front_folder / "arild.conf").read_text()
        conf = conf.replace(f"127.0.0.1:{self.port}", f"127.0.0.1:{self.second_port}")
        conf = conf.replace(self.socket, str(folder / "arild.sock"))
        (folder / "arild.conf").write_text(conf)
        self.second = Process(folder, [str(proxy_world.BUILD / "arild"), "--config",
                                       str(folder / "arild.conf")])
        self.second.start()

    def close(self):
        for process in [self.second, *self.more]:
            if process is not None:
                process.end()
        super().close()


def npm(world):
    """ioredis and GLIDE: clients/cluster.mjs."""
    where = os.environ.get("ARIL_CLIENT_MODULES", "")
    if not where:
        where = subprocess.run([HERE.parents[1] / "tools" / "setup.sh", "where", "clients"],
                               stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    if shutil.which("node") is None or not os.path.isdir(where):
        score.skip("there are no npm clients: run tools/setup.sh test")
        return
    env = {**os.environ, "ARIL_CLIENT_MODULES": where, "PROXY_HOST": "127.0.0.1",
           "PROXY_PORT": str(world.port), "PROXY_PORT_2": str(world.second_port),
           "PROXY_USER": TENANT, "PROXY_PASSWORD": world.token(TENANT), "PROXY_MODE": "proxy"}
    done = subprocess.run(["node", HERE / "clients" / "cluster.mjs"], env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S,
                          preexec_fn=proxy_world.die_with_parent, check=False)
    print(done.stdout.rstrip())
    # Without its last line the script has died.
    last = (done.stdout.rstrip().splitlines() or [""])[-1].split()
    if score.check("cluster.mjs counts", last[1::2] == ["passed,", "failed"], done.returncode):
        score.passed += int(last[0])
        score.failed += int(last[2])
    score.equal("cluster.mjs ends well", done.returncode, 0)


def python(world):
    """python3-redis as RedisCluster, one through each proxy."""
    try:
        import redis.cluster  # pylint: disable=import-outside-toplevel
    except ImportError:
        score.skip("python3-redis is not installed")
        return
    a, b = [redis.cluster.RedisCluster(host="127.0.0.1", port=port, username=TENANT,
                                       password=world.token(TENANT))
            for port in (world.port, world.second_port)]
    score.equal("its nodes", [[n.port for n in r.get_nodes()] for r in (a, b)],
                [[world.port], [world.second_port]])
    for i in range(50):
        a.set(f"cl:py:{i}", f"pomegranate-plaintext-{i}")
    score.equal("GET", [b.get(f"cl:py:{i}") for i in range(50)],
                [f"pomegranate-plaintext-{i}".encode() for i in range(50)])
    pipe = b.pipeline()
    for i in range(50):
        pipe.set(f"cl:py:p{i}", i).expire(f"cl:py:p{i}", 5000).get(f"cl:py:p{i}")
    score.equal("a pipeline", pipe.execute()[2::3], [str(i).encode() for i in range(50)])
    score.equal("MGET over slots", a.mget_nonatomic([f"cl:py:p{i}" for i in range(50)]),
                [str(i).encode() for i in range(50)])
    score.equal("SCAN", len(set(b.scan_iter(match="cl:py:*", count=20))), 100)
    score.equal("DEL over slots", a.delete(*[f"cl:py:p{i}" for i in range(50)]), 50)


def redis_cli(world):
    """redis-cli -c follows redirections; there are none."""
    if shutil.which("redis-cli") is None:
        score.skip("redis-cli is not installed")
        return
    env = {**os.environ, "REDISCLI_AUTH": world.token(TENANT)}
    lines = "".join(f"set cl:cli:{i} v{i}\nget cl:cli:{i}\n" for i in range(50))
    done = subprocess.run(["redis-cli", "-c", "--user", TENANT, "-p", str(world.second_port)],
                          env=env, input=lines, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, check=False)
    want = [line for i in range(50) for line in ("OK", f"v{i}")]
    score.equal("redis-cli -c", done.stdout.split("\n")[:-1], want)


def main():
    proxy_world.demand()
    if proxy_world.PLAIN:
        proxy_world.skip_all("a plain server has no Cluster behind it")
    with Nodes() as world:
        for step in (redis_cli, python, npm):
            step(world)
        sizes = [Wire(path).ask("DBSIZE") for path in world.sockets]
        score.check("each node has a part", all(n > 100 for n in sizes), sizes)
        for path in world.sockets:
            names = Wire(path).ask("KEYS", "*")
            seen = [h for h in HIDDEN if any(h.encode() in name for name in names)]
            score.equal("nothing is visible in its names", seen, [])
        # The files of the first node, and that the search finds what is there: slot 3300 is its.
        marker = b"{b}this-is-visible"
        score.equal("a marker", world.behind("SET", marker, marker), b"OK")
        score.equal("is found", world.visible([marker]), [marker])
        score.equal("nothing is visible in its files", world.visible(HIDDEN), [])
    score.end()


main()
