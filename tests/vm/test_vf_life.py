# SPDX-License-Identifier: BSD-3-Clause
"""VFs come and go while VMs use them: nobody calls the manager, the VMs stay connected, and traffic is
there again by itself."""

import time
from pathlib import Path
from typing import Iterator, List

import pytest
from lib.daemon import Daemon
from lib.process import Process
from lib.wait import until
from outside import ADDRESS
from sriov import rescan
from stack_vm import StackVm
from vf_bench import (  # noqa: F401
    ALL_AUTO,
    TOTAL,
    Bench,
    Figure,
    bench_of_module,
    bindings,
    figure,
    fixed_macs,
    settings,
    wait_states,
)
from vms import Vms, address_of, mac_of

MACHINE = "igb"
PAIR = 2  # VFs of most tests
STACK = 6  # the relay whose VM has a kernel


class Scene:
    """VF n is relay n, with a VM on the relays 0 and 1 and one with a whole kernel on the last."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.pf = bench, bench.pf
        self.daemon: Daemon = bench.daemon(**ALL_AUTO)
        self.relays = self.daemon.relay_pids()
        self.vms: Vms = bench.vms(self.daemon, PAIR)

    def unharmed(self) -> None:
        """Nothing has crashed or was begun anew, and the VMs have noticed nothing but silence."""
        assert self.daemon.process
        self.daemon.process.check_running()
        assert self.daemon.relay_pids() == self.relays
        assert all(p["restarts"] == 0 for p in self.daemon.processes())
        self.vms.check()

    def begin(self, count: int = PAIR) -> None:
        """VFs with traffic, however the test before has ended."""
        if not self.pf.exists():
            rescan()
            until(lambda: self.pf.driver, "the PF is back")
        if not self.pf.driver:
            (Path("/sys/bus/pci/drivers/igb/bind")).write_text(self.pf.bdf)
        self.pf.up()
        if self.pf.count != count:
            self.pf.set_vfs(0)
            self.pf.set_vfs(count)
        self.carries()

    def carries(self) -> None:
        wait_states(self.daemon, PAIR, "active")
        self.vms.flow()
        assert [f.driver for f in self.pf.vfs()[:PAIR]] == ["vfio-pci"] * PAIR

    def is_absent(self, count: int = PAIR) -> None:
        wait_states(self.daemon, count, "absent")
        self.vms.silent()
        until(lambda: not bindings(self.daemon), "there is nothing left to give back")
        self.unharmed()


@pytest.fixture(scope="module")
def scene(hugepages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with bench_of_module(hugepages, tmp_path_factory.mktemp("life")) as bench:
        yield Scene(bench)


def make_vfs(scene: Scene, count: int, *vms: Vms) -> str:
    """Writes sriov_numvfs and waits for traffic through each; says how long it took."""
    begin = time.monotonic()
    scene.pf.set_vfs(count)
    written = time.monotonic() - begin
    firsts = sorted(t - begin for v in vms for t in v.first_answers(begin))
    assert len(firsts) == count
    for v in vms:
        v.flow()
    wait_states(scene.daemon, count, "active")
    return (
        f"{count} VFs: sriov_numvfs written in {written:.2f} s, first packet after "
        f"{firsts[0]:.2f} s, through the last VF after {firsts[-1]:.2f} s"
    )


def remove_vfs(scene: Scene, count: int) -> str:
    begin = time.monotonic()
    scene.pf.set_vfs(0)
    text = f"{count} VFs under traffic: sriov_numvfs 0 written in {time.monotonic() - begin:.2f} s"
    scene.is_absent(count)
    return text


def test_spare_has_the_address_of_the_vm(scene: Scene) -> None:
    """VF 0 is taken away and may not be bound: VF 2 gets its MAC address from the PF, without which it would
    receive nothing, and has its own again afterwards. No option tells that address any more: it is the one that
    VF 0 had, and the manager has been restarted since it was attached."""
    scene.begin(3)
    changed = {
        "VIO4WD_SPARE_VFS": ["enp1s0.vf2"], "VIO4WD_EXCLUDE": ["enp1s0.vf0"],
        "VIO4WD_VF_OPTIONS": None, "VIO4WD_VDPA_STABLE_SECONDS": 2,
    }  # fmt: skip
    scene.daemon.kill()
    scene.daemon.spawn()
    scene.daemon.wait_ready()
    scene.daemon.write_config(**changed)
    scene.daemon.ctl("reload")
    spare = scene.pf.vf(2).bdf
    until(lambda: spare not in bindings(scene.daemon), "the spare is nobody's")
    before = settings(scene.pf, 2)["mac"]
    try:
        scene.pf.vf(0).unbind()
        until(lambda: scene.daemon.relay(0)["stand_in"] == "enp1s0.vf2", "the spare stands in")
        wait_states(scene.daemon, 1, "active")
        scene.vms.flow()
        assert settings(scene.pf, 2)["mac"] == mac_of(0)
        scene.daemon.write_config(VIO4WD_EXCLUDE=None, VIO4WD_VF_OPTIONS=fixed_macs())
        scene.daemon.ctl("reload")
        until(lambda: not scene.daemon.relay(0)["stand_in"], "VF 0 serves again")
        scene.carries()
        # Its driver makes one up, which udevd replaces by the one that it gives this VF each time.
        until(lambda: settings(scene.pf, 2)["mac"] == before, "the spare has its own address")
    finally:
        restored = {**dict.fromkeys(changed), "VIO4WD_VF_OPTIONS": fixed_macs()}
        scene.daemon.write_config(**restored)
        scene.daemon.ctl("reload")
    # What is no spare any more is paired like any other.
    scene.daemon.wait_state(2, "listening")
    scene.pf.set_vfs(0)
    wait_states(scene.daemon, PAIR, "absent")


def test_numvfs_from_outside(scene: Scene, figure: Figure) -> None:
    for _ in range(2):
        figure(make_vfs(scene, PAIR, scene.vms))
        figure(remove_vfs(scene, PAIR))


def test_seven_at_once(scene: Scene, figure: Figure) -> None:
    others = scene.bench.vms(scene.daemon, TOTAL, PAIR)
    for _ in range(2):
        figure(make_vfs(scene, TOTAL, scene.vms, others))
        figure(remove_vfs(scene, TOTAL))
        others.silent()
        others.check()
    others.close()


def test_numvfs_under_flood(scene: Scene, figure: Figure) -> None:
    """As fast as it goes, both ways; a kernel is at either end."""
    scene.begin(TOTAL)
    vm = StackVm(scene.bench.stage.dir, scene.daemon.socket(STACK), mac_of(STACK), address_of(STACK))
    scene.bench.stage.add(vm)
    vm.wait_reach(ADDRESS)
    floods: List[Process] = [
        scene.bench.stage.add(end.start(["ping", "-nqf", to], scene.bench.stage.dir / f"{to}.txt"))
        for end, to in ((vm, ADDRESS), (scene.bench.outside, address_of(STACK)))
    ]
    connects = scene.daemon.relay(STACK)["vm_detail"]["connects"]
    for _ in range(2):
        moved = scene.daemon.stats(STACK)["vf_to_vm"]["packets_out"]
        until(
            lambda: scene.daemon.stats(STACK)["vf_to_vm"]["packets_out"] > moved + 1000,
            "the flood flows",
        )
        figure(remove_vfs(scene, TOTAL))
        assert scene.daemon.relay(STACK)["vm"]
        scene.pf.set_vfs(TOTAL)
        vm.wait_reach(ADDRESS)
        scene.carries()
    for flood in floods:
        flood.check_running()
        flood.close()
    assert scene.daemon.relay(STACK)["vm_detail"]["connects"] == connects
    vm.close()


def test_pf_driver_unbound(scene: Scene, figure: Figure) -> None:
    """The VFs go with it; with the driver come none, so they are made again."""
    scene.begin()
    begin = time.monotonic()
    scene.pf.unbind()
    figure(f"PF driver unbound under traffic in {time.monotonic() - begin:.2f} s")
    scene.is_absent()
    Path("/sys/bus/pci/drivers/igb/bind").write_text(scene.pf.bdf)
    scene.pf.up()
    figure(make_vfs(scene, PAIR, scene.vms))
    scene.carries()
    scene.unharmed()


def test_vf_unbound_behind_our_back(scene: Scene, figure: Figure) -> None:
    scene.begin()
    vf = scene.pf.vf(0)
    begin = time.monotonic()
    vf.unbind()
    unbound = time.monotonic() - begin
    firsts = scene.vms.first_answers(time.monotonic())
    figure(
        f"VF unbound under traffic in {unbound:.2f} s, traffic again after "
        f"{max(firsts) - begin:.2f} s"
    )
    scene.carries()
    scene.unharmed()


def test_pf_pulled_out(scene: Scene, figure: Figure) -> None:
    scene.begin()
    begin = time.monotonic()
    scene.pf.remove()
    figure(f"PF removed under traffic in {time.monotonic() - begin:.2f} s")
    assert not scene.pf.exists()
    scene.is_absent()
    rescan()
    until(lambda: scene.pf.driver, "the PF is back")
    scene.pf.up()
    figure(make_vfs(scene, PAIR, scene.vms))
    scene.carries()
    scene.unharmed()
