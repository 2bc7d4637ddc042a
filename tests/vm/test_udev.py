# SPDX-License-Identifier: BSD-3-Clause
"""The rules and vf_monitor, with a PF and VFs that come and go."""

import os
import pwd
import stat
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from lib.env import CTL
from lib.process import Process, run
from lib.udevd import VFMON
from lib.wait import until
from sriov import Function, Pf, rescan

MACHINE = "igb"
CONFIGURATION = Path("/etc/default/virtioforwarder")
INSTALLED = Path("/usr/bin/vio4wdctl")  # where the rules look for it
MARKERS = Path("/run/virtio-forwarder/vfio")


class Monitor:
    def __init__(self, log: Path) -> None:
        self.process = Process([VFMON], log)
        self.process.wait_text("ready\n")
        self.seen = 0

    def wait(self, *wanted: str) -> None:
        """Until all of these have been told since the last time, whatever else has."""

        def all_told() -> List[str]:
            new = self.process.lines()[self.seen :]
            return new if set(wanted) <= set(new) else []

        self.seen += len(
            until(all_told, f"the events {wanted}", 60, alive=self.process.check_running)
        )


@pytest.fixture
def monitor(pf: Pf, tmp_path: Path) -> Iterator[Monitor]:
    """Of a host whose PF is tagged."""
    run(["udevadm", "settle", "--timeout=60"])
    monitor = Monitor(tmp_path / "vfmon.log")
    try:
        assert "all events" not in monitor.process.text()
        yield monitor
    finally:
        monitor.process.stop()


@pytest.fixture
def no_driver(pf: Pf) -> Iterator[None]:
    """New VFs stay without driver."""
    pf.autoprobe(False)
    yield
    pf.autoprobe(True)


def properties(function: Function) -> Dict[str, str]:
    text = run(["udevadm", "info", "--query=property", f"--path={function.path.resolve()}"])
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_vfs_come_and_go(pf: Pf, monitor: Monitor, no_driver: None) -> None:
    pf.set_vfs(3)
    names = [vf.bdf for vf in pf.vfs()]
    # Of a VF that nobody binds there are two: when it came, and when its links were made.
    monitor.wait(f"changed {pf.bdf}", *(f"changed {name}" for name in names))
    run(["udevadm", "settle", "--timeout=60"])
    for vf in pf.vfs():
        assert ":vio4wd:" in properties(vf)["TAGS"]
    pf.set_vfs(0)
    monitor.wait(*(f"removed {name}" for name in names))


def test_drivers_and_interfaces(pf: Pf, monitor: Monitor) -> None:
    pf.set_vfs(1)
    vf = pf.vf(0)
    # The function and its interface come, the function is bound.
    monitor.wait(f"added {vf.bdf}", f"changed {vf.bdf}")
    until(lambda: vf.driver == "igbvf" and vf.netdev, "igbvf has the VF", 60)
    run(["udevadm", "settle", "--timeout=60"])
    monitor.seen = len(monitor.process.lines())
    vf.unbind()
    monitor.wait(f"removed {vf.bdf}", f"changed {vf.bdf}")  # the interface; unbound
    (vf.path / "driver_override").write_text("igbvf")
    Path("/sys/bus/pci/drivers_probe").write_text(vf.bdf)
    monitor.wait(f"added {vf.bdf}", f"changed {vf.bdf}")
    assert vf.netdev
    interface = vf.netdev
    run(["udevadm", "settle", "--timeout=60"])
    monitor.seen = len(monitor.process.lines())
    run(["ip", "link", "set", interface, "name", "renamed0"])
    monitor.wait(f"changed {vf.bdf}")


def test_pf_goes_and_comes(pf: Pf, monitor: Monitor, no_driver: None) -> None:
    pf.set_vfs(1)
    vf = pf.vf(0)
    monitor.wait(f"changed {vf.bdf}")
    (pf.path / "driver/unbind").write_text(pf.bdf)
    monitor.wait(f"removed {vf.bdf}", f"changed {pf.bdf}")
    pf.remove()
    monitor.wait(f"removed {pf.bdf}")
    rescan()
    monitor.wait(f"added {pf.bdf}", f"changed {pf.bdf}")
    until(lambda: pf.driver == "igb" and pf.netdev, "the PF is back")
    pf.wait_udev()


