# SPDX-License-Identifier: BSD-3-Clause
"""The machines: what QEMU is given beside what all have. A function for each, named as --machine and
the constant MACHINE of a test file name it."""

from typing import Callable, Dict, List

IOMMU = ["-device", "intel-iommu,intremap=on,caching-mode=on,snoop-control=on"]
OUTSIDE = "52:54:00:0e:00:01"  # the MAC of the virtio NIC that stands for the network outside
PF = "52:54:00:0e:01:00"


def _igb() -> List[str]:
    """An 82576: the PF 0000:01:00.0 with up to 7 VFs 0000:01:10.0, 01:10.2 to 01:11.4. Its cable ends
    in a hub, as that of the virtio NIC 0000:00:03.0 does. DPDK has no driver for 0000:00:04.0."""
    return [
        "-netdev", "hubport,hubid=0,id=pf",
        "-netdev", "hubport,hubid=0,id=outside",
        "-device", "pcie-root-port,id=port0,chassis=1,slot=1,addr=0x1c",
        "-device", f"igb,bus=port0,netdev=pf,mac={PF}",
        "-device", f"virtio-net-pci,netdev=outside,mac={OUTSIDE},addr=0x3,romfile=",
        "-device", "pci-testdev,addr=0x4",
    ]  # fmt: skip


def igb() -> List[str]:
    return IOMMU + _igb()


def igb_noiommu() -> List[str]:
    return _igb()


MACHINES: Dict[str, Callable[[], List[str]]] = {
    "igb": igb,
    "igb-noiommu": igb_noiommu,
}
