# SPDX-License-Identifier: BSD-3-Clause
"""Devices of VDUSE: what the tests of vDPA rely upon."""

import pytest
from lib.stage import Stage
from lib.wait import until
from vdpa import F_ACCESS_PLATFORM, F_CTRL_VQ, F_MQ, F_VERSION_1
from vduse import Vduse

MACHINE = "virtio-sriov"


def test_device(stage: Stage) -> None:
    device = stage.add(Vduse(stage.dir, "vduse0"))
    assert device.device
    facts = device.device.facts()
    assert (facts.kind, facts.vqs) == (1, 2)
    assert facts.features & F_VERSION_1 and facts.features & F_ACCESS_PLATFORM
    assert not facts.features & (F_CTRL_VQ | F_MQ)


def test_frames_come_back(stage: Stage) -> None:
    device = stage.add(Vduse(stage.dir, "vduse0"))
    pmd = stage.testpmd(device.node, mode="io", memory=64, mbufs=2048)
    pmd.start(first=1)
    until(lambda: pmd.received() >= 100, "100 frames have come back")
    pmd.quit()


def test_one_queue_pair_only(stage: Stage) -> None:
    """The kernel refuses the control queue that several need. When this fails, tests can have them."""
    with pytest.raises(AssertionError, match="Failed to create VDUSE device: Invalid argument"):
        stage.add(Vduse(stage.dir, "vduse0", queues=2))
