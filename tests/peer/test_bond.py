# SPDX-License-Identifier: BSD-3-Clause
"""Bonds of DPDK's virtual devices: made, used and taken away, also by 1.1's clients."""

import errno
import os
import signal

import pytest

from lib.wait import until
from lib.zmq11 import PortControl, Stats

VDEVS = {f"0000:00:0{i}.0": f"vdev:net_null{i}" for i in range(1, 10)}
ADDRESSES = list(VDEVS)
A, B, C = ADDRESSES[:3]
ALIASES = [f"{a}={v}" for a, v in VDEVS.items()]
NAME = "net_bonding0"


def members(daemon, relay):
    return daemon.relay(relay)["bond"]["members"]


def add(daemon, relay, name, mode, *devices):
    options = [x for d in devices for x in ("--device", d)]
    return daemon.ctl("add", "--id", relay, "--bond", name, "--mode", mode, *options)


@pytest.mark.parametrize("mode", [0, 1, 2, 3, 5, 6])
def test_modes_carry_packets(stage, mode):
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES)
    with PortControl(daemon.endpoint("port_control")) as control:
        control.ok("add", [A, B], 1, name=NAME, mode=mode)
        seen = daemon.wait_state(1, "listening")
        assert seen["device"] == NAME and seen["bond"]["mode"] == mode
        assert [m["device"] for m in seen["bond"]["members"]] == [VDEVS[A], VDEVS[B]]
        assert all(m["in"] for m in seen["bond"]["members"])
        pmd = stage.testpmd(daemon.socket(1), mode="io", mbufs=4096)
        pmd.start(1)
        until(lambda: pmd.received() > 1000, "packets of the members reach the VM")
        with Stats(daemon.endpoint("stats")) as stats:
            (relay,) = stats.get(1).relay
        assert relay.vf.pci_addr_str == NAME
        assert "bond" in daemon.relay(1)["reason"]
        control.ok("remove", virtio_id=1, name=NAME)  # under traffic
        assert daemon.wait_state(1, "connected")["bond"] is None
        control.ok("add", [B, A], 1, name=NAME, mode=mode)
        before = pmd.received()
        until(lambda: pmd.received() > before + 1000, "and again")
        control.ok("remove", [A], 1)
