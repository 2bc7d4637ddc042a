# SPDX-License-Identifier: BSD-3-Clause
"""A VM that breaks the rules is dropped with a line in the log; other VMs go on.

Relay 1 is the neighbour: a VM that behaves, on the same worker as relay 2, which is attacked. In
every case the neighbour's numbered packets go round without a gap. Where DPDK's library dies of an
attack, the manager's restart of the relay must bring the neighbour back within DEADLINE; those
cases are in FATAL, with the reason, and no other one may end a relay."""

from typing import Callable, Iterator

import pytest

from lib import hostile_headers, hostile_messages, hostile_rings
from lib.daemon import Daemon
from lib.env import patience
from lib.net_vm import RX, TX, NumberedLoop
from lib.wait import until

NEIGHBOUR, TARGET = 1, 2
DEADLINE = 1.0  # seconds without packets when the relay had to be restarted

FATAL: dict = {}


class Yard:
    def __init__(self, daemon: Daemon, neighbour: NumberedLoop):
        self.daemon, self.neighbour = daemon, neighbour
        self.target = str(daemon.socket(TARGET))

    def restarts(self) -> int:
        return sum(p["restarts"] for p in self.daemon.processes())

    def attack(self, name: str, act: Callable[[str], None]) -> None:
        neighbour, daemon = self.neighbour, self.daemon
        neighbour.progress(20)
        log, restarts = len(daemon.log_text()), self.restarts()
        lost, boots, outages = neighbour.lost, neighbour.boots, len(neighbour.outages)
        act(self.target)
        neighbour.progress(100)
        daemon.process.check_running()

        # The socket serves an honest VM again.
        with NumberedLoop(self.target) as honest:
            honest.progress(100)
            assert honest.lost == 0
        neighbour.progress(50)

        assert neighbour.lost == lost, "the neighbour lost packets"
        new = self.restarts() - restarts
        if not new:
            assert neighbour.boots == boots, "the neighbour's connection was closed"
        else:
            took = max(neighbour.outages[outages:], default=0.0)
            print(f"{name}: {new} restarts, the neighbour was away for {took:.2f} s")
            assert name in FATAL, f"{name} ended the relay:\n{daemon.log_text()[log:][-4000:]}"
            assert took < patience(DEADLINE), took
        reports = daemon.sanitizer_reports()
        assert not reports, reports[:6000]

    def said(self, pattern: str, start: int) -> None:
        self.daemon.wait_log(pattern, start=start)


@pytest.fixture(scope="module")
def yard() -> Iterator[Yard]:
    devices = [f"vdev:net_ring{n}={n}" for n in (NEIGHBOUR, TARGET)]
    with Daemon(VIRTIOFWD_STATIC_VFS=devices, VIRTIOFWD_TSO=True) as daemon:
        with NumberedLoop(str(daemon.socket(NEIGHBOUR))) as neighbour:
            daemon.wait_state(NEIGHBOUR, "active")
            yield Yard(daemon, neighbour)


@pytest.mark.parametrize("name", hostile_messages.CASES)
def test_messages(yard, name):
    start = len(yard.daemon.log_text())
    yard.attack(name, hostile_messages.CASES[name])
    if name in hostile_messages.DROPPED:
        yard.said(rf"{yard.target}.*(invalid|fail|error|unexpected|closed|unknown)", start)


@pytest.mark.parametrize("direction", ["rx", "tx"])
@pytest.mark.parametrize("layout", ["split", "packed"])
@pytest.mark.parametrize("name", hostile_rings.PLANTS)
def test_rings(yard, name, layout, direction):
    index = RX if direction == "rx" else TX
    yard.attack(
        f"{name}-{layout}-{direction}",
        lambda path: hostile_rings.run(path, name, layout == "packed", index),
    )


def test_indirect_descriptors_without_the_feature(yard):
    for name in hostile_rings.PLANTS:
        if name.startswith("indirect"):
            yard.attack(name, lambda path: hostile_rings.run(path, name, False, TX, False))


@pytest.mark.parametrize("receiving", [False, True], ids=["finished", "passed_on"])
@pytest.mark.parametrize("seed", [1, 2])
def test_headers(yard, receiving, seed):
    yard.attack("headers", lambda path: hostile_headers.run(path, receiving, seed))


def test_the_attacked_endpoint_is_as_good_as_new(yard):
    until(lambda: yard.daemon.relay(TARGET)["state"] == "listening", "nobody is connected")
    detail = yard.daemon.relay(TARGET)["vm_detail"]
    assert detail["connects"] == detail["disconnects"] > 100
