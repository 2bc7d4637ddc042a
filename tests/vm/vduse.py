# SPDX-License-Identifier: BSD-3-Clause
"""vDPA devices in software: DPDK behind the kernel's VDUSE."""

import itertools
import os
import shutil
from pathlib import Path
from typing import Optional

import vdpa
from lib.env import CACHE, cpus
from lib.process import Process, run
from lib.wait import until

TESTPMD = CACHE / "bin/vduse-testpmd"
_count = itertools.count()


class Vduse:
    """A vDPA device whose traffic comes back on the queue pair that it was sent on, by a testpmd of one
    port that polls. mode: macswap, io (frames as they were), icmpecho. The kernel takes one pair only:
    several need a control queue, which it refuses to VDUSE networks."""

    def __init__(self, folder: Path, name: str, queues: int = 1, mode: str = "macswap") -> None:
        run(["modprobe", "vduse"])
        self.name = name
        self.prefix = f"v4d{os.getpid()}-{next(_count)}"
        self.device: Optional[vdpa.Device] = None
        cpu = cpus()[-1]
        self.process = Process(
            [
                "stdbuf", "-oL", TESTPMD, "--lcores", f"0@{cpu},1@{cpu}",
                "--no-pci", "--no-huge", "-m", 64, "--no-shconf", "--no-telemetry",
                f"--file-prefix={self.prefix}", "--log-level=lib.vhost.config:info",
                "--vdev", f"net_vhost0,iface=/dev/vduse/{name},queues={queues}",
                "--", "-i", "--nb-cores=1", f"--rxq={queues}", f"--txq={queues}",
                "--total-num-mbufs=4096", f"--forward-mode={mode}",
                "--no-flush-rx", "--disable-link-check", "--no-mlockall",
            ],
            folder / f"{name}.txt",
        )  # fmt: skip
        try:
            self.process.wait_text("testpmd> ", 60)
            node = Path("/dev/vduse") / name
            assert node.is_char_device(), f"{node} was not made:\n{self.process.text()}"
            self.process.send("start")
            self.process.wait_text("packet forwarding")
            self.device = vdpa.Device(name, "vduse")
        except BaseException:
            self.close()
            raise

    @property
    def node(self) -> Path:
        assert self.device
        return self.device.node

    def kill(self) -> None:
        """The device stays in the kernel, and answers no more."""
        self.process.kill()

    def close(self) -> None:
        """In this order: the kernel keeps what is on the vDPA bus."""
        if self.device:
            self.device.close()
            self.device = None
        if self.process.running():
            self.process.send("quit")
            self.process.wait(60)
        until(lambda: not (Path("/dev/vduse") / self.name).exists(), f"{self.name} is gone")
        shutil.rmtree(f"/run/dpdk/{self.prefix}", ignore_errors=True)
        shutil.rmtree(f"/run/vduse/{self.name}", ignore_errors=True)
