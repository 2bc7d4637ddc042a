# SPDX-License-Identifier: BSD-3-Clause
"""A manager with hugepages, VMs, the PF and the network outside it; the fixtures `bench` and `figure`."""

import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest
from lib import leaks
from lib.daemon import Daemon
from lib.process import run
from lib.stage import Stage
from lib.wait import until
from outside import Outside
from sriov import Function, Pf
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

    def vms(self, daemon: Daemon, count: int, mac: str = "") -> Vms:
        """Booted on the sockets of the relays 0 .. count - 1, with the VFs' addresses."""
        vms = self.stage.add(Vms([Vm(daemon.socket(i), i, mac) for i in range(count)]))
        until(
            lambda: all(daemon.relay(i)["vm"] for i in range(count)),
            "the VMs are connected",
            alive=vms.check,
        )
        return vms

    def states(self, daemon: Daemon, count: int) -> List[str]:
        return [daemon.relay(i)["state"] for i in range(count)]

    def wait_states(self, daemon: Daemon, count: int, state: str, timeout: float = 30) -> None:
        for i in range(count):
            daemon.wait_state(i, state, timeout)


def bindings(daemon: Daemon) -> Dict[str, Dict[str, Any]]:
    """What the manager would give back, by address, as its state file has it."""
    import json

    path = daemon.runtime / "state.json"
    if not path.exists():
        return {}
    return {b["address"]: b for b in json.loads(path.read_text()).get("bindings", [])}


@pytest.fixture
def bench(stage: Stage, pf: Pf, hugepages: Path) -> Bench:
    return Bench(stage, pf, hugepages)


@pytest.fixture
def figure(capsys: pytest.CaptureFixture) -> Callable[[str], None]:
    """Says what was measured, as a comment of the TAP."""

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"# {text}", flush=True)

    return say
