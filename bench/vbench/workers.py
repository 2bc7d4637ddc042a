# SPDX-License-Identifier: BSD-3-Clause
"""Does a second worker bring as much as the first?

There are two CPUs, and a generator needs one: two workers on two CPUs cannot be loaded while it
runs. So they take turns. While the relay stands still the generator fills all rings; then it stands
still, and the relay's workers empty them, each with a CPU of its own and all at the same time. What
counts is the worker's busy time: rounds in which packets came, neither looking in vain nor
sleeping. The sum over the workers of packets per second of busy time is compared with that of one
worker. What workers share (memory pools, cache lines, the machine's caches) makes it less than two
times as much; two relay processes with a worker each share the machine only, and show what that
allows. Rings are large, so that what is cold when a turn begins does not count for much.
"""

import pathlib
import time

from .process import thread_run_seconds
from .programs import GENERATOR_CPU, WORKER_CPU, Relay
from .rotation import STARTS, Pair, distance, rotate, summarize

RING = 4096
TURNS = 30  # in a window
FILL_S = EMPTY_S = 0.005  # both take less than one millisecond
REFERENCE = "1 queue pair, 1 worker"


class Turns:
    """Relays that are emptied at the same time; stands in for a Pair of rotation.py."""

    def __init__(self, run: pathlib.Path, build: pathlib.Path, queues: int, relays_cpus):
        self.pairs = []
        try:
            for i, cpus in enumerate(relays_cpus):
                folder = run / str(i)
                folder.mkdir(parents=True)
                folder.chmod(0o777)  # the relay is unprivileged
                relay = Relay(folder, build, "vm2vf", 64, queues=queues, cpus=cpus)
                self.pairs.append(Pair(relay, folder, "vm2vf", 64, queues=queues, ring=RING))
        except BaseException:
            self.end()
            raise

    def _programs(self):
        return [pair.program.child for pair in self.pairs]

    def _generators(self):
        return [pair.generator.child for pair in self.pairs]

    def _turn(self):
        """Relays run, and go on running; generators stand still."""
        for relay in self._programs():
            relay.stop()
        for generator in self._generators():
            generator.go_on()
        time.sleep(FILL_S)
        for generator in self._generators():
            generator.stop()
        for relay in self._programs():
            relay.go_on()
        time.sleep(EMPTY_S)

    def _done(self) -> dict:
        """(relay, CPU of the worker) -> packets, microseconds of busy and of CPU time."""
        found = {}
        for i, pair in enumerate(self.pairs):
            workers, lanes, _ = pair.program.stats()
            for worker in workers:
                packets = sum(lane["packets_in"] for lane in lanes if lane["cpu"] == worker["cpu"])
                run_s = thread_run_seconds(pair.program.pid, worker["tid"])
                found[i, worker["cpu"]] = packets, worker["busy_us"], run_s * 1e6
        return found

    def window(self, ping) -> dict:
        before_ns = ping.nanoseconds()
        for relay in self._programs():
            relay.go_on()
        time.sleep(0.05)  # what was in the rings is gone then
        before = self._done()
        for _ in range(TURNS):
            self._turn()
        after = self._done()
        for relay in self._programs():
            relay.stop()
        spent = [[b - a for a, b in zip(before[key], after[key])] for key in after]
        # Packets per microsecond are millions per second.
        return {"mpps": sum(packets / max(busy, 1) for packets, busy, _ in spent),
                "whole": all(busy <= run for _, busy, run in spent),
                "pingpong_ns": [before_ns, ping.nanoseconds()]}

    def end(self):
        for pair in self.pairs:
            pair.end()


def was_whole(window: dict) -> bool:
    """No worker was busy for longer than it ran: nobody else had its CPU meanwhile."""
    return window["whole"]


def window_class(window: dict):
    return distance(window) if was_whole(window) else None


# name -> queue pairs of each relay, and the CPUs of each relay's workers
SETS = {
    REFERENCE: (1, [(WORKER_CPU,)]),
    "4 queue pairs, 2 workers": (4, [(GENERATOR_CPU, WORKER_CPU)]),
    "4 queue pairs, 1 worker": (4, [(WORKER_CPU,)]),
    "2 processes, each 1 queue pair, 1 worker": (1, [(GENERATOR_CPU,), (WORKER_CPU,)]),
}


def one_start(run: pathlib.Path, build: pathlib.Path, rounds: int) -> list:
    sets = {}
    try:
        for i, (name, (queues, cpus)) in enumerate(SETS.items()):
            sets[name] = Turns(run / str(i), build, queues, cpus)
        return rotate(sets, rounds, build, 30, lambda turns, ping: turns.window(ping),
                      is_good=was_whole)
    finally:
        for turns in sets.values():
            turns.end()


def measure(run: pathlib.Path, build: pathlib.Path, quick: bool) -> list:
    done = []
    for start in range(1 if quick else STARTS):
        done += one_start(run / str(start), build, 3 if quick else 10)
    return [{**row, "what": f"busy time: {row['peer']}", "peer": Relay.name, "size": 64,
             "unit": "Mpps of busy"} for row in summarize(done, REFERENCE, classify=window_class)]
