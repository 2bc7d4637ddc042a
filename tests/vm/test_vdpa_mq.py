# SPDX-License-Identifier: BSD-3-Clause
"""A VM's queue pairs on a VF that has several: the relay drives the device's control queue."""

import re
from pathlib import Path
from typing import Iterator, Set

import pytest
import vdpa
from lib.stage import Stage
from lib.testpmd import Testpmd
from lib.wait import until
from machines import VIRTIO_PAIRS
from outside import Outside
from relay_alone import RelayAlone
from sriov import Pf

MACHINE = "virtio-sriov-mq"
ID = 0
MAC = "52:54:00:0e:07:01"  # not the VF's: promiscuous mode lets it in
ADDRESSES = [f"10.9.1.{i}" for i in range(1, 33)]
EVERYTHING = set(range(VIRTIO_PAIRS))


@pytest.fixture
def relay(pf: Pf, stage: Stage, hugepages: Path) -> Iterator[RelayAlone]:
    pf.autoprobe(False)
    try:
        pf.set_vfs(1)
    finally:
        pf.autoprobe(True)
    device = stage.add(vdpa.Device("vp0", vdpa.take(pf.vf(0), multiqueue=True)))
    device.give()
    alone: RelayAlone = stage.add(RelayAlone(stage.writable_dir(), stage.dir / "relay.txt"))
    alone.add(ID, queues=VIRTIO_PAIRS)
    alone.attach_vdpa(ID, pf.vf(0).bdf, device.node)
    try:
        yield alone
    finally:
        print(alone.log())


def queues_used(pmd: Testpmd, direction: str) -> Set[int]:
    last = f"tx_q{VIRTIO_PAIRS - 1}_size_1519_max_packets"
    text = pmd.command("show port xstats 0", last)
    found = re.findall(rf"{direction}_q(\d)_good_packets: [1-9]", text)
    return set(map(int, found))


def mode(relay: RelayAlone) -> str:
    device = relay.device(ID)
    assert device
    return device["mode"]


@pytest.mark.parametrize("wanted", ["direct", "shadow"])
def test_packets_of_all_queues(relay: RelayAlone, stage: Stage, wanted: str) -> None:
    """Flows from outside come by each pair, and their answers go by each."""
    network: Outside = stage.add(Outside())
    relay.call("mode", id=ID, mode=wanted)
    pmd = stage.testpmd(
        relay.socket(ID),
        mode="icmpecho",
        queues=VIRTIO_PAIRS,
        options=f"cq=1,mac={MAC}",
        memory=64,
        mbufs=4096,
    )
    pmd.start()
    until(lambda: mode(relay) == wanted, f"the mode is {wanted}")
    for address in ADDRESSES:
        network.knows(address, MAC)
    for address in ADDRESSES:
        network.run("ping", "-nqc1", "-W10", address)
    until(lambda: queues_used(pmd, "rx") == EVERYTHING, "each queue has received", interval=0.5)
    assert queues_used(pmd, "tx") == EVERYTHING
