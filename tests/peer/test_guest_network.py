# SPDX-License-Identifier: BSD-3-Clause
"""A real Linux guest under QEMU gets a working network through the relay."""

import pytest

from lib.daemon import default_rate
from lib.netns import Netns
from lib.once import once
from lib.wait import until

PEER = "10.9.0.1"
COUNT = 1000


def exchange(stage, net: Netns, guest, count: int = COUNT, size: int = 60) -> None:
    """Numbered packets in both directions at the same time: none is lost, late or damaged."""
    rate = default_rate()
    at_peer = stage.receiver(net.peer, net)
    receiver = guest.spawn("numbered recv eth0", "/tmp/received")
    guest.run("until grep -q receiving /tmp/received; do sleep 0.1; done")
    to_guest = stage.sender(net.peer, net, rate=rate, count=count, size=size, stream=1)
    guest.run(f"numbered send eth0 --rate {rate} --count {count} --size {size} --stream 2")
    to_guest.finish()
    stage.until_received(at_peer, 2, count)
    stage.until_received_in(guest, receiver, "/tmp/received", 1, count)


@pytest.mark.parametrize(
    "memory,mode",
    [("hugepages", "server"), ("ordinary", "client"), once("hugepages", "client"),
     once("ordinary", "server")],
)  # fmt: skip
def test_guest_network(stage, request, memory, mode):
    config = {"VIRTIOFWD_VHOST_CLIENT": mode == "client"}
    if memory == "hugepages":
        config["VIO4WD_HUGEPAGES"] = True
        config["VIRTIOFWD_HUGETLBFS_MOUNT_POINT"] = request.getfixturevalue("hugepages")
    net = stage.netns()
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"], **config)
    guest = stage.guest(daemon.socket(1), server=mode == "client")
    guest.wait_ping(PEER)
    state = daemon.wait_state(1, "active")
    assert state["vm"] and state["mode"] == mode and state["backend"] == "software"
    assert guest.pings(PEER, size=8000), "fragments"
    exchange(stage, net, guest)
    stats = daemon.stats(1)
    assert stats["vm_to_vf"]["packets_out"] >= COUNT
    assert stats["vf_to_vm"]["packets_out"] >= COUNT


def test_guest_with_packed_ring(stage):
    net = stage.netns()
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"])
    guest = stage.guest(daemon.socket(1), packed=True)
    guest.wait_ping(PEER)
    assert "RING_PACKED" in str(daemon.relay(1)["vm_detail"]["features_text"])
    exchange(stage, net, guest)


@pytest.mark.parametrize("options", ["packed_vq=1", "packed_vq=0", "packed_vq=1,mrg_rxbuf=0",
                                     "mrg_rxbuf=0,in_order=0"])  # fmt: skip
def test_virtio_user_loops_packets(stage, options):
    """DPDK's driver sends every packet back: nothing is lost on the way there and back."""
    net = stage.netns(address=None)
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"])
    pmd = stage.testpmd(daemon.socket(1), mode="io", options=options)
    pmd.start()
    daemon.wait_state(1, "active")
    receiver = stage.receiver(net.peer, net)
    stage.sender(net.peer, net, rate=default_rate(), count=COUNT).finish()
    stage.until_received(receiver, 0, COUNT)


@pytest.mark.parametrize("sleep_us", [1, 2000])
@pytest.mark.parametrize("mode", ["adaptive", "busy"])
def test_poll_modes(stage, mode, sleep_us):
    """However a worker waits: a packet on its own is not left lying."""
    net = stage.netns()
    daemon = stage.daemon(
        VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"],
        VIO4WD_POLL_MODE=mode,
        VIO4WD_MAX_SLEEP_US=sleep_us,
    )
    pmd = stage.testpmd(daemon.socket(1), mode="io")
    pmd.start()
    daemon.wait_state(1, "active")
    receiver = stage.receiver(net.peer, net)
    for n in range(1, 21):
        stage.sender(net.peer, net, count=1, stream=n).finish()
        until(lambda: receiver.stream(n)["received"] == 1, f"packet {n} comes back", 10)


def test_device_comes_and_goes_while_the_guest_runs(stage):
    net = stage.netns()
    daemon = stage.daemon()
    guest = stage.guest(daemon.socket(1))
    for _ in range(3):
        daemon.add(1, f"netdev:{net.host}")
        guest.wait_ping(PEER)
        daemon.rpc("remove", id=1)
        state = daemon.wait_state(1, "connected")
        assert state["device"] is None and state["vm"]
        assert not guest.succeeds(f"ping -c 1 -W 1 {PEER}")
    daemon.add(1, f"netdev:{net.host}")
    guest.wait_ping(PEER)
    exchange(stage, net, guest)


def test_guest_reboots(stage):
    """The driver resets the device and sets it up again on the same connection."""
    net = stage.netns()
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"])
    guest = stage.guest(daemon.socket(1))
    guest.wait_ping(PEER)
    for _ in range(3):
        guest.run("rmmod virtio_net && insmod /modules/*virtio_net.ko; sleep 0.2;"
                  "ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up")  # fmt: skip
        guest.wait_ping(PEER)
    exchange(stage, net, guest)
