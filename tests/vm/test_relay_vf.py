# SPDX-License-Identifier: BSD-3-Clause
"""The relay and its VFs, without a manager: opened without rights, removed in every way, reset, refused."""

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pytest
from lib.numbered import Receiver, Sender
from lib.process import Arg, run
from lib.rpc import RpcError
from lib.stage import Stage
from lib.wait import until
from machines import OUTSIDE as PC_MAC
from outside import ADDRESS as OUTSIDE
from outside import Outside
from relay_alone import RelayAlone, give, group_node, uid
from sriov import PCI, Pf, rescan
from stack_vm import StackVm
from vms import Vm, Vms, address_of, mac_of

MACHINE = "igb"
VFS = 3  # 0 and 1 have VMs all the time, 2 is for tests that need one
STACK = 2
NUMBERED = 1000
RATE = 300  # packets per second that a VM without KVM forwards on any machine
PINGS = 2000
OPENS = 20
IOCTL = "syscall=16"  # of x86-64


class Scene:
    def __init__(self, stage: Stage, pf: Pf) -> None:
        self.stage, self.pf = stage, pf
        self.outside: Outside = stage.add(Outside())
        for i in range(VFS):
            self.outside.knows(address_of(i), mac_of(i))
        self.make_vfs()
        self.relay: RelayAlone = stage.add(
            RelayAlone(stage.writable_dir(), stage.dir / "relay.txt")
        )
        for i in range(VFS):
            self.relay.add(i)
        self.vms: Vms = stage.add(Vms([Vm(self.relay.socket(i), i) for i in (0, 1)]))

    def make_vfs(self) -> None:
        """Of a PF that has none: with addresses, and ours to open."""
        self.pf.up()
        self.pf.autoprobe(False)
        self.pf.set_vfs(VFS)
        for i, vf in enumerate(self.pf.vfs()):
            run(["ip", "link", "set", self.pf.netdev or "", "vf", i, "mac", mac_of(i)])
            give(vf)

    def attach(self) -> None:
        """The VMs have traffic, however the test before has ended."""
        if not self.pf.exists():
            rescan()
        if not self.pf.driver:
            (PCI / "drivers/igb/bind").write_text(self.pf.bdf)
        until(lambda: self.pf.netdev, "the PF has its interface")
        run(["udevadm", "settle", "--timeout=20"])
        if self.pf.count != VFS:
            self.make_vfs()
        for i in (0, 1):
            vf = self.pf.vf(i)
            if vf.driver != "vfio-pci":
                give(vf)
            if not self.relay.device(i):
                self.relay.attach(i, vf.bdf)
        self.vms.flow()


@pytest.fixture(scope="module")
def scene(hugepages: Path) -> Iterator[Scene]:
    pf = Pf()
    pf.set_vfs(0)
    run(["modprobe", "vfio-pci"])
    # The relay's user must be able to go there, as it is not to pytest's own folders.
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
            if pf.driver:
                pf.set_vfs(0)
                pf.autoprobe(True)
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def relay(scene: Scene) -> Iterator[RelayAlone]:
    """With traffic on the endpoints 0 and 1, and it is the same process afterwards."""
    scene.attach()
    scene.relay.forget()
    yield scene.relay
    scene.relay.process.check_running()
    scene.vms.check()


def test_opens_as_its_user(scene: Scene, relay: RelayAlone) -> None:
    device = relay.device(0)
    assert device and device["driver"] == "net_e1000_igb_vf"
    assert device["mac"].lower() == mac_of(0)
    assert device["link"] and not device["interrupts"]
    assert relay.status("Uid").split() == [str(uid())] * 4
    assert int(relay.status("CapEff"), 16) == 0
    groups = sorted(str(group_node(scene.pf.vf(i))) for i in (0, 1))
    assert relay.vfio_files() == groups + ["anon_inode:[vfio-device]"] * 2
    assert "promiscuous" not in relay.log()


def test_no_system_call_is_refused() -> None:
    """But the second reset of a VF that was just reset, for which the filter has a rule."""
    refused = [x for x in run(["dmesg"]).splitlines() if "type=1326" in x]
    assert not [x for x in refused if IOCTL not in x or "code=0x50000" not in x]


