# SPDX-License-Identifier: BSD-3-Clause
"""Relays that are moved from worker to worker under traffic, by hand and by vio4wd_core_scheduler."""

import subprocess
from pathlib import Path
from typing import Any, Dict, List

from lib.daemon import Daemon, default_rate
from lib.env import SCHEDULER, cpus
from lib.process import Process
from lib.wait import until
from lib.zmq11 import CoreSched, Stats, messages

SINKS = ["vdev:net_null1,no-rx=1", "vdev:net_null2,no-rx=1"]


def workers() -> List[int]:
    return cpus()[-2:]


def two_workers(stage: Any, **config: Any) -> Daemon:
    return stage.daemon(VIRTIOFWD_CPU_MASK=",".join(map(str, workers())), **config)


def on_cpus(daemon: Daemon, relay: int) -> Dict[str, List[int]]:
    return daemon.relay(relay)["cpus"]


def placed(daemon: Daemon, relay: int, up: int, down: int) -> bool:
    return on_cpus(daemon, relay) == {"vf_to_vm": [up], "vm_to_vf": [down]}


def scheduler(stage: Any, daemon: Daemon, *options: object) -> Process:
    process = Process(
        [SCHEDULER, "--config", daemon.config_file, *map(str, options)],
        stage.dir / "scheduler.txt",
    )
    stage.add(process)
    return process


def test_nothing_is_lost_while_lanes_move(stage: Any) -> None:
    """Numbered packets in both directions, and an UPDATE after the other."""
    net = stage.netns(address=None)
    daemon = two_workers(stage, VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"])
    # Its rings hold all of them: it shares the CPUs with the workers, and may be late.
    pmd = stage.testpmd(daemon.socket(1), mode="io", ring=1024, mbufs=16384)
    pmd.start()
    daemon.wait_state(1, "active")
    receiver = stage.receiver(net.peer, net)
    count = 1000
    sender = stage.sender(net.peer, net, rate=default_rate() // 5, count=count)
    first, last = workers()[0], workers()[-1]
    moved = 0
    with CoreSched(daemon.endpoint("core_sched")) as sched:
        # It sends everything back: once all have come, they went both ways.
        while sender.process.running():
            for pair in ((first, last), (last, first)):
                assert sched.update((1, *pair)).status == messages().CoreSchedResponse.OK
                assert placed(daemon, 1, *pair)
                moved += 1
    assert sender.finish() == count and moved >= 10
    stage.until_received(receiver, 0, count)


def test_load_is_measured(stage: Any) -> None:
    last = workers()[-1]
    daemon = two_workers(stage, VIRTIOFWD_CPU_PINS=[f"1:{last},{last}"])
    daemon.add(1, SINKS[0])
    daemon.add(2, SINKS[1])
    pmd = stage.testpmd(daemon.socket(1), mode="txonly", ring=1024, size=1400)
    stage.testpmd(daemon.socket(2))
    pmd.start()
    for relay in (1, 2):
        daemon.wait_state(relay, "active")
    with Stats(daemon.endpoint("stats")) as stats:

        def measured() -> List[Any]:
            return sorted(stats.get(1, 2, delay=300).relay, key=lambda r: r.id)

        until(lambda: 0.05 < measured()[0].vm_to_vf.load < 1.1, "its load is seen")
        busy, idle = measured()
    for relay in (busy, idle):
        assert list(relay.worker_cpus) == workers()
        for direction in (relay.vf_to_vm, relay.vm_to_vf):
            assert len(direction.cpus) == 1 and direction.cpus[0] in workers()
    for direction in (busy.vf_to_vm, idle.vf_to_vm, idle.vm_to_vf):
        assert direction.HasField("load") and direction.load < 0.01


def test_scheduler_spreads_the_load_once(stage: Any) -> None:
    """Two busy relays on one worker, of which one is pinned there by the configuration: the other
    moves, and that is that, however unevenly the host lets us run. The front end has the first CPU:
    the worker on the last one really works."""
    first, last = workers()[0], workers()[-1]
    daemon = two_workers(stage, VIRTIOFWD_CPU_PINS=[f"1:{last},{last}"])
    daemon.add(1, SINKS[0])
    daemon.add(2, SINKS[1])
    sockets = [daemon.socket(1), daemon.socket(2)]
    pmd = stage.testpmd(sockets, mode="txonly", ring=1024, size=1400)
    pmd.start()
    for relay in (1, 2):
        daemon.wait_state(relay, "active")
    with CoreSched(daemon.endpoint("core_sched")) as sched:
        assert sched.update((2, last, last)).status == messages().CoreSchedResponse.OK
    process = scheduler(stage, daemon, "--poll-interval", "0.3", "--loglevel", "7")
    process.wait_text("moving 1 directions", 30)
    until(lambda: placed(daemon, 2, last, first), "its packets have the other worker")
    start = len(process.text())
    until(lambda: process.text()[start:].count("nothing to move") >= 5, "it looks again", 30)
    assert "moving" not in process.text()[start:]
    assert placed(daemon, 1, last, last)
    assert process.stop() == 0


def test_scheduler_waits_for_the_manager(stage: Any) -> None:
    daemon = two_workers(stage, start=False)
    daemon.write_config()
    process = scheduler(stage, daemon, "--poll-interval", "0.2")
    process.wait_text("core_sched: no answer; is vio4wd running", 20)
    daemon.start()
    process.wait_text("vio4wd answers: looking at its load every 0.2 s", 20)
    assert process.stop() == 0


def refuse(*options: object) -> "subprocess.CompletedProcess[str]":
    argv = [str(SCHEDULER), *map(str, options)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20)


def test_scheduler_refuses_bad_options(tmp_path: Path) -> None:
    for options, words in (
        (["--sensitivity", "-1"], "--sensitivity is '-1'"),
        (["--sensitivity", "nan"], "--sensitivity is 'nan'"),
        (["--poll-interval", "0"], "--poll-interval is '0'"),
        (["--loglevel", "8"], "from 0 to 7"),
        (["--nonsense"], "--nonsense"),
        (["x"], "unexpected argument 'x'"),
    ):
        done = refuse(*options)
        assert done.returncode == 2 and words in done.stderr, done
    config = tmp_path / "config"
    for text, status, words in (
        ("VIO4WD_CORE_SCHED_SENSITIVITY=much", 78, "found 'much'"),
        ("VIRTIOFWD_ZMQ_STATS_EP=", 78, "give the endpoint with --stats-ep"),
        ("VIRTIOFWD_ZMQ_STATS_EP=", 1, None),
        ("VIO4WD_CORE_SCHED_ENABLE=y", 0, None),
    ):
        config.write_text(text + "\n")
        done = refuse("--config", config, *([] if words else ["--check-enabled"]))
        assert done.returncode == status and (words or "") in done.stderr, done
    done = refuse("--stats-ep", "nonsense", "--sched-ep", "ipc:///x", "--config", tmp_path / "none")
    assert done.returncode == 78 and "none" in done.stderr, done
