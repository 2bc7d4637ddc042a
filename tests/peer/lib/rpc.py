# SPDX-License-Identifier: BSD-3-Clause
"""The manager's control protocol (docs/protocol.md), spoken directly."""

import json
import socket
from pathlib import Path
from typing import Any

from .env import patience


class RpcError(Exception):
    def __init__(self, error: dict) -> None:
        super().__init__(error.get("message"))
        self.code: int = error.get("code", 0)
        self.step: str = error.get("data", {}).get("step", "")


class Rpc:
    def __init__(self, path: Path, timeout: float = 30) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(patience(timeout))
        try:
            self.sock.connect(str(path))
        except OSError:
            self.sock.close()
            raise
        self.stream = self.sock.makefile("rwb")
        self.number = 0

    def call(self, method: str, **params: Any) -> Any:
        self.number += 1
        request = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        self.stream.write(json.dumps(request).encode() + b"\n")
        self.stream.flush()
        while True:
            line = self.stream.readline()
            if not line:
                raise ConnectionError(f"the server ended the connection during {method}")
            answer = json.loads(line)
            if answer.get("id") == self.number:
                break
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    def close(self) -> None:
        self.stream.close()
        self.sock.close()

    def __enter__(self) -> "Rpc":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
