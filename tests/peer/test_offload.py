# SPDX-License-Identifier: BSD-3-Clause
"""Checksums and segmentation that the guest leaves to the device are finished, by the network
device or by the relay; captured behind it and verified."""

import json
import struct

import pytest

from lib.env import tool
from lib.frames import checksum, read_pcap, verify
from lib.net_vm import TX, NetVM
from lib.vhost_user import (
    NET_CSUM,
    NET_GUEST_CSUM,
    NET_GUEST_TSO4,
    NET_HOST_TSO4,
    NET_MRG_RXBUF,
    VERSION_1,
    bits,
)
from lib.wait import until

PEER = "10.9.0.1"
MEGABYTES = 8
GUEST_TO_PEER = "0a0900020a090001"  # addresses in an IP header


def feature(guest, name: str) -> str:
    for line in guest.run("ethtool -k eth0").splitlines():
        if line.strip().startswith(name + ":"):
            return line.split(":")[1].split()[0]
    raise AssertionError(name)


@pytest.mark.parametrize("tso", [True, False])
def test_tcp_of_a_guest(stage, tso):
    """The veth has no offloads here, so the kernel writes the final frames: all of them are right,
    none is longer than the wire takes."""
    net = stage.netns(finish_offloads=True)
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"], VIRTIOFWD_TSO=tso)
    guest = stage.guest(daemon.socket(1))
    guest.wait_ping(PEER)
    assert feature(guest, "tx-checksumming") == "on"
    assert feature(guest, "tcp-segmentation-offload") == ("on" if tso else "off")

    server = stage.add(net.start([tool("iperf3"), "-s"], stage.dir / "iperf3.txt"))
    capture = stage.dir / "capture.pcap"
    tcpdump = stage.add(
        net.start([tool("tcpdump"), "-i", net.peer, "-s", "0", "-B", "32768", "-U", "-w", capture,
                   "tcp"], stage.dir / "tcpdump.txt")  # fmt: skip
    )
    tcpdump.wait_text("listening on")
    for option in ("", "-R"):
        result = json.loads(guest.run(f"iperf3 -J -c {PEER} -n {MEGABYTES}M {option}"))
        assert result["end"]["sum_received"]["bytes"] >= MEGABYTES << 19
    tcpdump.stop()
    server.kill()

    verdict = verify(capture)
    assert verdict.payload >= MEGABYTES << 18, verdict  # tcpdump may miss some
    # What the peer sends is seen before its own kernel finishes it: that is the guest's to judge.
    from_guest = [w for w in verdict.wrong if GUEST_TO_PEER in w]
    assert not from_guest, from_guest[:5]
    errors = guest.run("cat /proc/net/snmp | grep ^Tcp:").splitlines()
    tcp = dict(zip(errors[0].split(), errors[1].split()))
    assert tcp["InCsumErrors"] == "0" and tcp["InErrs"] == "0", tcp
    sent = daemon.stats(1)["vm_to_vf"]
    average = sent["bytes_in"] / sent["packets_in"]
    assert (average > 2000) == tso, f"the guest's packets have {average:.0f} bytes on average"


def segment_frame(payload: int) -> bytes:
    """A TCP segment as Linux hands it to a device with checksum offload: the checksum field holds
    the sum of the pseudo-header."""
    total = 40 + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 7, 0x4000, 64, 6, 0,
                     bytes([10, 9, 0, 2]), bytes([10, 9, 0, 1]))  # fmt: skip
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    pseudo = ip[12:20] + struct.pack("!BBH", 0, 6, 20 + payload)
    tcp = struct.pack("!HHIIBBHHH", 1000, 2000, 1_000_000, 2_000_000, 5 << 4, 0x18, 500,
                      ~checksum(pseudo) & 0xFFFF, 0)  # fmt: skip
    data = bytes(i * 7 & 0xFF for i in range(payload))
    return bytes.fromhex("020000000001 020000000002 0800") + ip + tcp + data


def transmit_chain(vm: NetVM, header: bytes, frame: bytes) -> None:
    data, chain = header + frame, []
    offset = vm.memory.alloc(len(data))
    vm.memory.map[offset : offset + len(data)] = data
    for start in range(0, len(data), 4000):
        piece = min(4000, len(data) - start)
        chain.append((vm.memory.guest + offset + start, piece, False))
    vm.rings[TX].add(chain)
    vm.kick(TX)


@pytest.mark.parametrize("payload,segment", [(700, 0), (20000, 1448), (60000, 536)])
def test_device_without_offloads(stage, payload, segment):
    """net_pcap finishes nothing: the relay computes the checksum and cuts the segments."""
    capture = stage.writable_dir() / "tx.pcap"
    daemon = stage.daemon(VIRTIOFWD_TSO=True)
    wanted = bits(VERSION_1, NET_MRG_RXBUF, NET_CSUM, NET_GUEST_CSUM, NET_HOST_TSO4, NET_GUEST_TSO4)
    with NetVM() as vm:
        vm.connect(str(daemon.socket(1)))
        vm.boot(wanted)
        # Behind the VM, so that it is set up once: a restart would begin the file anew.
        daemon.add(1, f"vdev:net_pcap0,tx_pcap={capture}")
        assert vm.features & bits(NET_CSUM, NET_HOST_TSO4) == bits(NET_CSUM, NET_HOST_TSO4)
        daemon.wait_state(1, "active")
        # flags NEEDS_CSUM, gso TCPv4, header length, segment size, checksum start and offset
        header = struct.pack("<BBHHHHH", 1, 1 if segment else 0, 54, segment, 34, 16, 0)
        transmit_chain(vm, header, segment_frame(payload))
        pieces = -(-payload // segment) if segment else 1
        until(lambda: daemon.stats(1)["vm_to_vf"]["packets_out"] >= pieces, "segments are sent")
        vm.stop()
    daemon.rpc("remove", id=1)

    verdict = verify(capture)
    assert not verdict.wrong, verdict
    assert verdict.tcp == pieces and verdict.payload == payload, verdict
    frames = list(read_pcap(capture))
    data = b"".join(frame[54:] for frame in frames)
    assert data == segment_frame(payload)[54:]
    sequence = [struct.unpack_from("!I", f, 38)[0] for f in frames]
    assert sequence == [1_000_000 + i * segment for i in range(pieces)]
    assert len({f[18:20] for f in frames}) == pieces, "every segment has an IP identification"
