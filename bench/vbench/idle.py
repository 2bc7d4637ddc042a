# SPDX-License-Identifier: BSD-3-Clause
"""What relays and connected VMs cost that move nothing: CPU, memory, threads, descriptors.

Measured while the numbers grow, on one manager relays with a device and without a VM, on another one
relays with both. Linux interfaces interrupt, and all of them are in one relay process. net_ring does not
interrupt: it is looked at every 50 us; and it is a port of DPDK like a VF, of which a relay process
has 32.
"""

import pathlib
import time

from .operations import Manager, VethPairs
from .process import open_files, status_kb, threads
from .programs import WORKER_CPU, idle_generators
from .report import spread

REST_S = 12
COUNTS = (1, 8, 32, 64)
VETH, RING = "Linux interfaces", "net_ring"


def resources(pids) -> dict:
    """Of all processes together; the unit is in the name."""
    kib = [status_kb(pid) for pid in pids]
    return {("resident memory", "MiB"): sum(k["VmRSS"] for k in kib) / 1024,
            ("hugepages", "MiB"): sum(k.get("HugetlbPages", 0) for k in kib) / 1024,
            ("threads", "threads"): sum(len(threads(pid)) for pid in pids),
            ("descriptors", "descriptors"): sum(open_files(pid) for pid in pids)}


class Scale:
    """Rows of one kind of device as relays become more, with a VM each or none."""

    def __init__(self, run: pathlib.Path, build: pathlib.Path, kind: str, vms: bool):
        self.run = run
        self.kind = kind
        self.vms = vms
        self.generators = []
        self.manager = None
        self.veth = VethPairs(max(COUNTS)) if kind == VETH else None
        try:
            self.manager = Manager(run, build)
        except BaseException:
            self.end()
            raise

    def _device(self, i: int) -> str:
        return f"netdev:{self.veth.names[i]}" if self.veth else f"vdev:net_ring{i}"

    def _row(self, n: int, what: str, unit: str, values) -> dict:
        vm = "with an idle VM" if self.vms else "without a VM"
        return {"what": f"relays on {self.kind} {vm}, {n}: {what}", "device": self.kind, "relays": n,
                "vms": self.vms, "quantity": what, "unit": unit, **spread(values)}

    def _grow(self, have: int, n: int):
        for i in range(have, n):
            self.manager.rpc.call("add", id=i, device=self._device(i))
        if self.vms:
            sockets = [self.manager.socket(i) for i in range(have, n)]
            self.generators += idle_generators(self.run, sockets)
            self.manager.wait_active(n)

    def rows(self, rest: float, looks):
        """looks: for how many seconds to look at the CPU, one after the other, as some things are done
        each second; after a rest, so that what was asked before does not count."""
        have = 0
        for n in COUNTS:
            self._grow(have, n)
            have = n
            for (what, unit), value in resources(self.manager.relay_pids()).items():
                yield self._row(n, what, unit, [value])
            of_manager = resources([self.manager.child.pid])
            for what, unit in ("resident memory", "MiB"), ("descriptors", "descriptors"):
                yield self._row(n, f"{what} of the manager", unit, [of_manager[what, unit]])
            pids = self.manager.pids()
            time.sleep(rest)
            yield self._row(n, "CPU of manager and relays", "% of a core",
                            [100 * self.manager.cpu_share(pids, seconds) for seconds in looks])

    def end(self):
        for generator in self.generators:
            generator.end()
        if self.manager:
            self.manager.end()
        if self.veth:
            self.veth.end()


def one_worker_more(run: pathlib.Path, build: pathlib.Path) -> list:
    """What the second worker of a relay process costs."""
    found = []
    for cpus in ((WORKER_CPU,), (0, 1)):
        manager = Manager(run, build, cpus=cpus)
        try:
            found.append(resources(manager.relay_pids()))
        finally:
            manager.end()
    return [{"what": f"one worker more: {what}", "unit": unit,
             **spread([found[1][what, unit] - found[0][what, unit]])} for what, unit in found[0]]


def measure(run: pathlib.Path, build: pathlib.Path, quick: bool):
    for kind in (VETH, RING):
        for vms in (False, True):
            scale = Scale(run, build, kind, vms)
            try:
                yield from scale.rows(0 if quick else REST_S, [1] if quick else [3] * 5)
            finally:
                scale.end()
    yield from one_worker_more(run, build)
