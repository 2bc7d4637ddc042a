# SPDX-License-Identifier: BSD-3-Clause
"""Start, add, remove and stop of the whole product: vio4wd with its relays."""

import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

from .process import Child, run_seconds
from .programs import GENERATOR_CPU, WORKER_CPU
from .report import spread
from .rpc import RpcClient

numbers = itertools.count()  # of sets of interfaces


class Manager:
    """vio4wd with a configuration and a runtime directory of its own."""

    def __init__(self, run: pathlib.Path, build: pathlib.Path, lines=(), cpus=(WORKER_CPU,)):
        # Of its own each time: what was added at run time outlives a stop.
        self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="runtime-", dir=run))
        self.runtime.chmod(0o755)
        self.sockets = run / "sockets"
        self.sockets.mkdir(mode=0o777, exist_ok=True)
        self.sockets.chmod(0o777)
        config = run / "virtioforwarder"
        config.write_text("\n".join([
            f"VIO4WD_RUNTIME_DIR={self.runtime}", f"VIRTIOFWD_PID_DIR={run}",
            f"VIRTIOFWD_SOCKET_DIR={self.sockets}", f"VIRTIOFWD_CPU_MASK={','.join(map(str, cpus))}",
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

    def wait_active(self, n: int):
        """Until n VMs are connected to relays with a device."""
        deadline = time.monotonic() + 60
        while True:
            relays = self.rpc.call("status")["relays"]
            if sum(r["state"] == "active" for r in relays) >= n:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"not all of {n} VMs connected: {json.dumps(relays)[:2000]}")
            signal.sigtimedwait([], 0.02)

    def end(self) -> float:
        begin = time.monotonic()
        self.child.end()
        return time.monotonic() - begin


class VethPairs:
    """Linux interfaces that interrupt, as devices of idle relays; removed at the end."""

    def __init__(self, n: int):
        first = f"vb{os.getpid() % 10000}{chr(ord('a') + next(numbers))}"
        self.names = [f"{first}{i}" for i in range(n)]
        try:
            self._make()
        except BaseException:
            self.end()
            raise

    def _make(self):
        self._ip(f"link add {name} type veth peer name {name}p" for name in self.names)
        # Nobody talks on them: no router solicitations, no neighbour discovery.
        for name in self.names:
            for end in (name, name + "p"):
                pathlib.Path(f"/proc/sys/net/ipv6/conf/{end}/disable_ipv6").write_text("1")
        self._ip(f"link set {name}{end} up" for name in self.names for end in ("", "p"))

    @staticmethod
    def _ip(lines, force=()):
        subprocess.run(["ip", *force, "-batch", "-"], input="\n".join(lines) + "\n", text=True,
                       check=not force, stderr=subprocess.DEVNULL if force else None)

    def end(self):
        self._ip((f"link del {name}" for name in self.names), force=["-force"])


def measure(run: pathlib.Path, build: pathlib.Path, quick: bool) -> list:
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
    finally:
        manager.end()
    return rows
