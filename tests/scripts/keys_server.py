#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A web server with a bundle, and with everything that can go wrong.

    keys_server.py FOLDER PORT-FILE LOG

Listens on 127.0.0.1, on a port that it writes to PORT-FILE. LOG gets a line for each request:
method, path, agent=, tag=, status.
"""

import hashlib
import http.server
import os
import sys
import threading

FOLDER, PORT_FILE, LOG = sys.argv[1:4]
DONE = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers=(), body=b"", length=None):
        with open(LOG, "a", encoding="utf-8") as log:
            log.write(f"GET {self.path} agent={self.headers.get('User-Agent')} "
                      f"tag={self.headers.get('If-None-Match')} {status}\n")
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def send_bundle(self):
        try:
            with open(os.path.join(FOLDER, "bundle"), "rb") as file:
                body = file.read()
        except FileNotFoundError:
            self.answer(404)
            return
        tag = f'"{hashlib.sha256(body).hexdigest()}"'
        if self.headers.get("If-None-Match") == tag:
            self.answer(304, [("ETag", tag)])
        else:
            self.answer(200, [("ETag", tag)], body)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/bundle":
            self.send_bundle()
        elif path.startswith("/redirect/"):
            left = int(path.rsplit("/", 1)[1]) - 1
            self.answer(302, [("Location", f"/redirect/{left}" if left > 0 else "/bundle")])
        elif path == "/to-file":
            self.answer(302, [("Location", f"file://{os.path.abspath(FOLDER)}/bundle")])
        elif path == "/broken":
            self.answer(503, body=b"later")
        elif path == "/half":
            self.answer(200, body=b"aril" * 100, length=1000)
            self.close_connection = True
        elif path == "/huge":
            self.answer(200, body=b"aril", length=1 << 40)
            self.close_connection = True
        elif path == "/silent":
            DONE.wait()
        else:
            self.answer(404, body=b"nothing")


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with open(PORT_FILE + ".new", "w", encoding="utf-8") as file:
        file.write(str(server.server_address[1]))
    os.rename(PORT_FILE + ".new", PORT_FILE)
    server.serve_forever()


if __name__ == "__main__":
    main()
