# SPDX-License-Identifier: BSD-3-Clause
"""virtio-net headers that lie about their frames, from a VM that has all offloads."""

import random
import struct
from typing import List

from .net_vm import FEATURES, NetVM
from .vhost_user import (
    NET_CSUM,
    NET_GUEST_CSUM,
    NET_GUEST_ECN,
    NET_GUEST_TSO4,
    NET_GUEST_TSO6,
    NET_GUEST_UFO,
    NET_HOST_ECN,
    NET_HOST_TSO4,
    NET_HOST_TSO6,
    NET_HOST_UFO,
    Dropped,
    bits,
)

SENDING = bits(NET_CSUM, NET_HOST_TSO4, NET_HOST_TSO6, NET_HOST_ECN, NET_HOST_UFO)
RECEIVING = bits(NET_GUEST_CSUM, NET_GUEST_TSO4, NET_GUEST_TSO6, NET_GUEST_ECN, NET_GUEST_UFO)

FLAGS = (0, 1, 2, 3, 0xFF)  # 1: the checksum is to be done, 2: it is right
TYPES = (0, 1, 3, 4, 5, 0x80, 0x81, 0x84, 2, 7, 0xFF)  # none, TCPv4, UDP, TCPv6, UDP_L4, ECN, ...
HEADER_LENGTHS = (0, 13, 14, 34, 54, 60, 1500, 65535)
SEGMENTS = (0, 1, 7, 8, 536, 1448, 65535)
STARTS = (0, 13, 14, 34, 54, 58, 59, 60, 61, 1513, 1514, 65535)
OFFSETS = (0, 6, 16, 64, 65535)


def header(flags=0, gso_type=0, length=0, segment=0, start=0, offset=0) -> bytes:
    return struct.pack("<BBHHHHH", flags, gso_type, length, segment, start, offset, 0)


def _ethernet(kind: int) -> bytes:
    return bytes.fromhex("020000000001020000000002") + struct.pack("!H", kind)


def _ipv4(proto: int, body: bytes, ihl: int = 5, length: int = -1, fragment: int = 0) -> bytes:
    total = 20 + len(body) if length < 0 else length
    return (
        struct.pack("!BBHHHBBH", 0x40 | ihl, 0, total, 1, fragment, 64, proto, 0)
        + bytes((10, 0, 0, 1, 10, 0, 0, 2))
        + body
    )


def _tcp(size: int, offset: int = 5) -> bytes:
    return struct.pack("!HHIIBBHHH", 1, 2, 3, 4, offset << 4, 0x10, 512, 0, 0) + bytes(size)


def _ipv6(following: int, body: bytes) -> bytes:
    return struct.pack("!IHBB", 0x60000000, len(body), following, 64) + bytes(32) + body


def frames() -> List[bytes]:
    v4, v6, vlan = 0x0800, 0x86DD, 0x8100
    good = _ipv4(6, _tcp(1440))
    return [
        _ethernet(0x88B5) + bytes(46),
        _ethernet(0x0806) + bytes(46),
        _ethernet(v4) + _ipv4(6, _tcp(6)),
        _ethernet(v4) + good,
        _ethernet(v4) + good[:19],
        _ethernet(v4) + good[:39],
        _ethernet(v4) + _ipv4(6, _tcp(1440), ihl=15),
        _ethernet(v4) + _ipv4(6, _tcp(1440), ihl=0),
        _ethernet(v4) + _ipv4(6, _tcp(1440), length=0),
        _ethernet(v4) + _ipv4(6, _tcp(1440), length=65535),
        _ethernet(v4) + _ipv4(6, _tcp(1440), fragment=0x2001),
        _ethernet(v4) + _ipv4(6, _tcp(1440, offset=15)),
        _ethernet(v4) + _ipv4(6, _tcp(10, offset=0)),
        _ethernet(v4) + _ipv4(17, bytes(1400)),
        _ethernet(v4) + _ipv4(132, bytes(64)),
        _ethernet(v6) + _ipv6(6, _tcp(1400)),
        _ethernet(v6) + _ipv6(0, bytes((0, 255)) + bytes(64)),
        _ethernet(v6) + _ipv6(44, bytes(64)),
        _ethernet(v6) + _ipv6(6, b""),
        _ethernet(vlan) + struct.pack("!HH", 5, v4) + good,
        _ethernet(vlan) + struct.pack("!HHHH", 5, vlan, 6, vlan) + bytes(50),
        _ethernet(vlan),
        b"\x02",
        bytes(13),
    ]


def systematic() -> List[bytes]:
    """Each field at each of its values while the others are those of a good TSO packet."""
    good = dict(flags=1, gso_type=1, length=54, segment=1448, start=34, offset=16)
    values = dict(
        flags=FLAGS, gso_type=TYPES, length=HEADER_LENGTHS, segment=SEGMENTS, start=STARTS,
        offset=OFFSETS,
    )  # fmt: skip
    return [header(**{**good, k: v}) for k, vs in values.items() for v in vs]


def randomly(rng: random.Random, count: int) -> List[bytes]:
    fields = (FLAGS, TYPES, HEADER_LENGTHS, SEGMENTS, STARTS, OFFSETS)
    return [header(*(rng.choice(values) for values in fields)) for _ in range(count)]


def run(path: str, receiving_too: bool, seed: int) -> None:
    """With receiving_too the VM takes what it sent with its offloads; without, the relay has to
    finish every packet on its way back."""
    rng = random.Random(seed)
    all_frames = frames()
    with NetVM() as vm:
        vm.connect(path)
        vm.boot(FEATURES | SENDING | (RECEIVING if receiving_too else 0))
        try:
            headers = systematic() + randomly(rng, 400)
            for lie in headers:
                for frame in rng.sample(all_frames, 4):
                    _push(vm, frame, lie)
            for frame in all_frames:
                _push(vm, frame, header(1, 1, 54, 1, 34, 16))
            vm.sync()
        except Dropped:
            pass


def _push(vm: NetVM, frame: bytes, lie: bytes) -> None:
    for _ in range(2000):
        if vm.transmit(frame, lie):
            break
        vm.receive()
        if vm.is_dropped(0.005):
            raise Dropped("while it sent lies")
    vm.receive()
