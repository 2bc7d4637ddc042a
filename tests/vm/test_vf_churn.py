# SPDX-License-Identifier: BSD-3-Clause
"""Fifty times all VFs away and back, while a client of 1.1 adds and removes: what is right in the end,
and what is left behind."""

import os
import random
import threading
import time
from pathlib import Path
from typing import Any, Dict, Optional

from lib import leaks
from lib.daemon import Daemon
from lib.wait import until
from lib.zmq11 import PortControl, messages
from vf_bench import Bench, Figure, bench, bindings, figure, wait_states  # noqa: F401

MACHINE = "igb"
ROUNDS = 50
PAUSE = 0.3  # seconds at most
STATIC, CLIENTS = 0, 1  # relays: the configuration's, and the client's
CLIENTS_VF = "0000:01:10.2"
VFIO, KERNEL = "vfio-pci", "igbvf"


class Client:
    """Adds and removes in a thread of its own. Each request is answered, whatever the answer is."""

    def __init__(self, daemon: Daemon, seed: int) -> None:
        self.random = random.Random(seed)
        self.control = PortControl(daemon.endpoint("port_control"), 20000)
        self.asked = 0
        self.failure: Optional[BaseException] = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="client", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.control.call(
                    self.random.choice(("add", "remove")),
                    [CLIENTS_VF],
                    CLIENTS,
                    conditional=self.random.random() < 0.5,
                )
                self.asked += 1
                self._stop.wait(self.random.uniform(0, PAUSE))
        except BaseException as e:  # shown by end()
            self.failure = e

    def end(self) -> None:
        self._stop.set()
        self._thread.join()
        if self.failure:
            raise AssertionError(f"port control: {self.failure!r}") from self.failure

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.control.close()


def kilobytes(pid: int, what: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1])
    raise AssertionError(f"process {pid} has no {what}")


def holdings(daemon: Daemon) -> Dict[str, Any]:
    """Of the manager and its relay, both VFs in use."""
    assert daemon.process
    daemon.drop_rpc()
    (relay,) = daemon.processes()
    found: Dict[str, Any] = {f"relay's {k}": v for k, v in relay["resources"].items()}
    for name, pid in (("manager", daemon.process.pid), ("relay", relay["pid"])):
        found[f"{name}: descriptors"] = leaks.descriptors(pid)
        found[f"{name}: threads"] = len(os.listdir(f"/proc/{pid}/task"))
        found[f"{name}: own memory"] = kilobytes(pid, "RssAnon")
    found["relay: hugepages"] = kilobytes(relay["pid"], "HugetlbPages")
    return found


def grown(before: Dict[str, Any], now: Dict[str, Any]) -> Dict[str, Any]:
    """What there is more of than before; memory may be fragmented."""
    room = {n: 4096 if "memory" in n or "hugepages" in n else 0 for n in before}  # kB
    return {n: now[n] for n in before if now[n] > before[n] + room[n]}


def test_churn(bench: Bench, figure: Figure) -> None:  # noqa: F811
    seed = int(os.environ.get("VIO4WD_SEED", time.time_ns() % 100000))
    figure(f"seed {seed} (VIO4WD_SEED)")
    pauses = random.Random(seed)
    pf = bench.pf
    daemon = bench.daemon(VIRTIOFWD_STATIC_VFS=[f"enp1s0.vf0={STATIC}"])
    relays = daemon.relay_pids()
    vms = bench.vms(daemon, 2)
    client: Client = bench.stage.add(Client(daemon, seed))

    def both_in_use() -> Dict[str, Any]:
        client.end()
        pf.set_vfs(2)
        # VFs have just come: a refusal is told, and does not last.
        reply = client.control.call("add", [CLIENTS_VF], CLIENTS)
        if reply.status != messages().PortControlResponse.OK:
            reasons = [t for t in daemon.log_text().splitlines() if "port control: refused" in t]
            figure(f"refused ({reply.error_code_source}): {reasons[-1:]}")
            client.control.ok("add", [CLIENTS_VF], CLIENTS)
        wait_states(daemon, 2, "active")
        vms.flow()
        seen = holdings(daemon)
        # Threads and closing descriptors may take a moment to go.
        until(lambda: seen == holdings(daemon) or seen.update(holdings(daemon)), "it is calm")
        return seen

    before: Dict[str, Any] = {}
    away = back = 0.0  # seconds in the kernel
    begin = time.monotonic()
    for number in range(ROUNDS + 1):
        away -= time.monotonic()
        pf.set_vfs(0)
        away += time.monotonic()
        time.sleep(pauses.uniform(0, PAUSE))
        back -= time.monotonic()
        pf.set_vfs(2)
        back += time.monotonic()
        time.sleep(pauses.uniform(0, PAUSE))
        vms.check()
        if number == 0:
            before = both_in_use()
            client.close()
            client = bench.stage.add(Client(daemon, seed))
            begin = time.monotonic()
    took = time.monotonic() - begin
    asked = client.asked
    after = both_in_use()
    figure(
        f"{ROUNDS} rounds in {took:.1f} s ({away:.1f} s to remove VFs, {back:.1f} s to make them), "
        f"{asked} requests of a client of 1.1"
    )
    figure(f"before {before}")
    figure(f"after {after}")
    assert asked > 10
    assert daemon.relay_pids() == relays
    # Lanes that have been idle have a descriptor each, others not yet.
    until(lambda: not grown(before, holdings(daemon)), f"nothing is left: {grown(before, after)}")

    client.control.ok("remove", [CLIENTS_VF], CLIENTS)
    daemon.rpc("remove", id=STATIC)
    until(lambda: not bindings(daemon), "both VFs are given back")
    assert [(vf.driver, vf.override) for vf in pf.vfs()] == [(KERNEL, None)] * 2
    vms.check()
