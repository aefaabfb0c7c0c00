#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server of values for tests, which misbehaves when it is asked to.

    cache_http_server.py [CERTIFICATE KEY [CLIENT_CA]]

Prints its port on one line, then serves 127.0.0.1 until its standard input ends. The first
segment of a path says how it behaves, the rest is the name of the value; all share the values.

    ok, saas   stores; saas wants /saas/v1/cache/NAME
    token      the same, with "Authorization: Bearer sesame" only
    chunked    answers in chunks, without a length
    eof        answers without a length, and closes
    less       tells a length that is longer than what it sends, and closes
    more       tells a length that is shorter than what it sends
    cut        ends within a chunk
    endless    chunks without end
    huge       tells 10 GB
    other      answers the value of another name
    hang       never answers
    slam       closes instead of an answer
    garbage    is no HTTP
    early      413 before it reads the value, and closes
    redirect   302 to a file; moved: 307 to another path of this server
    seen       what the last PUT of that name had: TTL, type, token, condition
    clients    how many connections there were, as text
    NUMBER     answers that status
"""

import http.server
import socket
import ssl
import sys
import threading
import time
import urllib.parse

HUGE = 10_000_000_000


class Values:
    def __init__(self):
        self.lock = threading.Lock()
        self.of = {}    # name: (value, time of its end or None)
        self.seen = {}
        self.clients = 0

    def get(self, name):
        with self.lock:
            value, end = self.of.get(name, (None, None))
            if value is not None and end is not None and end <= time.monotonic():
                del self.of[name]
                value = None
            return value

    def put(self, name, value, ttl, absent_only):
        if absent_only and self.get(name) is not None:
            return False
        with self.lock:
            if absent_only and name in self.of:
                return False
            self.of[name] = (value, time.monotonic() + ttl if ttl else None)
            return True

    def delete(self, name):
        there = self.get(name) is not None
        with self.lock:
            self.of.pop(name, None)
        return there


VALUES = Values()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        with VALUES.lock:
            VALUES.clients += 1

    def log_message(self, *args):
        pass

    def split(self):
        parts = self.path.lstrip("/").split("/")
        mode, name = parts[0], parts[1:]
        if mode == "saas":
            if name[:2] != ["v1", "cache"]:
                return "400", ""
            name = name[2:]
        # One segment is one name: a slash that was not encoded is a mistake of the client.
        if len(name) != 1 or name[0] == "":
            return "400", ""
        return mode, urllib.parse.unquote_to_bytes(name[0])

    def answer(self, code, body=b"", **headers):
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def take_body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def raw(self, text):
        self.wfile.write(text)
        self.wfile.flush()

    def misbehave(self, mode, name):
        """Whether it did."""
        if mode == "hang":
            self.close_connection = True
            while self.rfile.read(1):
                pass
        elif mode == "slam":
            self.close_connection = True
        elif mode == "garbage":
            self.close_connection = True
            self.raw(b"hello, this is no web server\r\n\r\n")
        elif mode == "early":
            self.close_connection = True
            self.raw(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.connection.shutdown(socket.SHUT_WR)
            while self.rfile.read(65536):
                pass  # a close with bytes unread would take the answer away
        elif mode.isdigit():
            self.take_body()
            self.answer(int(mode), b"a text that is no value")
        elif mode == "redirect":
            self.take_body()
            self.answer(302, Location="file:///etc/passwd")
        elif mode == "moved":
            self.take_body()
            self.answer(307, Location="/ok/" + urllib.parse.quote_from_bytes(name, safe=""))
        elif mode == "token" and self.headers.get("Authorization") != "Bearer sesame":
            self.take_body()
            self.answer(401)
        else:
            return False
        return True

    def chunks(self, value, ends):
        self.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(value), 10000):
            chunk = value[at:at + 10000]
            self.raw(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.raw(b"0\r\n\r\n" if ends else b"1000\r\nxx")
        self.close_connection = not ends

    def lie(self, mode, value):
        """Whether it did."""
        if mode == "chunked":
            self.chunks(value, True)
        elif mode == "cut":
            self.chunks(value, False)
        elif mode == "endless":
            self.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
            while True:
                self.raw(chunk)
        elif mode in ("less", "more", "huge", "eof"):
            told = {"less": len(value) + 100, "more": max(len(value) - 2, 0), "huge": HUGE}
            length = "" if mode == "eof" else f"Content-Length: {told[mode]}\r\n"
            self.close_connection = True
            self.raw(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode() + value)
        else:
            return False
        return True

    def do_GET(self):
        mode, name = self.split()
        if self.misbehave(mode, name):
            return
        if mode == "clients":
            self.answer(200, str(VALUES.clients).encode())
            return
        if mode == "seen":
            self.answer(200, VALUES.seen.get(name, b""))
            return
        value = VALUES.get(b"other" if mode == "other" else name)
        if value is None:
            self.answer(404, b"no such value")
        elif not self.lie(mode, value):
            self.answer(200, value)

    def do_HEAD(self):
        mode, name = self.split()
        if not self.misbehave(mode, name):
            self.answer(404 if VALUES.get(name) is None else 200)

    def do_DELETE(self):
        mode, name = self.split()
        if not self.misbehave(mode, name):
            self.answer(204 if VALUES.delete(name) else 404)

    def do_PUT(self):
        mode, name = self.split()
        if self.misbehave(mode, name):
            return
        value = self.take_body()
        ttl = self.headers.get("X-CacheKit-TTL", "")
        condition = self.headers.get("If-None-Match", "")
        VALUES.seen[name] = "|".join([ttl, self.headers.get("Content-Type", ""),
                                      self.headers.get("Authorization", ""),
                                      condition]).encode()
        stored = VALUES.put(name, value, int(ttl or "0"), condition == "*")
        self.answer(201 if stored else 412)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # a client that goes away is part of the tests

    def get_request(self):
        connection, address = super().get_request()
        if self.context is not None:
            connection.settimeout(60)
            connection = self.context.wrap_socket(connection, server_side=True,
                                                  do_handshake_on_connect=False)
        return connection, address


def main():
    server = Server(("127.0.0.1", 0), Handler)
    server.context = None
    if len(sys.argv) > 2:
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(sys.argv[1], sys.argv[2])
        if len(sys.argv) > 3:
            server.context.load_verify_locations(sys.argv[3])
            server.context.verify_mode = ssl.CERT_REQUIRED
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
