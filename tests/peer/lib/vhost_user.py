# SPDX-License-Identifier: BSD-3-Clause
"""A vhost-user front end by hand: messages, guest memory and the order in which a driver sets up a
device. Every step is also there alone and raw, so that a caller can send what no driver would.

	vm = FrontEnd()
	vm.connect(path)                        # or vm.accept(path): the back end is the client
	vm.set_up(features)                     # features, memory, all rings, enable
	vm.rings[1].add([(vm.memory.write(frame), len(frame), False)])
	vm.kick(1)
"""

import array
import enum
import mmap
import os
import select
import socket
import struct
import time
from typing import List, Optional, Sequence, Tuple

from .vring import PackedRing, Ring, SplitRing

# Virtio features (bits).
NET_CSUM, NET_GUEST_CSUM, NET_MTU, NET_MAC = 0, 1, 3, 5
NET_GUEST_TSO4, NET_GUEST_TSO6, NET_GUEST_ECN, NET_GUEST_UFO = 7, 8, 9, 10
NET_HOST_TSO4, NET_HOST_TSO6, NET_HOST_ECN, NET_HOST_UFO = 11, 12, 13, 14
NET_MRG_RXBUF, NET_STATUS, NET_CTRL_VQ, NET_MQ = 15, 16, 17, 22
LOG_ALL, INDIRECT_DESC, EVENT_IDX, PROTOCOL_FEATURES = 26, 28, 29, 30
VERSION_1, IOMMU_PLATFORM, RING_PACKED = 32, 33, 34

# vhost-user protocol features (bits).
PROTO_MQ, PROTO_LOG_SHMFD, PROTO_RARP, PROTO_REPLY_ACK, PROTO_MTU = 0, 1, 2, 3, 4
PROTO_CONFIG, PROTO_INFLIGHT, PROTO_STATUS = 9, 12, 16

STATUS_DRIVER_OK = 1 | 2 | 4 | 8  # ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK

VERSION, REPLY, NEED_REPLY = 1, 4, 8  # flags of the header
HEADER = struct.Struct("<III")  # request, flags, size
REGION = struct.Struct("<QQQQ")  # guest address, size, user address, offset in the file
VRING_ADDR = struct.Struct("<IIQQQQ")  # index, flags, descriptors, used, available, log
NO_FD = 1 << 8  # in the payload of SET_VRING_KICK and SET_VRING_CALL

GUEST_BASE = 0x4000_0000  # guest physical address of our memory
USER_BASE = 0x7000_0000_0000  # where it is said to be mapped in the front end


def bits(*numbers: int) -> int:
    mask = 0
    for n in numbers:
        mask |= 1 << n
    return mask


PROTOCOL = bits(PROTO_MQ, PROTO_STATUS)


class Request(enum.IntEnum):
    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_LOG_BASE = 6
    SET_LOG_FD = 7
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18
    SEND_RARP = 19
    NET_SET_MTU = 20
    SET_BACKEND_REQ_FD = 21
    IOTLB_MSG = 22
    SET_VRING_ENDIAN = 23
    GET_CONFIG = 24
    SET_CONFIG = 25
    POSTCOPY_ADVISE = 28
    POSTCOPY_LISTEN = 29
    POSTCOPY_END = 30
    GET_INFLIGHT_FD = 31
    SET_INFLIGHT_FD = 32
    ADD_MEM_REG = 37
    REM_MEM_REG = 38
    SET_STATUS = 39
    GET_STATUS = 40


class Dropped(Exception):
    """The back end has closed the connection."""


class Memory:
    """Guest memory in a memfd, given out from the bottom up."""

    def __init__(self, size: int = 4 << 20, guest: int = GUEST_BASE, user: int = USER_BASE):
        self.size, self.guest, self.user = size, guest, user
        self.fd = os.memfd_create("guest", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, size)
        self.map = mmap.mmap(self.fd, size)
        self.u16 = memoryview(self.map).cast("H")
        self.next = 0

    def alloc(self, size: int, align: int = 64) -> int:
        """Returns an offset; add .guest for a guest address, .user for a user address."""
        offset = (self.next + align - 1) // align * align
        assert offset + size <= self.size, "the guest's memory is used up"
        self.next = offset + size
        return offset

    def region(self) -> Tuple[int, int, int, int]:
        return (self.guest, self.size, self.user, 0)

    def close(self) -> None:
        self.u16.release()
        self.map.close()
        os.close(self.fd)


