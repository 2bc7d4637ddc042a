# SPDX-License-Identifier: BSD-3-Clause
"""From the start of vio4wd until all devices of its configuration are attached."""

import pathlib
import signal
import time

from .operations import Manager
from .report import spread

PAIRINGS = 64


def attached_ms(run: pathlib.Path, build: pathlib.Path) -> float:
    devices = " ".join(f"vdev:net_null{i},no-rx=1={i}" for i in range(PAIRINGS))
    begin = time.monotonic()
    manager = Manager(run, build, [f"VIRTIOFWD_STATIC_VFS=({devices})"])
    try:
        while True:
            relays = manager.rpc.call("status")["relays"]
            now = time.monotonic()
            if sum(r["state"] == "listening" for r in relays) == PAIRINGS:
                return (now - begin) * 1000
            failed = [r["reason"] for r in relays if r["state"] == "failed"]
            if failed or now - begin > 30:
                raise RuntimeError(f"not all of {PAIRINGS} devices were attached: {failed}\n"
                                   f"{manager.child.text()[-2000:]}")
            signal.sigtimedwait([], 0.005)
    finally:
        manager.end()


def measure(run: pathlib.Path, build: pathlib.Path, quick: bool) -> list:
    """Rows of (what, unit, n, min, median, max)."""
    times = [attached_ms(run, build) for _ in range(3 if quick else 7)]
    return [{"what": f"start to {PAIRINGS} devices attached", "unit": "ms", **spread(times, 1)}]