def test_untagged_vf(pf: Pf, no_driver: None, tmp_path: Path) -> None:
    """Rules that were installed after the VFs had come: udevd has tagged none of them."""
    pf.set_vfs(1)
    vf = pf.vf(0)
    vf.wait_udev()
    rules = Path("/run/udev/rules.d/99-vio4wd.rules")
    moved = rules.with_suffix(".off")
    rules.rename(moved)
    run(["udevadm", "control", "--reload"])
    pf.set_vfs(0)
    pf.set_vfs(1)
    vf.wait_udev()
    moved.rename(rules)
    run(["udevadm", "control", "--reload"])
    assert "TAGS" not in properties(vf)
    monitor = Monitor(tmp_path / "vfmon.log")
    try:
        assert "has not tagged yet" in monitor.process.text()
        pf.set_vfs(0)
        monitor.wait(f"removed {vf.bdf}")
    finally:
        monitor.process.stop()


def test_vfio_groups(pf: Pf, no_driver: None) -> None:
    """A group is the relay's when the manager has left its number, else root's."""
    run(["modprobe", "vfio-pci"])
    pf.set_vfs(2)
    ours, other = pf.vfs()
    other.wait_udev()
    assert ours.group and other.group
    marker = MARKERS / ours.group
    MARKERS.mkdir(parents=True, exist_ok=True)
    marker.touch()
    try:
        for vf, owner in ((ours, "vio4wd"), (other, "root")):
            vf.bind("vfio-pci")
            run(["udevadm", "settle", "--timeout=60"])
            found = os.stat(f"/dev/vfio/{vf.group}")
            assert pwd.getpwuid(found.st_uid).pw_name == owner
            assert stat.S_IMODE(found.st_mode) == 0o600
    finally:
        marker.unlink()


@pytest.fixture
def installed() -> Iterator[None]:
    """vio4wdctl where the rules look for it."""
    INSTALLED.symlink_to(CTL)
    saved = CONFIGURATION.read_bytes() if CONFIGURATION.exists() else None
    yield
    INSTALLED.unlink()
    if saved is None:
        CONFIGURATION.unlink(missing_ok=True)
    else:
        CONFIGURATION.write_bytes(saved)


def test_start_of_the_service(pf: Pf, no_driver: None, installed: None) -> None:
    """A VF starts the service when the configuration uses it; a broken one starts nothing."""
    settings = {
        f"VIO4WD_AUTO_VFS=({pf.netdev}:0)": [True, True],
        "VIRTIOFWD_STATIC_VFS=(0000:01:10.0=3)": [True, False],
        f"VIRTIOFWD_STATIC_VFS=({pf.netdev}.vf1=3)": [False, True],
        "VIRTIOFWD_LOG_LEVEL=": [False, False],
    }
    CONFIGURATION.write_text("VIO4WD_BACKEND=sw\n")
    pf.set_vfs(2)
    pf.vf(1).wait_udev()
    assert not any("SYSTEMD_WANTS" in properties(vf) for vf in pf.vfs())
    for setting, starts in settings.items():
        CONFIGURATION.write_text(setting + "\n")
        for function in [pf, *pf.vfs()]:
            (function.path / "uevent").write_text("change")
        run(["udevadm", "settle", "--timeout=60"])
        for vf, wanted in zip(pf.vfs(), starts):
            found = properties(vf)
            service = "virtio-forwarder.service" if wanted else None
            assert found.get("SYSTEMD_WANTS") == service, setting
            assert (":systemd:" in found["CURRENT_TAGS"]) == wanted, setting
    assert ":vio4wd:" in properties(pf)["TAGS"] and ":systemd:" not in properties(pf)["TAGS"]
