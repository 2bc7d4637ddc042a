# SPDX-License-Identifier: BSD-3-Clause
"""A well-behaved network VM on one queue pair, in Python: frames in and out, and numbered traffic
that goes round a loop (a device that sends back what it gets) and tells what was lost."""

import os
import select
import struct
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import Callable, Deque, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from .vhost_user import (
    EVENT_IDX,
    INDIRECT_DESC,
    LOG_ALL,
    NET_MRG_RXBUF,
    PROTO_LOG_SHMFD,
    PROTOCOL,
    RING_PACKED,
    VERSION_1,
    Dropped,
    FrontEnd,
    Memory,
    Request,
    bits,
)

FEATURES = bits(VERSION_1, NET_MRG_RXBUF, INDIRECT_DESC)
LOG_PROTOCOL = PROTOCOL | bits(PROTO_LOG_SHMFD)
BUFFER = 2048
PAGE = 4096
STALL = 1.0  # seconds without a frame, after which those under way are given up
RX, TX = 0, 1

assert not FEATURES & bits(EVENT_IDX, RING_PACKED)  # this driver kicks after every packet


class NetVM(FrontEnd):
    """connect() or accept() first, then boot()."""

    def boot(
        self,
        features: int = FEATURES,
        size: int = 256,
        receiving: bool = True,
        protocol: int = PROTOCOL,
    ) -> "NetVM":
        """Without receiving, no buffers are put into the RX ring."""
        self.receiving = receiving
        self.set_up(features, 1, size, Memory((2 * size + 64) * BUFFER + 64 * size + 8192), protocol)
        self.header_size = 12 if self.features & bits(VERSION_1, NET_MRG_RXBUF) else 10
        self.spare: Deque[int] = deque(self.memory.alloc(BUFFER) for _ in range(2 * size))
        self.filled: List[Dict[int, int]] = [{}, {}]  # of each ring: id -> buffer
        self.parts: List[bytes] = []  # of a received frame in several buffers
        self.missing = 0
        self.written: List[Tuple[int, int]] = []  # receive buffers (address, length), as they came
        self._refill()
        return self

    def _refill(self) -> None:
        if not self.receiving:
            return
        ring, added = self.rings[RX], 0
        while ring.free:
            buffer = self.spare.popleft()
            self.filled[RX][ring.add([(self.memory.guest + buffer, BUFFER, True)])] = buffer
            added += 1
        if added:
            self.kick(RX)

    def transmit(self, frame: bytes, header: bytes = b"") -> bool:
        """False when there is no room. header is the virtio-net header, zeros when empty."""
        ring = self.rings[TX]
        for ident, _ in ring.reap():
            self.spare.append(self.filled[TX].pop(ident))
        if not ring.free or not self.spare:
            return False
        data = (header or bytes(self.header_size)) + frame
        assert len(data) <= BUFFER
        buffer = self.spare.popleft()
        self.memory.map[buffer : buffer + len(data)] = data
        self.filled[TX][ring.add([(self.memory.guest + buffer, len(data), False)])] = buffer
        self.kick(TX)
        return True

    def receive(self) -> List[bytes]:
        """The frames that are there."""
        frames = []
        for ident, length in self.rings[RX].reap():
            buffer = self.filled[RX].pop(ident)
            data = self.memory.map[buffer : buffer + length]
            self.written.append((self.memory.guest + buffer, length))
            self.spare.append(buffer)
            if not self.missing:
                self.missing = 1
                if self.features & bits(NET_MRG_RXBUF):  # else it says nothing (virtio 1.2, 5.1.6.4)
                    (self.missing,) = struct.unpack_from("<H", data, 10)
                data = data[self.header_size :]
            self.parts.append(data)
            self.missing -= 1
            if not self.missing:
                frames.append(b"".join(self.parts))
                self.parts = []
        self._refill()
        return frames

    def begin_log(self, log: Memory) -> List[Tuple[int, int]]:
        """As when the VM begins to be migrated: log gets a bit for each page that is written. Returns
        where the used rings are."""
        assert self.memory
        self.ask(Request.SET_LOG_BASE, struct.pack("<QQ", len(log.map), 0), [log.fd])
        used = []
        for i, ring in enumerate(self.rings):
            user, guest = self.memory.user, self.memory.guest
            self.vring_addr(
                i, user + ring.desc, user + ring.avail, user + ring.used, 1, guest + ring.used
            )
            used.append((guest + ring.used, 4 + 8 * ring.size))
        self.u64(Request.SET_FEATURES, self.features | bits(LOG_ALL))
        self.sync()
        return used

    def end_log(self) -> None:
        self.u64(Request.SET_FEATURES, self.features)
        self.sync()

    def stop(self) -> None:
        """As a driver that is shut down: rings off, one by one, then the connection."""
        for i in range(len(self.rings)):
            self.enable(i, False)
            self.stop_ring(i)
        self.disconnect()


