#!/usr/bin/env python3
"""fake_member.py MODE ADDRESS PORT - a member of the cluster that answers wrongly, until it is ended.

Modes: garbage, half, drip (a byte a second), huge (1 GiB), redirect (to the trap), silent (accepts, never answers),
deaf (does not even accept), empty (closes at once), reset, trap (notes in /run/trap what it is sent).
"""

import socket
import struct
import sys
import threading
import time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TRAP = "127.0.0.66:2050"


def answer(client, mode):
    client.settimeout(30)
    try:
        asked = client.recv(65536)
        if mode == "garbage":
            client.sendall(HEAD + b"Content-Length: 12\r\n\r\n<html>oops!\n")
        elif mode == "half":
            client.sendall(HEAD + b"Content-Length: 5000\r\n\r\n{\"units\":[{\"id\":\"a.ser")
        elif mode == "drip":
            client.sendall(HEAD + b"Content-Length: 500\r\n\r\n")
            for _ in range(500):
                client.sendall(b"{")
                time.sleep(1)
        elif mode == "huge":
            client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (1 << 30))
            for _ in range(1 << 14):
                client.sendall(b" " * 65536)
        elif mode == "redirect":
            place = f"Location: http://{TRAP}/api/v1/node\r\n".encode()
            client.sendall(b"HTTP/1.1 307 Temporary Redirect\r\n" + place + b"Content-Length: 0\r\n\r\n")
        elif mode == "silent":
            time.sleep(300)
        elif mode == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif mode == "trap" and asked:
            with open("/run/trap", "ab") as file:
                file.write(asked)
    except OSError:
        pass
    finally:
        client.close()


def main():
    mode, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    server = socket.create_server((address, port), backlog=1 if mode == "deaf" else 64)
    print("ready", flush=True)
    if mode == "deaf":
        time.sleep(10_000)
    while True:
        client, _ = server.accept()
        threading.Thread(target=answer, args=(client, mode), daemon=True).start()


if __name__ == "__main__":
    main()
