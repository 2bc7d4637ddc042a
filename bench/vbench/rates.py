# SPDX-License-Identifier: BSD-3-Clause
"""Packets per second through one worker, side by side with its peers."""

import itertools
import pathlib

from .ovs import Ovs
from .programs import Relay, Testpmd
from .rotation import STARTS, Pair, rotate, summarize, why_none_counts

CASES = ("vm2vf", "vf2vm", "both")
SIZES = (64, 1500)
REFERENCE = Testpmd.name
NAMES = {"vm2vf": "VM to VF", "vf2vm": "VF to VM", "both": "there and back"}


def peers() -> list:
    """The reference is the generator's program, too, and always there."""
    reason = Ovs.missing()
    if reason:
        print(f"{Ovs.name} is left out: {reason}", flush=True)
        return [Testpmd, Relay]
    return [Testpmd, Relay, Ovs]


def one_start(run: pathlib.Path, build: pathlib.Path, programs, case: str, size: int, rounds: int,
              seconds: float, max_seconds: float) -> list:
    pairs = {}
    try:
        for program in programs:
            folder = run / program.name
            folder.mkdir(parents=True)
            folder.chmod(0o777)  # the relay is unprivileged
            pairs[program.name] = Pair(program(folder, build, case, size), folder, case, size)
        return rotate(pairs, rounds, build, max_seconds,
                      lambda pair, ping: pair.window(seconds, ping))
    finally:
        for pair in pairs.values():
            pair.end()


def measure(run: pathlib.Path, build: pathlib.Path, quick: bool, cases=CASES, sizes=SIZES,
            rounds=None):
    """Gives the rows of each case when it is done."""
    programs = peers()
    starts = 1 if quick else STARTS
    rounds = -(-(rounds or (3 if quick else 30)) // starts)
    for case, size in itertools.product(cases, sizes):
        done = []
        for start in range(starts):
            done += one_start(run / f"{case}-{size}-{start}", build, programs, case, size, rounds,
                              0.3 if quick else 0.5, 7 if quick else 60)
        found = summarize(done, REFERENCE)
        for row in found:
            yield {"what": NAMES[case], "size": size, "unit": "Mpps", **row}
        if not found:
            print(f"{NAMES[case]}, {size} bytes: {why_none_counts(done)}", flush=True)
