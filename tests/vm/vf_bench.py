# SPDX-License-Identifier: BSD-3-Clause
"""A manager with hugepages, VMs, the PF and the network outside it; the fixtures `bench` and `figure`."""

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from lib.daemon import Daemon
from lib.process import run
from lib.stage import Figure, Stage, figure  # noqa: F401
from lib.wait import until
from outside import Outside
from sriov import Pf
from vms import Vm, Vms, address_of, mac_of

TOTAL = 7
ALL_AUTO = {"VIO4WD_AUTO_VFS": ["enp1s0:0"]}


def fixed_macs(count: int = TOTAL) -> List[str]:
    """For VIO4WD_VF_OPTIONS."""
    return [f"enp1s0.vf{i}:mac={mac_of(i)}" for i in range(count)]


class Bench:
    def __init__(self, stage: Stage, pf: Pf, hugepages: Path) -> None:
        self.stage, self.pf, self.hugepages = stage, pf, hugepages
        self.outside: Outside = stage.add(Outside())
        for i in range(TOTAL):
            self.outside.knows(address_of(i), mac_of(i))

    def daemon(self, start: bool = True, **config: Any) -> Daemon:
        settings = {
            "VIO4WD_HUGEPAGES": True,
            "VIRTIOFWD_HUGETLBFS_MOUNT_POINT": self.hugepages,
            "VIO4WD_VF_OPTIONS": fixed_macs(),
            **config,
        }
        return self.stage.daemon(start, **settings)

    def vms(self, daemon: Daemon, count: int, first: int = 0) -> Vms:
        """Booted on the sockets of the relays from first to count - 1, with the VFs' addresses."""
        ids = range(first, count)
        vms = self.stage.add(Vms([Vm(daemon.socket(i), i) for i in ids]))
        until(
            lambda: all(daemon.relay(i)["vm"] for i in ids),
            "the VMs are connected",
            alive=vms.check,
        )
        return vms


def wait_states(daemon: Daemon, count: int, state: str, timeout: float = 30) -> None:
    """Of the relays 0 .. count - 1."""
    for i in range(count):
        daemon.wait_state(i, state, timeout)


def bindings(daemon: Daemon) -> Dict[str, Dict[str, Any]]:
    """What the manager would give back, by address, as its state file has it."""
    path = daemon.runtime / "state.json"
    if not path.exists():
        return {}
    return {b["address"]: b for b in json.loads(path.read_text()).get("bindings", [])}


def settings(pf: Pf, vf: int) -> Dict[str, Any]:
    """What the PF says of a VF."""
    (link,) = json.loads(run(["ip", "-j", "link", "show", "dev", pf.netdev or ""]))
    (info,) = [i for i in link["vfinfo_list"] if i["vf"] == vf]
    (vlan,) = info.get("vlan_list", [{}])
    return {
        "mac": info["address"],
        "vlan": vlan.get("vlan", 0),
        "qos": vlan.get("qos", 0),
        "trust": info["trust"],
        "spoofchk": info["spoofchk"],
    }


@pytest.fixture
def bench(stage: Stage, pf: Pf, hugepages: Path) -> Bench:
    return Bench(stage, pf, hugepages)


@contextmanager
def relays_undisturbed(request: pytest.FixtureRequest, daemon: Daemon) -> Iterator[None]:
    """Around a test and what is checked behind it: no process has ended. What was logged is shown when
    one of them fails."""
    start = len(daemon.log_text())
    pids = daemon.relay_pids()
    failed = True
    try:
        yield
        assert daemon.relay_pids() == pids
        failed = getattr(request.node, "failed_call", True)
    finally:
        if failed:
            print(f"--- log of vio4wd\n{daemon.log_text()[start:]}")


@contextmanager
def bench_of_module(hugepages: Path, folder: Path) -> Iterator[Bench]:
    """For tests that share one, as each start of a manager takes seconds."""
    pf = Pf()
    pf.set_vfs(0)
    pf.up()
    stage = Stage(folder)
    failed = True
    try:
        yield Bench(stage, pf, hugepages)
        failed = False
    finally:
        try:
            stage.close(failed)
        finally:
            if pf.exists() and pf.driver:
                pf.set_vfs(0)
