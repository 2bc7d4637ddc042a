# SPDX-License-Identifier: BSD-3-Clause
"""A real Linux guest under QEMU, whose network is a vhost-user socket or a vDPA device."""

import base64
import json
import os
import shlex
import socket
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .env import CACHE, NUMBERED, TOP, emulated, patience, tool
from .process import Arg, Process
from .wait import until

QEMU = CACHE / "bin/qemu-system-x86_64"
GUEST = CACHE / "guest"
INIT = TOP / "tests/peer/guest/init"
# QEMU's own, once in some hundred boots of several processors under TCG: a processor's write is taken
# to a memory region that another one has just moved.
QEMU_ABORT = "msix_table_mmio_write: Assertion"
# The kernel's tests of its ciphers take half a second.
APPEND = "console=ttyS0 panic=-1 quiet nokaslr mitigations=off no_timer_check cryptomgr.notests"


def initramfs(folder: Path) -> Path:
    """The guest's file system: the prepared part and, behind it, this tree's /init and programs."""
    root = folder / "overlay"
    (root / "bin").mkdir(parents=True)
    (root / "init").write_bytes(INIT.read_bytes())
    (root / "init").chmod(0o755)
    names = ["init"]
    if NUMBERED.exists():
        (root / "bin/numbered").write_bytes(NUMBERED.read_bytes())
        (root / "bin/numbered").chmod(0o755)
        names.append("bin/numbered")
    archive = subprocess.run(
        [tool("cpio"), "-o", "-H", "newc", "--quiet"],
        cwd=root, input="\n".join(names).encode(), stdout=subprocess.PIPE, check=True
    ).stdout  # fmt: skip
    image = folder / "initramfs"
    image.write_bytes((GUEST / "base.cpio").read_bytes() + archive)
    return image


def _machine(accel: List[str], cpus: int) -> List[str]:
    return [
        str(QEMU), *accel, "-M", "q35", "-smp", str(cpus),
        "-nodefaults", "-display", "none", "-no-reboot",
        "-kernel", str(GUEST / "vmlinux"),
        "-global", "virtio-net-pci.romfile=",  # the cache has none
    ]  # fmt: skip


def _memory(size: int) -> List[str]:
    return ["-m", str(size), "-machine", "memory-backend=mem",
            "-object", f"memory-backend-memfd,id=mem,size={size}M,share=on"]  # fmt: skip


@lru_cache(maxsize=None)
def accelerator() -> Tuple[str, ...]:
    """KVM when it starts the guest's kernel, which some hosts announce and cannot do; else TCG. In a
    machine that is emulated itself the plainest processor costs least."""
    tcg = ("-accel", "tcg,thread=multi", "-cpu", "max")
    kvm = ("-accel", "kvm", "-cpu", "host")
    if emulated():
        return "-accel", "tcg", "-cpu", "qemu64"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return tcg
    # Without a root file system the kernel panics, and panic=-1 with -no-reboot ends QEMU.
    cmd = _machine(list(kvm), 1) + _memory(128) + ["-serial", "stdio", "-append", APPEND]
    try:
        out = subprocess.run(
            cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=8,
        ).stdout  # fmt: skip
    except subprocess.TimeoutExpired:
        return tcg
    return kvm if b"Kernel panic" in out else tcg


class Shell:
    """Runs commands in a guest, through the virtio-serial port that guest/init listens on."""

    def __init__(self, path: Path, process: Optional[Process] = None) -> None:
        self.stream = _connect(path, process).makefile("rwb")
        self.number = 0

    def _send(self, number: int, command: str) -> None:
        text = base64.b64encode(command.encode()).decode()
        self.stream.write(f"{number} {text}\n".encode())
        self.stream.flush()

    def wait_ready(self) -> bool:
        return self.stream.readline() == b"ready 0 0\n"

    def close(self) -> None:
        self.stream.close()

    def run(self, command: str, check: bool = True) -> str:
        """Returns what the command printed."""
        self.number += 1
        self._send(self.number, command)
        try:
            answer = self.stream.readline().split()
            assert len(answer) == 3, f"the guest went away during {command!r}"
            output = self.stream.read(int(answer[2])).decode(errors="replace")
        except socket.timeout:
            raise AssertionError(f"the guest does not answer: {command}") from None
        if check and answer[1] != b"0":
            raise AssertionError(f"guest: {command}: status {answer[1].decode()}\n{output}")
        return output

    def post(self, command: str) -> None:
        """Runs a command that cannot be answered, such as poweroff."""
        self._send(0, command)


