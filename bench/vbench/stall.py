# SPDX-License-Identifier: BSD-3-Clause
"""What adding and removing devices costs those that carry traffic: rounds of the worker that are long.

A worker counts its rounds above 100 us. A shared machine stops a worker now and then without asking,
so times with and without adding and removing take turns, and what counts is how they differ.
"""

import os
import pathlib
import time

from .operations import Manager
from .process import threads
from .programs import Generator
from .report import spread

OTHERS = 8  # pairings that come and go


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
    slow = {"quiet": [], "while devices come and go": []}
    try:
        scene.slow_shares(2 * OTHERS)  # memory that is touched for the first time
        for _ in range(2 if quick else 12):
            for values, share in zip(slow.values(), scene.slow_shares(4 * OTHERS)):
                values.append(share)
    finally:
        scene.end()
    slow["difference"] = [b - q for q, b in zip(*slow.values())]
    return [{"what": f"a round longer than 100 us, {when}", "unit": "% of times", **spread(values, 1)}
            for when, values in slow.items()]
