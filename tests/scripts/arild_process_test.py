#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""arild as a process: arguments, signals, the service manager, sockets, privileges, its log."""

import contextlib
import json
import os
import pathlib
import pwd
import re
import resource
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(os.environ["ARIL_BUILD_DIR"])
SOURCE = pathlib.Path(os.environ["ARIL_SOURCE_DIR"])
ARILD, ARIL = BUILD / "arild", BUILD / "aril"
WAIT_S = 60  # nothing takes so long; it ends a test that would hang
IS_ROOT = os.geteuid() == 0

passed = failed = skipped = 0


def note(text, well, more=""):
    global passed, failed
    if well:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {text}" + (f"\n    {more}" if more else ""))


def skip(text):
    global skipped
    skipped += 1
    print(f"SKIPPED: {text}")


def environment(**more):
    names = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM", "LISTEN_FDS",
             "LISTEN_PID", "CREDENTIALS_DIRECTORY", "ARIL_KEYRING", "ARIL_KEYSTORE")
    clean = {k: v for k, v in os.environ.items() if k not in names}
    return {**clean, **{k: str(v) for k, v in more.items()}}


def run(code, text, *args, expect="", program=ARILD, env=None, preexec=None):
    """The program ends with that exit code and says what is expected somewhere."""
    done = subprocess.run([str(program), *map(str, args)], capture_output=True, text=True,
                          timeout=WAIT_S, env=env or environment(), stdin=subprocess.DEVNULL,
                          preexec_fn=preexec, check=False)
    said = done.stdout + done.stderr
    note(f"{text}: exit code {code}", done.returncode == code, f"{done.returncode}: {said}")
    note(f"{text}: says {expect!r}", re.search(expect, said) is not None, said)
    return done


def as_nobody():
    """For what root may do and others may not."""
    if IS_ROOT:
        who = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(who.pw_gid)
        os.setuid(who.pw_uid)


