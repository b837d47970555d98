#!/usr/bin/env python3
"""clients.py hold COUNT PORT | slow COUNT PORT | flood SECONDS PORT - many clients at once; run inside a node.

hold: opens COUNT connections, each with one request answered, prints a JSON line, keeps them until stdin ends.
flood: connects as fast as it can for SECONDS, on TCP and on the Unix socket, prints how often and how often it was refused.
slow: opens COUNT connections that send a header one byte a second, prints how and after how long each ended.
"""

import json
import resource
import select
import socket
import sys
import time


def hold(count, port):
    request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
    sockets, answered, refused = [], 0, 0
    for _ in range(count):
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=10)
            sock.sendall(request)
            if sock.recv(4096).startswith(b"HTTP/1.1 200"):
                answered += 1
            else:
                refused += 1
            sockets.append(sock)
        except OSError:
            refused += 1
    print(json.dumps({"open": len(sockets), "answered": answered, "refused": refused}), flush=True)
    sys.stdin.read()


def flood(seconds, port):
    tried = refused = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for family, address in ((socket.AF_INET, ("127.0.0.1", port)), (socket.AF_UNIX, "/run/opsd/opsd.sock")):
            with socket.socket(family) as sock:
                sock.settimeout(10)
                tried += 1
                try:
                    sock.connect(address)
                    sock.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
                    refused += sock.recv(4096).startswith(b"HTTP/1.1 503")
                except OSError:
                    refused += 1
    print(json.dumps({"tried": tried, "refused": refused}))


def slow(count, port):
    sockets = {}
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        sock.setblocking(False)
        sockets[sock] = time.monotonic()
    ended, statuses = [], {}
    text = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 1000
    position = 0
    end = time.monotonic() + 60
    while sockets and time.monotonic() < end:
        for sock in list(sockets):
            try:
                sock.send(text[position:position + 1])
            except OSError:
                pass
        position += 1
        pause = time.monotonic() + 0.5
        while time.monotonic() < pause and sockets:
            readable, _, _ = select.select(list(sockets), [], [], 0.1)
            for sock in readable:
                try:
                    data = sock.recv(4096)
                except OSError:
                    data = b""
                if data:
                    word = data.split(b" ")[1].decode()
                    statuses[word] = statuses.get(word, 0) + 1
                    continue
                ended.append(time.monotonic() - sockets.pop(sock))
                sock.close()
    print(json.dumps({"ended": len(ended), "left": len(sockets), "longest": max(ended, default=0), "statuses": statuses}))


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, soft), hard))
    {"hold": hold, "slow": slow, "flood": flood}[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))
