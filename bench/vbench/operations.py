# SPDX-License-Identifier: BSD-3-Clause
"""Start, add, remove, memory and idle CPU of the whole product: vio4wd with its relays."""

import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import tempfile
import time

from .process import Child, run_seconds, status_kb
from .programs import GENERATOR_CPU, WORKER_CPU, Generator
from .rpc import RpcClient

GENERATOR_PORTS = 32  # that testpmd can have
REST_S = 12  # after the last question, and a manager no longer reads counters every second


class Manager:
    """vio4wd with a configuration and a runtime directory of its own."""

    def __init__(self, run: pathlib.Path, build: pathlib.Path, lines=()):
        # Of its own each time: what was added at run time outlives a stop.
        self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="runtime-", dir=run))
        self.runtime.chmod(0o755)
        self.sockets = run / "sockets"
        self.sockets.mkdir(mode=0o777, exist_ok=True)
        self.sockets.chmod(0o777)
        config = run / "virtioforwarder"
        config.write_text("\n".join([
            f"VIO4WD_RUNTIME_DIR={self.runtime}", f"VIRTIOFWD_PID_DIR={run}",
            f"VIRTIOFWD_SOCKET_DIR={self.sockets}", f"VIRTIOFWD_CPU_MASK={WORKER_CPU}",
            f"VIRTIOFWD_MASTER_LCORE={GENERATOR_CPU}", "VIRTIOFWD_LOG_LEVEL=4",
            "VIRTIOFWD_SOCKET_OWNER=root", "VIRTIOFWD_SOCKET_GROUP=root",
            # Away from those of a vio4wd that is installed here, and of another one that runs.
            f"VIRTIOFWD_ZMQ_PORT_CONTROL_EP=ipc://{self.runtime}/port_control",
            f"VIRTIOFWD_ZMQ_STATS_EP=ipc://{self.runtime}/stats",
            *lines]) + "\n")
        notify = run / "notify"
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(notify))
            ready.settimeout(30)
            begin = time.monotonic()
            self.child = Child(
                [build / "src/manager/vio4wd", "--config", config, "--relay-program",
                 build / "src/sw-relay/vio4wd-relay"], run / "vio4wd.log",
                env={"NOTIFY_SOCKET": str(notify)})
            try:
                self.first_socket_s = self._first_socket(begin)
                while b"READY=1" not in ready.recv(4096):
                    pass
            except BaseException:
                self.end()
                raise
        self.ready_s = time.monotonic() - begin
        self.rpc = RpcClient(self.runtime / "control")

    def _first_socket(self, begin: float) -> float:
        path = self.socket(0)
        while not path.exists():
            if self.child.popen.poll() is not None or time.monotonic() - begin > 30:
                raise RuntimeError(f"no {path}:\n{self.child.text()}")
            signal.sigtimedwait([], 0.001)
        return time.monotonic() - begin

    def socket(self, i=0) -> pathlib.Path:
        return self.sockets / f"virtio-forwarder{i}.sock"

    def relay_pids(self):
        return [p["pid"] for p in self.rpc.call("relays")["processes"]]

    def pids(self):
        return [self.child.pid] + self.relay_pids()

    @staticmethod
    def cpu_share(pids, seconds: float) -> float:
        """Share of one core that the manager and its relays use together."""
        before, t0 = sum(run_seconds(p) for p in pids), time.monotonic()
        time.sleep(seconds)
        return (sum(run_seconds(p) for p in pids) - before) / (time.monotonic() - t0)

    def memory_kb(self) -> int:
        total = 0
        for pid in self.relay_pids():
            sizes = status_kb(pid)
            total += sizes["VmRSS"] + sizes.get("HugetlbPages", 0)
        return total

    def end(self) -> float:
        begin = time.monotonic()
        self.child.end()
        return time.monotonic() - begin


def spread(values, unit_factor):
    scaled = [v * unit_factor for v in values]
    return {"n": len(scaled), "min": min(scaled), "median": statistics.median(scaled),
            "max": max(scaled)}