class World:
    """A folder with a keyring, whose tenant is acme, and a configuration."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "arild.conf"
        self.socket = self.folder / "clients.sock"
        self.notify = self.folder / "notify.sock"
        for args in (["init", "--no-recovery"], ["create", "tenant:acme"]):
            subprocess.run([str(ARIL), "keys", *args, "--keyring", str(self.folder / "keyring")],
                           check=True, capture_output=True, env=environment())
        self.write()
        self.told = self.listen_notify(str(self.notify))

    def write(self, top="", listen="", more=""):
        self.config.write_text(
            f"keyring = keyring\nthreads = 2\n{top}\n[upstream]\nserver = redis+unix:none.sock\n"
            f"[tenant acme]\n[listen]\naddress = {self.socket}\ntenant = acme\n{listen}\n{more}\n")

    def give(self, uid, gid):
        """Everything to that user, but the configuration, which is root's then."""
        for path in [self.folder, *self.folder.iterdir()]:
            if path != self.config:
                os.chown(path, uid, gid)

    def listen_notify(self, name):
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        told.bind("\0" + name[1:] if name[0] == "@" else name)
        told.settimeout(WAIT_S)
        return told

    @contextlib.contextmanager
    def daemon(self, *args, ready=True, **more):
        env = environment(NOTIFY_SOCKET=self.notify, **more)
        with open(self.folder / "log", "wb") as log:
            child = subprocess.Popen([str(ARILD), "-c", str(self.config), *args], stderr=log,
                                     stdout=subprocess.DEVNULL, env=env)
        try:
            if ready:
                self.hear("READY=1", child)
            yield child
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()

    def hear(self, what, child=None):
        """The next message that is not of the watchdog; what must be in it."""
        while True:
            if child is not None:
                while not select.select([self.told], [], [], 0.05)[0]:
                    if child.poll() is not None:
                        note(f"hears {what}", False, self.log())
                        return ""
            text = self.told.recv(4096).decode()
            if text != "WATCHDOG=1":
                break
        note(f"hears {what}", what in text.split("\n"), text)
        return text

    def log(self):
        return (self.folder / "log").read_text()

    def client(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(WAIT_S)
        client.connect(str(self.socket))
        return client


def ping(client):
    client.sendall(b"PING\r\n")
    answer = b""
    while not answer.endswith(b"\r\n"):
        more = client.recv(100)
        if not more:
            break
        answer += more
    return answer == b"+PONG\r\n"


def is_closed(client):
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True


def end(world, child, text):
    child.send_signal(signal.SIGTERM)
    world.hear("STOPPING=1")
    note(f"{text}: ends with 0", child.wait(WAIT_S) == 0, world.log())


# --- arguments and the configuration -------------------------------------------------------------

def check_arguments(_world):
    version = re.search(r'ARIL_VERSION +"(.*)"', (SOURCE / "include/aril/base.h").read_text())
    run(0, "--version", "--version", expect=rf"^arild {re.escape(version.group(1))}\n$")
    run(0, "--help", "--help", expect="^Usage: arild")
    page = (SOURCE / "man/arild.8").read_text()
    said = run(0, "--help", "--help").stdout
    for option in re.findall(r"--[a-z-]+", said):
        note(f"{option} is in arild(8)", option.replace("-", "\\-") in page)
    run(2, "an unknown option", "--standalon", expect="did you mean --standalone")
    run(2, "an operand", "x", expect="unexpected argument: x")
    run(2, "-c alone", "-c", expect="--config needs a value")
    run(2, "--data alone", "--data", "x", expect="--data is for --standalone")
    run(2, "--listen alone", "--listen", "x", expect="--listen is for --standalone")
    run(2, "--json alone", "--json", expect="--json is for")
    run(2, "both modes", "--standalone", "-c", "x", expect="has no --config")
    run(2, "nothing to check", "--standalone", "--check-config", expect="has none")
    run(34, "no configuration", "-c", "/no/such", expect="/no/such: .*ARIL_E_NOT_FOUND")


def check_config(world):
    run(0, "a good one", "-c", world.config, "--check-config", expect="ok: 1 listeners, 1 tenants")
    done = run(0, "as JSON", "-c", world.config, "--check-config", "--json")
    what = json.loads(done.stdout)
    note("JSON tells the same", what["ok"] is True and what["listeners"] == 1, done.stdout)
    world.write(top="tenat = x")
    run(19, "an unknown key", "-c", world.config, "--check-config", expect="arild.conf:3: .*tenat")
    world.write(top="user = no-such-user-here")
    run(34, "an unknown user", "-c", world.config, "--check-config", expect="no-such-user-here")
    world.write(top="credentials = nowhere")
    run(34, "no password file", "-c", world.config, "--check-config", expect="nowhere")
    world.write(more="[listen]\naddress = tls://127.0.0.1:1\ntls_cert = none.pem\n"
                "tls_key = none.pem\ntenant = acme\n")
    run(34, "no certificate", "-c", world.config, "--check-config", expect=r"none\.pem")
    world.write()
    (world.folder / "keyring").rename(world.folder / "moved")
    run(34, "no keyring", "-c", world.config, expect="keyring")
    note("no socket stays behind", not world.socket.exists())
    (world.folder / "moved").rename(world.folder / "keyring")


# --- serving, and the end ------------------------------------------------------------------------

def check_life(world):
    world.write(listen="socket_mode = 0660")
    with world.daemon() as child:
        note("the socket has its mode", world.socket.stat().st_mode & 0o777 == 0o660)
        client = world.client()
        note("PING is answered", ping(client))
        status = pathlib.Path(f"/proc/{child.pid}/status").read_text()
        note("no new privileges", "NoNewPrivs:\t1" in status)
        limits = pathlib.Path(f"/proc/{child.pid}/limits").read_text()
        note("no core files", re.search(r"core file size +0 +0 ", limits) is not None, limits)
        run(35, "a second one", "-c", world.config, expect="in use")
        note("the first one's socket stays", ping(world.client()))
        end(world, child, "SIGTERM")
        note("an idle client is closed", is_closed(client))
        note("the socket is gone", not world.socket.exists())
    with world.daemon() as child:
        child.kill()
        child.wait()
    note("a killed one leaves its socket", world.socket.exists())
    with world.daemon() as child:
        note("which the next one replaces", ping(world.client()))
        child.send_signal(signal.SIGINT)
        world.hear("STOPPING=1")
        note("SIGINT ends with 0", child.wait(WAIT_S) == 0, world.log())
    world.write()


def check_reload(world):
    with world.daemon() as child:
        client = world.client()
        note("PING before", ping(client))
        world.write(top="log_level = debug")
        child.send_signal(signal.SIGHUP)
        told = world.hear("RELOADING=1")
        note("with the time", re.search(r"\nMONOTONIC_USEC=[1-9][0-9]*(\n|$)", told), told)
        world.hear("READY=1")
        note("the client stays", ping(client))
        for text, change in (("an unknown key", {"top": "nonsense = 1"}),
                             ("another number of threads", {"top": "threads = 3"}),
                             ("no certificate", {"more": "[listen]\naddress = tls://127.0.0.1:1\n"
                                                 "tls_cert = n.pem\ntls_key = n.pem\n"
                                                 "tenant = acme\n"})):
            world.write(**change)
            if "threads" in change.get("top", ""):
                world.config.write_text(world.config.read_text().replace("threads = 2\n", ""))
            child.send_signal(signal.SIGHUP)
            world.hear("RELOADING=1")
            told = world.hear("READY=1")
            note(f"{text}: the manager hears that it failed", "failed" in told, told)
            note(f"{text}: the old one stays", ping(client) and ping(world.client()))
        note("each is a line of the log", world.log().count("the old configuration stays") == 3,
             world.log())
        note("the log names the threads", "threads" in world.log(), world.log())
        world.write()
        child.send_signal(signal.SIGHUP)
        world.hear("RELOADING=1")
        told = world.hear("READY=1")
        note("a good one is taken after that", "failed" not in told, told)
        end(world, child, "after reloads")


def check_manager(world):
    name = f"@arild-test-{os.getpid()}"
    told, before = world.told, world.notify
    world.told, world.notify = world.listen_notify(name), name
    with world.daemon(WATCHDOG_USEC=400000) as child:
        for _ in range(3):
            note("the watchdog is fed", world.told.recv(100) == b"WATCHDOG=1")
        names = pathlib.Path(f"/proc/{child.pid}/environ")
        note("it serves under a watchdog", names.exists() and ping(world.client()))
        end(world, child, "abstract name")
    world.told.close()
    world.told, world.notify = told, before


def check_activation(world):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(world.socket))
        listening.listen(8)
        shell = 'exec 3<&$0; LISTEN_PID=$$ LISTEN_FDS=1 exec "$1" -c "$2"'
        env = environment(NOTIFY_SOCKET=world.notify)
        with open(world.folder / "log", "wb") as log:
            child = subprocess.Popen(
                ["bash", "-c", shell, str(listening.fileno()), str(ARILD), str(world.config)],
                env=env, stderr=log, pass_fds=[listening.fileno()])
        world.hear("READY=1", child)
        note("a socket that was handed over serves", ping(world.client()))
        end(world, child, "socket activation")
        note("its file is not ours to remove", world.socket.exists())
        world.socket.unlink()
        with socket.create_server(("127.0.0.1", 0)) as other:
            done = subprocess.run(
                ["bash", "-c", shell, str(other.fileno()), str(ARILD), str(world.config)],
                env=environment(), pass_fds=[other.fileno()], capture_output=True, text=True,
                timeout=WAIT_S, check=False)
            note("one that nothing is configured for is refused",
                 done.returncode == 17 and "1 sockets of the service manager" in done.stderr,
                 done.stderr)


