# SPDX-License-Identifier: BSD-3-Clause
"""Several queue pairs at once: all are used, and a flow keeps its order."""

import pytest

from lib.daemon import default_rate
from lib.env import cpus
from lib.once import once
from lib.wait import until

PEER = "10.9.0.1"
QUEUES = 4
FLOWS = 32
COUNT = 6400


def queue_counters(guest, direction: str) -> list:
    text = guest.run(f"ethtool -S eth0 | grep '{direction}_queue_[0-9]*_packets'")
    return [int(line.split(":")[1]) for line in text.splitlines()]


@pytest.mark.parametrize("device_queues", [4, once(2), once(1)])
def test_four_queue_pairs_of_a_guest(stage, device_queues):
    """The network device has as many queues as the guest (R >= Q), or fewer (R < Q, T < Q)."""
    net = stage.netns(queues=device_queues)
    daemon = stage.daemon(
        VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"],
        VIRTIOFWD_CPU_MASK=",".join(map(str, cpus())),
    )
    guest = stage.guest(daemon.socket(1), queues=QUEUES, cpus=QUEUES, memory=256)
    guest.run(f"ethtool -L eth0 combined {QUEUES}")
    guest.wait_ping(PEER)
    until(lambda: daemon.relay(1)["queues"] == QUEUES, f"{QUEUES} queues are seen")

    received = guest.spawn("numbered recv eth0", "/tmp/received")
    guest.run("until grep -q receiving /tmp/received; do sleep 0.1; done")
    before = queue_counters(guest, "rx")
    stage.sender(net.peer, net, rate=default_rate(), flows=FLOWS, count=COUNT).finish()
    stage.until_received_in(guest, received, "/tmp/received", 0, COUNT)
    got = [b - a for a, b in zip(before, queue_counters(guest, "rx"))]
    assert len(got) == QUEUES and all(n > COUNT / FLOWS / 2 for n in got), got

    # The guest chooses its transmit queue by CPU: a sender on each.
    at_peer = stage.receiver(net.peer, net)
    before = queue_counters(guest, "tx")
    each = 500
    pids = [
        guest.spawn(
            f"taskset {1 << cpu:x} numbered send eth0 --stream {cpu} --count {each} "
            f"--rate {default_rate() // 4}", f"/tmp/sent{cpu}",
        )  # fmt: skip
        for cpu in range(QUEUES)
    ]
    assert len(pids) == QUEUES
    for cpu in range(QUEUES):
        until(lambda: at_peer.stream(cpu)["received"] >= each, f"packets of CPU {cpu}", 60,
              interval=0.2)  # fmt: skip
        seen = at_peer.stream(cpu)
        assert seen["missing"] == seen["late"] == seen["duplicate"] == 0, seen
    sent = [b - a for a, b in zip(before, queue_counters(guest, "tx"))]
    assert len(sent) == QUEUES and all(n >= each / 2 for n in sent), sent


def test_virtio_user_with_many_queues(stage):
    """DPDK's driver has at most eight queue pairs."""
    queues = 8
    net = stage.netns(address=None, queues=2)
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"])
    pmd = stage.testpmd(daemon.socket(1), mode="io", queues=queues, mbufs=16384)
    pmd.start()
    until(lambda: daemon.relay(1)["queues"] == queues, f"{queues} queues are seen")
    receiver = stage.receiver(net.peer, net)
    stage.sender(net.peer, net, rate=default_rate(), flows=64, count=COUNT).finish()
    stage.until_received(receiver, 0, COUNT)
    lanes = [x for x in daemon.relay(1)["lanes"] if x["direction"] == "vm_to_vf"]
    assert len([x for x in lanes if x["packets_out"] > 0]) == queues, lanes


def test_32_queue_pairs_of_a_guest(stage):
    queues = 32
    net = stage.netns()
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"])
    guest = stage.guest(daemon.socket(1), queues=queues, memory=384)
    guest.run(f"ethtool -L eth0 combined {queues}")
    guest.wait_ping(PEER)
    until(lambda: daemon.relay(1)["queues"] == queues, f"{queues} queues are seen")
    received = guest.spawn("numbered recv eth0", "/tmp/received")
    guest.run("until grep -q receiving /tmp/received; do sleep 0.1; done")
    stage.sender(net.peer, net, rate=default_rate(), flows=64, count=COUNT).finish()
    stage.until_received_in(guest, received, "/tmp/received", 0, COUNT)
    used = [n for n in queue_counters(guest, "rx") if n > 0]
    assert len(used) > queues / 2, used


def test_other_devices_with_fewer_queues(stage):
    """net_ring has one queue: lanes of several queues share it without loss."""
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=["vdev:net_ring0=1"])
    pmd = stage.testpmd(daemon.socket(1), mode="io", queues=QUEUES)
    pmd.start(1)
    daemon.wait_state(1, "active")
    first = pmd.received()
    until(lambda: pmd.received() > first + 1000, "packets go round")