def eventfd() -> int:
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


class FrontEnd:
    def __init__(self, timeout: float = 10.0):
        self.timeout = timeout  # for everything that waits for the back end
        self.sock: Optional[socket.socket] = None
        self.memory: Optional[Memory] = None
        self.rings: List[Ring] = []
        self.kicks: List[int] = []
        self.calls: List[int] = []
        self.features = 0
        self.protocol = 0
        self.max_queues = 1

    def __enter__(self) -> "FrontEnd":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    # The connection

    def connect(self, path: str) -> "FrontEnd":
        """Waits until somebody listens on path."""
        end = time.monotonic() + self.timeout
        while True:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(self.timeout)
            try:
                sock.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):  # backlog full
                sock.close()
                if time.monotonic() > end:
                    raise
                select.select([], [], [], 0.01)
        self.sock = sock
        return self

    def accept(self, path: str) -> "FrontEnd":
        """Listens on path until the back end connects; path is removed again."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.settimeout(self.timeout)
            listener.bind(path)
            try:
                listener.listen(1)
                self.sock, _ = listener.accept()
            finally:
                os.unlink(path)
        self.sock.settimeout(self.timeout)
        return self

    def disconnect(self) -> None:
        if self.sock:
            self.sock.close()
            self.sock = None

    def close(self) -> None:
        self.disconnect()
        for fd in self.kicks + self.calls:
            os.close(fd)
        self.kicks, self.calls = [], []
        if self.memory:
            self.memory.close()
            self.memory = None

    def is_dropped(self, timeout: float = 0.0) -> bool:
        """True when the back end has closed the connection, or does so within timeout. Replies
        that are still there are read and thrown away."""
        end = time.monotonic() + timeout
        while True:
            try:
                left = max(0.0, end - time.monotonic())
                if not select.select([self.sock], [], [], left)[0]:
                    return False
                if not self.sock.recv(4096):
                    return True
            except ConnectionError:
                return True

    # Messages

    def send_raw(self, data: bytes, fds: Sequence[int] = ()) -> None:
        ancillary = []
        if fds:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        try:
            sent = self.sock.sendmsg([data], ancillary)
            if sent < len(data):
                self.sock.sendall(data[sent:])
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Dropped(str(e)) from e

    def send(
        self,
        request: int,
        payload: bytes = b"",
        fds: Sequence[int] = (),
        flags: int = VERSION,
        size: Optional[int] = None,
    ) -> None:
        """One message; size lies about the payload's length when it is given."""
        header = HEADER.pack(request, flags, len(payload) if size is None else size)
        self.send_raw(header + payload, fds)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                part = self.sock.recv(size - len(data))
            except ConnectionError as e:
                raise Dropped(str(e)) from e
            if not part:
                raise Dropped("end of file")
            data += part
        return data

    def reply(self) -> Tuple[int, bytes]:
        """The next message from the back end: request and payload."""
        request, _, size = HEADER.unpack(self._read(HEADER.size))
        return request, self._read(size)

    def ask(self, request: int, payload: bytes = b"", fds: Sequence[int] = ()) -> bytes:
        self.send(request, payload, fds)
        answered, data = self.reply()
        assert answered == request, f"asked {request}, answered {answered}"
        return data

    def ask_u64(self, request: int, payload: bytes = b"") -> int:
        return struct.unpack("<Q", self.ask(request, payload))[0]

    def u64(self, request: int, value: int, fds: Sequence[int] = ()) -> None:
        self.send(request, struct.pack("<Q", value), fds)

    def state(self, request: int, index: int, value: int) -> None:
        self.send(request, struct.pack("<II", index, value))

    def sync(self) -> None:
        """Returns when the back end has handled everything before; its other answers are lost."""
        self.send(Request.GET_FEATURES)
        while self.reply()[0] != Request.GET_FEATURES:
            pass

    # What a driver does, step by step

    def negotiate(self, features: int, protocol: int = PROTOCOL) -> None:
        offered = self.ask_u64(Request.GET_FEATURES)
        self.features = offered & (features | bits(PROTOCOL_FEATURES))
        self.protocol = 0
        if self.features & bits(PROTOCOL_FEATURES):
            self.protocol = self.ask_u64(Request.GET_PROTOCOL_FEATURES) & protocol
            self.u64(Request.SET_PROTOCOL_FEATURES, self.protocol)
            if self.protocol & bits(PROTO_MQ):
                self.max_queues = self.ask_u64(Request.GET_QUEUE_NUM)
        self.send(Request.SET_OWNER)
        self.u64(Request.SET_FEATURES, self.features)

    def mem_table(
        self,
        regions: Sequence[Tuple[int, int, int, int]],
        fds: Sequence[int],
        count: Optional[int] = None,
    ) -> None:
        payload = struct.pack("<II", len(regions) if count is None else count, 0)
        payload += b"".join(REGION.pack(*r) for r in regions)
        self.send(Request.SET_MEM_TABLE, payload, fds)

    def share_memory(self, memory: Optional[Memory] = None) -> None:
        self.memory = memory or self.memory or Memory()
        self.mem_table([self.memory.region()], [self.memory.fd])

    def make_rings(self, count: int, size: int = 256) -> None:
        kind = PackedRing if self.features & bits(RING_PACKED) else SplitRing
        self.rings = [kind(self.memory, size) for _ in range(count)]
        self.kicks = [eventfd() for _ in range(count)]
        self.calls = [eventfd() for _ in range(count)]

    def vring_addr(
        self, index: int, desc: int, avail: int, used: int, flags: int = 0, log: int = 0
    ) -> None:
        """User addresses; for a packed ring the driver's and the device's event area."""
        payload = VRING_ADDR.pack(index, flags, desc, used, avail, log)
        self.send(Request.SET_VRING_ADDR, payload)

    def start_ring(self, index: int, base: Optional[int] = None) -> None:
        ring, user = self.rings[index], self.memory.user
        self.state(Request.SET_VRING_NUM, index, ring.size)
        self.state(Request.SET_VRING_BASE, index, ring.base() if base is None else base)
        self.vring_addr(index, user + ring.desc, user + ring.avail, user + ring.used)
        self.u64(Request.SET_VRING_CALL, index, [self.calls[index]])
        self.u64(Request.SET_VRING_KICK, index, [self.kicks[index]])

    def stop_ring(self, index: int) -> int:
        """Returns where the back end has come to."""
        answer = self.ask(Request.GET_VRING_BASE, struct.pack("<II", index, 0))
        return struct.unpack("<II", answer)[1]

    def enable(self, index: int, on: bool = True) -> None:
        self.state(Request.SET_VRING_ENABLE, index, int(on))

    def driver_ok(self) -> None:
        if self.protocol & bits(PROTO_STATUS):
            self.u64(Request.SET_STATUS, STATUS_DRIVER_OK)

    def start(self, bases: Sequence[int] = ()) -> None:
        """bases: what stop_ring() has returned of each ring."""
        for i in range(len(self.rings)):
            self.start_ring(i, bases[i] if bases else None)
        if self.features & bits(PROTOCOL_FEATURES):
            for i in range(len(self.rings)):
                self.enable(i)
        self.driver_ok()
        self.sync()

    def set_up(
        self,
        features: int,
        pairs: int = 1,
        size: int = 256,
        memory: Optional[Memory] = None,
        protocol: int = PROTOCOL,
    ) -> None:
        if pairs > 1:
            features |= bits(NET_MQ)
        self.negotiate(features, protocol)
        self.share_memory(memory)
        self.make_rings(2 * pairs, size)
        self.start()

    def migrate(self, path: str) -> None:
        """To another back end, which goes on where this one stops."""
        bases = [self.stop_ring(i) for i in range(len(self.rings))]
        self.disconnect()
        self.connect(path)
        self.negotiate(self.features, self.protocol)
        self.share_memory()
        self.start(bases)

    def send_rarp(self, mac: str) -> None:
        """As after a migration."""
        self.send(Request.SEND_RARP, bytes.fromhex(mac.replace(":", "")) + bytes(2))

    # Doorbells

    def kick(self, index: int) -> None:
        os.eventfd_write(self.kicks[index], 1)

    def wait_call(self, timeout: float) -> None:
        """Waits until the back end has called any ring."""
        for fd in select.select(self.calls, [], [], timeout)[0]:
            os.eventfd_read(fd)
