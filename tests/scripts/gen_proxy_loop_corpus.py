#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Inputs of tests/fuzz/proxy_loop_fuzz.c: what clients and servers say to the proxy, in order.

A step is two bytes and what they need. The first has what is done in its lower half and who does
it in its upper one; the second is a number, or the length of the text that follows.

  0 a client comes (of alice or bob)   6 a client goes
  1 a client says the text             7 a server goes
  2 a server says the text             8 number times 100 ms pass
  3 a server accepts and logs in       9 a client stops reading, or reads again
  4 a server says +OK, number + 1      10 workers wait (who is odd) or work
    times                              11 reads are of who bytes at most
  5 a server says the last sealed value that it heard, with byte number changed (0: none)

usage: gen_proxy_loop_corpus.py FOLDER   writes them; --check FOLDER compares
"""
import pathlib
import sys

SECRET = b"plaintext of nobody else"


def step(what, who=0, number=0):
    return bytes([what | who << 4, number])


def say(what, who, text):
    parts = [text[i:i + 255] for i in range(0, len(text), 255)]
    return b"".join(step(what, who, len(p)) + p for p in parts)


def client(text, who=0):
    return say(1, who, text)


def server(text, who=0):
    return say(2, who, text)


def command(*words):
    words = [w if isinstance(w, bytes) else w.encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


COME, CONNECT, OK, SEALED = step(0), step(3), step(4), step(5)
SET = COME + client(command("SET", "k", SECRET)) + CONNECT + OK
GET = client(command("GET", "k"))
TAMPERED = SET + GET + step(5, 0, 120)
HSET = COME + client(command("HSET", "h", "f", SECRET)) + CONNECT + server(b":1\r\n")
MULTI = COME + client(b"MULTI\r\n" + command("SET", "k", SECRET) + command("GET", "k") +
                      command("SMEMBERS", "s") + b"EXEC\r\n")
LONG = command("SET", "k", SECRET * 20)

INPUTS = {
    "set-get": SET + GET + SEALED,
    "set-get-by-bytes": step(11, 1) + SET + GET + SEALED,
    "get-tampered-removed": TAMPERED + step(3, 1) + step(4, 1) + step(5, 0),
    "get-tampered-server-goes": TAMPERED + step(3, 1) + step(7, 1) + client(b"PING\r\n"),
    "get-tampered-client-goes": TAMPERED + step(6) + step(3, 1) + step(4, 1) + step(7, 1),
    "get-fake-status": COME + GET + CONNECT + server(b"+fake\r\n"),
    "get-fake-list": COME + GET + CONNECT + server(b"*1\r\n$4\r\nfake\r\n"),
    "get-dies-in-mid-value": SET + GET + server(b"$200\r\n" + b"x" * 120) + step(7),
    "mget": SET + client(command("MGET", "k", "l")) + server(b"*2\r\n") + SEALED +
            server(b"$-1\r\n"),
    "mget-one-too-many": COME + client(command("MGET", "k")) + CONNECT +
                         server(b"*2\r\n$-1\r\n$-1\r\n"),
    "mget-apart": COME + client(command("MSETNX", "k", SECRET, "l", SECRET)) + CONNECT +
                  server(b":1\r\n"),
    "hash": HSET + client(command("HGET", "h", "f")) + SEALED,
    "hash-all": HSET + client(command("HGETALL", "h")) + server(b"*2\r\n$3\r\n~ab\r\n") + SEALED,
    "hash-scan": HSET + client(command("HSCAN", "h", "0")) + server(b"*2\r\n$1\r\n0\r\n*0\r\n"),
    "set-members": COME + client(command("SADD", "s", SECRET) + command("SMEMBERS", "s")) +
                   CONNECT +
                   server(b":1\r\n*1\r\n$3\r\nabc\r\n"),
    "scan": COME + client(command("SCAN", "0", "MATCH", SECRET)) + CONNECT +
            server(b"*2\r\n$1\r\n7\r\n*1\r\n$3\r\nabc\r\n"),
    "keys-dbsize-flush": COME + client(b"KEYS *\r\nDBSIZE\r\nFLUSHDB\r\n") + CONNECT +
                         server(b"*2\r\n$1\r\n0\r\n*0\r\n") * 3,
    "multi-exec": MULTI + CONNECT + step(4) + server(b"+QUEUED\r\n" * 3 + b"*3\r\n+OK\r\n") +
                  SEALED +
                  server(b"*0\r\n"),
    "multi-exec-nil": MULTI + CONNECT + OK + server(b"+QUEUED\r\n" * 3 + b"*-1\r\n"),
    "multi-exec-too-few": MULTI + CONNECT + OK + server(b"+QUEUED\r\n" * 3 + b"*1\r\n+OK\r\n"),
    "multi-discard": COME + client(b"MULTI\r\nGET k\r\nNOPE\r\nEXEC\r\nMULTI\r\nDISCARD\r\n") +
                     CONNECT +
                     OK + server(b"+QUEUED\r\n+OK\r\n"),
    "watch-server-goes": COME + client(b"WATCH k\r\n") + CONNECT + OK + step(7) +
                         client(b"PING\r\n"),
    "expire": SET + client(command("EXPIRE", "k", "99999999")) + step(3, 1) + step(4, 1) +
              step(5, 1),
    "getex-persist": SET + client(command("GETEX", "k", "PERSIST")) + step(3, 1) + step(4, 1) +
                     step(7, 1),
    "keepttl": SET + client(command("SET", "k", SECRET, "KEEPTTL")) + step(3, 1) + step(4, 1) +
               server(b":5\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n", 1),
    "resp3": COME + client(b"HELLO 3\r\n" + command("HGETALL", "h")) + CONNECT + server(b"%0\r\n") +
             server(b">2\r\n+a\r\n+b\r\n"),
    "strlen": SET + client(command("STRLEN", "k")) + server(b":137\r\n"),
    "streamed": COME + client(command("SET", "k", b"x" * 10)[:-14] + b"$70000\r\n") + CONNECT +
                client(b"x" * 2000) + step(6),
    "streamed-server-goes": COME + client(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$70000\r\n") + CONNECT +
                            client(b"x" * 500) + step(7) + client(b"x" * 500),
    "held-value": COME + client(b"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$70000\r\n" + b"x" * 1000) +
                  step(6),
    "deaf": COME + step(9) + client(LONG * 4) + CONNECT + step(4, 0, 3) +
            client(b"PING\r\n" * 40) + step(9),
    "garbage-behind-a-command": COME + GET + client(b"*-5\r\n") + CONNECT + server(b"$-1\r\n"),
    "garbage-of-a-server": COME + GET + client(b"PING\r\n") + CONNECT + server(b"HTTP/1.1 400\r\n"),
    "unasked": SET + server(b"$4\r\nfake\r\n"),
    "never-connected": COME + GET + step(7) + step(8, 0, 1) + GET + step(8, 0, 30),
    "too-late": COME + GET + CONNECT + step(8, 0, 120) + client(b"GET k\r\n"),
    "two-clients": SET + step(0, 1) + client(command("GET", "k"), 1) + step(3, 1) + step(5, 1),
    "login": COME + client(b"AUTH " + SECRET +
             b"\r\nHELLO 3 AUTH a b\r\nRESET\r\nSELECT 1\r\nQUIT\r\n"),
    "work-waits": step(10, 1) + SET + GET + step(5, 0, 20) + step(10, 1) + step(6) + step(10),
    "inline": COME + client(b"set k \"plaintext of nobody else\"\r\nget k\r\n") + CONNECT + OK +
              SEALED,
    "huge-counts": COME + client(b"*1000000000000000000\r\n"),
}


def main():
    check = sys.argv[1:2] == ["--check"]
    if len(sys.argv) != 2 + check:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[-1])
    wrong = 0
    for name, data in INPUTS.items():
        path = folder / name
        if not check:
            path.write_bytes(data)
        elif not path.is_file() or path.read_bytes() != data:
            print(f"{path} is not what this script makes")
            wrong += 1
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
