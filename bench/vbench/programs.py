# SPDX-License-Identifier: BSD-3-Clause
"""The programs under test and the generator that plays VMs.

CPU 1 runs the polling thread of the program under test, CPU 0 the generator and every thread that
does not poll.

A program under test has: name, child, pid, worker (tid of its polling thread), socket(i), client (it
connects to the socket that the VM listens on), wait_connected(), work() (None when it does not tell)
and end().
"""

import itertools
import os
import pathlib
import signal
import time
from typing import NamedTuple

from .process import Child, thread_named
from .rpc import RpcClient

GENERATOR_CPU = 0
WORKER_CPU = 1
NICE = -20
START_TIMEOUT = 60.0
FLOW_TIMEOUT = 20.0
PORTS = 32  # of one testpmd: Debian's RTE_MAX_ETHPORTS

# What the network does, by case: the device behind the program under test.
DEVICES = {
    "vm2vf": "net_null{i},size={size},no-rx=1",
    "vf2vm": "net_null{i},size={size}",
    "both": "net_ring{i}",
}
FORWARD_MODE = {"vm2vf": "txonly", "vf2vm": "rxonly", "both": "io", "idle": "rxonly"}
numbers = itertools.count()  # of generators


class Work(NamedTuple):
    """Time of the worker so far, by its own account and in a unit of its own."""

    total: int
    busy: int  # rounds in which packets came


class Relay:
    """vio4wd-relay alone, driven through its control socket (no manager: it gets stopped by SIGSTOP)."""

    name = "vio4wd"
    client = False

    def __init__(self, run: pathlib.Path, build: pathlib.Path, case: str, size: int, queues=1,
                 cpus=(WORKER_CPU,)):
        self.run = run
        control = run / "relay.sock"
        self.child = Child(
            [build / "src/sw-relay/vio4wd-relay", "--relay", 0, "--socket", control,
             "--cpus", ",".join(map(str, cpus)), "--control-cpu", GENERATOR_CPU,
             "--numa-node", 0, "--user", "nobody", "--group", "nogroup", "--poll", "adaptive",
             "--max-sleep-us", 50, "--hugepages", "yes", "--log-level", 5],
            run / "relay.log", nice=NICE)
        self.pid = self.child.pid
        try:
            self.rpc = self._connect(control)
            self._endpoint(0, queues)
            device = DEVICES[case].format(i=0, size=size)
            name, _, args = device.partition(",")
            self.rpc.call("attach", id=0, device=f"vdev:{device}", kind="vdev",
                          driver_name=name, driver_args=args, mtu=1500)
            self.worker = thread_named(self.pid, f"worker/{cpus[-1]}")
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

    def _endpoint(self, i: int, queues: int):
        self.rpc.call("endpoint_add", id=i, socket=str(self.socket(i)), mode="server",
                      queues=queues, mtu=1500, mrg_rxbuf=True, tso=False)

    def add_netdev(self, i: int, netdev: str, fds):
        """An endpoint on a Linux network interface; fds are packet sockets on it, and stay the caller's."""
        self._endpoint(i, 1)
        self.rpc.call("attach", fds=fds, id=i, device=f"netdev:{netdev}", kind="netdev",
                      netdev=netdev, mtu=1500)

    def socket(self, i=0) -> pathlib.Path:
        return self.run / f"relay-{i}.sock"

    def wait_connected(self):
        pass  # the generator has connected when it is ready

    def stats(self):
        """The workers and the lanes of the first endpoint, as docs/protocol.md has them, and when."""
        stats = self.rpc.call("stats")
        lanes = next(e for e in stats["endpoints"] if e["id"] == 0)["lanes"]
        return stats["workers"], lanes, stats["time_us"]

    def work(self) -> Work:
        workers, _, time_us = self.stats()
        return Work(time_us, sum(w["busy_us"] for w in workers))

    def end(self):
        self.child.end()