def check_log(world):
    with open(world.folder / "log", "wb") as log:
        at = os.fstat(log.fileno())
    with world.daemon(JOURNAL_STREAM=f"{at.st_dev}:{at.st_ino}") as child:
        end(world, child, "with a journal")
    lines = world.log().splitlines()
    note("lines of the journal have priorities",
         len(lines) >= 2 and all(re.match(r"<[3-7]>[^<]", line) for line in lines), world.log())
    with world.daemon() as child:
        end(world, child, "without a journal")
    lines = world.log().splitlines()
    note("other lines have the time",
         len(lines) >= 2 and all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ arild: ", line)
                                 for line in lines), world.log())


# --- privileges and descriptors ------------------------------------------------------------------

def check_privileges(world):
    world.write(top="user = nobody")
    if not IS_ROOT:
        run(21, "another user", "-c", world.config, expect="only root can become")
        world.write()
        skip("privileges can only be dropped by root")
        return
    who = pwd.getpwnam("nobody")
    world.give(who.pw_uid, who.pw_gid)
    with world.daemon() as child:
        status = pathlib.Path(f"/proc/{child.pid}/status").read_text()
        note("all user ids are nobody's",
             re.search(rf"^Uid:(\t{who.pw_uid}){{4}}$", status, re.M) is not None, status)
        note("all group ids too",
             re.search(rf"^Gid:(\t{who.pw_gid}){{4}}$", status, re.M) is not None, status)
        groups = re.search(r"^Groups:(.*)$", status, re.M).group(1).split()
        note("no group of root", "0" not in groups, status)
        note("no capabilities", re.search(r"^CapEff:\t0+$", status, re.M) is not None, status)
        for task in pathlib.Path(f"/proc/{child.pid}/task").iterdir():
            note("every thread is nobody's",
                 re.search(rf"^Uid:(\t{who.pw_uid}){{4}}$", (task / "status").read_text(), re.M))
        at = world.socket.stat()
        note("the socket too", (at.st_uid, at.st_gid) == (who.pw_uid, who.pw_gid))
        note("it serves", ping(world.client()))
        end(world, child, "as nobody")
    world.write()