def _connect(path: Path, process: Optional[Process] = None) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(patience(170))  # of a boot, in a machine that is emulated itself perhaps

    def connected() -> bool:
        try:
            sock.connect(str(path))
        except OSError:
            return False
        return True

    alive = process.check_running if process else None
    until(connected, f"QEMU opens {path}", 60, alive)
    return sock


class Guest:
    """Starts QEMU; `server` is QEMU's role on the vhost-user socket (the relay in client mode). vhost may
    be a vDPA device's file as well: /dev/vhost-vdpa-N. What is in front of QEMU (prefix) may run it as
    the user with that uid, and more are further arguments for it."""

    def __init__(
        self,
        folder: Path,
        vhost: Path,
        address: str = "10.9.0.2/24",
        server: bool = False,
        reconnect_ms: int = 0,
        queues: int = 1,
        packed: bool = False,
        mtu: int = 0,
        memory: int = 192,
        cpus: int = 1,
        mac: str = "52:54:00:09:00:02",
        device: str = "",
        prefix: Sequence[Arg] = (),
        uid: int = -1,
        more: Sequence[str] = (),
        incoming: bool = False,
        args: Sequence[str] = (),
    ) -> None:
        """args: those for memory and network, in the place of what follows from the other options;
        incoming: waits for a guest to be migrated to it, one that was started with the same options."""
        self.folder = folder
        self.serial = folder / "serial.txt"
        self._qmp: Optional[socket.socket] = None
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, uid, -1)
        for path in (QEMU, GUEST / "vmlinux"):
            if not path.exists():
                raise RuntimeError(f"{path} is missing: run make setup")
        image = folder / "initramfs"
        if not image.exists():
            initramfs(folder)
        append = f"{APPEND} vio4wd.address={address}" + (f" vio4wd.mtu={mtu}" if mtu else "")
        chardev = f"socket,id=vhost,path={vhost}"
        chardev += ",server=on,wait=off" if server else ""
        chardev += f",reconnect-ms={reconnect_ms}" if reconnect_ms else ""
        nic = f"virtio-net-pci,netdev=net,mac={mac}"
        nic += f",mq=on,vectors={2 * queues + 2}" if queues > 1 else ""
        nic += ",packed=on" if packed else ""
        nic += f",host_mtu={mtu}" if mtu else ""
        nic += f",{device}" if device else ""
        self._command = folder / "command"
        self._control = folder / "qmp"
        if vhost.is_char_device():
            network = ["-netdev", f"vhost-vdpa,id=net,vhostdev={vhost},queues={queues}"]
        else:
            network = ["-chardev", chardev,
                       "-netdev", f"vhost-user,id=net,chardev=vhost,queues={queues}"]  # fmt: skip
        self._argv = list(prefix) + _machine(list(accelerator()), cpus) + [
            "-initrd", image, "-append", append, "-serial", f"file:{self.serial}",
            *(args or [*_memory(memory), *network, "-device", nic]),
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=command,path={self._command},server=on,wait=off",
            "-device", "virtserialport,chardev=command,name=command",
            "-chardev", f"socket,id=qmp,path={self._control},server=on,wait=off",
            "-mon", "chardev=qmp,mode=control", *more,
        ]  # fmt: skip
        self.shell: Optional[Shell] = None
        self._start(incoming)

    def _start(self, incoming: bool = False) -> None:
        for path in (self._command, self._control, self.serial):
            path.unlink(missing_ok=True)
        argv = self._argv + (["-incoming", "defer"] if incoming else [])
        self.process = Process(argv, self.folder / "qemu.txt")

    def wait_ready(self) -> "Guest":
        """Waits until /init has brought up the network and takes commands."""
        self.shell = Shell(self._command, self.process)
        ready = self.shell.wait_ready()
        if not ready and QEMU_ABORT in self.process.text():
            self.process.wait()
            self._start()
            self.shell = Shell(self._command, self.process)
            ready = self.shell.wait_ready()
        assert ready, self.process.text() + self.console()
        return self

    def console(self) -> str:
        return self.serial.read_text(errors="replace") if self.serial.exists() else ""

    def run(self, command: str, check: bool = True) -> str:
        """Runs a shell command in the guest and returns its output."""
        assert self.shell, "wait_ready() comes first"
        return self.shell.run(command, check)

    def succeeds(self, command: str) -> bool:
        marker = "v4-ok"
        return self.run(f"{command} >/dev/null 2>&1 && echo {marker}", check=False) == marker

    def spawn(self, command: str, log: str) -> int:
        """Starts a program in the guest that goes on running; its output goes to log."""
        return int(self.run(f"{command} >{shlex.quote(log)} 2>&1 & echo $!"))

    def pings(self, address: str, count: int = 3, size: int = 56) -> bool:
        return self.succeeds(f"ping -c {count} -W 2 -s {size} {address}")

    def wait_ping(self, address: str, timeout: float = 20) -> None:
        until(
            lambda: self.succeeds(f"ping -c 1 -W 1 {address}"),
            f"guest pings {address}",
            timeout,
            self.process.check_running,
        )

    def qmp(self, command: str, **arguments: object) -> Dict[str, Any]:
        if self._qmp is None:
            self._qmp = _connect(self._control, self.process)
            self._qmp_stream = self._qmp.makefile("rwb")
            self._qmp_stream.readline()
            self.qmp("qmp_capabilities")
        request = {"execute": command, "arguments": arguments}
        self._qmp_stream.write(json.dumps(request).encode() + b"\n")
        self._qmp_stream.flush()
        while True:
            answer = json.loads(self._qmp_stream.readline())
            if "return" in answer or "error" in answer:
                return answer

    def migrate(self, to: "Guest", timeout: float = 60) -> Dict[str, Any]:
        """To a guest that was started with incoming; returns QEMU's figures. A failure is an
        AssertionError, and this guest runs on."""
        uri = f"unix:{to.folder / 'migration'}"
        info: Dict[str, Any] = {}

        def ended() -> bool:
            info.update(self.qmp("query-migrate")["return"])
            return info["status"] in ("completed", "failed")

        for answer in (
            to.qmp("migrate-incoming", uri=uri),
            self.qmp("migrate-set-parameters", **{"max-bandwidth": 1 << 32}),
            self.qmp("migrate", uri=uri),
        ):
            assert "error" not in answer, answer
        until(ended, "the guest is migrated", timeout)
        assert info["status"] == "completed", f"{info}\n{to.process.text()}"
        to.shell = Shell(to._command, to.process)
        self.close()
        return info

    def wait_incoming(self) -> None:
        """A guest that has left is started anew, and waits to be migrated back."""
        self.close()
        self._start(incoming=True)

    def power_off(self) -> None:
        """The clean way: the guest's driver resets the device before QEMU ends."""
        assert self.shell
        self.shell.post("poweroff -f")
        self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()

    def close(self) -> None:
        if self.process.running():
            self.process.kill()
        if self.shell:
            self.shell.close()
        if self._qmp:
            self._qmp_stream.close()
            self._qmp.close()
        self.shell = self._qmp = None

    def __enter__(self) -> "Guest":
        return self.wait_ready()

    def __exit__(self, *exc: object) -> None:
        self.close()
