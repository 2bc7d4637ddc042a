# SPDX-License-Identifier: BSD-3-Clause
"""After a stop nothing is left: no process, no socket, no hugepage file, no namespace."""

from pathlib import Path

from lib import leaks
from lib.wait import until


def interfaces() -> set:
    return {p.name for p in Path("/sys/class/net").iterdir()}


def hugepages_of(pid: int) -> int:
    """In kB. Other processes of the machine may use the same pool."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("HugetlbPages:")[1].split()[0])


def test_nothing_is_left(stage, hugepages):
    names = interfaces()
    daemon = stage.daemon(
        VIO4WD_HUGEPAGES=True,
        VIRTIOFWD_HUGETLBFS_MOUNT_POINT=hugepages,
        VIRTIOFWD_STATIC_VFS=["vdev:net_ring1=1", "vdev:net_null2,no-rx=1=2"],
    )
    pmd = stage.testpmd(daemon.socket(1), mode="io")
    pmd.start(1)
    daemon.wait_state(1, "active")
    pids = daemon.relay_pids()
    assert hugepages_of(pids[0]) > 0
    pmd.kill()
    assert daemon.stop() == 0

    until(lambda: not leaks.processes(str(daemon.dir / "config")), "no process", 5)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert list(hugepages.iterdir()) == []
    assert leaks.sockets(daemon.dir) == ["notify"], "only the test's own"
    assert not [p for pid in pids for p in Path("/run").glob(f"dpdk/*{pid}*")]
    assert interfaces() == names


def test_relay_that_was_killed_leaves_no_hugepages(stage, hugepages):
    daemon = stage.daemon(VIO4WD_HUGEPAGES=True, VIRTIOFWD_HUGETLBFS_MOUNT_POINT=hugepages)
    daemon.add(1, "vdev:net_null1,no-rx=1")
    (pid,) = daemon.relay_pids()
    leaks.kill({pid: ""})
    until(lambda: daemon.relay_pids() not in ([], [pid]), "the relay is started again")
    daemon.wait_state(1, "listening")
    daemon.stop()
    assert list(hugepages.iterdir()) == []
