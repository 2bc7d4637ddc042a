# SPDX-License-Identifier: BSD-3-Clause
"""Paired windows.

The machine drifts, so plain repeated runs say nothing. Every (program, generator) pair is started
once; all but one stand still (SIGSTOP); short windows rotate A B A B, so a slow phase hits all
alike. A window counts when both polling threads had their CPUs for at least 95 % of it, and is
classified near or far by a cache-line ping-pong right before and after. Ratios are formed within
one round and one class.
"""

import pathlib
import signal
import statistics
import subprocess
import time

from .process import cpu_seconds
from .programs import GENERATOR_CPU, NICE, WORKER_CPU, Generator

NEAR_NS = 200  # a round trip below this: the two CPUs share a cache
FAR_NS = 250
MIN_SHARE = 0.95


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
    """A program under test with its generator; runs only inside a window."""

    def __init__(self, program, run: pathlib.Path, case: str, size: int, n=1):
        self.program = program
        self.generator = None
        try:
            self.generator = Generator(run, [program.socket(i) for i in range(n)], case, size)
            self.generator.start()
            self.settle()
        except BaseException:
            self.end()
            raise
        self.pause()

    def settle(self):
        """Until packets flow."""
        deadline = time.monotonic() + 20
        before = self.generator.packets()
        while self.generator.packets() == before:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no packet passes {self.program.name}:\n"
                                   f"{self.program.child.text()[-2000:]}")

    def _signal(self, number):
        for process in (self.generator, self.program):
            if process:
                process.child.kill(number)

    def pause(self):
        self._signal(signal.SIGSTOP)

    def _shares(self):
        return (cpu_seconds(self.generator.pid, self.generator.worker),
                cpu_seconds(self.program.pid, self.program.worker))

    def window(self, seconds: float, ping: PingPong) -> dict:
        before_ns = ping.nanoseconds()
        self._signal(signal.SIGCONT)
        time.sleep(0.15)  # caches and queues fill again
        shares0, t0, n0 = self._shares(), time.monotonic(), self.generator.packets()
        time.sleep(seconds)
        n1, t1, shares1 = self.generator.packets(), time.monotonic(), self._shares()
        self.pause()
        after_ns = ping.nanoseconds()
        share = [(b - a) / (t1 - t0) for a, b in zip(shares0, shares1)]
        return {"mpps": (n1 - n0) / (t1 - t0) / 1e6, "generator_share": share[0],
                "worker_share": share[1], "pingpong_ns": [before_ns, after_ns]}

    def end(self):
        if self.generator:
            self.generator.end()
        self.program.end()


def window_class(window: dict):
    """"near", "far", or None for a window that does not count."""
    if min(window["generator_share"], window["worker_share"]) < MIN_SHARE:
        return None
    if max(window["pingpong_ns"]) < NEAR_NS:
        return "near"
    if min(window["pingpong_ns"]) > FAR_NS:
        return "far"
    return None


def rotate(pairs: dict, rounds: int, seconds: float, build: pathlib.Path, max_seconds: float):
    """pairs: name -> Pair. Returns the rounds: a list of name -> window."""
    ping = PingPong(build)
    done, rest = [], 0.3
    end = time.monotonic() + max_seconds
    try:
        while len(done) < rounds and time.monotonic() < end:
            windows = {}
            for name, pair in pairs.items():
                time.sleep(rest)
                windows[name] = pair.window(seconds, ping)
                bad = min(windows[name]["generator_share"], windows[name]["worker_share"]) < MIN_SHARE
                rest = min(4.0, rest * 1.7) if bad else max(0.3, rest * 0.8)
            done.append(windows)
    finally:
        ping.end()
    return done


def summarize(rounds, reference: str):
    """Rows of one case: for each program and class n, min/median/max Mpps and the paired ratio."""
    rows = []
    for kind in ("near", "far"):
        for name in rounds[0] if rounds else []:
            rates = [r[name]["mpps"] for r in rounds if window_class(r[name]) == kind]
            ratios = [r[name]["mpps"] / r[reference]["mpps"] for r in rounds
                      if window_class(r[name]) == kind and window_class(r[reference]) == kind]
            if rates:
                rows.append({"program": name, "class": kind, "n": len(rates), "min": min(rates),
                             "median": statistics.median(rates), "max": max(rates),
                             "pairs": len(ratios),
                             "ratio": statistics.median(ratios) if ratios else None})
    return rows
