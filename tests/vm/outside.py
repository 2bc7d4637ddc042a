# SPDX-License-Identifier: BSD-3-Clause
"""The network outside the PF: the virtio NIC in a namespace of its own, where a kernel answers."""

import os
from pathlib import Path
from typing import List

from lib.env import tool
from lib.process import Arg, Process, run
from lib.wait import until
from sriov import outside

ADDRESS = "10.9.0.1"  # of a /16


class Outside:
    def __init__(self) -> None:
        self.name = f"v4t-{os.getpid() % 100000}-outside"
        self.nic = outside()
        run([tool("ip"), "netns", "add", self.name])
        try:
            run([tool("ip"), "link", "set", self.nic, "netns", self.name])
            self.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6")
            self.run("ip", "addr", "add", f"{ADDRESS}/16", "dev", self.nic)
            self.run("ip", "link", "set", self.nic, "up")
        except BaseException:
            self.close()
            raise

    def prefix(self) -> List[str]:
        return [tool("ip"), "netns", "exec", self.name]

    def run(self, *argv: Arg, check: bool = True, timeout: float = 60) -> str:
        return run([*self.prefix(), *argv], check=check, timeout=timeout)

    def start(self, argv: List[Arg], log: Path) -> Process:
        return Process([*self.prefix(), *argv], log)

    def knows(self, address: str, mac: str) -> None:
        """Nobody has to be asked for the MAC address."""
        self.run("ip", "neigh", "replace", address, "lladdr", mac, "dev", self.nic)

    def close(self) -> None:
        self.run("ip", "link", "set", self.nic, "down", check=False)
        self.run("ip", "link", "set", self.nic, "netns", "1", check=False)
        run([tool("ip"), "netns", "del", self.name], check=False)
        until(lambda: outside() == self.nic, f"{self.nic} is back")