def numbered(
    scene: Scene, source: List[Arg], interface: str, target: List[Arg], arrives: str, mac: str
) -> None:
    folder = scene.stage.dir
    there = Receiver(arrives, folder / f"receiver-{arrives}.txt", target)  # type: ignore[arg-type]
    options = {"dst": mac, "stream": 1, "count": NUMBERED, "rate": RATE, "size": 1000}
    log = folder / f"sender-{interface}.txt"
    try:
        with Sender(interface, log, source, **options) as here:  # type: ignore[arg-type]
            assert here.finish() == NUMBERED
        scene.stage.until_received(there, 1, NUMBERED)
    finally:
        there.close()


def test_kernels_at_both_ends(scene: Scene, relay: RelayAlone) -> None:
    """Numbered packets both ways, and pings as fast as they go: none lost, none twice."""
    relay.attach(STACK, scene.pf.vf(STACK).bdf)
    vm = StackVm(scene.stage.dir, relay.socket(STACK), mac_of(STACK), address_of(STACK))
    try:
        vm.wait_reach(OUTSIDE)
        numbered(scene, vm.prefix(), vm.IFACE, scene.outside.prefix(), scene.outside.nic, PC_MAC)
        numbered(scene, scene.outside.prefix(), scene.outside.nic, vm.prefix(), vm.IFACE, vm.mac)
        out = vm.run("ping", "-nqf", "-c", PINGS, "-s", 1000, OUTSIDE)
        assert f"{PINGS} packets transmitted, {PINGS} received, 0% packet loss" in out
    finally:
        vm.close()
        relay.detach(STACK)


def unbind_vfs(scene: Scene) -> None:
    for i in (0, 1):
        scene.pf.vf(i).unbind()


REMOVALS: Dict[str, Callable[[Scene], None]] = {
    "numvfs": lambda scene: scene.pf.set_vfs(0),
    "vfs unbound": unbind_vfs,
    "pf removed": lambda scene: scene.pf.remove(),
    "pf unbound": lambda scene: scene.pf.unbind(),
}


@pytest.mark.parametrize("way", REMOVALS)
def test_removed_under_traffic(scene: Scene, relay: RelayAlone, way: str) -> None:
    """The kernel waits until the relay lets go, and asks once in 10 s; nobody else has to."""
    files = relay.open_files()
    begin = time.monotonic()
    REMOVALS[way](scene)
    assert time.monotonic() - begin < 9
    for i in (0, 1):
        note = relay.wait_note(i, lambda n: bool(n["error"]))
        assert note["error"] == "the device was removed" and not note["link"]
        until(lambda: not relay.device(i), "the device is detached")
    relay.wait_closed()
    with pytest.raises(Exception, match="has no device"):
        relay.detach(0)
    assert relay.endpoint(0)["vm"]["connected"]
    scene.attach()
    relay.wait_files(files, 2)


def test_opens_without_end(scene: Scene, relay: RelayAlone) -> None:
    """What belongs to a device goes with it."""
    bdf = scene.pf.vf(STACK).bdf

    def used() -> Dict[str, object]:
        counts = {k: n for k, n in relay.resources().items() if k != "fds"}
        return {
            "resources": counts,
            "threads": relay.status("Threads"),
            "hugetlb": relay.status("HugetlbPages"),
        }

    relay.attach(STACK, bdf)
    relay.detach(STACK)
    before = used()
    files = relay.open_files()
    for _ in range(OPENS):
        relay.attach(STACK, bdf)
        relay.detach(STACK)
    assert used() == before
    relay.wait_files(files, 2)
    scene.vms.flow()


def test_vdpa_driver_that_does_not_exist(scene: Scene, relay: RelayAlone) -> None:
    """DPDK's network driver takes the VF whatever it is told. It lets go of it, and has it as a port."""
    bdf, files = scene.pf.vf(STACK).bdf, relay.open_files()
    params = {"id": STACK, "device": bdf, "kind": "pci", "pci": bdf, "mtu": 1500}
    with pytest.raises(RpcError, match="librte-vdpa"):
        relay.call("attach", **params, vdpa_args="class=vdpa")
    relay.wait_files(files, 2)
    assert relay.device(STACK) is None
    assert relay.attach(STACK, bdf)["backend"] == "port"
    relay.detach(STACK)
    relay.wait_files(files, 2)


def test_first_and_last_device(scene: Scene, relay: RelayAlone) -> None:
    """What VFs share is there again after none was there."""
    files = relay.open_files()
    for _ in range(3):
        relay.detach(0)
        relay.detach(1)
        assert relay.vfio_files() == []
        scene.attach()
    relay.wait_files(files, 2)