def check_files(world):
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
        as_nobody()
    if IS_ROOT:
        who = pwd.getpwnam("nobody")
        world.give(who.pw_uid, who.pw_gid)
    run(23, "too few open files", "-c", world.config, preexec=few,
        expect="open files are needed and 400 are allowed: raise LimitNOFILE=")


# --- TLS -----------------------------------------------------------------------------------------

def check_tls(world):
    if shutil.which("openssl") is None:
        skip("openssl is not there to make a certificate")
        return
    cert, key = world.folder / "cert.pem", world.folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key), "-out", str(cert),
                    "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    key.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    world.write(more=f"[listen]\naddress = tls://127.0.0.1:{port}\ntls_cert = cert.pem\n"
                "tls_key = key.pem\ntenant = acme\n")
    with world.daemon() as child:
        context = ssl.create_default_context(cafile=str(cert))
        with socket.create_connection(("127.0.0.1", port), WAIT_S) as plain, \
                context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
            note("TLS 1.3 is spoken", client.version() == "TLSv1.3", client.version())
            note("PING under TLS", ping(client))
            big = b"x" * 300000
            client.sendall(b"*2\r\n$4\r\nECHO\r\n$300000\r\n" + big + b"\r\n")
            want, got = b"$300000\r\n" + big + b"\r\n", b""
            while len(got) < len(want):
                more = client.recv(65536)
                if not more:
                    break
                got += more
            note("much under TLS", got == want)
        with socket.create_connection(("127.0.0.1", port), WAIT_S) as plain:
            plain.sendall(b"PING\r\n")
            note("who does not speak TLS is closed", b"PONG" not in plain.recv(100))
        silent = socket.create_connection(("127.0.0.1", port), WAIT_S)
        note("others are served beside one that does not shake hands", ping(world.client()))
        end(world, child, "with a handshake under way")
        silent.close()
    world.write()


# --- the standalone mode -------------------------------------------------------------------------

