# SPDX-License-Identifier: BSD-3-Clause
"""systemd as PID 1, with the build installed, in namespaces of its own: half a second to boot."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional

from . import leaks
from .daemon import Value, assignment
from .env import BUILD, cpus, patience, sanitized, tool
from .process import Arg, Process, run
from .wait import until

BOOT = Path(__file__).resolve().parents[1] / "systemd" / "boot"
SERVICE = "virtio-forwarder.service"
CONFIG = Path("/etc/default/virtioforwarder")


class Systemd:
    """dir is there inside, too: sockets in it can be reached from both sides.

    hardware: with the network and the VFIO devices (/dev/vfio must exist) of the host.
    installed: with the build; else with nothing of ours.
    """

    def __init__(self, hardware: bool = False, installed: bool = True) -> None:
        if not Path("/lib/systemd/systemd").exists():
            raise RuntimeError("systemd is missing: install the package systemd")
        self.dir = Path(tempfile.mkdtemp(prefix="v4sd-", dir="/tmp"))
        self.dir.chmod(0o755)
        self.sockets = self.dir / "sock"
        self.sockets.mkdir()
        self.sockets.chmod(0o1777)
        self.log = self.dir / "boot.txt"
        self.process = Process(
            ["unshare", "--mount", BOOT, self.dir, BUILD if installed else "-",
             "host" if hardware else "own"],
            self.log,
        )  # fmt: skip
        self.pid = 0

    def wait_booted(self) -> "Systemd":
        def init() -> bool:
            try:
                unshare = self.process.pid
                children = Path(f"/proc/{unshare}/task/{unshare}/children")
                self.pid = int((children.read_text().split() or ["0"])[0])
                name = Path(f"/proc/{self.pid}/comm").read_text().strip()
            except OSError:
                return False
            return name == "systemd"

        until(init, "PID 1 is systemd", 60, self.process.check_running)
        until(
            lambda: "running" in self.run("systemctl", "is-system-running", check=False).split(),
            "systemd has booted", 60, self.process.check_running,
        )  # fmt: skip
        if sanitized():
            self._for_sanitizers()
        return self

    def _for_sanitizers(self) -> None:
        """The check for leaks traces the process at its end, which the units do not allow."""
        self.drop_in(SERVICE, "[Service]\nSystemCallFilter=\n", "asan")
        for unit in (
            "vio4wd-relay@.service", "vio4wd-hugepages.service", "vio4wd_core_scheduler.service",
        ):  # fmt: skip
            self.drop_in(unit, "[Service]\nEnvironment=ASAN_OPTIONS=detect_leaks=0\n", "asan")

    def close(self) -> None:
        self.process.close()
        until(lambda: not leaks.processes(f"{self.dir}/"), "nothing is left", 10)
        folder = self.dir / "cgroup"
        script = (
            f"mount -t cgroup2 none {folder} && cd {folder} && "
            f"find {self.dir.name} -depth -type d -exec rmdir {{}} +"
        )
        until(
            lambda: subprocess.run(
                ["unshare", "--mount", "sh", "-c", script], capture_output=True
            ).returncode == 0,
            "its cgroups are empty", 10,
        )  # fmt: skip
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self) -> "Systemd":
        return self.wait_booted()

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Inside

    def prefix(self) -> List[Arg]:
        return ["nsenter", "-t", self.pid, "-a"]

    def run(self, *argv: Arg, check: bool = True, timeout: float = 60) -> str:
        return run([*self.prefix(), *argv], check=check, timeout=patience(timeout))

    def path(self, path: object) -> Path:
        """A file inside, seen from here."""
        return Path(f"/proc/{self.pid}/root{path}")

    def processes(self) -> Dict[int, str]:
        """Number inside and command line of everything but PID 1, the journal and us."""
        lines = self.run("ps", "-eo", "pid=,args=").splitlines()
        found = {int(x.split()[0]): x.split(None, 1)[1] for x in lines}
        ours = ("systemd", "/lib/systemd/", "ps -eo")
        return {p: a for p, a in found.items() if p != 1 and not a.startswith(ours)}

    # Units

    def drop_in(self, unit: str, text: str, name: str = "test") -> None:
        """Adds to a unit; with an empty text it is as before."""
        file = self.path(f"/etc/systemd/system/{unit}.d/{name}.conf")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        self.systemctl("daemon-reload")

    def systemctl(self, *args: Arg, check: bool = True) -> str:
        return self.run("systemctl", "--no-pager", *args, check=check)

    def show(self, unit: str, name: str) -> str:
        return self.systemctl("show", "--value", "-p", name, unit).strip()

    def status_of(self, pid: int) -> Dict[str, str]:
        lines = self.run("cat", f"/proc/{pid}/status").splitlines()
        return {k: v.strip() for k, v in (x.split(":", 1) for x in lines if ":" in x)}

    def main_pid(self, unit: str) -> int:
        return int(self.show(unit, "MainPID"))

    def journal(self, unit: str = SERVICE) -> str:
        """What it says since clear_journal(); of all units when that is empty."""
        which = ["-u", unit] if unit else []
        return self.run("journalctl", "--no-pager", "-o", "cat", *which)

    def clear_journal(self) -> None:
        """What comes later is told apart from what was."""
        self.run("journalctl", "--rotate")
        self.run("journalctl", "--vacuum-time=1us")

    # vio4wd

    def write_config(self, **config: Value) -> None:
        values: Dict[str, Value] = {
            "VIRTIOFWD_SOCKET_DIR": self.sockets,
            "VIRTIOFWD_SOCKET_FNAME_PATTERN": "v%u",
            "VIRTIOFWD_CPU_MASK": ",".join(str(c) for c in cpus()[-1:]),
            "VIRTIOFWD_MASTER_LCORE": cpus()[0],
            "VIO4WD_HUGEPAGES": False,
            **config,
        }
        text = "".join(assignment(n, v) + "\n" for n, v in values.items() if v is not None)
        self.path(CONFIG).write_text(text)

    def socket(self, relay: int) -> Path:
        return self.sockets / f"v{relay}"

    def ctl(self, *args: Arg, check: bool = True) -> str:
        return self.run(self.program("vio4wdctl"), *args, check=check)

    def ctl_json(self, *args: Arg) -> Any:
        return json.loads(self.ctl("--json", *args))

    def program(self, name: str) -> str:
        """As installed."""
        for folder in ("bin", "sbin"):
            for prefix in ("/usr/local", "/usr"):
                if self.path(f"{prefix}/{folder}/{name}").exists():
                    return f"{prefix}/{folder}/{name}"
        raise AssertionError(f"{name} is not installed")

    def wait_state(self, relay: int, state: str, timeout: float = 30) -> Dict[str, Any]:
        seen: Dict[str, Any] = {}

        def reached() -> bool:
            try:
                seen.update(self.ctl_json("show", relay))
            except AssertionError:
                return False  # the manager is just being started again
            return seen["state"] == state

        until(reached, f"relay {relay} is {state}: {seen}", timeout, interval=0.05)
        return seen

    def relay_pid(self, number: int = 0) -> int:
        return self.main_pid(f"vio4wd-relay@{number}.service")

    def veth(self, name: str) -> str:
        """A pair of interfaces inside; returns the name of the other end."""
        ip = tool("ip")
        self.run(ip, "link", "add", name, "type", "veth", "peer", "name", f"{name}w")
        for end in (name, f"{name}w"):
            ipv6 = f"/proc/sys/net/ipv6/conf/{end}/disable_ipv6"
            self.run("sh", "-c", f"echo 1 >{ipv6}")
            self.run(ip, "link", "set", end, "up")
        return f"{name}w"

    def received(self, interface: str) -> int:
        path = f"/sys/class/net/{interface}/statistics/rx_packets"
        return int(self.run("cat", path))

    def wait_received(self, interface: str, more: int = 100) -> None:
        before = self.received(interface)
        until(lambda: self.received(interface) > before + more, "packets flow", interval=0.05)


def leftovers(bed: Systemd) -> List[str]:
    """What a service has left in /run, and sockets of VMs."""
    found = [str(p) for p in bed.path("/run").glob("virtio-forwarder*")]
    folder = bed.path("/run/virtio-forwarder")
    found += [str(p.relative_to(folder)) for p in folder.rglob("*")] if folder.exists() else []
    return [p for p in found if not p.endswith("/virtio-forwarder")] + leaks.sockets(bed.sockets)
