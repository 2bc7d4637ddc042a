# SPDX-License-Identifier: BSD-3-Clause
"""What a VF carries for a VM: pings, TCP, the VM's own MAC address, the VLAN of the PF."""

import errno
import json
from pathlib import Path
from typing import Any, Iterator, List

import pytest
from lib.daemon import Daemon
from lib.process import run
from lib.wait import until
from lib.zmq11 import PortControl
from outside import ADDRESS as OUTSIDE
from sriov import Function
from stack_vm import ADDRESS, MAC, StackVm
from vf_bench import Bench, bench_of_module

MACHINE = "igb"
PINGS = 2000
TCP_BYTES = 4 << 20
STREAM = Path(__file__).with_name("tcp_stream.py")
VLAN = 100
VLAN_OUTSIDE, VLAN_VM = "10.10.0.1", "10.10.0.2"


class Scene:
    """VF 0 is relay 1, with a VM on it that has the VF's address."""

    def __init__(self, bench: Bench) -> None:
        self.pf, self.stage, self.outside = bench.pf, bench.stage, bench.outside
        self.pf.set_vfs(1)
        self.daemon: Daemon = bench.daemon(
            VIRTIOFWD_STATIC_VFS=["enp1s0.vf0=1"],
            VIRTIOFWD_DYNAMIC_SOCKETS=True,
            VIO4WD_VF_OPTIONS=[f"enp1s0.vf0:mac={MAC}"],
        )
        self.daemon.wait_state(1, "listening")
        self.vm: StackVm = self.stage.add(StackVm(self.stage.dir, self.daemon.socket(1)))
        self.daemon.wait_state(1, "active")
        self.vm.wait_reach(OUTSIDE)

    def outside_knows(self, address: str) -> str:
        """The MAC address that frames of the VM came from, as the network outside has seen."""
        words = self.outside.run("ip", "neigh", "show", address).split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else ""


@pytest.fixture(scope="module")
def scene(hugepages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with bench_of_module(hugepages, tmp_path_factory.mktemp("traffic")) as bench:
        yield Scene(bench)


@pytest.fixture(autouse=True)
def log_of_a_failure(request: pytest.FixtureRequest, scene: Scene) -> Iterator[None]:
    start = len(scene.daemon.log_text())
    yield
    if getattr(request.node, "failed_call", True):
        print(f"--- log of vio4wd\n{scene.daemon.log_text()[start:]}")


def test_driver_and_address(scene: Scene) -> None:
    detail = scene.daemon.relay(1)["device_detail"]
    assert detail["driver"] == "net_e1000_igb_vf"
    assert detail["mac"].lower() == MAC


def test_relay_has_no_rights(scene: Scene) -> None:
    """It has its VF open, as a user without rights."""
    (pid,) = scene.daemon.relay_pids()
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    user = int(run(["id", "-u", "vio4wd"]))
    assert set(map(int, status["Uid"].split())) == {user} and user
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2"
    node = Path(f"/dev/vfio/{scene.pf.vf(0).group}")
    opened = [p.resolve() for p in Path(f"/proc/{pid}/fd").iterdir() if p.exists()]
    assert node in opened
    assert node.stat().st_uid == user and node.stat().st_mode & 0o777 == 0o600


def test_ping_flood(scene: Scene) -> None:
    out = scene.vm.run("ping", "-nqf", "-c", PINGS, "-s", 1000, OUTSIDE)
    assert f"{PINGS} packets transmitted, {PINGS} received, 0% packet loss" in out
    out = scene.outside.run("ping", "-nqf", "-c", 300, ADDRESS)
    assert "300 packets transmitted, 300 received, 0% packet loss" in out


def _streams(scene: Scene, server: Any, client: Any, address: str) -> None:
    log = scene.stage.dir / f"listen-{address}.txt"
    arguments: List[Any] = [address, 7000, TCP_BYTES]
    program = ["/usr/bin/python3", STREAM]
    listener = scene.stage.add(server.start([*program, "listen", *arguments], log))
    listener.wait_text("listening")
    mine = json.loads(client.run(*program, "connect", *arguments))
    assert listener.wait() == 0
    theirs = json.loads(log.read_text().splitlines()[-1])
    assert mine["bytes"] == theirs["bytes"] == TCP_BYTES
    assert mine["sent"] == theirs["received"]
    assert theirs["sent"] == mine["received"]


def test_tcp(scene: Scene) -> None:
    """Both ways at once, whoever connected."""
    _streams(scene, scene.outside, scene.vm, OUTSIDE)
    _streams(scene, scene.vm, scene.outside, ADDRESS)


def test_mac_reaches_through(scene: Scene) -> None:
    scene.outside.run("ip", "neigh", "flush", "all")
    scene.vm.forget(OUTSIDE)
    scene.vm.wait_reach(OUTSIDE)
    assert scene.outside_knows(ADDRESS) == MAC


def test_vlan_of_the_pf(scene: Scene) -> None:
    """Frames of the VM are in that VLAN outside, and it gets those of no other."""
    assert scene.pf.netdev
    nic, vlan = scene.outside.nic, f"vlan{VLAN}"
    scene.outside.run("ip", "link", "add", "link", nic, "name", vlan, "type", "vlan", "id", VLAN)
    scene.outside.run("ip", "addr", "add", f"{VLAN_OUTSIDE}/24", "dev", vlan)
    scene.outside.run("ip", "link", "set", vlan, "up")
    scene.vm.run("ip", "addr", "add", f"{VLAN_VM}/24", "dev", scene.vm.IFACE)
    assert not scene.vm.reaches(VLAN_OUTSIDE)
    run(["ip", "link", "set", scene.pf.netdev, "vf", 0, "vlan", VLAN])
    try:
        scene.vm.wait_reach(VLAN_OUTSIDE)
        assert scene.outside_knows(VLAN_VM) == MAC
        scene.vm.forget(OUTSIDE)
        assert not scene.vm.reaches(OUTSIDE)
        assert " 0 received" in scene.outside.run("ping", "-nqc2", "-W1", ADDRESS, check=False)
    finally:
        run(["ip", "link", "set", scene.pf.netdev, "vf", 0, "vlan", 0])
    scene.vm.wait_reach(OUTSIDE)


def test_bond(scene: Scene) -> None:
    """Two VFs as one, made as 1.1's clients do, with a socket of their own."""
    scene.vm.close()
    scene.pf.set_vfs(0)
    scene.pf.set_vfs(3)
    first, second = scene.pf.vf(1), scene.pf.vf(2)
    path = scene.daemon.sockets / "bond"
    with PortControl(scene.daemon.endpoint("port_control")) as control:
        control.ok("add_sock", [first.bdf, second.bdf], name="net_bonding0", vhost_path=str(path))
        assert control.ok("query_pci", vhost_path=str(path)).query_string == "net_bonding0"
        assert control.refused("add_sock", [second.bdf], vhost_path=f"{path}-2").error_code == errno.EBUSY
        relay = next(
            r["id"]
            for r in scene.daemon.rpc("status")["relays"]
            if r["device"] == "net_bonding0"
        )

        def member(vf: Function) -> Any:
            members = scene.daemon.relay(relay)["bond"]["members"]
            return next(m for m in members if m["device"] == vf.bdf)

        mac = scene.daemon.wait_state(relay, "listening")["device_detail"]["mac"].lower()
        assert member(first)["in"] and member(second)["in"]
        vm: StackVm = scene.stage.add(StackVm(scene.stage.writable_dir(), path, mac))
        scene.daemon.wait_state(relay, "active")
        vm.wait_reach(OUTSIDE)
        until(lambda: member(first)["active"], "the first one carries")