class VethPairs:
    """Linux interfaces that interrupt, as devices of idle relays; removed at the end."""

    def __init__(self, n: int):
        self.names = [f"vb{os.getpid() % 10000}x{i}" for i in range(n)]
        for name in self.names:
            subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", name + "p"],
                           check=True)
            # Nobody talks on them: no router solicitations, no neighbour discovery.
            for end in (name, name + "p"):
                pathlib.Path(f"/proc/sys/net/ipv6/conf/{end}/disable_ipv6").write_text("1")
                subprocess.run(["ip", "link", "set", end, "up"], check=True)

    def end(self):
        for name in self.names:
            subprocess.run(["ip", "link", "del", name], check=False, stderr=subprocess.DEVNULL)


def measure(run: pathlib.Path, build: pathlib.Path, quick: bool) -> list:
    """Rows of (what, unit, n, min, median, max)."""
    rows = []

    def row(what, unit, values):
        rows.append({"what": what, "unit": unit, **values})

    first, ready, stops = [], [], []
    for _ in range(3 if quick else 7):
        manager = Manager(run, build)
        first.append(manager.first_socket_s)
        ready.append(manager.ready_s)
        stops.append(manager.end())
    row("start to first socket", "ms", spread(first, 1e3))
    row("start to 64 sockets and ready", "ms", spread(ready, 1e3))
    row("SIGTERM to exit", "ms", spread(stops, 1e3))

    manager = Manager(run, build)
    try:
        row("CPU of manager and relays, 64 sockets, no VM", "% of a core",
            spread([manager.cpu_share(manager.pids(), 3)], 100))
        add, remove = [], []
        for i in range(20 if quick else 60):
            begin = time.monotonic()
            manager.rpc.call("add", id=0, device="vdev:net_null0,no-rx=1")
            add.append(time.monotonic() - begin)
            begin = time.monotonic()
            manager.rpc.call("remove", id=0)
            remove.append(time.monotonic() - begin)
        row("add a device", "ms", spread(add, 1e3))
        row("remove a device", "ms", spread(remove, 1e3))
        before, count = manager.memory_kb(), 31
        for i in range(count):
            manager.rpc.call("add", id=i, device=f"vdev:net_null{i},no-rx=1")
        row("memory per relay with a device, no VM", "KiB",
            spread([(manager.memory_kb() - before) / count], 1))
    finally:
        manager.end()

    for label, device, n in (("Linux interfaces, which interrupt", None, 64),
                             ("net_ring, polled every 50 us", "vdev:net_ring{i}", 32)):
        row(f"CPU with {n} connected idle VMs on {label}", "% of a core",
            idle_cpu(run, build, device, n, 5 if quick else 20))
    return rows


def idle_cpu(run, build, device, n: int, seconds: float) -> dict:
    """device: a pattern with {i}; None: veth interfaces made for this."""
    veth = None if device else VethPairs(n)
    manager, generators = None, []
    try:
        manager = Manager(run, build)
        for i in range(n):
            name = f"netdev:{veth.names[i]}" if veth else device.format(i=i)
            manager.rpc.call("add", id=i, device=name)
        # The front ends are started and connected, but move nothing.
        for first in range(0, n, GENERATOR_PORTS):
            folder = run / f"idle-{first}"
            folder.mkdir(exist_ok=True)
            last = min(n, first + GENERATOR_PORTS)
            generators.append(
                Generator(folder, [manager.socket(i) for i in range(first, last)], "idle", 64))
        wait_connected(manager, n)
        pids = manager.pids()
        time.sleep(REST_S)
        return spread([manager.cpu_share(pids, seconds / 5) for _ in range(5)], 100)
    finally:
        for generator in generators:
            generator.end()
        if manager:
            manager.end()
        if veth:
            veth.end()


def wait_connected(manager: Manager, n: int):
    deadline = time.monotonic() + 30
    while True:
        relays = manager.rpc.call("status")["relays"]
        if sum(r["state"] == "active" for r in relays) >= n:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all of {n} VMs connected: {json.dumps(relays)[:2000]}")
