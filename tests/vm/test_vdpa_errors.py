# SPDX-License-Identifier: BSD-3-Clause
"""Hardware vDPA that cannot be had, and what vio4wd says then: the thing, the reason, the next step.
Nothing is left of it, and the VM of another VF notices nothing."""

import os
import resource
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, Iterator, List

import pytest
from lib.daemon import Daemon
from lib.net_vm import FEATURES, NetVM
from lib.process import run
from lib.vhost_user import NET_CSUM, FrontEnd, Request, bits
from lib.wait import until
from machines import virtio_vf_mac
from relay_alone import uid
from vdpa import BUS
from vf_bench import Bench, bench_of_module, bindings, relays_undisturbed
from vms import Vm, Vms, address_of

MACHINE = "virtio-sriov"
USED, ID = 0, 1  # relays; software serves a VM of relay 0, and relay 1 is tried
VF, FEW = 1, 2  # VFs that are tried; of the latter more queue pairs are asked for than it has
PAIRS = 4
MEMLOCK = 64 << 10
KERNEL = "virtio-pci"


class Scene:
    def __init__(self, bench: Bench) -> None:
        self.bench, self.pf = bench, bench.pf
        self.pf.set_vfs(3)
        for i, vf in enumerate(self.pf.vfs()):
            vf.wait_udev()
            bench.outside.knows(address_of(i), virtio_vf_mac(i))
        self.daemon: Daemon = bench.daemon(VIO4WD_VF_OPTIONS=[f"{self.name(FEW)}:queues={PAIRS}"])
        self.daemon.ctl("add", "--id", USED, "--device", self.name(USED), "--backend", "sw")
        self.daemon.wait_state(USED, "listening")
        self.used: Vms = bench.stage.add(Vms([self.vm(USED)]))

    def name(self, vf: int) -> str:
        return f"{self.pf.netdev}.vf{vf}"

    def vm(self, relay: int) -> Vm:
        return Vm(self.daemon.socket(relay), relay, virtio_vf_mac(relay))

    def add(self, backend: str, vf: int = VF) -> None:
        device = self.name(vf)
        self.daemon.ctl("add", "--id", ID, "--device", device, "--backend", backend)

    def refuse(self, *words: str, vf: int = VF) -> None:
        """As the only thing that will do; the history and the log have it, too."""
        start = len(self.daemon.log_text())
        device = self.name(vf)
        said = self.daemon.ctl(
            "add", "--id", ID, "--device", device, "--backend", "vdpa", status=1
        ).err
        for word in words:
            assert word in said, said
        assert said.strip().removeprefix("vio4wdctl: ")[:100] in self.daemon.log_text()[start:]
        until(lambda: self.pf.vf(vf).driver == KERNEL, f"{device} is given back")

    def does_without(self, *words: str, vf: int = VF) -> Dict[str, Any]:
        """With 'auto' software serves, and the reason says why."""
        self.add("auto", vf)
        return self.software(*words, vf=vf)

    def software(self, *words: str, vf: int = VF) -> Dict[str, Any]:
        until(lambda: self.daemon.relay(ID)["backend"] == "software", "software serves")
        shown = self.daemon.relay(ID)
        assert shown["state"] in ("listening", "active") and self.pf.vf(vf).driver == "vfio-pci"
        for word in ("software: vDPA was tried: ", *words):
            assert word in shown["reason"], shown
        return shown

    def chardev(self) -> str:
        self.daemon.wait_state(ID, "listening")
        path = self.daemon.relay(ID)["vdpa"]["path"]
        assert Path(path).is_char_device()
        return path

    def pairs_offered(self) -> int:
        with FrontEnd() as vm:
            vm.connect(str(self.daemon.socket(ID)))
            vm.ask_u64(Request.GET_FEATURES)
            vm.ask_u64(Request.GET_PROTOCOL_FEATURES)
            return vm.ask_u64(Request.GET_QUEUE_NUM)


