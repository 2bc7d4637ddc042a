# SPDX-License-Identifier: BSD-3-Clause
"""VMs that ask the network outside (ICMP echo) again and again, whether there is a device or not, and
note each answer. All of them in one thread: the processors of the guest are slow."""

import select
import struct
import threading
import time
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence

from lib.env import patience
from lib.frames import checksum
from lib.net_vm import RX, NetVM
from lib.wait import until
from machines import OUTSIDE
from outside import ADDRESS

INTERVAL = 0.02  # seconds from request to request, of each VM


def mac_of(index: int) -> str:
    return f"52:54:00:0a:00:{index:02x}"


def address_of(index: int) -> str:
    return f"10.9.1.{index}"


def _ip(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


class Vm(NetVM):
    """One VM with the MAC address of VF index. Times are those of time.monotonic()."""

    def __init__(self, path: Path, index: int, mac: str = "") -> None:
        super().__init__(timeout=patience(20))
        self.index, self.mac, self.address = index, mac or mac_of(index), address_of(index)
        self.asked: Dict[int, float] = {}  # number of a request: when
        self.answered: Dict[int, float] = {}
        self.twice = 0
        self.dropped = False
        self._number = 0
        self.connect(str(path))
        self.boot()

    def ping(self) -> None:
        self._number += 1
        message = struct.pack("!HHH", 0, self.index, self._number & 0xFFFF) + bytes(56)
        message = b"\x08\0" + struct.pack("!H", checksum(b"\x08\0" + message)) + message[2:]
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), 0, 0, 64, 1, 0)
        head += _ip(self.address) + _ip(ADDRESS)
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        if self.transmit(_mac(OUTSIDE) + _mac(self.mac) + b"\x08\0" + head + message):
            self.asked[self._number] = time.monotonic()

    def take(self) -> None:
        for frame in self.receive():
            if len(frame) < 42 or frame[:6] != _mac(self.mac) or frame[12:14] != b"\x08\0":
                continue
            if frame[34] != 0 or frame[30:34] != _ip(self.address):
                continue
            low = struct.unpack_from("!H", frame, 40)[0]
            number = self._number - ((self._number - low) & 0xFFFF)
            self.twice += number in self.answered
            self.answered.setdefault(number, time.monotonic())

    # What a test asks

    def first_answer(self, after: float) -> Optional[float]:
        """When the first answer came to a request of that time or later."""
        times = [t for n, t in list(self.answered.items()) if self.asked.get(n, 0) >= after]
        return min(times, default=None)

    def in_a_row(self, after: float) -> int:
        """The longest run of answered requests of that time or later."""
        best = run = 0
        for number, asked in list(self.asked.items()):
            run = run + 1 if asked >= after and number in self.answered else 0
            best = max(best, run)
        return best

    def silence(self) -> float:
        """Seconds since the last answer."""
        return time.monotonic() - max(self.answered.values(), default=0.0)


class Vms:
    """Runs them until close()."""

    def __init__(self, vms: Sequence[Vm]) -> None:
        self.vms = list(vms)
        self.failure: Optional[BaseException] = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vms", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Vm]:
        return iter(self.vms)

    def _run(self) -> None:
        try:
            following = time.monotonic()
            while not self._stop.is_set():
                if time.monotonic() >= following:
                    following = time.monotonic() + INTERVAL
                    for vm in self.vms:
                        if not vm.dropped:
                            vm.ping()
                self._wait(max(0.0, following - time.monotonic()))
        except BaseException as e:  # shown by check()
            self.failure = e

    def _wait(self, seconds: float) -> None:
        calls = {vm.calls[RX]: vm for vm in self.vms}
        socks = {vm.sock: vm for vm in self.vms if not vm.dropped}
        for ready in select.select([*calls, *socks], [], [], seconds)[0]:
            if ready in calls:
                vm = calls[ready]
                vm.wait_call(0)
                vm.take()
            elif socks[ready].is_dropped():
                socks[ready].dropped = True

    def check(self) -> None:
        """All of them have the connection that they began with."""
        if self.failure:
            raise AssertionError(f"the VMs: {self.failure!r}") from self.failure
        gone = [vm.index for vm in self.vms if vm.dropped]
        assert not gone, f"the relay has dropped the VMs {gone}"

    def first_answers(self, after: float, timeout: float = 30) -> List[float]:
        """Waits until each has an answer to what it asked since; when the first of each came."""
        until(
            lambda: all(vm.first_answer(after) for vm in self.vms),
            "each VM has an answer from outside",
            timeout,
            self.check,
            0.05,
        )
        return [vm.first_answer(after) or 0.0 for vm in self.vms]

    def flow(self, count: int = 20) -> None:
        """Traffic as it should be: of what is asked from now on, so many in a row are answered."""
        begin = time.monotonic()
        until(
            lambda: all(vm.in_a_row(begin) >= count for vm in self.vms),
            f"{count} answers in a row to each VM",
            20,
            self.check,
            0.05,
        )
        assert not any(vm.twice for vm in self.vms)

    def silent(self, seconds: float = 0.5) -> None:
        """Waits until nobody has had an answer for so long."""
        until(
            lambda: min(vm.silence() for vm in self.vms) > seconds,
            "no VM gets answers any more",
            20,
            self.check,
            0.05,
        )

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for vm in self.vms:
            vm.close()
        self.vms = []
