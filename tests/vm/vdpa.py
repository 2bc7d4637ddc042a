# SPDX-License-Identifier: BSD-3-Clause
"""Kernel vDPA devices, made and removed as an administrator does, by iproute2's vdpa."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, List

from lib.process import run
from lib.wait import until
from relay_alone import RelayAlone, uid

DEVICES = Path("/sys/bus/vdpa/devices")


class Vdpa:
    """One device of a management device, on the driver vhost_vdpa, for the relay's user to open."""

    def __init__(self, name: str, mgmt: str, mac: str = "") -> None:
        self.name, self.mgmt, self.mac = name, mgmt, mac
        self.make()

    def make(self) -> None:
        run(["vdpa", "dev", "add", "name", self.name, "mgmtdev", self.mgmt]
            + (["mac", self.mac] if self.mac else []))  # fmt: skip
        until(self._nodes, f"{self.name} has a character device")
        (node,) = self._nodes()
        self.node = Path("/dev") / node.name
        until(self.node.is_char_device, f"{self.node} appears")
        os.chown(self.node, uid(), -1)

    def _nodes(self) -> List[Path]:
        return list((DEVICES / self.name).glob("vhost-vdpa-*"))

    def exists(self) -> bool:
        return (DEVICES / self.name).exists()

    def counted(self, virtqueue: int) -> int:
        """Packets that the device has moved."""
        text = run(["vdpa", "dev", "vstats", "show", self.name, "qidx", virtqueue])
        found = re.search(r"packets (\d+)", text)
        assert found, text
        return int(found.group(1))

    def remove(self) -> "subprocess.Popen[bytes]":
        """The kernel waits until nobody has the character device open: so does the command."""
        return subprocess.Popen(["vdpa", "dev", "del", self.name])

    def close(self) -> None:
        if self.exists():
            run(["vdpa", "dev", "del", self.name])


def attach(relay: RelayAlone, endpoint: int, bdf: str, vdpa: Vdpa) -> Dict[str, Any]:
    params = {"device": bdf, "kind": "vdpa", "path": str(vdpa.node), "mtu": 1500}
    return relay.call("attach", id=endpoint, **params)