@pytest.fixture(scope="module")
def scene(hugepages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with bench_of_module(hugepages, tmp_path_factory.mktemp("errors")) as bench:
        yield Scene(bench)


@pytest.fixture(autouse=True)
def undisturbed(request: pytest.FixtureRequest, scene: Scene) -> Iterator[None]:
    with relays_undisturbed(request, scene.daemon):
        yield
        scene.daemon.rpc("remove", id=ID, conditional=True)
        used = [scene.pf.vf(USED).bdf]
        until(lambda: list(bindings(scene.daemon)) == used, "the VF is given back")
        assert [scene.pf.vf(i).driver for i in (VF, FEW)] == [KERNEL, KERNEL]
        assert not (BUS / "devices" / f"vio4wd{ID}").exists()
        scene.used.flow(5)
        assert scene.daemon.relay(USED)["state"] == "active"


@pytest.fixture
def vms(scene: Scene) -> Iterator[Vms]:
    """The VM of relay 1, which is there first."""
    vms = Vms([scene.vm(ID)])
    try:
        yield vms
    finally:
        vms.close()


# Fewer queue pairs than are asked for


def test_queue_pairs(scene: Scene) -> None:
    """Software has them; it is not given to and fro between the drivers."""
    words = (f"pci/{scene.pf.vf(FEW).bdf}", f"1 queue pair of {PAIRS}", "VIO4WD_VF_OPTIONS")
    scene.refuse(scene.name(FEW), *words, "'auto' or 'sw'", vf=FEW)
    scene.does_without(*words, vf=FEW)
    assert scene.pairs_offered() == PAIRS
    said = scene.daemon.ctl("backend", ID, "vdpa", status=1).err
    assert f"1 queue pair of {PAIRS}" in said, said
    scene.software(*words, vf=FEW)


# The kernel's modules


@contextmanager
def no_modules(module: str) -> Iterator[None]:
    """The folder of modules is empty, as after a kernel's update without a boot."""
    folder = Path("/lib/modules", os.uname().release).resolve()
    run(["mount", "-t", "tmpfs", "none", folder])
    try:
        yield
    finally:
        run(["umount", folder])


@contextmanager
def forbidden(module: str) -> Iterator[None]:
    path = Path("/etc/modprobe.d/v4-test.conf")
    path.write_text(f"install {module} /bin/false\n")
    try:
        yield
    finally:
        path.unlink()


@pytest.mark.parametrize("module,driver", [("vp_vdpa", "vp-vdpa"), ("vhost_vdpa", "vhost_vdpa")])
@pytest.mark.parametrize(
    "missing,words",
    [
        pytest.param(no_modules, ["is not loaded", "/lib/modules/", "linux-image"], id="missing"),
        pytest.param(forbidden, ["/etc/modprobe.d", "take that line out"], id="forbidden"),
    ],
)
def test_module(
    scene: Scene,
    module: str,
    driver: str,
    missing: Callable[[str], ContextManager[None]],
    words: List[str],
) -> None:
    run(["modprobe", "-a", "vp_vdpa", "vhost_vdpa"])
    run(["modprobe", "-r", module])
    with missing(module):
        scene.refuse(driver, *words)
        scene.does_without(driver, *words[:1])
    scene.daemon.rpc("remove", id=ID)


# Locked memory


@pytest.fixture
def little_memlock(scene: Scene) -> Iterator[None]:
    (pid,) = scene.daemon.relay_pids()
    before = resource.prlimit(pid, resource.RLIMIT_MEMLOCK, (MEMLOCK, MEMLOCK))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_MEMLOCK, before)


def test_memlock(scene: Scene, vms: Vms, little_memlock: None) -> None:
    """The VM's memory cannot be pinned: the hardware is no use to it."""
    words = ["bytes of memory have to be locked", f"{MEMLOCK} are allowed (RLIMIT_MEMLOCK"]
    scene.refuse("/dev/vhost-vdpa-", *words, "LimitMEMLOCK=infinity")


# The character device


def test_in_use(scene: Scene, vms: Vms) -> None:
    """By somebody who opens it between two VMs. Until that ends it can be neither opened nor removed,
    which is said; then software serves by itself."""
    vms.close()
    scene.add("auto")
    path = scene.chardev()
    with open(path, "r+b", buffering=0):
        vm = scene.vm(ID)
        scene.daemon.wait_log(f"attach: {path} is in use: another program has it open")
        until(lambda: scene.daemon.relay(ID)["state"] == "failed", "it is said")
        shown = scene.daemon.ctl("show", ID).out
        for word in (f"vio4wd{ID} is used by a program", path, f"`fuser {path}` finds it"):
            assert word in shown, shown
    try:
        scene.software(f"{path} is in use")
    finally:
        vm.close()


def test_not_permitted(scene: Scene) -> None:
    """Somebody takes it from the relays' user: it is said, and given again."""
    scene.add("vdpa")
    path = scene.chardev()
    os.chown(path, 0, 0)
    start = len(scene.daemon.log_text())
    vms = Vms([scene.vm(ID)])
    try:
        scene.daemon.wait_log(f"{path} may not be opened by this user; the manager", start=start)
        until(lambda: os.stat(path).st_uid == uid(), "it is given again")
        scene.daemon.wait_state(ID, "active")
        vms.flow()
    finally:
        vms.close()


# What the VM has agreed on


@contextmanager
def vm_with_checksums(scene: Scene) -> Iterator[NetVM]:
    """The hardware has none; the VM was there before it."""
    with NetVM() as vm:
        vm.connect(str(scene.daemon.socket(ID)))
        vm.boot(features=FEATURES | bits(NET_CSUM))
        assert vm.features & bits(NET_CSUM)
        until(lambda: scene.daemon.relay(ID)["vm"], "the VM is connected")
        yield vm
        assert not vm.is_dropped()


def test_features(scene: Scene) -> None:
    words = ["the VM has agreed on CSUM, which the device cannot serve", "vio4wdctl backend ID sw"]
    with vm_with_checksums(scene):
        scene.refuse(*words)
        scene.does_without(*words)
        said = scene.daemon.ctl("backend", ID, "vdpa", status=1).err
        assert words[0] in said, said
        scene.software(*words)
