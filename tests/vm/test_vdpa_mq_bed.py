# SPDX-License-Identifier: BSD-3-Clause
"""The machine whose VFs have vDPA, offloads and several queue pairs: what later tests rely upon."""

import re
from typing import Set

import pytest
import vdpa
from lib.env import CACHE
from lib.stage import Stage
from lib.testpmd import Testpmd
from lib.wait import until
from machines import VIRTIO_PAIRS, virtio_vf_mac
from outside import Outside
from sriov import Pf

MACHINE = "virtio-sriov-mq"
OFFLOADS = 0b1111111 << 7  # GUEST_TSO4 to HOST_TSO6, of linux/virtio_net.h
CVQ_SIZE = 64  # of QEMU's control queue: a front end with queues of one size has to take it for all


@pytest.fixture
def device(pf: Pf, stage: Stage) -> vdpa.Device:
    """Named before the stage of its front ends, as removing it waits until nobody has it open."""
    pf.autoprobe(False)
    try:
        pf.set_vfs(1)
    finally:
        pf.autoprobe(True)
    return stage.add(vdpa.Device("vp0", vdpa.take(pf.vf(0), multiqueue=True)))


def test_character_device(device: vdpa.Device) -> None:
    for _ in range(2):  # to open it resets it, which must not lose queues
        facts = device.facts()
        assert (facts.kind, facts.vqs) == (1, 2 * VIRTIO_PAIRS + 1)
        wanted = vdpa.F_CSUM | vdpa.F_CTRL_VQ | vdpa.F_MQ | OFFLOADS
        assert facts.features & wanted == wanted, hex(facts.features)
    assert device.config()["max_vq_pairs"] == VIRTIO_PAIRS


def test_without_multiqueue(pf: Pf) -> None:
    """A VF that nobody has accepted MQ of shows 3 queues, whatever its configuration says."""
    pf.set_vfs(1)
    name = vdpa.take(pf.vf(0))
    assert vdpa.management()[name]["max_supported_vqs"] == 3


def test_packets_of_all_queues(device: vdpa.Device, stage: Stage) -> None:
    """The front end switches all pairs on by the control queue; flows from outside come by each."""
    network: Outside = stage.add(Outside())
    mac = virtio_vf_mac(0)
    pmd = stage.testpmd(
        device.node,
        mode="icmpecho",
        queues=VIRTIO_PAIRS,
        options=f"cq=1,mac={mac}",
        ring=CVQ_SIZE,
        memory=64,
        mbufs=2048,
        program=CACHE / "bin/vduse-testpmd",
    )
    pmd.start()
    addresses = [f"10.9.1.{i}" for i in range(1, 33)]
    for address in addresses:
        network.knows(address, mac)
    for address in addresses:
        network.run("ping", "-nqc1", "-W10", address)
    everything = set(range(VIRTIO_PAIRS))
    until(lambda: queues_used(pmd, "rx") == everything, "each queue has received", interval=0.5)
    assert queues_used(pmd, "tx") == everything


def queues_used(pmd: Testpmd, direction: str) -> Set[int]:
    last = f"tx_q{VIRTIO_PAIRS - 1}_size_1519_max_packets"
    text = pmd.command("show port xstats 0", last)
    found = re.findall(rf"{direction}_q(\d)_good_packets: [1-9]", text)
    return set(map(int, found))
