# SPDX-License-Identifier: BSD-3-Clause
"""udevd with rules of the test's choice in namespaces of its own; what vf_monitor tells there."""

import os
import uuid
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Iterable, List, Optional, Union

from .env import BUILD, tool
from .process import Arg, Process, run
from .wait import until

VFMON = BUILD / "tests/peer/vfmon"
RULES = "99-vio4wd.rules"
PCI = Path("/sys/bus/pci/devices")

# Own mounts, network and /run; the host's udevd and its rules cannot be seen from here.
PREPARE = """
set -e
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/udev/rules.d /run/none
for dir in /etc/udev/rules.d /usr/local/lib/udev/rules.d /usr/lib/udev/rules.d /lib/udev/rules.d; do
    [ ! -d "$dir" ] || mount --bind /run/none "$dir"
done
"""
USER = """
sed '/^vio4wd:/d' /etc/passwd >/run/passwd
echo 'vio4wd:x:899:899::/nonexistent:/usr/sbin/nologin' >>/run/passwd
mount --bind /run/passwd /etc/passwd
"""


def udevd_program() -> str:
    for path in ("/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd"):
        if os.access(path, os.X_OK):
            return path
    raise RuntimeError("systemd-udevd is missing: install the package udev")


class UdevHost:
    """A host of its own as far as udev is concerned. rules: the text of 99-vio4wd.rules, or nothing
    when the file is not installed. network: with a network namespace, too."""

    def __init__(
        self,
        folder: Path,
        rules: Optional[str] = None,
        udevd: bool = True,
        network: bool = True,
    ) -> None:
        self.folder = folder
        self.namespaces = ["--mount", "--net"] if network else ["--mount"]
        install = ""
        if rules is not None:
            (folder / RULES).write_text(rules)
            install = f"cp '{folder / RULES}' /run/udev/rules.d/\n"
        sysfs = "mount -t sysfs none /sys\n" if network else ""
        main = f"exec {udevd_program()}" if udevd else "exec sleep infinity"
        self.process = Process(
            [tool("unshare"), *self.namespaces, "--propagation", "private",
             "sh", "-c", f"{PREPARE}{USER}{sysfs}{install}touch /run/prepared\n{main}"],
            folder / "udevd.log",
        )  # fmt: skip
        try:
            until(
                Path(f"/proc/{self.process.pid}/root/run/prepared").exists,
                "the namespaces are prepared",
                alive=self.process.check_running,
            )
            if udevd:
                until(self._answers, "udevd answers", alive=self.process.check_running)
        except BaseException:
            self.close()
            raise

    def _answers(self) -> bool:
        try:
            self.run("udevadm", "control", "--ping", "--timeout=5")
        except AssertionError:
            return False
        return True

    def inside(self, *argv: Arg) -> List[Arg]:
        return [tool("nsenter"), "--target", self.process.pid, *self.namespaces, *argv]

    def run(self, *argv: Arg) -> str:
        return run(self.inside(*argv))

    def monitor(self) -> "Monitor":
        return Monitor(self)

    def close(self) -> None:
        self.process.stop()


class Monitor:
    """vfmon, from its first word on."""

    def __init__(self, host: UdevHost) -> None:
        self.process = Process(host.inside(VFMON), host.folder / "vfmon.log")
        try:
            self.process.wait_text("ready\n")
        except BaseException:
            self.close()
            raise

    def events(self) -> List[str]:
        """Without lines of the log, which begin with the time."""
        lines = self.process.lines()
        return [line for line in lines if line != "ready" and not line[:1].isdigit()]

    def wait_events(self, wanted: Iterable[str]) -> None:
        """Those, in that order, and no others."""
        expected = list(wanted)
        until(
            lambda: len(self.events()) >= len(expected),
            f"the events {expected}",
            alive=self.process.check_running,
        )
        assert self.events() == expected

    def pause(self) -> None:
        self.process.signal(SIGSTOP)

    def resume(self) -> None:
        self.process.signal(SIGCONT)

    def close(self) -> None:
        self.process.stop()


def functions(network: bool) -> List[str]:
    """Of the host: network functions, or all others."""
    return [
        folder.name
        for folder in sorted(PCI.iterdir())
        if (folder / "class").read_text().startswith("0x02") == network
    ]


def change(device: Union[str, Path], **arguments: str) -> None:
    """What `udevadm trigger` does: the kernel sends an event that tells of no change at all. Rules
    see arguments as ENV{SYNTH_ARG_NAME}."""
    folder = PCI / device if isinstance(device, str) else device
    extra = [f"{name}={value}" for name, value in arguments.items()]
    text = " ".join(["change", str(uuid.uuid4()), *extra] if extra else ["change"])
    (folder / "uevent").write_text(text)
