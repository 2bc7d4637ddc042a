# SPDX-License-Identifier: BSD-3-Clause
"""What a packet costs the worker, by stage: samples of its thread by perf.

Time in which the worker finds nothing to do is told apart for the relay only: testpmd does not know. From VF
to VM there is always something.
"""

import collections
import itertools
import pathlib
import shutil
import subprocess

from .process import thread_run_seconds
from .programs import NICE, Relay, Testpmd
from .report import spread
from .rotation import Pair, distance, rotate

PROGRAMS = (Testpmd, Relay)
CASES = {"vm2vf": "VM to VF", "vf2vm": "VF to VM"}
SIZE = 64
HZ = 5000
# By the library that a sample is in; all others are the program's own.
LIBRARIES = (("librte_vhost", "ring"), ("librte_net_vhost", "own"), ("librte_net_", "device"),
             ("librte_mempool", "packet memory"), ("librte_", "own"), ("libc", "copies"),
             ("[", "kernel"))
# The relay's functions that do the library's work (src/sw-relay/ring.c).
RING_FUNCTIONS = ("ring_dequeue", "ring_enqueue", "enqueue", "take", "give", "begin", "locate", "finish")
STAGES = ("ring", "device", "packet memory", "copies", "own", "kernel", "nothing to do")


def stage(program: str, symbol: str, library: str) -> str:
    if program == Relay.name and symbol.split(".")[0] in RING_FUNCTIONS:
        return "ring"
    return next((name for prefix, name in LIBRARIES if library.startswith(prefix)), "own")


def record(program, data: pathlib.Path, seconds: float):
    subprocess.run(["nice", "-n", str(NICE), "perf", "record", "-q", "-e", "cpu-clock", "-F", str(HZ),
                    "-t", str(program.worker), "-o", data, "--", "sleep", str(seconds)],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def shares(program, data: pathlib.Path) -> dict:
    """stage -> its share of the samples."""
    text = subprocess.run(["perf", "report", "-i", data, "--stdio", "-F", "sample,dso,sym", "-t", ";"],
                          check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout
    found = collections.Counter()
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            n, library, symbol = (part.strip() for part in line.split(";"))
            found[stage(program.name, symbol.partition(" ")[2], library)] += int(n)
    return {name: n / found.total() for name, n in found.items()}


def window(pair, folder: pathlib.Path, seconds: float, ping) -> dict:
    """costs: stage -> nanoseconds of the worker for each packet that reached the other side."""
    program, data = pair.program, folder / "perf.data"

    def now():
        return (thread_run_seconds(program.pid, program.worker), pair.generator.packets(),
                program.work())

    before_ns = ping.nanoseconds()
    pair.go_on()
    run0, packets0, work0 = now()
    record(program, data, seconds)
    run1, packets1, work1 = now()
    pair.pause()
    after_ns = ping.nanoseconds()
    each = (run1 - run0) * 1e9 / (packets1 - packets0)
    costs = collections.Counter({name: share * each for name, share in shares(program, data).items()})
    if work0:
        costs["nothing to do"] = each * (1 - (work1.busy - work0.busy) / (work1.total - work0.total))
        costs["own"] = max(0, costs["own"] - costs["nothing to do"])
    return {"costs": costs, "pingpong_ns": [before_ns, after_ns]}


def windows(run: pathlib.Path, build: pathlib.Path, case: str, rounds: int) -> list:
    """Rounds of program -> window."""
    pairs = {}
    try:
        for program in PROGRAMS:
            folder = run / f"{case}-{program.name}"
            folder.mkdir()
            folder.chmod(0o777)  # the relay is unprivileged
            pairs[program.name] = Pair(program(folder, build, case, SIZE), folder, case, SIZE)
        return rotate(pairs, rounds, build, 60, lambda pair, ping: window(pair, run, 0.5, ping),
                      is_good=distance)
    finally:
        for pair in pairs.values():
            pair.end()


def measure(run: pathlib.Path, build: pathlib.Path, quick: bool):
    if not shutil.which("perf"):
        print("stages are left out: there is no perf (Debian: linux-perf)", flush=True)
        return
    for case in CASES:
        done = windows(run, build, case, 2 if quick else 12)
        for where, program in itertools.product(("near", "far"), PROGRAMS):
            costs = [r[program.name]["costs"] for r in done if distance(r[program.name]) == where]
            for name in STAGES:
                values = [c[name] for c in costs]
                if any(values):
                    yield {"peer": program.name, "what": f"{CASES[case]}, {where}, worker: {name}",
                           "case": f"{CASES[case]}, {where}", "stage": name, "size": SIZE,
                           "unit": "ns per packet", **spread(values)}
