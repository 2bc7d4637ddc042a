# SPDX-License-Identifier: BSD-3-Clause
"""The service manager's end of sd_notify: takes every message at once, as systemd does; a full
socket would hold up the daemon."""

import socket
import threading
from pathlib import Path
from typing import Callable, List

from .wait import until


class Notify:
    def __init__(self, path: Path) -> None:
        self.messages: List[str] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(path))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            data = self._sock.recv(65536)
            if not data:
                return
            self.messages.append(data.decode(errors="replace"))

    def wait(self, text: str, alive: Callable[[], None], timeout: float, start: int = 0) -> None:
        until(lambda: any(text in m for m in self.messages[start:]), text, timeout, alive)

    def close(self) -> None:
        self._sock.shutdown(socket.SHUT_RD)
        self._thread.join()
        self._sock.close()
