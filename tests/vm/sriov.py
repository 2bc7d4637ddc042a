# SPDX-License-Identifier: BSD-3-Clause
"""PCI functions of the guest, read and written in sysfs as an administrator does."""

from pathlib import Path
from typing import List, Optional

from lib.process import run
from lib.wait import until
from machines import OUTSIDE

PCI = Path("/sys/bus/pci")
NET = Path("/sys/class/net")
PF = "0000:01:00.0"


def _link(path: Path) -> Optional[str]:
    try:
        return path.readlink().name
    except OSError:
        return None


class Function:
    """A PCI function by its address; it need not be there."""

    def __init__(self, bdf: str) -> None:
        self.bdf = bdf
        self.path = PCI / "devices" / bdf

    def exists(self) -> bool:
        return self.path.exists()

    @property
    def driver(self) -> Optional[str]:
        return _link(self.path / "driver")

    @property
    def group(self) -> Optional[str]:
        """The number of its IOMMU group."""
        return _link(self.path / "iommu_group")

    @property
    def override(self) -> Optional[str]:
        """What driver_override says; nothing when it is not set."""
        text = (self.path / "driver_override").read_text().strip()
        return None if text == "(null)" else text

    @property
    def netdev(self) -> Optional[str]:
        """Its interface. virtio has it one level further down."""
        for folder in [self.path / "net", *self.path.glob("virtio*/net")]:
            if folder.is_dir():
                return next((p.name for p in folder.iterdir()), None)
        return None

    def bind(self, driver: str) -> None:
        """Gives it to the driver, whoever has it now, for as long as it exists."""
        (self.path / "driver_override").write_text(driver)
        self.unbind()
        (PCI / "drivers_probe").write_text(self.bdf)
        assert self.driver == driver, f"{self.bdf} has the driver {self.driver}, not {driver}"

    def unbind(self) -> None:
        if self.driver:
            (self.path / "driver/unbind").write_text(self.bdf)

    def remove(self) -> None:
        """As if it had been pulled out; rescan() finds it again."""
        (self.path / "remove").write_text("1")

    def wait_udev(self) -> None:
        """Waits until udevd is done with it, which names its interface, too."""
        data = Path(f"/run/udev/data/+pci:{self.bdf}")
        until(data.exists, f"udevd has seen {self.bdf}")
        run(["udevadm", "settle", "--timeout=60"])


class Pf(Function):
    def __init__(self, bdf: str = PF) -> None:
        super().__init__(bdf)

    @property
    def total(self) -> int:
        return int((self.path / "sriov_totalvfs").read_text())

    @property
    def count(self) -> int:
        return int((self.path / "sriov_numvfs").read_text())

    def set_vfs(self, count: int) -> None:
        """The kernel refuses another number than 0 while there are VFs."""
        if self.count != count:
            (self.path / "sriov_numvfs").write_text(str(count))

    def vf(self, index: int) -> Function:
        name = _link(self.path / f"virtfn{index}")
        assert name, f"{self.bdf} has no VF {index}"
        return Function(name)

    def vfs(self) -> List[Function]:
        return [self.vf(i) for i in range(self.count)]

    def autoprobe(self, on: bool) -> None:
        """Whether new VFs get a driver by themselves."""
        (self.path / "sriov_drivers_autoprobe").write_text("1" if on else "0")

    def up(self) -> None:
        self.wait_udev()
        assert self.netdev, f"{self.bdf} has no interface"
        run(["ip", "link", "set", self.netdev, "up"])
        carrier = NET / self.netdev / "carrier"
        until(lambda: carrier.read_text() == "1\n", f"{self.netdev} has a carrier")


def rescan() -> None:
    (PCI / "rescan").write_text("1")


def outside() -> str:
    """The interface of the network outside the PF."""
    for path in NET.iterdir():
        if (path / "address").read_text().strip() == OUTSIDE:
            return path.name
    raise AssertionError(f"no interface has the address {OUTSIDE}: another namespace has it")
