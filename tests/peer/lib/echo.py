# SPDX-License-Identifier: BSD-3-Clause
"""Open TCP connections to a guest that sends back what it gets; every byte is checked."""

import random
import select
import socket
import threading
import time
from typing import List, Optional

from .netns import Netns
from .wait import until

BLOCK = 8 << 10
WINDOW = 16 * BLOCK  # sent and not yet back, in bytes
PACE_S = 0.02  # between two blocks


class Echo(threading.Thread):
    """One connection, from a namespace; seed makes its data."""

    def __init__(self, net: Netns, address: str, port: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.net, self.target, self.seed = net, (address, port), seed
        self.sent = self.received = 0  # bytes
        self.failure: Optional[str] = None
        self._ending = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            self.net.enter()
            with socket.create_connection(self.target, 20) as sock:
                sock.setblocking(False)
                self._exchange(sock)
        except OSError as e:
            self.failure = f"connection {self.seed}: {e}"

    def _exchange(self, sock: socket.socket) -> None:
        data, expected = random.Random(self.seed), random.Random(self.seed)
        left, wanted, due = b"", b"", 0.0
        while not self._ending.is_set() and not self.failure:
            now = time.monotonic()
            if not left and now >= due and self.sent - self.received < WINDOW:
                left, due = data.randbytes(BLOCK), now + PACE_S
            ready, room, _ = select.select([sock], [sock] if left else [], [], PACE_S)
            if room:
                n = sock.send(left)
                left = left[n:]
                self.sent += n
            if ready:
                got = sock.recv(BLOCK)
                if len(wanted) < len(got):
                    wanted += expected.randbytes(BLOCK)
                if not got or not wanted.startswith(got):
                    self.failure = f"connection {self.seed}: wrong data behind {self.received}"
                wanted = wanted[len(got) :]
                self.received += len(got)

    def close(self) -> None:
        self._ending.set()
        self.join(20)


class Echoes:
    """Several of them."""

    def __init__(self, net: Netns, address: str, port: int, count: int) -> None:
        self.all: List[Echo] = []
        for seed in range(count):  # one after another, as the guest takes them
            self.all.append(Echo(net, address, port, seed))
            self.progress(1)

    def check(self) -> None:
        failures = [e.failure for e in self.all if e.failure]
        assert not failures, failures

    def progress(self, size: int, timeout: float = 20) -> None:
        """Waits until so many more bytes have come back on every connection."""
        goals = [e.received + size for e in self.all]
        until(
            lambda: all(e.received >= goal for e, goal in zip(self.all, goals)),
            f"{size} bytes more on each connection",
            timeout,
            self.check,
        )

    def wait_full(self, timeout: float = 20) -> None:
        """Waits until the guest, which reads nothing, holds all that may be under way."""
        until(lambda: all(e.sent - e.received >= WINDOW for e in self.all), "full windows", timeout,
              self.check)  # fmt: skip

    def received(self) -> int:
        return sum(e.received for e in self.all)

    def close(self) -> None:
        for echo in self.all:
            echo.close()
