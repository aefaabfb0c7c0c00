# SPDX-License-Identifier: Apache-2.0
"""A Redis server, arild in front of it, and what tests look at, for tests in Python.

    with proxy_world.World() as world:
        client = redis.Redis(port=world.port, username="acme-orchard",
                             password=world.token("acme-orchard"))

With ARILD_PLAIN=1 a second redis-server stands in for arild, so that tests can be tried by
themselves; nothing is hidden then, and what looks for it is left out and counted.
Processes end with this one, whatever happens to it.
"""

import ctypes
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PLAIN = os.environ.get("ARILD_PLAIN") == "1"
BUILD = pathlib.Path(os.environ.get("ARIL_BUILD_DIR", "."))
READY_S = 60
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Score:
    """What was checked; the last line of a test is its summary."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, text, good, detail=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {text}" + (f": {detail}" if detail != "" else ""))
        return good

    def equal(self, text, got, want):
        return self.check(text, got == want, f"{got!r:.300} instead of {want!r:.300}")

    def raises(self, text, kind, call, contains=""):
        """call() raises kind, with contains in its text, and nothing else."""
        try:
            result = call()
        except kind as error:
            return self.check(text, contains in str(error), str(error)[:300])
        except Exception as error:  # any other kind is what the test reports
            return self.check(text, False, repr(error)[:300])
        return self.check(text, False, f"no error but {result!r:.300}")

    def skip(self, text):
        self.skipped += 1
        print(f"SKIPPED: {text}")

    def end(self):
        tail = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{tail}")
        sys.exit(0 if self.failed == 0 and self.passed > 0 else 1)


def skip_all(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def demand():
    """Ends the test as skipped where something is missing."""
    if shutil.which("redis-server") is None:
        skip_all("redis-server is not installed")
    if not PLAIN and not os.access(BUILD / "arild", os.X_OK):
        skip_all("this build has no arild")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def encode(*args):
    """A command as clients send it; texts and numbers become bytes."""
    words = [a if isinstance(a, bytes) else str(a).encode() for a in args]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


class Wire:
    """A connection that sends and compares bytes."""

    def __init__(self, address):
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        self.socket = socket.socket(family)
        self.socket.settimeout(READY_S)
        self.socket.connect(address)
        self.rest = b""

    def send(self, *args):
        self.socket.sendall(encode(*args))

    def exactly(self, n):
        """n bytes; fewer when the other side closes."""
        while len(self.rest) < n:
            more = self.socket.recv(max(n - len(self.rest), 65536))
            if not more:
                break
            self.rest += more
        got, self.rest = self.rest[:n], self.rest[n:]
        return got

    def line(self):
        while b"\r\n" not in self.rest:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError(f"closed after {self.rest[:100]!r}")
            self.rest += more
        got, _, self.rest = self.rest.partition(b"\r\n")
        return got

    def reply(self):
        """One reply of RESP2: bytes, int, None, list; an error is an Exception, returned."""
        line = self.line()
        kind, text = line[:1], line[1:]
        if kind == b"+":
            return text
        if kind == b"-":
            return Exception(text.decode())
        if kind == b":":
            return int(text)
        if kind == b"$":
            return None if text == b"-1" else self.exactly(int(text) + 2)[:-2]
        if kind == b"*":
            return None if text == b"-1" else [self.reply() for _ in range(int(text))]
        raise ValueError(f"no RESP2: {line[:100]!r}")

    def ask(self, *args):
        self.send(*args)
        return self.reply()

    def close(self):
        self.socket.close()


class Process:
    """A program that says READY=1 to $NOTIFY_SOCKET."""

    def __init__(self, folder, command):
        self.folder = folder
        self.command = command
        self.child = None
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(folder / "notify"))

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify")},
                preexec_fn=die_with_parent)
        self.wait_for(b"READY=1")

    def wait_for(self, line):
        """Until it says line; an exception when it ends instead."""
        watch = os.pidfd_open(self.child.pid)
        deadline = time.monotonic() + READY_S
        try:
            while True:
                left = max(deadline - time.monotonic(), 0)
                ready = select.select([self.notify, watch], [], [], left)[0]
                if self.notify in ready:
                    if line in self.notify.recv(65536).split(b"\n"):
                        return
                elif watch in ready:
                    raise RuntimeError(f"{self.command[0]} ended: {self.log()}")
                else:
                    raise RuntimeError(f"{self.command[0]} did not say {line}: {self.log()}")
        finally:
            os.close(watch)

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def end(self, number=signal.SIGTERM):
        """Its exit status; None where it does not run."""
        if self.child is None:
            return None
        self.child.send_signal(number)
        status = self.child.wait(READY_S)
        self.child = None
        return status


class World:
    def __init__(self, tenants=("acme-orchard", "zeta-orchard"), conf="", top="", cluster=False):
        """cluster: the server behind is a Cluster of one node, and the stand-in is another."""
        self.tenants = tenants
        self.cluster = cluster
        self.conf = conf
        self.top = top
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="aril-proxy-"))
        self.behind_folder = self.folder / "behind"
        self.front_folder = self.folder / "front"
        self.behind_folder.mkdir()
        self.front_folder.mkdir()
        self.port = free_port()
        self.socket = str(self.front_folder / "arild.sock")
        self.behind_socket = str(self.behind_folder / "s.sock")
        self.behind_port = free_port() if cluster else 0
        self.server = self.proxy = None

    def __enter__(self):
        try:
            self.start_behind()
            self.prepare()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error):
        self.close()

    def start_behind(self):
        """Everything is written down, and nothing is compressed: it is searched for plaintext."""
        conf = self.behind_folder / "redis.conf"
        conf.write_text(
            f"bind 127.0.0.1\nport {self.behind_port}\nunixsocket {self.behind_socket}\n"
            f"dir {self.behind_folder}\ndatabases 4\nsupervised systemd\n"
            'save ""\nappendonly yes\nappendfsync no\nrdbcompression no\n'
            + self.cluster_conf())
        self.server = Process(self.behind_folder, ["redis-server", str(conf)])
        self.server.start()
        if self.cluster:
            self.own_slots(self.behind_socket)

    def cluster_conf(self):
        return f"cluster-enabled yes\ncluster-port {free_port()}\n" if self.cluster else ""

    @staticmethod
    def own_slots(address):
        """All slots are this node's; it may take a moment to see that the cluster is whole."""
        wire = Wire(address)
        reply = wire.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        if reply != b"OK":
            raise RuntimeError(f"ADDSLOTSRANGE: {reply}")
        deadline = time.monotonic() + READY_S
        while b"cluster_state:ok" not in wire.ask("CLUSTER", "INFO"):
            if time.monotonic() > deadline:
                raise RuntimeError("the cluster does not become whole")
        wire.close()

    def prepare(self):
        """Writes the configuration: again after self.conf was changed."""
        subprocess.run(
            ["bash", str(HERE / "proxy_prepare.sh"), str(self.front_folder)], check=True,
            env={**os.environ, "PROXY_ARIL": str(BUILD / "aril"), "PROXY_PORT": str(self.port),
                 "PROXY_UPSTREAM": f"redis+cluster://127.0.0.1:{self.behind_port}"
                                   if self.cluster else f"redis+unix:{self.behind_socket}",
                 "PROXY_PLAIN_CONF": self.cluster_conf(),
                 "PROXY_TENANTS": " ".join(self.tenants), "PROXY_CONF": self.conf,
                 "PROXY_TOP": self.top})

    def start(self):
        if self.proxy is None:
            command = ["redis-server", str(self.front_folder / "plain.conf")] if PLAIN else \
                [str(BUILD / "arild"), "--config", str(self.front_folder / "arild.conf")]
            self.proxy = Process(self.front_folder, command)
        self.proxy.start()
        if PLAIN and self.cluster:
            self.own_slots(self.socket)

    def reload(self):
        """arild has taken the configuration over, or refused it: its log says which."""
        self.proxy.child.send_signal(signal.SIGHUP)
        self.proxy.wait_for(b"RELOADING=1")
        self.proxy.wait_for(b"READY=1")

    def token(self, tenant):
        return (self.front_folder / f"token.{tenant}").read_text().strip()

    def wire(self):
        """Through arild, as the first tenant."""
        return Wire(self.socket)

    def behind(self, *args):
        """A command to the server behind: its reply."""
        wire = Wire(self.behind_socket)
        try:
            return wire.ask(*args)
        finally:
            wire.close()

    def behind_names(self):
        return set(self.behind("KEYS", "*"))

    def direct(self):
        """Where the values lie: a connection around arild."""
        return Wire(self.socket if PLAIN else self.behind_socket)

    def visible(self, texts):
        """Which of the texts the server behind holds somewhere in its files."""
        # SAVE is refused while the append-only file is rewritten, and the other way round.
        reply = self.behind("SAVE")
        if reply != b"OK":
            raise RuntimeError(f"SAVE: {reply}")
        files = [p for p in self.behind_folder.rglob("*")
                 if p.is_file() and p.name.endswith((".rdb", ".aof"))]
        if not any(p.name.endswith(".rdb") for p in files) or \
                not any(p.name.endswith(".aof") for p in files):
            raise RuntimeError(f"files are missing: {files}")
        content = [p.read_bytes() for p in files]
        texts = [t if isinstance(t, bytes) else t.encode() for t in texts]
        return [t for t in texts if any(t in c for c in content)]

    def check_hidden(self, score, texts):
        """None of them can be seen behind; and a search that finds what is there."""
        marker = b"this-is-visible-" + os.urandom(8).hex().encode()
        self.behind("SET", marker, marker)
        score.equal("what is there is found", self.visible([marker]), [marker])
        self.behind("DEL", marker)
        if PLAIN:
            score.skip("a plain server hides nothing")
        else:
            score.check("there is something behind", self.behind("DBSIZE") > 0)
            score.equal("nothing is visible behind", self.visible(texts), [])

    def close(self):
        for process in (self.proxy, self.server):
            if process is not None:
                process.end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
