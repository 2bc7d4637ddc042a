# SPDX-License-Identifier: BSD-3-Clause
"""What cannot be done, and what vio4wd says then: the thing, the reason, the next step. Nothing is
left of it, and who has a VF already notices nothing."""

import os
import resource
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, Iterator, List, Tuple

import lib.daemon
import pytest
from lib.daemon import Daemon
from lib.env import RELAY
from lib.hugepages import POOL
from lib.process import run
from lib.wait import until
from sriov import NET, PCI, Function, Pf
from vf_bench import Bench, bench_of_module, bindings, relays_undisturbed, settings

MACHINE = "igb"
USED, VF = "0000:01:10.0", "0000:01:10.2"  # VF 0 has a VM, VF 1 is tried
OUTSIDE_NIC, PORT = "0000:00:03.0", "0000:00:1c.0"
ID = 1
MEMLOCK = 64 << 10


class Scene:
    """VF 0 is relay 0, with a VM that pings."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.pf = bench, bench.pf
        self.pf.set_vfs(3)
        for vf in self.pf.vfs():
            vf.wait_udev()
        self.vf = Function(VF)
        self.daemon = bench.daemon(
            VIRTIOFWD_STATIC_VFS=[f"{USED}=0"], VIO4WD_EXCLUDE=["enp1s0.vf2"]
        )
        self.daemon.wait_state(0, "listening")
        self.vms = bench.vms(self.daemon, 1)

    def told_pf(self) -> Dict[str, Any]:
        """What the PF says of the VF; the address that its driver makes up is another each time."""
        told = settings(self.pf, 1)
        try:
            own = (NET / (self.vf.netdev or "") / "address").read_text().strip()
        except OSError:
            return told
        if own == told["mac"]:
            told["mac"] = "that of its interface"
        return told

    def picture(self) -> Dict[str, Any]:
        """All that an addition could have changed."""
        relay = self.daemon.relay(ID)
        return {
            "vf": (self.vf.driver, self.vf.override, self.vf.netdev, self.told_pf()),
            "count": self.pf.count,
            "records": sorted(bindings(self.daemon)),
            "relay": (relay["state"], relay["device"]),
            "used": self.daemon.relay(0)["state"],
        }

    def refuse(self, device: str, *words: str) -> None:
        """vio4wdctl add fails with these words, which its history and the log have, too."""
        before = self.picture()
        start = len(self.daemon.log_text())
        said = self.daemon.ctl("add", "--id", ID, "--device", device, status=1).err
        for word in (device, *words):
            assert word in said, said
        shown = said.strip().removeprefix("vio4wdctl: ")
        assert shown[:100] in self.daemon.ctl("show", ID).out
        assert shown in self.daemon.log_text()[start:]
        self.unchanged(before)

    def unchanged(self, before: Dict[str, Any]) -> None:
        """It is again what it was, as soon as udevd has named the interface."""
        seen: Dict[str, Any] = {}

        def same() -> bool:
            seen.update(self.picture())
            return seen == before

        try:
            until(same, "all is as before")
        except AssertionError:
            assert seen == before
            raise


@pytest.fixture(scope="module")
def scene(hugepages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with bench_of_module(hugepages, tmp_path_factory.mktemp("errors")) as bench:
        yield Scene(bench)


@pytest.fixture(autouse=True)
def undisturbed(request: pytest.FixtureRequest, scene: Scene) -> Iterator[None]:
    with relays_undisturbed(request, scene.daemon):
        yield
        scene.daemon.rpc("remove", id=ID, conditional=True)
        scene.vms.flow(5)
        assert scene.daemon.relay(0)["state"] == "active"


# What is no VF


@pytest.mark.parametrize(
    "device,words",
    [
        pytest.param("0000:01:00.0", ["is a PF (enp1s0)", "3 VFs now", "enp1s0.vf0"], id="pf"),
        pytest.param(OUTSIDE_NIC, ["is no VF", "network device", "vf list"], id="nic"),
        pytest.param(PORT, ["is no VF", "bridge", "vf list"], id="bridge"),
    ],
)
def test_no_vf(scene: Scene, device: str, words: List[str]) -> None:
    scene.refuse(device, *words)


@pytest.mark.parametrize(
    "device,look",
    [
        ("0000:77:00.0", "vio4wdctl vf list"),
        ("enp1s0.vf5", "vio4wdctl vf list"),
        ("nosuch.vf0", "vio4wdctl vf list"),
        ("netdev:nosuch", "ip link"),
    ],
)
def test_nothing_there(scene: Scene, device: str, look: str) -> None:
    """No error, as it may come; but it is said."""
    said = scene.daemon.ctl("add", "--id", ID, "--device", device).err
    assert device in said and "does not exist yet" in said and look in said
    shown = scene.daemon.ctl("show", ID).out
    assert "absent" in shown and f"{device} does not exist yet" in shown
    assert f"{device} does not exist yet" in scene.daemon.log_text()


def test_excluded(scene: Scene) -> None:
    before = scene.picture()
    for device in ("enp1s0.vf2", "0000:01:10.4"):
        said = scene.daemon.ctl("add", "--id", ID, "--device", device, status=1).err
        for word in (device, "VIO4WD_EXCLUDE (enp1s0.vf2)", str(scene.daemon.config_file)):
            assert word in said, said
    scene.unchanged(before)


# In use by somebody else


@contextmanager
def address(vf: Function) -> Iterator[None]:
    run(["ip", "addr", "add", "10.77.0.1/24", "dev", vf.netdev])
    run(["ip", "link", "set", vf.netdev, "up"])
    try:
        yield
    finally:
        run(["ip", "link", "set", vf.netdev, "down"])
        run(["ip", "addr", "flush", "dev", vf.netdev])


@contextmanager
def bridge(vf: Function) -> Iterator[None]:
    run(["ip", "link", "add", "br0", "type", "bridge"])
    run(["ip", "link", "set", vf.netdev, "master", "br0"])
    try:
        yield
    finally:
        run(["ip", "link", "del", "br0"])


@contextmanager
def macvlan(vf: Function) -> Iterator[None]:
    run(["ip", "link", "add", "link", vf.netdev, "name", "mac0", "type", "macvlan"])
    try:
        yield
    finally:
        run(["ip", "link", "del", "mac0"])


@contextmanager
def container(vf: Function) -> Iterator[None]:
    run(["ip", "netns", "add", "v4-container"])
    name = vf.netdev
    run(["ip", "link", "set", name, "netns", "v4-container"])
    try:
        yield
    finally:
        run(["ip", "-n", "v4-container", "link", "set", name, "netns", "1"])
        run(["ip", "netns", "del", "v4-container"])


@contextmanager
def program(vf: Function) -> Iterator[None]:
    """As QEMU with a host device, or DPDK."""
    vf.bind("vfio-pci")
    node = Path(f"/dev/vfio/{vf.group}")
    until(node.exists, f"{node} appears")
    with open(node, "r+b", buffering=0) as group:
        user = subprocess.Popen(["sleep", "1000"], stdin=group)
    try:
        yield
    finally:
        user.kill()
        user.wait()
        vf.unbind()
        (vf.path / "driver_override").write_text("\n")
        (PCI / "drivers_probe").write_text(vf.bdf)
        vf.wait_udev()


Use = Callable[[Function], ContextManager[None]]
USES: List[Tuple[Use, List[str]]] = [
    (address, ["10.77.0.1", "ip link set", "VIO4WD_EXCLUDE"]),
    (bridge, ["br0 (bridge)", "nomaster"]),
    (macvlan, ["mac0 is made on it", "ip link del mac0"]),
    (container, ["network namespace", "container"]),
    (program, ["sleep (process", "/dev/vfio/", "VIO4WD_EXCLUDE"]),
]


@pytest.mark.parametrize("use,words", [pytest.param(u, w, id=u.__name__) for u, w in USES])
def test_in_use(scene: Scene, use: Use, words: List[str]) -> None:
    with use(scene.vf):
        scene.refuse(VF, *words)


def test_in_use_by_a_relay(scene: Scene) -> None:
    before = scene.picture()
    for device in (USED, "enp1s0.vf0"):
        said = scene.daemon.ctl("add", "--id", ID, "--device", device, status=1).err
        assert device in said and "in use by relay 0" in said
    scene.unchanged(before)


# The kernel's part


@contextmanager
def no_module() -> Iterator[None]:
    """The folder of modules is empty, as after a kernel's update without a boot."""
    folder = Path("/lib/modules", os.uname().release).resolve()
    run(["mount", "-t", "tmpfs", "none", folder])
    try:
        yield
    finally:
        run(["umount", folder])


