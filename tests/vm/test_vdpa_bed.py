# SPDX-License-Identifier: BSD-3-Clause
"""The machine whose VFs have vDPA: what the tests of vDPA rely upon."""

from pathlib import Path

import pytest
import vdpa
from lib.process import run
from lib.stage import Stage
from lib.wait import until
from machines import VIRTIO_VFS, virtio_vf_mac
from outside import Outside
from sriov import Pf

MACHINE = "virtio-sriov"
ADDRESS = "10.9.1.1"
# All of a front end's memory is pinned and mapped, page by page.
SMALL = {"memory": 64, "mbufs": 2048}


@pytest.fixture
def network(stage: Stage) -> Outside:
    return stage.add(Outside())


@pytest.fixture
def device(pf: Pf, stage: Stage) -> vdpa.Device:
    """A vDPA device of the first VF, which never had another driver. Removing it, or its VF, waits for
    whoever has it open: a test names this fixture before the stage of its front ends."""
    pf.autoprobe(False)
    try:
        pf.set_vfs(2)
    finally:
        pf.autoprobe(True)
    return stage.add(vdpa.Device("vp0", vdpa.take(pf.vf(0))))


def test_vfs(pf: Pf) -> None:
    """They come with virtio's own driver, each in an IOMMU group of its own."""
    assert (pf.driver, pf.total, pf.count) == ("virtio-pci", VIRTIO_VFS, 0)
    pf.set_vfs(VIRTIO_VFS)
    vfs = pf.vfs()
    assert [v.bdf for v in vfs] == [f"0000:01:00.{i + 1}" for i in range(VIRTIO_VFS)]
    for i, vf in enumerate(vfs):
        vf.wait_udev()
        assert vf.driver == "virtio-pci" and vf.netdev
        address = Path("/sys/class/net") / vf.netdev / "address"
        assert address.read_text().strip() == virtio_vf_mac(i)
        assert [m.name for m in (vf.path / "iommu_group/devices").iterdir()] == [vf.bdf]
    pf.set_vfs(0)
    assert not any(v.exists() for v in vfs)


def test_vp_vdpa_and_vfio(pf: Pf) -> None:
    """One VF becomes a management device for networks while another one is VFIO's."""
    run(["modprobe", "vfio-pci"])
    pf.set_vfs(2)
    one, other = pf.vfs()
    name = vdpa.take(one)
    other.bind("vfio-pci")
    until(Path(f"/dev/vfio/{other.group}").is_char_device, "the VF's group has a device file")
    assert one.group != other.group
    manager = vdpa.management()[name]
    assert manager["supported_classes"] == ["net"]
    assert manager["max_supported_vqs"] == 3
    one.bind("virtio-pci")
    assert name not in vdpa.management()


def test_character_device(device: vdpa.Device) -> None:
    facts = device.facts()
    assert (facts.kind, facts.vqs, facts.vq_size) == (1, 3, 256)
    wanted = vdpa.F_MAC | vdpa.F_CTRL_VQ | vdpa.F_VERSION_1 | vdpa.F_ACCESS_PLATFORM
    assert facts.features & wanted == wanted
    assert not facts.features & (vdpa.F_CSUM | vdpa.F_MQ | vdpa.F_RING_PACKED)
    assert device.config()["mac"] == virtio_vf_mac(0)
    device.close()
    assert not device.exists()


def test_attributes_are_refused(pf: Pf) -> None:
    """vp-vdpa takes neither a MAC address nor a number of queue pairs: the VF has its own."""
    pf.set_vfs(1)
    name = vdpa.take(pf.vf(0))
    for attribute in ({"mac": "52:54:00:00:00:01"}, {"max_vqp": 1}):
        with pytest.raises(AssertionError, match="Operation not supported"):
            vdpa.Device("vp0", name, **attribute)


def test_device_goes_with_its_vf(pf: Pf, device: vdpa.Device) -> None:
    node = device.node
    pf.set_vfs(0)
    assert not device.exists()
    until(lambda: not node.exists(), f"{node} is gone")


def test_packets(device: vdpa.Device, stage: Stage, network: Outside) -> None:
    """DPDK's front end on the character device answers the network outside."""
    pmd = stage.testpmd(device.node, mode="icmpecho", options=f"mac={virtio_vf_mac(0)}", **SMALL)
    pmd.start()
    network.knows(ADDRESS, virtio_vf_mac(0))
    out = network.run("ping", "-c", "20", "-i", "0.05", "-W", "10", ADDRESS)
    assert " 20 received" in out
    pmd.quit()
    # It can be opened again: nobody holds it any more.
    assert device.facts().vqs == 3


def test_simulator_loops(stage: Stage) -> None:
    """vdpa_sim_net gives back what is sent to its own MAC address."""
    mac = "52:54:00:0e:02:01"
    run(["modprobe", "vdpa_sim_net"])
    device = stage.add(vdpa.Device("sim0", "vdpasim_net", mac=mac))
    assert device.config()["mac"] == mac
    pmd = stage.testpmd(device.node, mode="mac", options=f"mac={mac}", **SMALL)
    pmd.command(f"set eth-peer 0 {mac}", "testpmd> ")
    pmd.start(first=1)
    until(lambda: pmd.received() >= 100, "100 frames have come back")
    pmd.quit()
