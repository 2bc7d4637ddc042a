# SPDX-License-Identifier: BSD-3-Clause
"""What sleeping costs: the round trip of single packets through workers that sleep and that never do.

A vio4wd of each poll mode, with a front end (../latency.c) as its VM, stands still while the other is
measured. Windows rotate, and each adaptive one is compared with the busy one of its round, and with
what the machine took in that round to wake a thread that does nothing else (../wakeup.c).
"""

import os
import pathlib
import signal

from .operations import Manager, VethPairs
from .process import Child, threads
from .programs import GENERATOR_CPU, NICE, WORKER_CPU
from .report import spread

MODES = ("busy", "adaptive")
MIN_SHARE = 0.99  # of the packets that have to come back


class WakeUp:
    """A thread that is woken; sleeps when it is not asked."""

    def __init__(self, run: pathlib.Path, build: pathlib.Path):
        self.child = Child([build / "bench/wakeup", GENERATOR_CPU, WORKER_CPU], run / "wakeup.log",
                           nice=NICE)

    def window(self, wakeups: int) -> dict:
        match = self.child.ask(str(wakeups), r"^\d+ (\d+) (\d+) (\d+) (\d+)\n", wakeups / 20)
        return figures(match.groups())

    def end(self):
        self.child.end()


def figures(nanoseconds) -> dict:
    """Microseconds."""
    return dict(zip(("min", "median", "p99", "max"), (int(ns) / 1000 for ns in nanoseconds)))


class Traveller:
    """A vio4wd with one relay and the front end that sends through it; runs only in its windows."""

    def __init__(self, run: pathlib.Path, build: pathlib.Path, mode: str, device: str, peer=None):
        self.front = None
        run.mkdir()
        run.chmod(0o755)
        self.manager = Manager(run, build, [f"VIO4WD_POLL_MODE={mode}"])
        try:
            self.manager.rpc.call("add", id=0, device=device)
            self.pids = self.manager.pids()
            for pid in self.pids[1:]:
                for tid in threads(pid):
                    os.setpriority(os.PRIO_PROCESS, tid, NICE)
            self.front = Child([build / "bench/latency", GENERATOR_CPU, self.manager.socket(0),
                                *([peer] if peer else [])], run / "latency.log", nice=NICE)
            self.front.expect(r"ready\n", 30)
            self.pause()
        except BaseException:
            self.end()
            raise

    def _signal(self, number):
        for pid in self.pids:
            os.kill(pid, number)

    def pause(self):
        self._signal(signal.SIGSTOP)

    def window(self, packets: int):
        """None: the machine stood still for too long."""
        self._signal(signal.SIGCONT)
        try:
            match = self.front.ask(str(packets), r"^(\d+) (\d+) (\d+) (\d+) (\d+) (\d+)\n",
                                   packets / 20)
        finally:
            self.pause()
        n, _, *times = match.groups()
        return figures(times) if int(n) > packets * MIN_SHARE else None

    def end(self):
        if self.front:
            self.front.end()
        if hasattr(self, "pids"):
            self._signal(signal.SIGCONT)
        self.manager.end()


def rotate(run, build, device: str, peer, rounds: int, packets: int) -> list:
    """Rounds of mode -> figures, and of "wake-up" -> figures."""
    travellers = {}
    try:
        for mode in MODES:
            travellers[mode] = Traveller(run / mode, build, mode, device, peer)
        travellers["wake-up"] = WakeUp(run, build)
        for traveller in travellers.values():
            traveller.window(packets)  # caches, branch predictors, the hypervisor
        done = [{mode: t.window(packets) for mode, t in travellers.items()}
                for _ in range(rounds)]
        return [windows for windows in done if all(windows.values())]
    finally:
        for traveller in travellers.values():
            traveller.end()


def measure(run: pathlib.Path, build: pathlib.Path, quick: bool) -> list:
    """Rows of (what, unit, n, min, median, max), each over the rounds."""
    rows = []
    rounds, packets = (3, 300) if quick else (20, 1000)
    veth = VethPairs(2)
    try:
        for label, devices in (("loop polled every 50 us", ("vdev:net_ring0", None)),
                               ("Linux interface",
                                (f"netdev:{veth.names[0]}", veth.names[0] + "p"))):
            folder = run / f"latency-{len(rows)}"
            folder.mkdir()
            folder.chmod(0o755)
            done = rotate(folder, build, *devices, rounds, packets)
            if not done:
                raise RuntimeError(f"packets were lost in each of {rounds} rounds through {label}")
            for figure in ("median", "p99"):
                busy, adaptive, wakeup = ([r[what][figure] for r in done]
                                          for what in (*MODES, "wake-up"))
                added = [a - b for a, b in zip(adaptive, busy)]
                for name, values in (
                        ("busy", busy), ("added by sleeping", added),
                        ("a bare wake-up", wakeup),
                        ("added beyond a bare wake-up", [a - w for a, w in zip(added, wakeup)])):
                    rows.append({"what": f"round trip, {label}: {figure}, {name}", "unit": "us",
                                 **spread(values, 1)})
        return rows
    finally:
        veth.end()
