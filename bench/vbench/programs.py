# SPDX-License-Identifier: BSD-3-Clause
"""The programs under test and the generator that plays the VM.

CPU 1 runs the polling thread of the program under test, CPU 0 the generator and every thread that
does not poll. A program under test has: socket(i), pid, worker (tid of its polling thread), end().
"""

import os
import pathlib
import signal

from .process import Child, thread_named
from .rpc import RpcClient

GENERATOR_CPU = 0
WORKER_CPU = 1
NICE = -20
START_TIMEOUT = 60.0

# What the network does, by case: the device behind the program under test.
DEVICES = {
    "vm2vf": "net_null{i},size={size},no-rx=1",
    "vf2vm": "net_null{i},size={size}",
    "both": "net_ring{i}",
}
FORWARD_MODE = {"vm2vf": "txonly", "vf2vm": "rxonly", "both": "io", "idle": "rxonly"}


class Relay:
    """vio4wd-relay alone, driven through its control socket (no manager: it gets stopped by SIGSTOP)."""

    name = "vio4wd"

    def __init__(self, run: pathlib.Path, build: pathlib.Path, case: str, size: int, n=1,
                 poll="adaptive"):
        self.run = run
        control = run / "relay.sock"
        self.child = Child(
            [build / "src/sw-relay/vio4wd-relay", "--relay", 0, "--socket", control,
             "--cpus", WORKER_CPU, "--control-cpu", GENERATOR_CPU, "--numa-node", 0,
             "--user", "nobody", "--group", "nogroup", "--poll", poll,
             "--max-sleep-us", 50, "--hugepages", "yes", "--log-level", 5],
            run / "relay.log", nice=NICE)
        self.pid = self.child.pid
        try:
            self.rpc = self._connect(control)
            for i in range(n):
                self.rpc.call("endpoint_add", id=i, socket=str(self.socket(i)), mode="server",
                              queues=1, mtu=1500, mrg_rxbuf=True, tso=False)
                device = DEVICES[case].format(i=i, size=size)
                name, _, args = device.partition(",")
                self.rpc.call("attach", id=i, device=f"vdev:{device}", kind="vdev",
                              driver_name=name, driver_args=args, mtu=1500)
            self.worker = thread_named(self.pid, "worker")
        except BaseException:
            self.end()
            raise

    def _connect(self, path):
        # The socket exists before the relay is ready to answer; the call waits for it.
        while True:
            try:
                return RpcClient(path)
            except (FileNotFoundError, ConnectionRefusedError):
                if self.child.popen.poll() is not None:
                    raise RuntimeError(f"vio4wd-relay ended:\n{self.child.text()}")
                signal.sigtimedwait([], 0.005)

    def socket(self, i=0) -> pathlib.Path:
        return self.run / f"relay-{i}.sock"

    def end(self):
        self.child.end()


class Testpmd:
    """dpdk-testpmd in io mode between net_vhost and the same device: the bare cost of DPDK's library."""

    name = "testpmd"

    def __init__(self, run: pathlib.Path, build: pathlib.Path, case: str, size: int, n=1):
        self.run = run
        vdevs = []
        for i in range(n):
            self.socket(i).unlink(missing_ok=True)
            vdevs += ["--vdev", f"net_vhost{i},iface={self.socket(i)},queues=1"]
            vdevs += ["--vdev", DEVICES[case].format(i=i, size=size)]
        self.child = Child(
            ["stdbuf", "-oL", "dpdk-testpmd", "--lcores", f"0@{GENERATOR_CPU},1@{WORKER_CPU}",
             "--no-pci", "--in-memory", "--file-prefix", f"bench-{os.getpid()}-t",
             "--no-telemetry", *vdevs, "--", "-i", "--nb-cores=1", "--rxq=1", "--txq=1",
             "--rxd=1024", "--txd=1024", "--burst=32", f"--total-num-mbufs={8192 * n}",
             "--forward-mode=io", "--no-flush-rx", "--disable-link-check",
             "--port-topology=paired"],
            run / "testpmd.log", nice=NICE)
        self.pid = self.child.pid
        try:
            self.child.expect(r"testpmd> ", START_TIMEOUT)
            self.child.ask("start", "packet forwarding")
            self.worker = thread_named(self.pid, "rte-worker")
        except BaseException:
            self.end()
            raise

    def socket(self, i=0) -> pathlib.Path:
        return self.run / f"testpmd-{i}.sock"

    def end(self):
        self.child.end(signal.SIGINT)


class Generator:
    """dpdk-testpmd with DPDK's virtio-user front end on the sockets of the program under test."""

    def __init__(self, run: pathlib.Path, sockets, case: str, size: int):
        vdevs = []
        for i, path in enumerate(sockets):
            vdevs += ["--vdev", f"net_virtio_user{i},path={path},queues=1,queue_size=1024,"
                      "mrg_rxbuf=0,in_order=1"]
        mbufs = 16384 if len(sockets) == 1 else 4096 + 4096 * len(sockets)
        self.case = case
        self.child = Child(
            ["stdbuf", "-oL", "dpdk-testpmd", "--lcores", f"0@{GENERATOR_CPU},1@{GENERATOR_CPU}",
             "--no-pci", "--in-memory", "--file-prefix", f"bench-{os.getpid()}-g-{run.name}",
             "--single-file-segments", "--no-telemetry", *vdevs, "--", "-i", "--nb-cores=1",
             "--rxq=1", "--txq=1", "--rxd=1024", "--txd=1024", "--burst=32",
             f"--total-num-mbufs={mbufs}", f"--forward-mode={FORWARD_MODE[case]}",
             f"--txpkts={size}", "--no-flush-rx", "--disable-link-check",
             *(["--portmask=0x1"] if len(sockets) > 1 else [])],
            run / "generator.log", nice=NICE)
        self.pid = self.child.pid
        try:
            self.child.expect(r"testpmd> ", START_TIMEOUT)
            self.worker = thread_named(self.pid, "rte-worker")
        except BaseException:
            self.end()
            raise

    def start(self):
        # There and back: 16 bursts of 32 packets are in flight, for ever.
        self.child.ask("start tx_first 16" if self.case == "both" else "start", "packet forwarding")

    def packets(self) -> int:
        """Packets this case counts: sent for vm2vf, else received."""
        match = self.child.ask("show port stats 0",
                               r"RX-packets:\s+(\d+)[\s\S]*?TX-packets:\s+(\d+)[\s\S]*?####\s")
        return int(match.group(2 if self.case == "vm2vf" else 1))

    def end(self):
        self.child.end(signal.SIGINT)
