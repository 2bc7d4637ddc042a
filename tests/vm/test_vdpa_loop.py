# SPDX-License-Identifier: BSD-3-Clause
"""A VM's rings on hardware vDPA: the kernel's simulator, which sends back what is addressed to it."""

import shutil
import tempfile
from pathlib import Path
from typing import Iterator

import pytest
from lib.net_vm import NumberedLoop
from lib.process import run
from lib.stage import Stage
from lib.wait import until
from relay_alone import RelayAlone
from vdpa import Vdpa, attach

MACHINE = "igb"
MAC = "02:00:00:00:00:01"  # which NumberedLoop sends to
BDF = "0000:01:10.0"  # as the device of the relay is called; there is no such function here
ID = 0


class Scene:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.vdpa: Vdpa = stage.add(Vdpa("sim0", "vdpasim_net", MAC))
        self.relay: RelayAlone = stage.add(
            RelayAlone(stage.writable_dir(), stage.dir / "relay.txt")
        )
        self.relay.add(ID)

    def mode(self) -> str:
        device = self.relay.device(ID)
        assert device
        return device["mode"]


@pytest.fixture(scope="module")
def scene(hugepages: Path) -> Iterator[Scene]:
    run(["modprobe", "-a", "vhost_vdpa", "vdpa_sim_net"])
    folder = Path(tempfile.mkdtemp(prefix="v4s-", dir="/tmp"))
    stage = Stage(folder)
    failed = True
    try:
        yield Scene(stage)
        failed = False
    finally:
        try:
            stage.close(failed)
        finally:
            run(["modprobe", "-r", "vdpa_sim_net", "vhost_vdpa"])
            shutil.rmtree(folder, ignore_errors=True)


def test_direct(scene: Scene) -> None:
    print(attach(scene.relay, ID, BDF, scene.vdpa))
    vm = NumberedLoop(str(scene.relay.socket(ID)))
    vm._thread.start()
    try:
        vm.progress(1, 5)
    except AssertionError as e:
        print(e, scene.relay.device(ID), scene.relay.endpoint(ID)["vm"])
        print(scene.relay.log()[-6000:])
        
        print(run(["vdpa", "dev", "vstats", "show", "sim0", "qidx", "0"], check=False), run(["vdpa", "dev", "config", "show"], check=False))
        raise
    with vm if False else __import__("contextlib").nullcontext():
        print(scene.relay.device(ID))
        vm.progress(1000)
        assert scene.mode() == "direct"
        for mode in ("shadow", "direct", "software", "direct", "software", "shadow", "direct"):
            print(scene.relay.call("mode", id=ID, mode=mode))
            vm.progress(300)
            assert scene.mode() == mode
        assert vm.lost == 0
    until(lambda: scene.mode() == "idle", "the VM has gone")
    print(scene.relay.log())
    assert False
