# SPDX-License-Identifier: BSD-3-Clause
"""The manager is killed at each step by which a VF is bound, given back, or made; the next one
completes the step or undoes it. The relay and its VM live on all the time."""

import random
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
from lib import leaks
from lib.daemon import Daemon
from lib.env import TOP
from lib.process import run
from lib.rpc import Rpc, RpcError
from lib.wait import until
from sriov import Function, Pf
from vdpa import MAKING, REMOVING
from vf_bench import Bench, Figure, bench_of_module, bindings, figure, settings  # noqa: F401
from vms import Vms, mac_of

MACHINE = "igb"
VF, RELAY = "0000:01:10.0", 0
ADMIN_MAC = "52:54:00:0a:03:01"
KILLS = 20

BINDING = [
    "bind.inspected",
    "bind.recorded",
    "bind.attributes",
    "bind.override",
    "bind.unbound",
    "bind.probed",
    "bind.owned",
    "bind.done",
    "attach.done",
]
REMOVAL = [
    "detach.done",
    "restore.unbound",
    "restore.attributes",
    "restore.override",
    "restore.probed",
    "restore.done",
]
COUNT = ["count.recorded", "count.made", "count.changed"]


def points() -> List[str]:
    sources = (TOP / "src").rglob("*.c")
    found = (re.findall(r'fault_point\("([^"]+)"\)', p.read_text()) for p in sources)
    return sorted({name for names in found for name in names})


class Scene:
    def __init__(self, bench: Bench) -> None:
        self.bench, self.pf = bench, bench.pf
        self.daemon = bench.daemon(
            VIO4WD_VF_OPTIONS=[f"enp1s0.vf0:mac={mac_of(RELAY)},trust=on,spoofchk=off"]
        )
        self.vms: Vms = bench.vms(self.daemon, RELAY + 1)
        (self.relay_pid,) = self.daemon.relay_pids()
        self.vf = Function(VF)

    # The VF as an administrator has left it

    def make_vf(self) -> None:
        """VF 0, on its driver by an override of its own and with an address that somebody set."""
        if self.pf.count == 1 and self.vf_is_original():
            return
        assert self.pf.netdev
        self.pf.set_vfs(0)
        self.pf.set_vfs(1)
        self.vf.wait_udev()
        (self.vf.path / "driver_override").write_text("igbvf")
        run(["ip", "link", "set", self.pf.netdev, "vf", 0, "mac", ADMIN_MAC])
        assert self.vf_is_original(), self.vf_now()

    def vf_now(self) -> Dict[str, Any]:
        now = {"driver": self.vf.driver, "override": self.vf.override, **settings(self.pf, 0)}
        return {**now, "recorded": VF in bindings(self.daemon)}

    def vf_is_original(self) -> bool:
        return self.vf_now() == {
            "driver": "igbvf",
            "override": "igbvf",
            "mac": ADMIN_MAC,
            "vlan": 0,
            "qos": 0,
            "trust": False,
            "spoofchk": True,
            "recorded": False,
        }

    # The manager

    def restart(self, static: bool = False, **env: str) -> None:
        """Cuts the manager off and starts the next one, which need not get far."""
        assert self.daemon.process
        if self.daemon.process.running():
            self.daemon.kill()
        self.daemon.write_config(VIRTIOFWD_STATIC_VFS=[f"{VF}={RELAY}"] if static else None)
        self.daemon.spawn(**env)

    def wait_killed(self) -> None:
        process = self.daemon.process
        assert process
        self.daemon.drop_rpc()
        assert process.wait(30) == -signal.SIGKILL

    def kill_at(self, point: str, method: str, **params: Any) -> None:
        """A call that never gets an answer."""
        self.restart(VIO4WD_FAULT=point)
        self.daemon.wait_ready()
        with pytest.raises(ConnectionError):
            self.daemon.rpc(method, **params)
        self.wait_killed()

    def recover(self, static: bool = False) -> None:
        self.restart(static)
        self.daemon.wait_ready()
        assert self.daemon.relay_pids() == [self.relay_pid]

    # What there may be in the end

    def check_active(self) -> None:
        self.daemon.wait_state(RELAY, "active")
        assert self.vf.driver == "vfio-pci"
        record = bindings(self.daemon)[VF]
        assert (record["driver"], record["override"]) == ("igbvf", "igbvf"), record
        assert (record["mac"], record["trust"], record["spoofchk"]) == (ADMIN_MAC, 0, 1), record
        self.vms.flow(5)

    def check_removed(self) -> None:
        assert self.vf_is_original(), self.vf_now()
        relay = self.daemon.relay(RELAY)
        assert (relay["state"], relay["device"]) == ("connected", None), relay
        self.vms.check()

    def check_whole(self) -> bool:
        """One or the other, and nothing in between; True when it has the device."""
        if self.daemon.relay(RELAY)["device"]:
            self.check_active()
            return True
        self.check_removed()
        return False

    def remove(self) -> None:
        self.daemon.rpc("remove", id=RELAY)
        self.check_removed()


