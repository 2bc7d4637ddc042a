# SPDX-License-Identifier: BSD-3-Clause
"""The network outside: a namespace joined to the host by a veth pair."""

import ctypes
import itertools
import os
from pathlib import Path
from typing import List, Optional, Sequence

from .env import tool
from .process import Arg, Process, run

CLONE_NEWNET = 0x40000000
_count = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


class Netns:
    """`host` is the interface a relay is attached to, `peer` the other end in the namespace.

    finish_offloads switches off what a real wire does not have: frames that reach the peer are
    at most an MTU long and carry their checksums.
    """

    def __init__(
        self,
        address: Optional[str] = "10.9.0.1/24",
        mtu: int = 1500,
        queues: int = 1,
        finish_offloads: bool = False,
    ) -> None:
        unique = f"{os.getpid() % 100000}-{next(_count)}"
        self.name = f"v4t-{unique}"
        self.host = f"v4h{unique}"
        self.peer = "wire0"
        run([tool("ip"), "netns", "add", self.name])
        try:
            self._make(address, mtu, queues, finish_offloads)
        except BaseException:
            self.close()
            raise

    def _make(self, address: Optional[str], mtu: int, queues: int, finish: bool) -> None:
        ip = tool("ip")
        q: List[Arg] = ["numrxqueues", queues, "numtxqueues", queues] if queues > 1 else []
        run([ip, "link", "add", self.host, *q, "type", "veth",
             "peer", "name", self.peer, *q, "netns", self.name])  # fmt: skip
        Path(f"/proc/sys/net/ipv6/conf/{self.host}/disable_ipv6").write_text("1")
        self.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6")
        run([ip, "link", "set", self.host, "mtu", mtu, "up"])
        self.run(ip, "link", "set", self.peer, "mtu", mtu, "up")
        self.run(ip, "link", "set", "lo", "up")
        if address:
            self.run(ip, "addr", "add", address, "dev", self.peer)
        if finish:
            off = ["tx", "off", "tso", "off", "gso", "off", "gro", "off"]
            run([tool("ethtool"), "-K", self.host, *off])
            self.run(tool("ethtool"), "-K", self.peer, "gro", "off")

    def prefix(self) -> list:
        return [tool("ip"), "netns", "exec", self.name]

    def run(self, *argv: Arg, check: bool = True, timeout: float = 60) -> str:
        return run([*self.prefix(), *argv], check=check, timeout=timeout)

    def start(self, argv: Sequence[Arg], log: Path) -> Process:
        return Process([*self.prefix(), *argv], log)

    def mac(self) -> str:
        return self.run("cat", f"/sys/class/net/{self.peer}/address").strip()

    def enter(self) -> None:
        """Takes the calling thread into the namespace, for good."""
        with open(f"/var/run/netns/{self.name}") as ns:
            if _libc.setns(ns.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns to {self.name}")

    def hosts(self) -> List[str]:
        return [self.host]

    def close(self) -> None:
        # Removing one end of the pair removes both; the namespace may hold the other for a while.
        for host in self.hosts():
            run([tool("ip"), "link", "del", host], check=False)
        run([tool("ip"), "netns", "del", self.name], check=False)

    def __enter__(self) -> "Netns":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Switch(Netns):
    """A bridge in the namespace with a port for each of two relays; `peer` is its own interface."""

    def hosts(self) -> List[str]:
        return [f"{self.host}{letter}" for letter in "ab"]

    def _make(self, address: Optional[str], mtu: int, queues: int, finish: bool) -> None:
        ip = tool("ip")
        self.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6")
        self.run(ip, "link", "add", self.peer, "mtu", mtu, "type", "bridge")
        for host in self.hosts():
            run([ip, "link", "add", host, "type", "veth", "peer", "name", host, "netns", self.name])
            Path(f"/proc/sys/net/ipv6/conf/{host}/disable_ipv6").write_text("1")
            run([ip, "link", "set", host, "mtu", mtu, "up"])
            self.run(ip, "link", "set", host, "mtu", mtu, "master", self.peer, "up")
        self.run(ip, "link", "set", self.peer, "up")
        if address:
            self.run(ip, "addr", "add", address, "dev", self.peer)
