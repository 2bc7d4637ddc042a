# SPDX-License-Identifier: BSD-3-Clause
"""libvirt: its schema, libvirtd in a bed of systemd.py, and domains: real guests that it starts."""

from pathlib import Path
from typing import Any, Dict, Optional

from .env import tool
from .process import Arg, run
from .qemu import APPEND, GUEST, QEMU, Shell, initramfs
from .systemd import Systemd
from .wait import until

SERVICE = "v4-libvirtd.service"  # not the host's
# Debian's, of the package libvirt-daemon-system: QEMU is in group kvm.
USERS = ("g kvm -", "g libvirt-qemu -", "u libvirt-qemu -:kvm", "m libvirt-qemu libvirt-qemu")
# The host's own domains, networks and settings are not seen.
FOLDERS = ("/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt")
# Without polkit, AppArmor and virtlogd, which are not in the bed.
SETTINGS = {
    "libvirtd.conf": 'auth_unix_ro = "none"\nauth_unix_rw = "none"\n',
    "qemu.conf": 'security_driver = "none"\nstdio_handler = "file"\n',
}
# The emulator of the cache has no ROMs.
DOMAIN = """<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  {memory}
  <os><type arch='x86_64' machine='q35'>hvm</type>{boot}</os>
  <features><acpi/></features>
  <devices>{interface}{devices}</devices>
  <qemu:commandline>
    <qemu:arg value='-global'/><qemu:arg value='virtio-net-pci.romfile='/>
  </qemu:commandline>
</domain>
"""
BOOT = """
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{cmdline}</cmdline>
  """
DEVICES = """
    <emulator>{emulator}</emulator>
    <serial type='file'><source path='{serial}'/></serial>
    <channel type='unix'>
      <source mode='bind' path='{command}'/>
      <target type='virtio' name='command'/>
    </channel>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  """


def validate(path: Path, memory: str, interface: str, **_: object) -> None:
    """A domain of what `vio4wdctl libvirt-xml` prints is right by libvirt's schema, or it is an
    AssertionError. path: where it is written."""
    memory = memory or "<memory unit='MiB'>1024</memory>"
    path.write_text(
        DOMAIN.format(name="vm", memory=memory, interface=interface, boot="", devices="")
    )
    run([tool("virt-xml-validate"), path, "domain"])


class Libvirt:
    """libvirtd as a service of the bed, QEMU's user and settings as Debian has them."""

    def __init__(self, bed: Systemd) -> None:
        self.bed = bed

    def start(self) -> "Libvirt":
        self.bed.run("systemd-sysusers", *(x for u in USERS for x in ("--inline", u)))
        for folder in FOLDERS:
            self.bed.run("mkdir", "-p", folder)
            self.bed.run("mount", "-t", "tmpfs", "-o", "mode=755", "none", folder)
        for name, text in SETTINGS.items():
            self.bed.path(f"/etc/libvirt/{name}").write_text(text)
        properties = ("--property=Type=notify", "--property=KillMode=process")
        self.bed.run("systemd-run", f"--unit={SERVICE}", *properties, tool("libvirtd"))
        until(self._answers, "libvirtd answers", alive=self._check_running)
        return self

    def _answers(self) -> bool:
        return self.virsh("uri", check=False).startswith("qemu:///system")

    def _check_running(self) -> None:
        if self.bed.show(SERVICE, "ActiveState") in ("failed", "inactive"):
            raise AssertionError(f"libvirtd has ended:\n{self.bed.journal(SERVICE)}")

    def virsh(self, *args: Arg, check: bool = True) -> str:
        return self.bed.run(tool("virsh"), "--connect", "qemu:///system", *args, check=check).strip()

    def log(self, domain: str) -> str:
        """Of its QEMU."""
        path = self.bed.path(f"/var/log/libvirt/qemu/{domain}.log")
        return path.read_text(errors="replace") if path.exists() else ""


class Domain:
    """A guest with its elements of memory and network, as `vio4wdctl libvirt-xml` prints them."""

    def __init__(
        self, libvirt: Libvirt, name: str, elements: Dict[str, Any], address: str = "10.9.0.2/24"
    ) -> None:
        self.libvirt, self.name = libvirt, name
        self.shell: Optional[Shell] = None
        folder = libvirt.bed.dir / name
        folder.mkdir()
        folder.chmod(0o1777)
        self._command, self._serial = folder / "command", folder / "serial.txt"
        self._xml = folder / "domain.xml"
        boot = BOOT.format(
            kernel=GUEST / "vmlinux", initrd=initramfs(folder),
            cmdline=f"{APPEND} vio4wd.address={address}",
        )  # fmt: skip
        devices = DEVICES.format(emulator=QEMU, serial=self._serial, command=self._command)
        self._xml.write_text(DOMAIN.format(name=name, boot=boot, devices=devices, **elements))

    def start(self) -> "Domain":
        self.libvirt.virsh("define", "--validate", self._xml)
        self.libvirt.virsh("start", self.name)
        self.shell = Shell(self._command)
        assert self.shell.wait_ready(), self.text()
        return self

    def destroy(self, check: bool = True) -> None:
        """As when its plug is pulled; libvirt forgets it."""
        if self.shell:
            self.shell.close()
        self.shell = None
        self.libvirt.virsh("destroy", self.name, check=check)
        self.libvirt.virsh("undefine", self.name, check=check)

    def run(self, command: str, check: bool = True) -> str:
        assert self.shell, "start() comes first"
        return self.shell.run(command, check)

    def wait_ping(self, address: str) -> None:
        ping = f"ping -c 1 -W 1 {address} >/dev/null && echo answered"
        until(lambda: self.run(ping, check=False) == "answered", f"{self.name} pings {address}")

    def pid(self) -> int:
        """Of its QEMU, in the bed."""
        return int(self.libvirt.bed.path(f"/run/libvirt/qemu/{self.name}.pid").read_text())

    def text(self) -> str:
        console = self._serial.read_text(errors="replace") if self._serial.exists() else ""
        return self.libvirt.log(self.name) + console
