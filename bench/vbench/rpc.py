# SPDX-License-Identifier: BSD-3-Clause
"""A blocking client of docs/protocol.md."""

import json
import socket


class RpcError(RuntimeError):
    pass


class RpcClient:
    def __init__(self, path, timeout=10.0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.buffer = b""
        self.last_id = 0

    def _line(self) -> bytes:
        while b"\n" not in self.buffer:
            data = self.socket.recv(1 << 16)
            if not data:
                raise RpcError("the server closed the connection")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def call(self, method: str, fds=(), **params):
        """fds: file descriptors that ride along; they stay the caller's."""
        self.last_id += 1
        request = {"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}
        line = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(self.socket, [line], fds) if fds else 0
        self.socket.sendall(line[sent:])
        while True:
            answer = json.loads(self._line())
            if answer.get("id") != self.last_id:
                continue  # a notification
            if "error" in answer:
                raise RpcError(f"{method}: {answer['error']['message']}")
            return answer["result"]

    def close(self):
        self.socket.close()
