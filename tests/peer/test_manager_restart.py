# SPDX-License-Identifier: BSD-3-Clause
"""The manager's own life: it dies while relays go on, restarts and finds them, stops in time."""

import os
import signal
import time

import pytest

from lib import leaks
from lib.daemon import default_rate
from lib.env import sanitized
from lib.wait import until

STOP_S = 0.5 * (6 if sanitized() else 1)


def test_packets_flow_while_the_manager_is_killed(stage):
    net = stage.netns(address=None)
    daemon = stage.daemon()
    daemon.add(1, f"netdev:{net.host}")
    daemon.add(2, "vdev:net_ring2")
    pmd = stage.testpmd(daemon.socket(1), mode="io", ring=1024)
    pmd.start()
    daemon.wait_state(1, "active")
    pids = daemon.relay_pids()
    receiver = stage.receiver(net.peer, net)
    sender = stage.sender(net.peer, net, rate=default_rate() // 2)
    until(lambda: receiver.stream()["received"] > 50, "packets flow")

    for _ in range(3):
        daemon.kill()
        before = receiver.stream()["received"]
        until(lambda: receiver.stream()["received"] > before + 100, "packets flow without it")
        daemon.start()
        assert daemon.wait_state(1, "active")["device"] == f"netdev:{net.host}"
        assert daemon.wait_state(2, "listening")["device"] == "vdev:net_ring2"
        assert daemon.relay_pids() == pids, "the relays are the same"

    sent = sender.stop()["sent"]
    until(lambda: receiver.stream()["received"] >= sent, f"{sent} packets", interval=0.2)
    seen = receiver.stream()
    assert seen["missing"] == seen["duplicate"] == seen["late"] == 0, seen
    # The restarted manager is in charge of what it found.
    daemon.rpc("remove", id=1)
    assert daemon.wait_state(1, "connected")["device"] is None


def test_relay_dies_while_the_manager_is_away(stage):
    daemon = stage.daemon()
    daemon.add(3, "vdev:net_null3,no-rx=1")
    (pid,) = daemon.relay_pids()
    daemon.kill()
    os.kill(pid, signal.SIGKILL)
    daemon.start()
    assert daemon.wait_state(3, "listening")["device"] == "vdev:net_null3,no-rx=1"
    assert daemon.relay_pids() != [pid]


def test_pairings_survive_a_clean_restart(stage):
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=["vdev:net_null1,no-rx=1=1"])
    daemon.add(5, "vdev:net_null5,no-rx=1")
    daemon.stop()
    daemon.start()
    assert daemon.wait_state(1, "listening")["origin"] == "static"
    assert daemon.wait_state(5, "listening")["origin"] == "control"


@pytest.mark.parametrize("load", ["idle", "active"])
def test_stops_in_time_and_leaves_nothing(stage, load):
    """Active: with eight VMs that pass packets."""
    count = 8
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=[f"vdev:net_ring{i}={i}" for i in range(count)])
    if load == "active":
        pmd = stage.testpmd([daemon.socket(i) for i in range(count)], mode="io", mbufs=16384)
        pmd.start(1)
        for i in range(count):
            daemon.wait_state(i, "active")
    begin = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - begin < STOP_S
    until(lambda: not leaks.processes(str(daemon.config_file)), "all processes are gone", 5)
    assert leaks.sockets(daemon.sockets) == []
    assert leaks.sockets(daemon.runtime) == []


def test_reload(stage):
    daemon = stage.daemon(VIRTIOFWD_LOG_LEVEL=6)
    daemon.write_config(VIRTIOFWD_LOG_LEVEL=7, VIRTIOFWD_STATIC_VFS=["vdev:net_null4,no-rx=1=4"])
    daemon.reload()
    assert daemon.wait_state(4, "listening")["origin"] == "static"
    assert daemon.rpc("log-level")["level"] == 7
    daemon.write_config(VIRTIOFWD_STATIC_VFS=[])
    daemon.reload()
    assert daemon.wait_state(4, "free")["device"] is None


def test_watchdog_is_fed(stage):
    daemon = stage.daemon(start=False)
    daemon.write_config()
    daemon.spawn(WATCHDOG_USEC="400000").wait_ready()
    for _ in range(3):
        daemon.wait_notify("WATCHDOG=1", again=True)


def test_second_manager_is_refused(stage):
    """Two managers on one runtime directory would fight over the relays."""
    daemon = stage.daemon()
    other = stage.daemon(start=False)
    other.config = dict(daemon.config)
    other.spawn()
    assert other.process.wait(30) == 1
    assert "another" in other.log_text() or "already" in other.log_text()
    daemon.add(0, "vdev:net_null0,no-rx=1")