class NumberedLoop:
    """Numbered frames go round through a VM in a thread of their own, a window of them under way
    at any time. When the connection ends (the relay has died) the VM connects again by itself."""

    def __init__(
        self, path: str, server: bool = False, window: int = 32, protocol: int = PROTOCOL
    ):
        self.path, self.server, self.window, self.protocol = path, server, window, protocol
        source = b"\x02" + os.urandom(5)  # frames of others, before us, may still be in the loop
        self.header = bytes.fromhex("020000000001") + source + b"\x88\xb5"
        self.sent = self.received = self.lost = self.boots = 0
        self.others: List[bytes] = []  # frames that are not of the loop
        self.down_since: Optional[float] = None  # time.monotonic()
        self.outages: List[float] = []  # seconds from losing the connection to the first frame
        self.failure: Optional[BaseException] = None
        self._expected = 0
        self._settled = False  # a frame has come round since the last boot
        self._action: Optional[Callable[[NetVM], object]] = None
        self._result: object = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"numbered {path}", daemon=True)

    def __enter__(self) -> "NumberedLoop":
        self._thread.start()
        self.progress(1)
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with NetVM(timeout=30) as vm:
                    (vm.accept if self.server else vm.connect)(self.path)
                    vm.boot(protocol=self.protocol)
                    self.boots += 1
                    self._settled = False
                    self._exchange(vm)
            except (Dropped, ConnectionError):
                with self._changed:
                    self.down_since = self.down_since or time.monotonic()
                self._stop.wait(0.01)
            except BaseException as e:  # shown by progress()
                with self._changed:
                    self.failure = e
                    self._changed.notify_all()
                return

    def _exchange(self, vm: NetVM) -> None:
        """Until the first frame has come round the device may not be there yet: what is sent into
        the void is sent again, and does not count."""
        under_way, again = 0, 0.0
        heard = time.monotonic()
        while not self._stop.is_set():
            if under_way == self.window and time.monotonic() > heard + STALL:
                under_way, heard = 0, time.monotonic()  # all of them are lost
            if not self._settled and time.monotonic() > again:
                under_way, again = 0, time.monotonic() + 0.02
                self._expected = self.sent
            while under_way < self.window:
                if not vm.transmit(self.header + struct.pack(">Q", self.sent) + bytes(86)):
                    break
                self.sent += 1
                under_way += 1
            self._act(vm)
            select.select([vm.calls[RX], vm.sock], [], [], 0.05)
            vm.wait_call(0)
            if vm.is_dropped():
                raise Dropped(self.path)
            for frame in vm.receive():
                if frame[:14] == self.header:
                    under_way -= self._take(struct.unpack_from(">Q", frame, 14)[0])
                    heard = time.monotonic()
                else:
                    self.others.append(frame)

    def _act(self, vm: NetVM) -> None:
        with self._changed:
            if self._action:
                self._result = self._action(vm)
                self._action = None
                self._changed.notify_all()

    def within(self, action: Callable[[NetVM], object], timeout: float = 30.0) -> object:
        """Runs action in the VM's thread, between two frames, and returns what it returns."""
        with self._changed:
            self._action = action
            done = self._changed.wait_for(lambda: self.failure or not self._action, timeout)
            if self.failure:
                raise AssertionError(f"VM on {self.path}: {self.failure!r}") from self.failure
            assert done, f"VM on {self.path} is busy"
            return self._result

    def _take(self, number: int) -> int:
        """Returns how many frames are no longer under way."""
        with self._changed:
            if number < self._expected:
                return 0  # of the time before
            gone = number - self._expected
            if self._settled:
                self.lost += gone
            self._settled = True
            self.received += 1
            self._expected = number + 1
            if self.down_since:
                self.outages.append(time.monotonic() - self.down_since)
                self.down_since = None
            self._changed.notify_all()
            return gone + 1

    def progress(self, frames: int, timeout: float = 30.0) -> None:
        """Waits until so many more frames have come round."""
        with self._changed:
            goal = self.received + frames
            done = self._changed.wait_for(lambda: self.failure or self.received >= goal, timeout)
            if self.failure:
                raise AssertionError(f"VM on {self.path}: {self.failure!r}") from self.failure
            assert done, (
                f"VM on {self.path}: {self.received} of {goal} frames came back in {timeout} s, "
                f"{self.sent} were sent, {self.lost} lost"
            )


def _pages(parts: Iterable[Tuple[int, int]]) -> Set[int]:
    return {p for at, n in parts for p in range(at // PAGE, (at + n - 1) // PAGE + 1)}


@contextmanager
def log_checked(vm: NumberedLoop, log: Memory) -> Iterator[None]:
    """Logs while the block runs, and some traffic after it: all pages are marked that were written in
    between, and no others."""
    vm.within(lambda net: net.written.clear())
    rings = vm.within(lambda net: net.begin_log(log))
    yield
    vm.progress(2 * vm.window)  # those written before it began have come
    first = vm.within(lambda net: len(net.written))
    vm.progress(600, 60)
    last = vm.within(lambda net: len(net.written))
    vm.within(lambda net: net.end_log())
    vm.progress(2 * vm.window)
    written = vm.within(lambda net: list(net.written))
    marked = {page for page in range(len(log.map) * 8) if log.map[page // 8] >> page % 8 & 1}
    assert _pages(written[first:last]) <= marked <= _pages([*written, *rings])
    assert marked & _pages(rings[:1])
