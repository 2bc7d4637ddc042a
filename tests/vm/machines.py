# SPDX-License-Identifier: BSD-3-Clause
"""The machines: what QEMU is given beside what all have. A function for each, named as --machine and
the constant MACHINE of a test file name it."""

from typing import Callable, Dict, List

IOMMU = ["-device", "intel-iommu,intremap=on,caching-mode=on,snoop-control=on"]
OUTSIDE = "52:54:00:0e:00:01"  # the MAC of the virtio NIC that stands for the network outside
PF = "52:54:00:0e:01:00"
VIRTIO_VFS = 4
VIRTIO_PAIRS = 4  # queue pairs of PF and VFs of virtio-sriov-mq


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


def virtio_vf_mac(index: int) -> str:
    return f"52:54:00:0e:01:{index + 1:02x}"


def _virtio(netdev: Callable[[str], str], options: str = "") -> List[str]:
    """Of virtio, modern only: the PF 0000:01:00.0 with up to 4 VFs 0000:01:00.1 to 01:00.4, which the
    driver vp-vdpa makes devices of the vDPA bus. netdev is what a NIC's other end is, by its name."""
    nic = "virtio-net-pci,bus=port0,iommu_platform=on,disable-legacy=on,romfile=" + options
    args = [*IOMMU, "-device", "pcie-root-port,id=port0,chassis=1,slot=1,addr=0x1c"]
    for name in _virtio_nics():
        args += ["-netdev", f"{netdev(name)},id={name}"]
    for i in range(VIRTIO_VFS):
        mac = virtio_vf_mac(i)
        args += ["-device", f"{nic},addr=0x0.{i + 1:#x},sriov-pf=pf,netdev=vf{i},mac={mac}"]
    return args + [
        "-device", f"{nic},addr=0x0.0x0,id=pf,netdev=pf,mac={PF}",
        "-device", f"virtio-net-pci,netdev=outside,mac={OUTSIDE},addr=0x3,romfile=",
    ]  # fmt: skip


def _virtio_nics() -> List[str]:
    return [f"vf{i}" for i in range(VIRTIO_VFS)] + ["pf", "outside"]


def virtio_sriov() -> List[str]:
    """All in a hub, which knows neither offloads nor more than one queue pair."""
    return _virtio(lambda _: "hubport,hubid=0")


def _pairs(name: str) -> int:
    return 1 if name == "outside" else VIRTIO_PAIRS


def virtio_sriov_mq() -> List[str]:
    """With checksum and segmentation offload and several queue pairs, by tap interfaces of the host
    in a bridge. See vdpa.let_queue_pairs_be_seen()."""

    def netdev(name: str) -> str:
        multi = f",queues={_pairs(name)}" if _pairs(name) > 1 else ""
        return f"tap,ifname={name},script=no,downscript=no,vhost=off{multi}"

    return _virtio(netdev, f",mq=on,vectors={2 * VIRTIO_PAIRS + 2}")


def taps(machine: str) -> List[str]:
    """What tests/vm/bridge is to make for it."""
    if machine != "virtio-sriov-mq":
        return []
    return [f"{name}:{_pairs(name)}" for name in _virtio_nics()]


MACHINES: Dict[str, Callable[[], List[str]]] = {
    "igb": igb,
    "igb-noiommu": igb_noiommu,
    "virtio-sriov": virtio_sriov,
    "virtio-sriov-mq": virtio_sriov_mq,
}
