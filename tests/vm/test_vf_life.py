# SPDX-License-Identifier: BSD-3-Clause
"""VFs come and go while VMs use them: nobody calls the manager, and traffic is there again by itself."""

import time
from typing import Callable

from lib.daemon import Daemon
from vf_bench import ALL_AUTO, TOTAL, Bench, bench, figure  # noqa: F401
from vms import Vms

MACHINE = "igb"


def attached(daemon: Daemon, start: int) -> int:
    """How many devices were attached since the log was so long."""
    return daemon.log_text()[start:].count(" attached in ")


def make_vfs(bench: Bench, vms: Vms, count: int) -> str:
    """Writes sriov_numvfs and waits for traffic through each; says how long it took."""
    begin = time.monotonic()
    bench.pf.set_vfs(count)
    written = time.monotonic() - begin
    firsts = sorted(t - begin for t in vms.first_answers(begin))
    vms.flow()
    text = f"{count} VFs: write of sriov_numvfs {written:.2f} s, first packet after {firsts[0]:.2f} s"
    return text + (f", through the last VF after {firsts[-1]:.2f} s" if count > 1 else "")


def test_seven_at_once(bench: Bench, figure: Callable[[str], None]) -> None:
    daemon = bench.daemon(**ALL_AUTO)
    vms = bench.vms(daemon, TOTAL)
    figure(make_vfs(bench, vms, TOTAL))
    bench.wait_states(daemon, TOTAL, "active")
    begin = time.monotonic()
    bench.pf.set_vfs(0)
    figure(f"sriov_numvfs 0 under traffic: {time.monotonic() - begin:.2f} s")
    bench.wait_states(daemon, TOTAL, "absent")
    figure(f"absent after: {time.monotonic() - begin:.2f} s")
    vms.silent()
    vms.check()
    figure(make_vfs(bench, vms, TOTAL))
    bench.wait_states(daemon, TOTAL, "active")
    vms.check()
