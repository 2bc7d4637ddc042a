# SPDX-License-Identifier: BSD-3-Clause
"""Virtio rings in guest memory, the driver's side (virtio 1.2, 2.7 and 2.8). A ring knows its
places as offsets into the memory; buffers are named by guest addresses, as in descriptors.

The stores are plain: on x86 no store is moved before an older one. What the device reads at the same
time is written through Memory.u16, one store of two bytes; struct would zero it first, and go byte by
byte for "<H"."""

import struct
from collections import deque
from typing import Deque, Dict, List, Sequence, Tuple

NEXT, WRITE, INDIRECT = 1, 2, 4  # flags of a descriptor
PACKED_AVAIL, PACKED_USED = 1 << 7, 1 << 15

DESC = struct.Struct("<QIHH")  # split: address, length, flags, next; packed: .., id, flags

Buffer = Tuple[int, int, bool]  # guest address, length, the device writes


class Confused(Exception):
    """The device has used what it was never given."""


class Ring:
    desc: int  # offsets into the memory: descriptors,
    avail: int  # available ring, or the driver's event area
    used: int  # used ring, or the device's event area

    def __init__(self, memory, size: int):
        self.memory, self.size = memory, size
        self.map, self.u16 = memory.map, memory.u16
        self.free = size  # descriptors

    def base(self) -> int:
        """For SET_VRING_BASE."""
        raise NotImplementedError

    def add(self, chain: Sequence[Buffer]) -> int:
        """Makes a chain of buffers available and returns its id."""
        raise NotImplementedError

    def reap(self) -> List[Tuple[int, int]]:
        """(id, length) of what the device has used since."""
        raise NotImplementedError


class SplitRing(Ring):
    def __init__(self, memory, size: int):
        super().__init__(memory, size)
        self.desc = memory.alloc(16 * size, 16)
        self.avail = memory.alloc(6 + 2 * size, 2)
        self.used = memory.alloc(6 + 8 * size, 4)
        self.unused: Deque[int] = deque(range(size))
        self.chains: Dict[int, List[int]] = {}
        self.avail_idx = 0
        self.used_idx = 0

    def base(self) -> int:
        return self.used_idx

    # Raw

    def write_desc(self, i: int, addr: int, length: int, flags: int = 0, following: int = 0):
        DESC.pack_into(self.map, self.desc + 16 * i, addr, length, flags, following)

    def write_avail(self, position: int, head: int) -> None:
        self.u16[self.avail // 2 + 2 + position % self.size] = head

    def write_avail_idx(self, idx: int) -> None:
        self.avail_idx = idx & 0xFFFF
        self.u16[self.avail // 2 + 1] = self.avail_idx

    def publish(self, head: int) -> None:
        self.write_avail(self.avail_idx, head)
        self.write_avail_idx(self.avail_idx + 1)

    # As a driver

    def add(self, chain: Sequence[Buffer]) -> int:
        ids = [self.unused.popleft() for _ in chain]
        for n, (addr, length, writable) in enumerate(chain):
            last = n == len(chain) - 1
            flags = (WRITE if writable else 0) | (0 if last else NEXT)
            self.write_desc(ids[n], addr, length, flags, 0 if last else ids[n + 1])
        self.chains[ids[0]] = ids
        self.free -= len(ids)
        self.publish(ids[0])
        return ids[0]

    def reap(self) -> List[Tuple[int, int]]:
        out = []
        idx = self.u16[self.used // 2 + 1]
        while self.used_idx != idx:
            at = self.used + 4 + 8 * (self.used_idx % self.size)
            head, length = struct.unpack_from("<II", self.map, at)
            ids = self.chains.pop(head, None)
            if ids is None:
                raise Confused(f"{head} in the used ring at {self.used_idx}")
            self.unused.extend(ids)
            self.free += len(ids)
            self.used_idx = (self.used_idx + 1) & 0xFFFF
            out.append((head, length))
        return out


class PackedRing(Ring):
    def __init__(self, memory, size: int):
        super().__init__(memory, size)
        self.desc = memory.alloc(16 * size, 16)
        self.avail = memory.alloc(4, 4)
        self.used = memory.alloc(4, 4)
        self.unused: Deque[int] = deque(range(size))
        self.lengths: Dict[int, int] = {}  # of the chains that are with the device
        self.position, self.wrap = 0, True
        self.used_position, self.used_wrap = 0, True

    def base(self) -> int:
        half = self.used_position | self.used_wrap << 15
        return half | half << 16

    def write_desc(self, i: int, addr: int, length: int, ident: int, flags: int) -> None:
        """The flags last, as they hand the descriptor over."""
        at = self.desc + 16 * i
        struct.pack_into("<QIH", self.map, at, addr, length, ident)
        self.u16[at // 2 + 7] = flags

    def available(self) -> int:
        """The flags that make a descriptor at the current position available."""
        return PACKED_AVAIL if self.wrap else PACKED_USED

    def step(self) -> None:
        self.position += 1
        if self.position == self.size:
            self.position, self.wrap = 0, not self.wrap

    def add(self, chain: Sequence[Buffer]) -> int:
        ident = self.unused.popleft()
        entries = []
        for n, (addr, length, writable) in enumerate(chain):
            flags = (WRITE if writable else 0) | (NEXT if n < len(chain) - 1 else 0)
            entries.append((self.position, addr, length, ident, flags | self.available()))
            self.step()
        for entry in reversed(entries):  # the first one hands the chain over
            self.write_desc(*entry)
        self.lengths[ident] = len(chain)
        self.free -= len(chain)
        return ident

    def reap(self) -> List[Tuple[int, int]]:
        out = []
        while True:
            at = self.desc + 16 * self.used_position
            flags = self.u16[at // 2 + 7]
            if bool(flags & PACKED_AVAIL) != bool(flags & PACKED_USED):
                return out
            if bool(flags & PACKED_USED) != self.used_wrap:
                return out
            length, ident = struct.unpack_from("<IH", self.map, at + 8)
            count = self.lengths.pop(ident, None)
            if count is None:
                raise Confused(f"{ident} at {self.used_position}")
            self.unused.append(ident)
            self.free += count
            self.used_position += count
            if self.used_position >= self.size:
                self.used_position -= self.size
                self.used_wrap = not self.used_wrap
            out.append((ident, length))
