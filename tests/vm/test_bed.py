# SPDX-License-Identifier: BSD-3-Clause
"""The virtual machine itself: what the other tests in it rely upon."""

import pwd
from pathlib import Path
from typing import Iterator

import pytest
from lib.env import CTL
from lib.process import run
from lib.stage import Stage
from lib.wait import until
from sriov import PCI, Pf, outside, rescan

MACHINE = "igb"
POOL = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
GIB = 512  # hugepages


def test_build_is_at_hand() -> None:
    assert "vio4wdctl" in run([CTL, "--version"])
    assert run(["sh", "-c", "command -v vio4wd-relay"]).strip().endswith("/vio4wd-relay")


def test_relay_user() -> None:
    assert pwd.getpwnam("vio4wd").pw_uid > 0


def test_pf(pf: Pf) -> None:
    assert (pf.driver, pf.total, pf.count) == ("igb", 7, 0)
    assert pf.group


def test_vfs(pf: Pf) -> None:
    """Each one in a group of its own, with a driver, and known to udevd."""
    pf.set_vfs(2)
    vfs = pf.vfs()
    assert [v.bdf for v in vfs] == ["0000:01:10.0", "0000:01:10.2"]
    for vf in vfs:
        vf.wait_udev()
        assert vf.driver == "igbvf" and vf.netdev
        members = list((vf.path / "iommu_group/devices").iterdir())
        assert [m.name for m in members] == [vf.bdf]
    pf.set_vfs(0)
    assert not any(v.exists() for v in vfs)
    until(
        lambda: not any(Path(f"/run/udev/data/+pci:{v.bdf}").exists() for v in vfs),
        "udevd has forgotten the VFs",
    )


def test_all_vfs_without_driver(pf: Pf) -> None:
    pf.autoprobe(False)
    try:
        pf.set_vfs(7)
        assert [v.driver for v in pf.vfs()] == [None] * 7
        assert len({v.group for v in pf.vfs()}) == 7
    finally:
        pf.autoprobe(True)


def test_vfio(pf: Pf) -> None:
    run(["modprobe", "vfio-pci"])
    pf.set_vfs(1)
    vf = pf.vf(0)
    vf.bind("vfio-pci")
    node = Path(f"/dev/vfio/{vf.group}")
    until(node.exists, f"{node} appears")


def test_surprise_removal(pf: Pf) -> None:
    """The PF goes with its VF; sysfs offers no removal of a VF alone. It comes back without VFs."""
    pf.set_vfs(1)
    vf = pf.vf(0)
    pf.remove()
    assert not vf.exists() and not pf.exists()
    rescan()
    until(lambda: pf.driver == "igb" and pf.netdev, "the PF is back")
    assert pf.count == 0


def test_network_outside(stage: Stage, pf: Pf) -> None:
    """What leaves the PF's port arrives at the virtio NIC, and the other way round."""
    assert pf.netdev
    net = stage.netns()
    name = outside()
    run(["ip", "link", "set", name, "netns", net.name])
    try:
        run(["ip", "-n", net.name, "addr", "add", "10.9.0.1/24", "dev", name])
        run(["ip", "-n", net.name, "link", "set", name, "up"])
        run(["ip", "addr", "add", "10.9.0.2/24", "dev", pf.netdev])
        run(["ping", "-c", "3", "-i", "0.2", "-W", "5", "10.9.0.1"])
    finally:
        run(["ip", "addr", "flush", "dev", pf.netdev])
        run(["ip", "-n", net.name, "link", "set", name, "netns", "1"])
        until(lambda: outside() == name, f"{name} is back")


@pytest.fixture
def simulator() -> Iterator[None]:
    run(["modprobe", "vdpa_sim_net"])
    run(["modprobe", "vhost_vdpa"])
    yield
    run(["modprobe", "-r", "vdpa_sim_net", "vhost_vdpa"])


def test_vdpa_simulator(simulator: None) -> None:
    run(["vdpa", "dev", "add", "name", "sim0", "mgmtdev", "vdpasim_net"])
    try:
        until(Path("/dev/vhost-vdpa-0").is_char_device, "a vhost-vdpa device appears")
    finally:
        run(["vdpa", "dev", "del", "sim0"])


def test_vp_vdpa() -> None:
    run(["modprobe", "vp_vdpa"])
    assert (PCI / "drivers/vp-vdpa").is_dir()
    run(["modprobe", "-r", "vp_vdpa"])


def test_hugepages() -> None:
    try:
        POOL.write_text(str(GIB))
        assert int(POOL.read_text()) == GIB
    finally:
        POOL.write_text("0")
