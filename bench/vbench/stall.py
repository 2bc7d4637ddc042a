# SPDX-License-Identifier: BSD-3-Clause
"""What adding and removing devices costs those that carry traffic: rounds of the worker that are long.

A worker tells the longest of its rounds of the last second, and counts those above 100 us. A shared
machine stops a worker now and then without asking, so times with and without adding and removing take
turns, and what counts is how they differ.
"""

import os
import pathlib
import time

from .operations import Manager
from .process import threads
from .programs import Generator
from .report import spread

OTHERS = 8  # pairings that come and go
PHASE_S = 2.2  # the last second that the worker has finished then lies within the phase


def realtime(tid: int, on: bool):
    os.sched_setscheduler(tid, os.SCHED_FIFO if on else os.SCHED_OTHER, os.sched_param(int(on)))


class Scene:
    """A VM with traffic there and back; further devices come and go when asked."""

    def __init__(self, run: pathlib.Path, build: pathlib.Path):
        run.mkdir()
        run.chmod(0o755)
        self.generator = None
        self.manager = Manager(run, build)
        try:
            self.manager.rpc.call("add", id=0, device="vdev:net_ring0")
            # No other program of the machine is to hold these up; the kernel gives it 5 % all the same.
            for pid in self.manager.pids():
                for tid in threads(pid):
                    realtime(tid, True)
            self.generator = Generator(run, [self.manager.socket(0)], "both", 64)
            self.generator.start()
            realtime(0, True)
        except BaseException:
            self.end()
            raise
        self.operations = 0

    def worker(self) -> dict:
        return self.manager.rpc.call("relays")["processes"][0]["workers"][0]

    def operate(self):
        """One more operation: the other pairings get their devices, one by one, and lose them."""
        step, i = divmod(self.operations % (2 * OTHERS), OTHERS)
        if step == 0:
            self.manager.rpc.call("add", id=i + 1, device=f"vdev:net_null{i + 1},no-rx=1")
        else:
            self.manager.rpc.call("remove", id=i + 1)
        self.operations += 1

    def longest_round_us(self, busy: bool) -> int:
        deadline = time.monotonic() + PHASE_S
        while busy and time.monotonic() < deadline:
            self.operate()
        time.sleep(max(0, deadline - time.monotonic()))
        return self.worker()["longest_round_us"]

    def slow_shares(self, operations: int):
        """In how many of a hundred operations, and of the quiet times of their length that follow, a
        round was slow."""
        slow = {"busy": 0, "quiet": 0}
        for _ in range(operations):
            before, begin = self.worker()["slow_rounds"], time.monotonic()
            self.operate()
            took = time.monotonic() - begin
            between = self.worker()["slow_rounds"]
            time.sleep(took)
            slow["busy"] += between > before
            slow["quiet"] += self.worker()["slow_rounds"] > between
        return (100 * slow[kind] / operations for kind in ("quiet", "busy"))

    def end(self):
        realtime(0, False)
        if self.generator:
            self.generator.end()
        self.manager.end()


def measure(run: pathlib.Path, build: pathlib.Path, quick: bool) -> list:
    """Rows of (what, unit, n, min, median, max)."""
    scene = Scene(run / "stall", build)
    longest, slow = ([], []), ([], [])
    try:
        scene.longest_round_us(busy=True)  # memory that is touched for the first time
        for _ in range(2 if quick else 12):
            for values, busy in zip(longest, (False, True)):
                values.append(scene.longest_round_us(busy))
            for values, share in zip(slow, scene.slow_shares(4 * OTHERS)):
                values.append(share)
    finally:
        scene.end()
    rows = []
    for what, unit, (quiet, busy) in (
            ("longest round of a second", "us", longest),
            ("a round longer than 100 us", "% of times", slow)):
        rows.append({"what": f"{what}, quiet", "unit": unit, **spread(quiet, 1)})
        rows.append({"what": f"{what}, while devices come and go", "unit": unit,
                     **spread(busy, 1)})
        rows.append({"what": f"{what}, difference", "unit": unit,
                     **spread([b - q for q, b in zip(quiet, busy)], 1)})
    return rows
