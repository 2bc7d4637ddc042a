# SPDX-License-Identifier: BSD-3-Clause
"""What a hostile driver puts into its rings. A case is a function that plants chains into a ring; it
runs for both directions and both kinds of ring. The device loops, so what the good part of the VM
sends comes back and is to be written into what was planted in the RX ring."""

import random
import time
from typing import Callable, Dict, List, Tuple

from .net_vm import FEATURES, RX, TX, NetVM
from .vhost_user import INDIRECT_DESC, RING_PACKED, Dropped, bits
from .vring import DESC, INDIRECT, NEXT, WRITE, Confused, PackedRing, SplitRing

SIZE = 64  # of the rings
AREA = 65536  # bytes of memory that planted descriptors may name

Raw = Tuple[int, int, int, int]  # address, length, flags, next
Plant = Callable[["Field"], None]
PLANTS: Dict[str, Plant] = {}


def plant(function: Plant) -> Plant:
    PLANTS[function.__name__] = function
    return function


class Field:
    """The ring that is planted, and where in memory there is room."""

    def __init__(self, vm: NetVM, index: int):
        self.vm, self.index = vm, index
        self.ring = vm.rings[index]
        self.write = WRITE if index == RX else 0  # the flag that is right for this direction
        self.packed = isinstance(self.ring, PackedRing)
        self.offset = vm.memory.alloc(AREA, 4096)
        self.guest = vm.memory.guest + self.offset
        self.end = vm.memory.guest + vm.memory.size

    def chain(self, descs: List[Raw], publish: bool = True) -> None:
        """Descriptors at the places 0.. of a split table, resp. the next ones of a packed ring;
        the fourth field is the next descriptor, resp. the buffer's id."""
        ring = self.ring
        if isinstance(ring, SplitRing):
            for i, (addr, length, flags, following) in enumerate(descs):
                ring.write_desc(i, addr, length, flags, following)
            if publish:
                ring.publish(0)
            return
        entries = []
        for addr, length, flags, ident in descs:
            entries.append((ring.position, addr, length, ident, flags | ring.available()))
            ring.step()
        for entry in reversed(entries):
            ring.write_desc(*entry)

    def one(self, addr: int, length: int, flags: int = 0) -> None:
        self.chain([(addr, length, flags ^ self.write, 0)])

    def table(self, descs: List[Raw], offset: int = 4096) -> int:
        """An indirect table; returns its guest address."""
        for i, desc in enumerate(descs):
            DESC.pack_into(self.vm.memory.map, self.offset + offset + 16 * i, *desc)
        return self.guest + offset

    def indirect(self, addr: int, length: int, flags: int = 0) -> None:
        self.chain([(addr, length, INDIRECT | flags, 0)])


@plant
def descriptor_loop(f: Field) -> None:
    if f.packed:
        f.chain([(f.guest, 64, NEXT | f.write, 0)] * SIZE)
    else:
        f.chain([(f.guest, 64, NEXT | f.write, 0)])


@plant
def descriptor_loop_of_two(f: Field) -> None:
    f.chain([(f.guest, 1, NEXT | f.write, 1), (f.guest, 1, NEXT | f.write, 0)])


@plant
def descriptor_loop_of_nothing(f: Field) -> None:
    f.chain([(f.guest, 0, NEXT | f.write, 1), (f.guest, 0, NEXT | f.write, 0)])


@plant
def next_beyond_the_table(f: Field) -> None:
    for beyond in (SIZE, SIZE + 1, 0x8000, 0xFFFF):
        f.chain([(f.guest, 64, NEXT | f.write, beyond)])


@plant
def head_beyond_the_table(f: Field) -> None:
    for head in (SIZE, 0x7FFF, 0xFFFF):
        if f.packed:
            f.chain([(f.guest, 2048, f.write, head)])
        else:
            f.ring.write_desc(0, f.guest, 2048, f.write)
            f.ring.publish(head)


@plant
def length_of_4_gib(f: Field) -> None:
    for length in (0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, f.vm.memory.size + 1):
        f.one(f.guest, length)


