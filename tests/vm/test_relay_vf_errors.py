# SPDX-License-Identifier: BSD-3-Clause
"""What a relay says of a VF that it cannot open: the thing, the reason, the next step."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Iterator

import pytest
from lib.process import run
from lib.stage import Stage
from relay_alone import RelayAlone, give, group_node, uid
from sriov import Function, Pf

MACHINE = "igb"
NO_DRIVER = Function("0000:00:04.0")  # for which DPDK has one
POOL = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


class Scene:
    def __init__(self, stage: Stage, pf: Pf) -> None:
        self.stage = stage
        pf.up()
        pf.autoprobe(False)
        pf.set_vfs(2)
        self.vf, self.other = pf.vfs()
        give(self.vf)
        self.relay = self.start("relay")

    def start(self, name: str, *prefix: str) -> RelayAlone:
        log = self.stage.dir / f"{name}.txt"
        relay: RelayAlone = self.stage.add(RelayAlone(self.stage.writable_dir(), log, prefix))
        relay.add(1)
        return relay


@pytest.fixture(scope="module")
def scene(hugepages: Path) -> Iterator[Scene]:
    pf = Pf()
    pf.set_vfs(0)
    run(["modprobe", "vfio-pci"])
    folder = Path(tempfile.mkdtemp(prefix="v4s-", dir="/tmp"))
    stage = Stage(folder)
    failed = True
    try:
        yield Scene(stage, pf)
        failed = False
    finally:
        try:
            stage.close(failed)
        finally:
            pf.set_vfs(0)
            pf.autoprobe(True)
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def nothing_is_left(scene: Scene) -> Iterator[None]:
    """A refusal leaves no descriptor behind, and the VF can be opened afterwards."""
    before = scene.relay.open_files(), scene.relay.resources()
    yield
    assert (scene.relay.open_files(), scene.relay.resources()) == before
    scene.relay.attach(1, scene.vf.bdf)
    scene.relay.detach(1)


def test_no_permission(scene: Scene) -> None:
    node = group_node(scene.vf)
    os.chown(node, 0, 0)
    try:
        text = scene.relay.refusal(1, scene.vf.bdf)
    finally:
        os.chown(node, uid(), -1)
    assert scene.vf.bdf in text and str(node) in text
    assert f"user {uid()}" in text and "owner is 0:0" in text and "0600" in text
    assert f"chown {uid()} {node}" in text


def test_group_is_busy(scene: Scene) -> None:
    node = group_node(scene.vf)
    file = os.open(node, os.O_RDWR)
    try:
        text = scene.relay.refusal(1, scene.vf.bdf)
    finally:
        os.close(file)
    assert "in use" in text and f"fuser {node}" in text


def test_other_driver(scene: Scene) -> None:
    text = scene.relay.refusal(1, scene.other.bdf)
    assert "no driver, not vfio-pci" in text and "driverctl" in text
    scene.other.bind("igbvf")
    text = scene.relay.refusal(1, scene.other.bdf)
    assert "the driver igbvf, not vfio-pci" in text
    scene.other.unbind()


def test_no_such_function(scene: Scene) -> None:
    assert "there is no such PCI function" in scene.relay.refusal(1, "0000:7f:10.0")


def test_no_driver_of_dpdk(scene: Scene) -> None:
    give(NO_DRIVER)
    try:
        text = scene.relay.refusal(1, NO_DRIVER.bdf)
    finally:
        NO_DRIVER.unbind()
    assert "no driver" in text and "1b36:0005" in text


def test_no_hugepages(scene: Scene) -> None:
    """None is free on any node, and the relay has little left of its own."""
    before = POOL.read_text()
    POOL.write_text("0")
    try:
        text = scene.relay.refusal(1, scene.vf.bdf)
    finally:
        POOL.write_text(before)
    assert "node 0: none" in text
    assert "vm.nr_hugepages" in text and "VIO4WD_NR_HUGEPAGES" in text


@pytest.mark.parametrize("mib", [4, 6])
def test_memlock_too_small(scene: Scene, mib: int) -> None:
    """For what the relay has already, and for what it needs besides."""
    limit = f"--memlock={mib << 20}"
    relay = scene.start(f"{mib}", "prlimit", limit, "setpriv", "--bounding-set=-sys_resource")
    text = relay.refusal(1, scene.vf.bdf)
    assert "RLIMIT_MEMLOCK" in text and f"{mib} MiB are allowed" in text
    assert "LimitMEMLOCK=infinity" in text and "ulimit -l" in text
    assert relay.vfio_files() == [] and relay.resources()["ports"] == 0
    relay.close()


def test_modules_loaded_later(scene: Scene) -> None:
    """DPDK looks for VFIO when it starts."""
    scene.vf.unbind()
    run(["modprobe", "-r", "vfio_pci", "vfio_iommu_type1"])
    relay = scene.start("early")
    run(["modprobe", "vfio-pci"])
    give(scene.vf)
    assert relay.attach(1, scene.vf.bdf)["driver"] == "net_e1000_igb_vf"
    relay.detach(1)
    relay.close()
