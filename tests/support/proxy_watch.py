# SPDX-License-Identifier: Apache-2.0
"""What arild says of itself and what it uses, for tests that put it under load.

    with proxy_watch.World() as world:             a proxy_world.World with an admin listener
        proxy_watch.status(world)["memory"]["used"]
"""

import http.client
import json
import os
import pathlib
import select
import socket
import subprocess
import time

import proxy_world
from proxy_world import BUILD, HERE, Process, Wire

LIMIT_S = proxy_world.READY_S  # for what hangs; nothing is decided by it
ADMIN = "[admin]\naddress = unix:admin.sock\n"
SANITIZED = os.environ.get("ARIL_SANITIZE", "") != ""  # its memory is another one
PAGE = os.sysconf("SC_PAGE_SIZE")


class World(proxy_world.World):
    """before: words before the command of arild, as ["prlimit", "--nofile=700"]."""

    def __init__(self, conf="", before=(), **more):
        super().__init__(conf=ADMIN + conf, **more)
        self.before = list(before)

    def start(self):
        if self.proxy is None:
            self.proxy = Process(self.front_folder, [
                *self.before, str(BUILD / "arild"), "--config",
                str(self.front_folder / "arild.conf")])
        self.proxy.start()

    @property
    def pid(self):
        return self.proxy.child.pid

    def login(self, tenant="acme-orchard"):
        """Over TCP, with the token."""
        wire = Wire(("127.0.0.1", self.port))
        reply = wire.ask("AUTH", tenant, self.token(tenant))
        if reply != b"OK":
            raise RuntimeError(f"AUTH: {reply}")
        return wire

    def keys(self, *args):
        """aril keys on the keyring of arild."""
        subprocess.run([str(BUILD / "aril"), "keys", *args, "--keyring",
                        str(self.front_folder / "ring")], check=True, capture_output=True,
                       stdin=subprocess.DEVNULL)

    def log(self):
        return (self.front_folder / "log").read_text(errors="replace")


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=LIMIT_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT_S)
        self.sock.connect(self.path)


def status(world):
    http_to = Unix(str(world.front_folder / "admin.sock"))
    try:
        http_to.request("GET", "/status.json")
        return json.loads(http_to.getresponse().read())
    finally:
        http_to.close()


def figure(world, name):
    return status(world)["figures"][name]


def rss_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def is_within(resident, most):
    """Whether that is not too much memory of the system; a sanitizer takes more."""
    return SANITIZED or resident <= most


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def pause(seconds=0.02):
    """Between two looks at what another process does."""
    select.select([], [], [], seconds)


def until(condition, limit_s=LIMIT_S):
    """Asks again and again; what condition() said last."""
    deadline = time.monotonic() + limit_s
    said = condition()
    while not said and time.monotonic() < deadline:
        pause()
        said = condition()
    return said


def is_closed(wire):
    """The other side closed it, whatever it said before; an exception when it hangs."""
    try:
        while wire.socket.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


__all__ = ["HERE", "LIMIT_S", "SANITIZED", "World", "descriptors", "figure", "is_closed",
           "is_within", "pause", "rss_bytes", "status", "until"]