@contextmanager
def forbidden_module() -> Iterator[None]:
    path = Path("/etc/modprobe.d/v4-test.conf")
    path.write_text("install vfio-pci /bin/false\n")
    try:
        yield
    finally:
        path.unlink()


def test_driver_missing(scene: Scene) -> None:
    """Until then the module is in use: VF 0 is given back for a while."""
    scene.daemon.rpc("remove", id=0)
    run(["modprobe", "-r", "vfio-pci"], check=False)
    assert not (PCI / "drivers/vfio-pci").exists()
    release = os.uname().release
    try:
        with no_module():
            _refuse_driver(scene, f"/lib/modules/{release}", "install", "linux-image")
        with forbidden_module():
            _refuse_driver(scene, "`install` line", "/etc/modprobe.d", "take that line out")
    finally:
        scene.daemon.add(0, USED)


def _refuse_driver(scene: Scene, *words: str) -> None:
    before = scene.picture()
    said = scene.daemon.ctl("add", "--id", ID, "--device", VF, status=1).err
    for word in ("vfio-pci", *words):
        assert word in said, said
    scene.unchanged(before)


# Memory


def _alone(scene: Scene, **config: Any) -> Daemon:
    """Another manager, with a relay of its own."""
    return scene.bench.daemon(start=False, VIRTIOFWD_DYNAMIC_SOCKETS=True, **config)


