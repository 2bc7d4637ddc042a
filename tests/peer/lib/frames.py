# SPDX-License-Identifier: BSD-3-Clause
"""Captured frames: reads pcap files and verifies checksums and lengths, without trusting anybody."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional

TCP, UDP = 6, 17


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def rarp_request(frame: bytes) -> Optional[str]:
    """The MAC address that asks for its own IP address (RFC 903); None: it is something else."""
    mac = frame[6:12]
    head = b"\xff" * 6 + mac + bytes.fromhex("8035 0001 0800 06 04 0003")
    request = head + mac + bytes(4) + mac + bytes(4)
    return mac.hex(":") if len(frame) >= 60 and frame.startswith(request) else None


def read_pcap(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    if len(data) < 24:
        return
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    pos = 24
    while pos + 16 <= len(data):
        size = struct.unpack_from(order + "I", data, pos + 8)[0]
        if pos + 16 + size > len(data):
            return  # the writer is in the middle of this one
        yield data[pos + 16 : pos + 16 + size]
        pos += 16 + size


@dataclass
class Verdict:
    frames: int = 0
    tcp: int = 0
    udp: int = 0
    payload: int = 0
    longest: int = 0  # bytes of the longest IP packet
    wrong: List[str] = None  # type: ignore[assignment]


def _verify(frame: bytes, verdict: Verdict) -> None:
    if frame[12:14] != b"\x08\x00":
        return
    ip = frame[14:]
    header = (ip[0] & 15) * 4
    length = struct.unpack_from("!H", ip, 2)[0]
    verdict.longest = max(verdict.longest, length)
    if length > len(ip):
        verdict.wrong.append(f"IP length {length} in a frame of {len(frame)}")
        return
    if checksum(ip[:header]):
        verdict.wrong.append(f"IP header checksum: {ip[:header].hex()}")
    body = ip[header:length]
    pseudo = ip[12:20] + struct.pack("!BBH", 0, ip[9], len(body))
    if ip[9] == TCP:
        verdict.tcp += 1
        verdict.payload += len(body) - (body[12] >> 4) * 4
        if checksum(pseudo + body):
            verdict.wrong.append(f"TCP checksum in {length} bytes: {ip[:40].hex()}")
    elif ip[9] == UDP:
        verdict.udp += 1
        verdict.payload += len(body) - 8
        if body[6:8] != b"\0\0" and checksum(pseudo + body):
            verdict.wrong.append(f"UDP checksum in {length} bytes: {ip[:40].hex()}")


def verify(path: Path) -> Verdict:
    verdict = Verdict(wrong=[])
    for frame in read_pcap(path):
        verdict.frames += 1
        _verify(frame, verdict)
    return verdict