@plant
def lengths_that_overflow(f: Field) -> None:
    """Together 2^32 and a little."""
    f.chain([(f.guest, 0x80000000, NEXT | f.write, 1), (f.guest, 0x80000020, f.write, 0)])


@plant
def address_outside_memory(f: Field) -> None:
    start = f.vm.memory.guest
    for addr in (0, 1, start - 64, f.end - 63, f.end - 1, f.end, (1 << 64) - 64, (1 << 64) - 1):
        f.one(addr, 128)


@plant
def second_buffer_outside_memory(f: Field) -> None:
    f.chain([(f.guest, 12, NEXT | f.write, 1), (f.end - 1, 1024, f.write, 0)])


@plant
def nothing_at_all(f: Field) -> None:
    f.one(f.guest, 0)
    f.one(0, 0)
    three = [(f.guest, 0, NEXT | f.write, 1), (f.guest, 0, NEXT | f.write, 2)]
    f.chain([*three, (f.guest, 0, f.write, 0)])


@plant
def shorter_than_the_header(f: Field) -> None:
    for length in (1, 9, 10, 11, 12, 13, 25):
        f.one(f.guest, length)


@plant
def header_in_many_pieces(f: Field) -> None:
    pieces = [(f.guest + n, 1, NEXT | f.write, n + 1) for n in range(40)]
    f.chain([*pieces, (f.guest, 64, f.write, 0)])


@plant
def writable_is_wrong(f: Field) -> None:
    for length in (12, 128, 2048):
        f.one(f.guest, length, WRITE)


@plant
def chain_of_the_whole_ring(f: Field) -> None:
    chain = [(f.guest + n, 1, NEXT | f.write, n + 1) for n in range(SIZE - 1)]
    f.chain([*chain, (f.guest, 1, f.write, 0)])


@plant
def megabytes_in_a_chain(f: Field) -> None:
    chain = [(f.guest, AREA, NEXT | f.write, n + 1) for n in range(SIZE - 1)]
    f.chain([*chain, (f.guest, AREA, f.write, 0)])


@plant
def flags_of_all_kinds(f: Field) -> None:
    for flags in (0x0008, 0x00F8, 0x7F78, 0x7F78 | INDIRECT):
        f.chain([(f.guest, 128, flags | f.write, 0)])


@plant
def indirect_sizes(f: Field) -> None:
    table = f.table([(f.guest, 128, f.write, 0)])
    for length in (0, 1, 15, 17, 24, 16 * 65536, 16 * 65537, 0x7FFFFFF0, 0xFFFFFFF0, 0xFFFFFFFF):
        f.indirect(table, length)


@plant
def indirect_outside_memory(f: Field) -> None:
    for addr in (0, f.vm.memory.guest - 16, f.end - 8, f.end, (1 << 64) - 16):
        f.indirect(addr, 32)


@plant
def indirect_of_itself(f: Field) -> None:
    """The table is the ring's own."""
    ring = f.vm.memory.guest + f.ring.desc
    f.indirect(ring, 16)
    f.indirect(ring, 16 * SIZE, NEXT)


@plant
def indirect_in_indirect(f: Field) -> None:
    table = f.guest + 4096
    f.table([(table, 32, INDIRECT | NEXT, 1), (table, 32, INDIRECT, 0)])
    f.indirect(table, 32)


@plant
def indirect_with_a_loop(f: Field) -> None:
    table = f.table([(f.guest, 1, NEXT | f.write, 1), (f.guest, 1, NEXT | f.write, 0)])
    f.indirect(table, 32)


@plant
def indirect_next_beyond_the_table(f: Field) -> None:
    for beyond in (1, 2, 0xFFFF):
        f.indirect(f.table([(f.guest, 64, NEXT | f.write, beyond)]), 16)


@plant
def indirect_with_a_thousand(f: Field) -> None:
    table = f.table([(f.guest, 1, NEXT | f.write, n + 1) for n in range(1000)])
    f.indirect(table, 16 * 1000)


@plant
def indirect_and_next(f: Field) -> None:
    table = f.table([(f.guest, 128, f.write, 0)])
    f.chain([(table, 16, INDIRECT | NEXT, 1), (table, 16, INDIRECT | NEXT, 0)])


