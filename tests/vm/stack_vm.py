# SPDX-License-Identifier: BSD-3-Clause
"""A VM without guest: DPDK's front end joins its socket to a tap interface in a namespace, whose
kernel is that of the VM, with all the programs there are."""

import os
from pathlib import Path
from typing import List, Optional

from lib.env import tool
from lib.process import Arg, Process, run
from lib.testpmd import Testpmd
from lib.wait import until

MAC = "52:54:00:0a:02:01"
ADDRESS = "10.9.2.1"  # of a /16


class StackVm:
    IFACE = "vm0"

    def __init__(self, folder: Path, socket: Path, mac: str = MAC, address: str = ADDRESS) -> None:
        self.name = f"v4t-{os.getpid() % 100000}-vm"
        self.mac, self.address = mac, address
        self.pmd: Optional[Testpmd] = None
        run(["modprobe", "tun"])
        run([tool("ip"), "netns", "add", self.name])
        try:
            self.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6")
            self.run("ip", "link", "set", "lo", "up")
            tap = f"net_tap0,iface={self.IFACE},mac={mac}"
            self.pmd = Testpmd(
                folder / "vm.txt", socket, mode="io", prefix=self.prefix(), ports=[tap]
            )
            self.pmd.wait_ready()
            self.run("ip", "addr", "add", f"{address}/16", "dev", self.IFACE)
            self.pmd.start()
        except BaseException:
            self.close()
            raise

    def prefix(self) -> List[Arg]:
        return [tool("ip"), "netns", "exec", self.name]

    def run(self, *argv: Arg, check: bool = True, timeout: float = 60) -> str:
        return run([*self.prefix(), *argv], check=check, timeout=timeout)

    def start(self, argv: List[Arg], log: Path) -> Process:
        return Process([*self.prefix(), *argv], log)

    def reaches(self, address: str) -> bool:
        return " 1 received" in self.run("ping", "-nqc1", "-W1", address, check=False)

    def wait_reach(self, address: str, timeout: float = 20) -> None:
        assert self.pmd
        alive = self.pmd.process.check_running
        until(lambda: self.reaches(address), f"the VM reaches {address}", timeout, alive)

    def forget(self, address: str) -> None:
        """It has to ask again for that neighbour's MAC address."""
        self.run("ip", "neigh", "flush", "to", address)

    def close(self) -> None:
        if self.pmd:
            self.pmd.close()
        run([tool("ip"), "netns", "del", self.name], check=False)
