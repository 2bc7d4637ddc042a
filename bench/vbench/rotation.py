# SPDX-License-Identifier: BSD-3-Clause
"""Paired windows.

The machine drifts, so plain repeated runs say nothing. Every (program, generator) pair is started
once; all but one stand still (SIGSTOP); short windows rotate A B C A B C, so a slow phase hits all
alike. A window counts when both polling threads had their CPUs for at least 95 % of it, what they
slept aside, and is classified near or far by a cache-line ping-pong right before and after. Ratios
are formed within one round and one class. Where a process has its memory makes a difference, too, which lasts until
it ends: a full run starts everything anew STARTS times.
"""

import pathlib
import subprocess
import time

from .process import awake_seconds, cpu_seconds
from .programs import GENERATOR_CPU, NICE, WORKER_CPU, Generator
from .report import spread

NEAR_NS = 200  # a round trip below this: the two CPUs share a cache
FAR_NS = 250
MIN_SHARE = 0.95
IDLE_SHARE = 0.9  # a worker that has less to do waits for the generator
MANY = 16  # packets that a generator finds whenever it looks: it is behind
STARTS = 3
REST_S, LONGEST_REST_S = 0.3, 4.0


class PingPong:
    def __init__(self, build: pathlib.Path):
        self.popen = subprocess.Popen(
            ["nice", "-n", str(NICE), str(build / "bench/pingpong"), str(GENERATOR_CPU),
             str(WORKER_CPU)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.nanoseconds()  # warm

    def nanoseconds(self) -> int:
        self.popen.stdin.write(b"x")
        self.popen.stdin.flush()
        return int(self.popen.stdout.readline())

    def end(self):
        self.popen.stdin.close()
        self.popen.wait()


class Pair:
    """A program under test with its generator; runs only inside a window.

    others: more processes that stop and go on with them, and end before the program does."""

    def __init__(self, program, run: pathlib.Path, case: str, size: int, others=(), **generator):
        self.program = program
        self.others = list(others)
        self.generator = None
        try:
            self.generator = Generator(run, [program.socket()], case, size, server=program.client,
                                       **generator)
            program.wait_connected()
            if not self.generator.start():
                raise RuntimeError(f"no packet passes {program.name}:\n"
                                   f"{program.child.text()[-2000:]}")
        except BaseException:
            self.end()
            raise
        self.pause()

    def _processes(self):
        return [p for p in (*self.others, self.generator, self.program) if p]

    def pause(self):
        for process in self._processes():
            process.child.stop()

    def go_on(self):
        for process in self._processes():
            process.child.go_on()

    def _times(self):
        """Of both polling threads: CPU time, and that in which they did not sleep."""
        tasks = [(p.pid, p.worker) for p in (self.generator, self.program)]
        return [(cpu_seconds(*task), awake_seconds(*task)) for task in tasks]

    def window(self, seconds: float, ping: PingPong) -> dict:
        before_ns = ping.nanoseconds()
        self.go_on()
        time.sleep(0.15)  # caches and queues fill again
        work0, looks0 = self.program.work(), self.generator.looks()
        times0, t0, n0 = self._times(), time.monotonic(), self.generator.packets()
        time.sleep(seconds)
        n1, t1, times1 = self.generator.packets(), time.monotonic(), self._times()
        work1, looks1 = self.program.work(), self.generator.looks()
        self.pause()
        after_ns = ping.nanoseconds()
        share = [share_of(a, b, t1 - t0) for a, b in zip(times0, times1)]
        return {"mpps": (n1 - n0) / (t1 - t0) / 1e6, "generator_share": share[0],
                "worker_share": share[1], "pingpong_ns": [before_ns, after_ns],
                "busy": (work1.busy - work0.busy) / (work1.total - work0.total) if work0 else None,
                "found": (n1 - n0) / (looks1 - looks0) if looks0 else None}

    def end(self):
        # A VM that goes waits for an answer from the other side.
        self.go_on()
        for process in self._processes():
            process.end()


def share_of(before, after, seconds: float) -> float:
    """How much of the time in which it did not want to sleep a thread had its CPU, of 1."""
    run, awake = (b - a for a, b in zip(before, after))
    return run / seconds + max(0.0, 1 - awake / seconds)


def distance(window: dict):
    """"near", "far", or None when it changed, or is neither."""
    if max(window["pingpong_ns"]) < NEAR_NS:
        return "near"
    if min(window["pingpong_ns"]) > FAR_NS:
        return "far"
    return None


def had_its_cpus(window: dict) -> bool:
    return min(window["generator_share"], window["worker_share"]) >= MIN_SHARE


def window_class(window: dict):
    """Its distance, or None for a window that does not count."""
    return distance(window) if had_its_cpus(window) else None


def median_of(windows, key: str):
    """None when it is not known."""
    values = [w[key] for w in windows if w.get(key) is not None]
    return spread(values)["median"] if values else None


def why_none_counts(rounds) -> str:
    windows = [w for r in rounds for w in r.values()]
    alone = [w for w in windows if had_its_cpus(w)]
    unclear = sum(distance(w) is None for w in alone)
    shares = [f"{median_of(windows, key):.0%}" for key in ("generator_share", "worker_share")]
    return (f"of {len(windows)} windows {len(windows) - len(alone)} did not get their CPUs "
            f"(generators {shares[0]}, workers {shares[1]}), and {unclear} were neither near nor "
            "far: the machine has other things to do")


def limit(windows):
    """Who cannot go faster, or None. A generator that receives knows it best: it is behind when there
    are always packets. One that sends fills rings as fast as it can: then it is the worker that
    knows, by how long it had nothing to do."""
    found, busy = median_of(windows, "found"), median_of(windows, "busy")
    if found is not None:
        return "generator" if found >= MANY else "worker"
    if busy is not None:
        return "generator" if busy < IDLE_SHARE else "worker"
    return None


def rotate(pairs: dict, rounds: int, build: pathlib.Path, max_seconds: float, window,
           is_good=had_its_cpus):
    """Until so many rounds are good, or the time is over. pairs: name -> Pair. window(pair, ping)
    measures one. Returns all rounds: a list of name -> what it returned. After a window that is not
    good the machine rests for longer."""
    ping = PingPong(build)
    done, good, rest = [], 0, REST_S
    end = time.monotonic() + max_seconds
    try:
        while good < rounds and time.monotonic() < end:
            windows = {}
            for name, pair in pairs.items():
                time.sleep(rest)
                windows[name] = window(pair, ping)
                rest = (max(REST_S, rest * 0.8) if is_good(windows[name])
                        else min(LONGEST_REST_S, rest * 1.7))
            done.append(windows)
            good += all(map(is_good, windows.values()))
    finally:
        ping.end()
    return done


def summarize(rounds, reference: str, value="mpps", classify=window_class):
    """Rows of one case: for each class and program the values' spread, and that of the paired
    ratios to the reference."""
    rows = []
    for kind in ("near", "far"):
        for name in rounds[0] if rounds else []:
            windows = [r[name] for r in rounds if classify(r[name]) == kind]
            ratios = [r[name][value] / r[reference][value] for r in rounds
                      if classify(r[name]) == kind and classify(r[reference]) == kind]
            if not windows:
                continue
            rows.append({"peer": name, "distance": kind, **spread(w[value] for w in windows),
                         "ratio": {"to": reference, **spread(ratios)}
                         if ratios and name != reference else None,
                         "limit": limit(windows), "busy": median_of(windows, "busy")})
    return rows
