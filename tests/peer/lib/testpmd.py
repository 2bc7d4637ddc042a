# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's own front end: dpdk-testpmd with virtio-user ports, as VMs without a guest."""

import itertools
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Union

from .env import cpus, tool
from .process import Arg, Process
from .wait import until

_count = itertools.count()
Paths = Union[Path, Sequence[Path]]


class Testpmd:
    """One process with a virtio-user port on each socket path; memory without hugepages.

    mode: txonly, rxonly, io, mac, ... ; nothing is forwarded before start(). program: another
    version's dpdk-testpmd.
    """

    __test__ = False

    def __init__(
        self,
        log: Path,
        sockets: Paths,
        mode: str = "rxonly",
        queues: int = 1,
        options: str = "",
        server: bool = False,
        memory: int = 256,
        mbufs: int = 8192,
        ring: int = 256,
        size: int = 0,
        ports: Sequence[str] = (),
        prefix: Sequence[Arg] = (),
        program: Optional[Path] = None,
    ) -> None:
        paths = [sockets] if isinstance(sockets, Path) else list(sockets)
        cpu = cpus()[0]
        self.ports = len(paths) + len(ports)
        self.prefix = f"v4t{os.getpid()}-{next(_count)}"
        extra = ("," + options if options else "") + (",server=1" if server else "")
        vdevs: List[Arg] = []
        for i, path in enumerate(paths):
            vdevs += [
                "--vdev",
                f"net_virtio_user{i},path={path},queues={queues},queue_size={ring}{extra}",
            ]
        for port in ports:
            vdevs += ["--vdev", port]
        args: List[Arg] = [
            *prefix, "stdbuf", "-oL", program or tool("dpdk-testpmd"), "--lcores", f"0@{cpu},1@{cpu}",
            "--no-pci", "--no-huge", "-m", memory, "--no-shconf", "--no-telemetry",
            f"--file-prefix={self.prefix}", *vdevs, "--", "-i", "--nb-cores=1",
            f"--rxq={queues}", f"--txq={queues}", f"--rxd={ring}", f"--txd={ring}",
            "--burst=32", f"--total-num-mbufs={mbufs}", f"--forward-mode={mode}",
            "--no-flush-rx", "--disable-link-check", "--no-mlockall",
        ]  # fmt: skip
        if size:
            args.append(f"--txpkts={size}")
        self.process = Process(args, log)

    def wait_ready(self, timeout: float = 60) -> "Testpmd":
        self.process.wait_text("testpmd> ", timeout)
        return self

    def command(self, text: str, answer: str, timeout: float = 20) -> str:
        """Sends a command and returns what it printed, once that contains answer."""
        start = len(self.process.text())
        self.process.send(text)
        self.process.wait_text(answer, timeout, start)
        return self.process.text()[start:]

    def start(self, first: int = 0) -> None:
        self.command(f"start tx_first {first}" if first else "start", "packet forwarding")

    def stop_forwarding(self) -> None:
        self.command("stop", "Done.")

    def stats(self) -> List[Dict[str, int]]:
        """Per port: rx, tx, rx_bytes, tx_bytes, tx_errors, ..."""
        start = len(self.process.text())
        self.process.send("show port stats all")

        def blocks() -> list:
            return re.findall(
                r"NIC statistics for port (\d+)(.*?)Throughput", self.process.text()[start:], re.S
            )

        until(lambda: len(blocks()) == self.ports, "testpmd prints its counters", 20,
              self.process.check_running)  # fmt: skip
        result = []
        for _, text in sorted(blocks(), key=lambda b: int(b[0])):
            pairs = dict(re.findall(r"([RT]X-[a-z]+): *(\d+)", text))
            result.append(
                {
                    "rx": int(pairs["RX-packets"]),
                    "tx": int(pairs["TX-packets"]),
                    "rx_bytes": int(pairs["RX-bytes"]),
                    "tx_bytes": int(pairs["TX-bytes"]),
                }
            )
        return result

    def received(self, port: int = 0) -> int:
        return self.stats()[port]["rx"]

    def quit(self) -> None:
        """The clean way: ports are stopped, the rings given back."""
        if self.process.running():
            self.process.send("quit")
            self.process.wait(60)
        self._clean()

    def kill(self) -> None:
        self.process.signal(signal.SIGKILL)
        self.process.wait()
        self._clean()

    def _clean(self) -> None:
        """DPDK leaves its runtime folder behind."""
        shutil.rmtree(f"/run/dpdk/{self.prefix}", ignore_errors=True)

    def close(self) -> None:
        if self.process.running():
            self.kill()

    def __enter__(self) -> "Testpmd":
        return self.wait_ready()

    def __exit__(self, *exc: object) -> None:
        self.close()
