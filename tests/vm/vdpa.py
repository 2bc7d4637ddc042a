# SPDX-License-Identifier: BSD-3-Clause
"""Kernel vDPA devices, made and removed as an administrator does, by iproute2's vdpa."""

from pathlib import Path
from typing import Any, Dict, List

from lib.process import run
from lib.wait import until
from relay_alone import RelayAlone, uid

DEVICES = Path("/sys/bus/vdpa/devices")


class Vdpa:
    """One device of a management device, on the driver vhost_vdpa, for the relay's user to open."""

    def __init__(self, name: str, mgmt: str, mac: str) -> None:
        self.name = name
        run(["vdpa", "dev", "add", "name", name, "mgmtdev", mgmt, "mac", mac])
        until(lambda: list(self._nodes()), f"{name} has a character device")
        (node,) = self._nodes()
        self.node = Path("/dev") / node.name
        until(self.node.is_char_device, f"{self.node} appears")
        import os

        os.chown(self.node, uid(), -1)

    def _nodes(self) -> List[Path]:
        return list((DEVICES / self.name).glob("vhost-vdpa-*"))

    def close(self) -> None:
        if (DEVICES / self.name).exists():
            run(["vdpa", "dev", "del", self.name])


def attach(relay: RelayAlone, endpoint: int, bdf: str, vdpa: Vdpa) -> Dict[str, Any]:
    params = {"device": bdf, "kind": "vdpa", "path": str(vdpa.node), "mtu": 1500}
    return relay.call("attach", id=endpoint, **params)
