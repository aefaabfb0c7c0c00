#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Redis clients of npm through arild: each script of clients/ is one client."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import proxy_world  # noqa: E402
from proxy_world import Score, World  # noqa: E402

CLIENTS = ("ioredis", "node_redis", "glide", "langchain")
TENANT = "acme-orchard"
HIDDEN = ("pomegranate-plaintext", "pomegranate-model", "field-599", "value-599", "io:p499",
          "nr:p499", "gl:p499", "io:name", "nr:name", "gl:name", TENANT)
LIMIT_S = 300
score = Score()


def modules():
    """node_modules of the clients; ends the test where there are none."""
    if shutil.which("node") is None:
        proxy_world.skip_all("there is no node")
    where = os.environ.get("ARIL_CLIENT_MODULES", "")
    if not where:
        setup = HERE.parents[1] / "tools" / "setup.sh"
        where = subprocess.run([setup, "where", "clients"], stdout=subprocess.PIPE, text=True,
                               check=False).stdout.strip()
    if not where or not os.path.isdir(where):
        proxy_world.skip_all("there are no npm clients: run tools/setup.sh test")
    return where


def run(name, world, where):
    env = {**os.environ, "ARIL_CLIENT_MODULES": where, "PROXY_HOST": "127.0.0.1",
           "PROXY_PORT": str(world.port), "PROXY_USER": TENANT,
           "PROXY_PASSWORD": world.token(TENANT),
           "PROXY_MODE": "plain" if proxy_world.PLAIN else "proxy"}
    try:
        done = subprocess.run(["node", HERE / "clients" / f"{name}.mjs"], env=env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S,
                              preexec_fn=proxy_world.die_with_parent, check=False)
    except subprocess.TimeoutExpired as error:
        print((error.stdout or b"").decode(errors="replace"))
        score.check(f"{name} ends", False, f"not within {LIMIT_S} s")
        return
    print(done.stdout.rstrip())
    counted = re.findall(r"^(\d+) passed, (\d+) failed$", done.stdout, re.M)
    # Without its last line the script has died.
    if len(counted) != 1:
        score.check(f"{name} counts", False, f"it ended with {done.returncode}")
        return
    score.passed += int(counted[0][0])
    score.failed += int(counted[0][1])
    score.check(f"{name} ends well", done.returncode == 0, done.returncode)


def main():
    proxy_world.demand()
    where = modules()
    with World() as world:
        for name in CLIENTS:
            run(name, world, where)
        world.check_hidden(score, HIDDEN)
    score.end()


main()
