# SPDX-License-Identifier: BSD-3-Clause
"""A relay or a QEMU that is killed: traffic comes back without anybody's help, in time."""

import os
import signal
import time

import pytest

from lib.daemon import default_rate
from lib.env import sanitized
from lib.once import once
from lib.wait import until

PEER = "10.9.0.1"
DEADLINE_S = 2.0 * (4 if sanitized() else 1)  # the promise is for the build that is shipped


@pytest.mark.parametrize("mode", ["client", once("server")])
def test_relay_is_killed_under_traffic(stage, mode):
    net = stage.netns()
    daemon = stage.daemon(
        VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1", "vdev:net_ring7=7"],
        VIRTIOFWD_VHOST_CLIENT=mode == "client",
    )
    guest = stage.guest(
        daemon.socket(1), server=mode == "client", reconnect_ms=0 if mode == "client" else 100
    )
    guest.wait_ping(PEER)
    receiver = stage.receiver(net.peer, net)
    sent = guest.spawn(f"numbered send eth0 --rate {default_rate()}", "/tmp/sent")
    until(lambda: receiver.stream()["received"] > 100, "packets of the guest arrive")

    for _ in range(2):
        # A relay that dies soon after its start is not started again at once.
        until(lambda: time.time() - daemon.processes()[0]["started"] > 6, "the relay is settled")
        (pid,) = daemon.relay_pids()
        os.kill(pid, signal.SIGKILL)
        until(lambda: daemon.relay_pids() not in ([], [pid]), "the relay is started again")
        before = receiver.stream()["received"]
        until(lambda: receiver.stream()["received"] > before + 100, "packets arrive again")
    seen = receiver.stream()
    assert seen["silence_ms"] < 1000 * DEADLINE_S, seen
    assert seen["duplicate"] == 0 and seen["damaged"] == 0, seen
    guest.run(f"kill {sent}")
    guest.wait_ping(PEER)
    assert daemon.wait_state(1, "active")["vm"]
    assert daemon.wait_state(7, "listening")["device"] == "vdev:net_ring7"
    assert daemon.processes()[0]["restarts"] == 2


@pytest.mark.parametrize("mode", [once("client"), "server"])
def test_qemu_is_killed_and_started_again(stage, mode):
    net = stage.netns()
    daemon = stage.daemon(
        VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"], VIRTIOFWD_VHOST_CLIENT=mode == "client"
    )
    pids = None
    for _ in range(3):
        if mode == "client" and daemon.socket(1).exists():
            daemon.socket(1).unlink()  # as libvirt does before it starts a VM
        guest = stage.guest(daemon.socket(1), server=mode == "client")
        guest.wait_ping(PEER)
        pids = pids or daemon.relay_pids()
        traffic = guest.spawn(f"numbered send eth0 --rate {default_rate()}", "/tmp/sent")
        assert traffic
        guest.kill()
        daemon.wait_state(1, "listening")
    assert daemon.relay_pids() == pids, "the relay has not been restarted"


def test_guest_powers_off_and_boots_again(stage):
    net = stage.netns()
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"])
    for _ in range(2):
        guest = stage.guest(daemon.socket(1))
        guest.wait_ping(PEER)
        guest.power_off()
        daemon.wait_state(1, "listening")