def test_memory_comes_and_goes(scene: Scene, relay: RelayAlone) -> None:
    """Of VMs without a device, in the midst of what VFs use: it is mapped and unmapped page by page."""
    others: List[Vm] = []
    for i in range(10, 13):
        relay.add(i)
        others.append(Vm(relay.socket(i), i))
        until(lambda: relay.endpoint(i)["vm"]["connected"], "the VM is connected")
    for i in (0, 1):
        relay.detach(i)
    scene.attach()
    for i, vm in zip(range(10, 13), others):
        vm.close()
        relay.call("endpoint_remove", id=i)
    scene.vms.flow()
    assert "DMA remapping" not in relay.log()


def test_link_of_the_pf(scene: Scene, relay: RelayAlone) -> None:
    run(["ip", "link", "set", scene.pf.netdev or "", "down"])
    for i in (0, 1):
        assert not relay.wait_note(i, lambda n: not n["link"])["error"]
    assert not relay.endpoint(0)["device"]["link"]
    relay.forget()
    run(["ip", "link", "set", scene.pf.netdev or "", "up"])
    for i in (0, 1):
        relay.wait_note(i, lambda n: n["link"])
    scene.vms.flow()


def test_reset_of_the_pf(scene: Scene, relay: RelayAlone) -> None:
    for _ in range(2):
        marks = relay.log().count("was reset by its PF")
        run(["ethtool", "-r", scene.pf.netdev or ""])
        until(lambda: relay.log().count("was reset by its PF") >= marks + 2, "VFs are set up again")
        scene.vms.flow()


def test_slow_device_is_waited_for_by_nobody(scene: Scene, relay: RelayAlone) -> None:
    """A VF whose PF does not answer takes seconds to close and to open."""
    run(["ip", "link", "set", scene.pf.netdev or "", "down"])
    bdf = scene.pf.vf(0).bdf
    begin = time.monotonic()
    first = relay.ask("detach", id=0)
    slow = [first, relay.ask_attach(0, bdf), relay.ask("detach", id=0), relay.ask_attach(0, bdf)]
    fast = [relay.ask("stats") for _ in range(5)]
    path = relay.folder / "v20"
    fast.append(
        relay.ask("endpoint_add", id=20, socket=str(path), mode="server", queues=1, mtu=0,
                  mrg_rxbuf=True, tso=False)
    )  # fmt: skip
    fast.append(relay.ask("endpoint_remove", id=20))
    came = relay.order([*slow, *fast])
    took = time.monotonic() - begin
    assert took > 1, "it was not slow"
    assert came == [*fast, *slow]
    for number in slow:
        relay.answer(number)
    run(["ip", "link", "set", scene.pf.netdev or "", "up"])
    scene.vms.flow()


def test_jumbo_frames(scene: Scene, relay: RelayAlone) -> None:
    relay.detach(0)
    assert relay.attach(0, scene.pf.vf(0).bdf, 9000)["mtu"] == 9000
    scene.vms.flow()
    relay.detach(0)


def _config(pf: Pf, mask: int, value: int) -> None:
    """Changes bits of the control register in the PF's SR-IOV capability, behind the kernel's back."""
    with open(pf.path / "config", "r+b", buffering=0) as file:
        at = 0x100
        while True:
            head = int.from_bytes(os.pread(file.fileno(), 4, at), "little")
            if head & 0xFFFF == 0x10:
                break
            at = head >> 20
            assert at, "the PF has no SR-IOV capability"
        old = int.from_bytes(os.pread(file.fileno(), 2, at + 8), "little")
        os.pwrite(file.fileno(), ((old & ~mask) | value).to_bytes(2, "little"), at + 8)


def maps(relay: RelayAlone) -> str:
    return Path(f"/proc/{relay.process.pid}/maps").read_text()


VF_ENABLE = 1


def test_device_that_does_not_answer(scene: Scene, relay: RelayAlone) -> None:
    """VFs are switched off in hardware; their drivers are not asked, and read all ones."""
    _config(scene.pf, VF_ENABLE, 0)
    try:
        for i in (0, 1):
            note = relay.wait_note(i, lambda n: bool(n["error"]))
            assert note["error"] == "the device does not answer any more"
        until(lambda: "vfio-device" not in maps(relay), "the registers are let go of")
        text = relay.refusal(STACK, scene.pf.vf(STACK).bdf)
        assert "does not answer" in text and "all ones" in text and "/sys/bus/pci/rescan" in text
    finally:
        _config(scene.pf, VF_ENABLE, VF_ENABLE)  # the kernel waits for it before it lets go
    relay.wait_closed()
    scene.pf.set_vfs(0)
    scene.attach()