class Testpmd:
    """dpdk-testpmd in io mode between net_vhost and the same device: the bare cost of DPDK's library."""

    name = "testpmd"
    client = False

    def __init__(self, run: pathlib.Path, build: pathlib.Path, case: str, size: int):
        self.run = run
        self.child = Child(
            ["stdbuf", "-oL", "dpdk-testpmd", "--lcores", f"0@{GENERATOR_CPU},1@{WORKER_CPU}",
             "--no-pci", "--in-memory", "--file-prefix", f"bench-{os.getpid()}-t",
             "--no-telemetry", "--vdev", f"net_vhost0,iface={self.socket()},queues=1",
             "--vdev", DEVICES[case].format(i=0, size=size), "--", "-i", "--nb-cores=1", "--rxq=1",
             "--txq=1", "--rxd=1024", "--txd=1024", "--burst=32", "--total-num-mbufs=8192",
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

    def wait_connected(self):
        pass

    def work(self):
        return None  # it polls always and does not tell what for

    def end(self):
        self.child.end("quit")


class Generator:
    """A VM on each of the sockets, at most PORTS; traffic, if any, is that of the first.

    server: it listens, and the program under test connects. cpus: a thread on each shares the queue
    pairs with the others, in order: of 4 on 2 CPUs, 0 and 1 belong to the first."""

    def __init__(self, run: pathlib.Path, sockets, case: str, size: int, server=False, queues=1,
                 cpus=(GENERATOR_CPU,), ring=1024):
        number = next(numbers)
        vdevs = []
        for i, path in enumerate(sockets):
            vdevs += ["--vdev", f"net_virtio_user{i},path={path},queues={queues},queue_size={ring},"
                      f"mrg_rxbuf=0,in_order=1{',server=1' if server else ''}"]
        lcores = [f"0@{GENERATOR_CPU}"] + [f"{i}@{cpu}" for i, cpu in enumerate(cpus, 1)]
        mbufs = 4096 + 2 * queues * ring * len(sockets)
        self.case = case
        self.child = Child(
            ["stdbuf", "-oL", "dpdk-testpmd", "--lcores", ",".join(lcores), "--no-pci",
             "--in-memory", "--file-prefix", f"bench-{os.getpid()}-g{number}",
             "--single-file-segments", "--no-telemetry", *vdevs, "--", "-i",
             f"--nb-cores={len(cpus)}", f"--rxq={queues}", f"--txq={queues}", f"--rxd={ring}",
             f"--txd={ring}", "--burst=32", f"--total-num-mbufs={mbufs}",
             f"--forward-mode={FORWARD_MODE[case]}", f"--txpkts={size}", "--no-flush-rx",
             "--disable-link-check", *(["--portmask=0x1"] if len(sockets) > 1 else []),
             *(["--record-burst-stats"] if case == "vf2vm" else [])],
            run / f"generator-{number}.log", nice=NICE)
        self.pid = self.child.pid
        try:
            self.child.expect(r"testpmd> ", START_TIMEOUT)
            self.worker = thread_named(self.pid, "rte-worker")
        except BaseException:
            self.end()
            raise

    def start(self) -> bool:
        """True when packets flow. There and back, 16 bursts of 32 are in flight for ever: they are
        sent when a first burst has come back, since what is sent too early is lost."""
        if self.case != "both":
            return self._start("start", FLOW_TIMEOUT)
        deadline = time.monotonic() + FLOW_TIMEOUT
        while not self._start("start tx_first 1", 1):
            if time.monotonic() > deadline:
                return False
            self.child.ask("stop", "Done")
        self.child.ask("stop", "Done")
        self.child.send("set flush_rx on")
        return self._start("start tx_first 16", FLOW_TIMEOUT)

    def _start(self, command: str, timeout: float) -> bool:
        before = self.packets()
        self.child.ask(command, "packet forwarding")
        deadline = time.monotonic() + timeout
        while self.packets() == before:
            if time.monotonic() > deadline:
                return False
        return True

    def packets(self) -> int:
        """Packets this case counts: sent for vm2vf, else received."""
        match = self.child.ask("show port stats 0",
                               r"RX-packets:\s+(\d+)[\s\S]*?TX-packets:\s+(\d+)[\s\S]*?####\s")
        return int(match.group(2 if self.case == "vm2vf" else 1))

    def looks(self):
        """How often it has looked for packets; None where that says nothing."""
        if self.case != "vf2vm":
            return None
        return int(self.child.ask("show fwd stats all",
                                  r"RX-bursts : (\d+) [\s\S]*?\+{20}\s*\n").group(1))

    def end(self):
        self.child.end("quit")


def idle_generators(run: pathlib.Path, sockets) -> list:
    """VMs that are connected and move nothing."""
    generators = []
    try:
        for first in range(0, len(sockets), PORTS):
            generators.append(Generator(run, sockets[first:first + PORTS], "idle", 64))
    except BaseException:
        for generator in generators:
            generator.end()
        raise
    return generators
