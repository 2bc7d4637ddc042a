#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""One TCP connection that carries data both ways at once: each side prints the SHA-256 of what it
sent and of what it received.

  tcp_stream.py listen ADDRESS PORT BYTES
  tcp_stream.py connect ADDRESS PORT BYTES"""

import hashlib
import json
import os
import socket
import sys
import threading

BLOCK = 1 << 16


def send(sock: socket.socket, left: int, result: dict) -> None:
    digest = hashlib.sha256()
    while left:
        block = os.urandom(min(BLOCK, left))
        sock.sendall(block)
        digest.update(block)
        left -= len(block)
    sock.shutdown(socket.SHUT_WR)
    result["sent"] = digest.hexdigest()


def receive(sock: socket.socket, result: dict) -> None:
    digest, count = hashlib.sha256(), 0
    while True:
        block = sock.recv(BLOCK)
        if not block:
            break
        digest.update(block)
        count += len(block)
    result["received"], result["bytes"] = digest.hexdigest(), count


def main() -> None:
    role, address, port, size = sys.argv[1:]
    if role == "listen":
        listener = socket.create_server((address, int(port)))
        print("listening", flush=True)
        sock, _ = listener.accept()
    else:
        sock = socket.create_connection((address, int(port)), timeout=20)
        sock.settimeout(None)
    result: dict = {}
    sender = threading.Thread(target=send, args=(sock, int(size), result))
    sender.start()
    receive(sock, result)
    sender.join()
    print(json.dumps(result), flush=True)


main()