def _refuse_alone(scene: Scene, daemon: Daemon, *words: str) -> None:
    before = scene.picture()
    said = daemon.ctl("add", "--id", ID, "--device", VF, status=1).err
    for word in (VF, *words):
        assert word in said, said
    scene.unchanged(before)
    assert not bindings(daemon)
    assert said.strip().removeprefix("vio4wdctl: ") in daemon.log_text()


def test_memlock(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The relay raises its limit itself, unless the unit's capabilities do not let it."""
    tmp_path.chmod(0o755)
    relay = tmp_path / "vio4wd-relay"
    relay.write_text(
        "#!/bin/sh\n"
        f"ulimit -l {MEMLOCK >> 10}\n"
        f'exec setpriv --bounding-set -sys_resource,-ipc_lock {RELAY} "$@"\n'
    )
    relay.chmod(0o755)
    monkeypatch.setattr(lib.daemon, "RELAY", relay)
    daemon = _alone(scene).start()
    (pid,) = until(daemon.relay_pids, "there is a relay")
    assert resource.prlimit(pid, resource.RLIMIT_MEMLOCK)[0] == MEMLOCK
    _refuse_alone(scene, daemon, "RLIMIT_MEMLOCK", "LimitMEMLOCK=infinity")
    daemon.close()


def test_ordinary_memory(scene: Scene) -> None:
    daemon = _alone(scene, VIO4WD_HUGEPAGES=False).start()
    until(lambda: daemon.relay_pids(), "its relay process runs")  # in this machine it takes seconds
    _refuse_alone(scene, daemon, "VIO4WD_HUGEPAGES=false", "VIO4WD_HUGEPAGES=true")
    daemon.close()


@pytest.fixture
def no_free_hugepages() -> Iterator[None]:
    before = POOL.read_text()
    POOL.write_text("0")
    try:
        yield
    finally:
        POOL.write_text(before)


def test_no_hugepages_for_a_relay(scene: Scene, no_free_hugepages: None) -> None:
    """There is no relay, so that nothing can be tried; the pairing tells of it."""
    daemon = _alone(scene, VIRTIOFWD_STATIC_VFS=[f"{VF}={ID}"]).spawn()
    daemon.wait_log("hugepages.*sysctl vm.nr_hugepages")
    daemon.wait_ready()
    shown = daemon.ctl("show", ID).out
    assert "free hugepages" in shown and "sysctl vm.nr_hugepages" in shown, shown
    assert scene.vf.driver == "igbvf" and not bindings(daemon)
    daemon.close()


def test_no_hugepages_for_a_vf(scene: Scene, no_free_hugepages: None) -> None:
    scene.refuse(VF, "memory", "hugepages", "node 0", "sysctl vm.nr_hugepages")


# The number of VFs


@pytest.mark.parametrize(
    "command,status,words",
    [
        (["create", "enp1s0", 8], 1, ["enp1s0", "7 VFs at most", "8 were asked for"]),
        (["create", "enp1s0", 0], 2, ["0", "vf destroy"]),
        (["create", "enp1s0", "many"], 2, ["'many'", "number"]),
        (["create", "enp1s0"], 2, ["missing", "vf create"]),
        (["create", "nosuch", 1], 1, ["nosuch", "no network interface", "enp1s0"]),
        (["create", OUTSIDE_NIC, 1], 1, [OUTSIDE_NIC, "without SR-IOV", "enp1s0"]),
        (["create", USED, 1], 1, [USED, "is a VF", "0000:01:00.0"]),
        (["destroy"], 2, ["missing", "vf destroy"]),
        (["destroy", "enp1s0"], 1, ["not made by vio4wd", "sriov_numvfs"]),
    ],
)
def test_number(scene: Scene, command: List[Any], status: int, words: List[str]) -> None:
    before = scene.picture()
    said = scene.daemon.ctl("vf", *command, status=status).err
    for word in words:
        assert word in said, said
    scene.unchanged(before)