@pytest.fixture(scope="module")
def scene(hugepages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with bench_of_module(hugepages, tmp_path_factory.mktemp("faults")) as bench:
        yield Scene(bench)


@pytest.fixture(autouse=True)
def log_of_a_failure(request: pytest.FixtureRequest, scene: Scene) -> Iterator[None]:
    start = len(scene.daemon.log_text())
    yield
    if getattr(request.node, "failed_call", True):
        print(f"--- log of vio4wd\n{scene.daemon.log_text()[start:]}\n{scene.vf_now()}")


def static_pairing(scene: Scene, point: str) -> None:
    scene.make_vf()
    scene.restart(static=True, VIO4WD_FAULT=point)
    scene.wait_killed()
    scene.recover(static=True)
    scene.check_active()
    scene.daemon.write_config(VIRTIOFWD_STATIC_VFS=None)
    scene.daemon.reload()
    scene.daemon.wait_state(RELAY, "connected")
    until(scene.vf_is_original, "the VF is as it was")
    scene.check_removed()


def addition(scene: Scene, point: str) -> None:
    scene.make_vf()
    scene.kill_at(point, "add", id=RELAY, device=VF)
    scene.recover()
    if scene.check_whole():
        scene.remove()


def removal(scene: Scene, point: str) -> None:
    scene.make_vf()
    scene.restart(VIO4WD_FAULT=point)
    scene.daemon.wait_ready()
    scene.daemon.add(RELAY, VF)
    scene.check_active()
    with pytest.raises(ConnectionError):
        scene.daemon.rpc("remove", id=RELAY)
    scene.wait_killed()
    scene.recover()
    paired = scene.check_whole()
    # From then on it is on disk that nobody wishes for it.
    assert not (paired and point.startswith("restore.")), point
    if paired:
        scene.remove()


def _count(scene: Scene, made: int) -> None:
    (pf,) = scene.daemon.rpc("vf-list")["pfs"]
    assert (pf["made"], pf["made_by"]) == (made, "vio4wd" if made else None)
    assert scene.pf.count == made
    assert (scene.pf.path / "sriov_drivers_autoprobe").read_text() == "1\n"


def creation(scene: Scene, point: str) -> None:
    """Of VFs that begin without a driver, as they are paired at once."""
    scene.pf.set_vfs(0)
    scene.daemon.write_config(VIO4WD_AUTO_VFS=["enp1s0:5"])
    try:
        scene.kill_at(point, "vf-create", pf="enp1s0", count=2)
        scene.recover()
        _count(scene, 0 if point == "count.recorded" else 2)
    finally:
        scene.daemon.write_config(VIO4WD_AUTO_VFS=None)
    scene.daemon.reload()
    if scene.pf.count:
        scene.daemon.rpc("vf-destroy", pf="enp1s0", force=True)
        _count(scene, 0)
    else:
        scene.daemon.rpc("vf-create", pf="enp1s0", count=1)
        _count(scene, 1)


def destruction(scene: Scene, point: str) -> None:
    scene.pf.set_vfs(0)
    scene.recover()
    scene.daemon.rpc("vf-create", pf="enp1s0", count=1)
    scene.kill_at(point, "vf-destroy", pf="enp1s0")
    scene.recover()
    _count(scene, 1 if point == "count.recorded" else 0)
    scene.daemon.rpc("vf-destroy", pf="enp1s0")
    _count(scene, 0)


Scenario = Callable[[Scene, str], None]
SCENARIOS: List[Tuple[Scenario, List[str]]] = [
    (static_pairing, BINDING),
    (addition, BINDING),
    (removal, REMOVAL),
    (creation, COUNT),
    (destruction, ["count.recorded", "count.changed"]),
]
RUNS = [
    pytest.param(scenario, point, id=f"{scenario.__name__}-{point}")
    for scenario, names in SCENARIOS
    for point in names
]


def test_each_point_has_a_scenario() -> None:
    names = {name for _, names in SCENARIOS for name in names}
    assert points() == sorted({*names, *MAKING, *REMOVING})


@pytest.mark.parametrize("scenario,point", RUNS)
def test_killed(scene: Scene, scenario: Scenario, point: str) -> None:
    scenario(scene, point)


def _add_and_remove(socket: Path) -> None:
    """Until the manager is gone."""
    try:
        with Rpc(socket) as rpc:
            while True:
                for method, params in (("add", {"device": VF}), ("remove", {})):
                    try:
                        rpc.call(method, id=RELAY, conditional=True, **params)
                    except RpcError:
                        pass  # what the end state is counts
    except (ConnectionError, OSError):
        pass


def test_killed_at_any_moment(scene: Scene, figure: Figure) -> None:
    scene.make_vf()
    scene.recover()
    open_before = leaks.descriptors(scene.relay_pid)
    chance = random.Random()
    seed = chance.randrange(1 << 32)
    chance.seed(seed)
    whole = []
    for _ in range(KILLS):
        loop = threading.Thread(target=_add_and_remove, args=(scene.daemon.runtime / "control",))
        loop.start()
        time.sleep(chance.uniform(0, 1.2))
        scene.daemon.kill()
        loop.join()
        scene.recover()
        whole.append(scene.check_whole())
    figure(f"killed {KILLS} times (seed {seed}): {sum(whole)} times paired then")
    scene.daemon.rpc("remove", id=RELAY, conditional=True)
    scene.check_removed()
    until(
        lambda: leaks.descriptors(scene.relay_pid) <= open_before,
        "the relay has no more descriptors open than before",
    )