@plant
def index_jumps(f: Field) -> None:
    if not f.packed:
        for i in range(SIZE):
            f.ring.write_desc(i, f.guest, 128, f.write)
        for jump in (SIZE + 1, 0x4000, 0x8000, -1, 0xFFFF):
            f.ring.write_avail_idx(f.ring.avail_idx + jump)
            f.vm.kick(f.index)
        return
    for turn in range(3):  # turned over before the device has been round
        f.chain([(f.guest, 128, f.write, turn)] * SIZE)


@plant
def avail_ring_of_nonsense(f: Field) -> None:
    rng = random.Random(5)
    places = range(f.ring.avail // 2 + 2, f.ring.avail // 2 + (2 if f.packed else 2 + SIZE))
    for place in places:
        f.vm.memory.u16[place] = rng.randrange(65536)
    if f.packed:
        f.vm.memory.u16[f.ring.avail // 2] = 0xFFFF
        f.vm.memory.u16[f.ring.avail // 2 + 1] = 0xFFFF
    else:
        f.ring.write_avail_idx(f.ring.avail_idx + SIZE)


@plant
def used_ring_overwritten(f: Field) -> None:
    """The device's own half of the ring changes under its hands."""
    f.one(f.guest, 2048)
    for place in range(f.ring.used // 2, f.ring.used // 2 + (2 if f.packed else 2 + 4 * SIZE)):
        f.vm.memory.u16[place] = 0xA5A5
    f.one(f.guest, 2048)


def _areas(f: Field) -> List[range]:
    lengths = (16 * SIZE, 4, 4) if f.packed else (16 * SIZE, 4 + 2 * SIZE, 4 + 8 * SIZE)
    starts = (f.ring.desc, f.ring.avail, f.ring.used)
    return [range(start // 2, (start + length) // 2) for start, length in zip(starts, lengths)]


@plant
def scribbled(f: Field) -> None:
    """Random words all over the ring while the device works on it; each descriptor now and then
    looks good enough to be followed."""
    rng = random.Random(6)
    areas = _areas(f)
    end = time.monotonic() + 0.25
    while time.monotonic() < end:
        for _ in range(100):
            place = rng.choice(rng.choice(areas))
            f.vm.memory.u16[place] = rng.choice((rng.randrange(65536), rng.randrange(SIZE), 1, 0))
            slot = f.ring.desc + 16 * rng.randrange(SIZE)
            flags = rng.choice((0, NEXT, WRITE, NEXT | WRITE, INDIRECT, 0x80, 0x8080, 0x8002))
            addr = f.guest + rng.choice((0, 4096, -4096, 1 << 20, AREA))
            length = rng.choice((0, 12, 64, 2048, AREA, 0xFFFFFFFF))
            DESC.pack_into(f.vm.memory.map, slot, addr, length, flags, rng.randrange(SIZE + 2))
        f.vm.kick(f.index)
        if f.index == RX:
            f.vm.transmit(bytes(60))


def stay(path: str, name: str, timeout: float) -> None:
    """Plants into the TX ring and then only waits to be dropped."""
    with NetVM(timeout=timeout) as vm:
        vm.connect(path)
        vm.boot(FEATURES, SIZE)
        PLANTS[name](Field(vm, TX))
        vm.kick(TX)
        assert vm.is_dropped(vm.timeout), "the connection is still open"


def run(path: str, name: str, packed: bool, index: int, indirect: bool = True) -> None:
    """Plants and goes on for a moment, so that the device meets it."""
    features = FEATURES | (bits(RING_PACKED) if packed else 0)
    if not indirect:
        features &= ~bits(INDIRECT_DESC)
    with NetVM() as vm:
        vm.connect(path)
        vm.boot(features, SIZE, receiving=index != RX)
        try:
            field = Field(vm, index)
            if index == RX:
                for _ in range(16):
                    vm.transmit(bytes(60))
            PLANTS[name](field)
            vm.kick(index)
            if index == RX:
                for _ in range(16):
                    vm.transmit(bytes(60))
            vm.sync()
            vm.is_dropped(0.05)  # the device has a moment with it
        except (Dropped, Confused):
            pass
