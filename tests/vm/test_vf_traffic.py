# SPDX-License-Identifier: BSD-3-Clause
"""What a VF carries for a VM: pings, TCP, the VM's own MAC address, the VLAN of the PF."""

import errno
import json
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from lib.daemon import Daemon
from lib.process import run
from lib.wait import until
from lib.zmq11 import PortControl
from outside import ADDRESS as OUTSIDE
from sriov import Function
from stack_vm import ADDRESS, MAC, StackVm
from vf_bench import (  # noqa: F401
    Bench,
    Figure,
    bench_of_module,
    bindings,
    figure,
    settings,
)

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


class Pings:
    """Ten a second from the VM to the network outside."""

    def __init__(self, scene: Scene, vm: StackVm) -> None:
        self.log = scene.stage.dir / "pings.txt"
        argv: List[Any] = ["ping", "-nO", "-i", "0.1", OUTSIDE]
        self.process = scene.stage.add(vm.start(argv, self.log))

    def _count(self, words: str) -> int:
        return self.log.read_text().count(words)

    def lost(self) -> int:
        return self._count("no answer yet")

    def doubled(self) -> int:
        return self._count("(DUP!)")

    def wait(self, more: int) -> None:
        """So many more are answered."""
        count = self._count(" bytes from ") + more
        alive = self.process.check_running
        until(lambda: self._count(" bytes from ") >= count, "the VM is answered", alive=alive)


class Bond:
    """Two VFs as one, made as 1.1's clients do, with a socket of their own and a VM on it."""

    NAME = "net_bonding0"

    def __init__(self, scene: Scene) -> None:
        scene.vm.close()
        self.pf, self.daemon = scene.pf, scene.daemon
        self.pf.set_vfs(0)
        self.pf.set_vfs(3)
        self.first, self.second = self.pf.vf(1), self.pf.vf(2)
        self.path = self.daemon.sockets / "bond"
        with PortControl(self.daemon.endpoint("port_control")) as control:
            vfs = [self.first.bdf, self.second.bdf]
            control.ok("add_sock", vfs, name=self.NAME, vhost_path=str(self.path))
        relays = self.daemon.rpc("status")["relays"]
        self.relay: int = next(r["id"] for r in relays if r["device"] == self.NAME)
        seen = self.daemon.wait_state(self.relay, "listening")
        mac = seen["device_detail"]["mac"].lower()
        self.vm: StackVm = scene.stage.add(StackVm(scene.stage.writable_dir(), self.path, mac))
        self.daemon.wait_state(self.relay, "active")
        self.vm.wait_reach(OUTSIDE)

    def member(self, vf: Function) -> Dict[str, Any]:
        members = self.daemon.relay(self.relay)["bond"]["members"]
        return next(m for m in members if m["device"] == vf.bdf)

    def wait_active(self, vf: Function) -> None:
        until(lambda: self.member(vf)["active"], f"{vf.bdf} carries")

    def reason(self) -> str:
        return self.daemon.relay(self.relay)["reason"]


@pytest.fixture(scope="module")
def bond(scene: Scene) -> Bond:
    return Bond(scene)


def test_bond(bond: Bond) -> None:
    assert bond.member(bond.first)["in"] and bond.member(bond.second)["in"]
    with PortControl(bond.daemon.endpoint("port_control")) as control:
        asked = control.ok("query_pci", vhost_path=str(bond.path))
        assert asked.query_string == Bond.NAME
        refused = control.refused("add_sock", [bond.second.bdf], vhost_path=f"{bond.path}-2")
        assert refused.error_code == errno.EBUSY
    bond.wait_active(bond.first)


def test_bond_loses_members(scene: Scene, bond: Bond, figure: Figure) -> None:
    """One, and then all, under a VM that goes on sending; they are members again by themselves."""
    daemon, first, second = bond.daemon, bond.first, bond.second
    connects = daemon.relay(bond.relay)["vm_detail"]["connects"]
    log = len(daemon.log_text())
    pings = Pings(scene, bond.vm)
    # Excluded, as it would be taken again at once.
    daemon.write_config(VIO4WD_EXCLUDE=[first.bdf])
    daemon.ctl("reload")
    pings.wait(10)
    begin = time.monotonic()
    first.unbind()
    unbound = time.monotonic() - begin
    bond.wait_active(second)
    pings.wait(10)
    figure(f"active member unbound in {unbound:.2f} s, {pings.lost()} pings of ten a second lost")
    # Either end of a bond sees each frame once, though both members receive it.
    assert pings.lost() < 30 and pings.doubled() < 3
    until(lambda: "VIO4WD_EXCLUDE" in str(bond.member(first)["error"]), "why it cannot return")
    assert first.bdf in bond.reason() and "VIO4WD_EXCLUDE" in bond.reason()
    daemon.write_config(VIO4WD_EXCLUDE=None)
    daemon.ctl("reload")
    until(lambda: bond.member(first)["link"], "it is in again, with a link")
    assert bond.member(second)["in"]

    # There is no bond without members, but its socket, and the VM on it.
    begin = time.monotonic()
    bond.pf.set_vfs(0)
    figure(f"all members removed in {time.monotonic() - begin:.2f} s")
    absent = daemon.wait_state(bond.relay, "absent")
    assert absent["vm"] and "none of its members is there" in absent["reason"]
    begin = time.monotonic()
    bond.pf.set_vfs(3)
    pings.wait(10)
    figure(f"made anew: the VM reaches the network after {time.monotonic() - begin:.2f} s")
    until(lambda: bond.member(first)["in"] and bond.member(second)["in"], "both are in again")
    assert daemon.relay(bond.relay)["vm_detail"]["connects"] == connects
    # Nobody has asked a port for packets that was closed, or stopped one twice.
    assert "dpdk:" not in daemon.log_text()[log:]

    assert {settings(bond.pf, vf)["mac"] for vf in (1, 2)} == {bond.vm.mac}
    daemon.ctl("remove", bond.relay, "--device", Bond.NAME)
    daemon.wait_state(bond.relay, "connected")
    until(lambda: first.driver == second.driver == "igbvf", "both have their driver again")
    until(lambda: not {first.bdf, second.bdf} & set(bindings(daemon)), "all is given back")
    assert settings(bond.pf, 2)["mac"] != bond.vm.mac