class Standalone:
    def __init__(self, data, *args):
        self.child = subprocess.Popen(
            [str(ARILD), "--standalone", "--data", str(data), "--json", *args], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        line = self.child.stdout.readline()
        self.said = json.loads(line) if line else {}

    def cli(self, *args):
        host, port = self.said["listen"].rsplit(":", 1)
        return subprocess.run(["redis-cli", "-h", host, "-p", port, *args], text=True,
                              capture_output=True, timeout=WAIT_S, check=False).stdout.strip()

    def server(self):
        """The process id of the private server; None while there is none."""
        children = pathlib.Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children")
        found = children.read_text().split()
        return int(found[0]) if found else None

    def end(self, how=signal.SIGTERM):
        self.child.send_signal(how)
        return self.child.communicate(timeout=WAIT_S)[1]


def wait_until(condition):
    """Something that another process does; asked again and again, for WAIT_S at most."""
    for _ in range(WAIT_S * 20):
        if condition():
            return True
        select.select([], [], [], 0.05)
    return False


def check_standalone(world):
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        skip("redis-server and redis-cli are not there for the standalone mode")
        return
    data = world.folder / "standalone"
    first = Standalone(data)
    note("it says where it serves", first.said.get("listen", "").startswith("127.0.0.1:"),
         first.said)
    note("the keyring is new", first.said.get("new") is True)
    note("the folder is ours alone", data.stat().st_mode & 0o777 == 0o700)
    note("SET", first.cli("set", "fruit", "pomegranate") == "OK")
    note("GET", first.cli("get", "fruit") == "pomegranate")
    raw = subprocess.run(["redis-cli", "-s", str(data / "redis.sock"), "--scan"],
                         capture_output=True, check=False).stdout
    note("the server holds another name", len(raw) > 10 and b"fruit" not in raw, raw)
    second = Standalone(world.folder / "other")
    note("a second one takes the next port", second.said["listen"] != first.said["listen"])
    note("with values of its own", second.cli("get", "fruit") == "")
    second.end()
    run(35, "the same folder", "--standalone", "--data", data, expect="another arild --standalone")
    server = first.server()
    os.kill(server, signal.SIGKILL)
    note("the server is started again",
         wait_until(lambda: first.server() not in (None, server)))
    note("and has what it had", wait_until(lambda: first.cli("get", "fruit") == "pomegranate"))
    server = first.server()
    said = first.end()
    note("the log tells of it", "the private server ended (signal 9)" in said, said)
    note("it ends with 0", first.child.returncode == 0, said)
    note("and the server with it", not pathlib.Path(f"/proc/{server}").exists())
    again = Standalone(data)
    note("the keyring is the same", again.said.get("new") is False)
    note("and the value is there", again.cli("get", "fruit") == "pomegranate")
    server = again.server()
    again.end(signal.SIGKILL)
    note("a server never outlives its arild",
         wait_until(lambda: not pathlib.Path(f"/proc/{server}").exists()))
    everything = b"".join(p.read_bytes() for p in data.rglob("*") if p.is_file())
    note("no plaintext in any file", b"pomegranate" not in everything and b"fruit" not in
         everything)
    (data / "keyring.key").rename(data / "lost")
    run(34, "a lost key file", "--standalone", "--data", data, expect=r"keyring\.key")
    note("and no other one is made", not (data / "keyring.key").exists())
    data.chmod(0o777)
    run(21, "a folder of everybody", "--standalone", "--data", data, expect="chmod")
    run(2 + 15, "no address", "--standalone", "--data", world.folder / "x", "--listen", "a'b",
        expect="--listen: not an address")
    run(23, "a long path", "--standalone", "--data", world.folder / ("x" * 120),
        expect="longer than the path of a socket|longer than 107 bytes")
    run(3, "no server installed", "--standalone", "--data", world.folder / "y",
        env=environment(PATH=world.folder), expect="neither redis-server nor valkey-server")


CHECKS = (check_arguments, check_config, check_life, check_reload, check_manager,
          check_activation, check_log, check_privileges, check_files, check_tls, check_standalone)


def main():
    if not ARILD.exists():
        print("this build has no arild")
        return 77
    for check in CHECKS:
        if len(sys.argv) > 1 and check.__name__ not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory(prefix="arild-") as folder:
            check(World(folder))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
