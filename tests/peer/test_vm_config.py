# SPDX-License-Identifier: BSD-3-Clause
"""What vio4wdctl prints for a VM is what QEMU and libvirt take."""

import re
from pathlib import Path
from typing import Iterator

import pytest

from lib.daemon import Daemon
from lib.libvirt import validate

pytestmark = pytest.mark.once  # it is about what is printed
PEER = "10.9.0.1"
MAC = "52:54:00:09:00:02"
POOL_1G = Path("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages")
# PCI device IDs of a virtio NIC (virtio 1.2, 4.1.2 and 4.1.2.3).
MODERN, TRANSITIONAL = "0x1041", "0x1000"


def daemon_for(stage, mode: str, **config) -> Daemon:
    return stage.daemon(VIRTIOFWD_VHOST_CLIENT=mode == "client", **config)


@pytest.fixture
def hugepage_1g() -> Iterator[None]:
    before = int(POOL_1G.read_text()) if POOL_1G.exists() else 0
    try:
        if POOL_1G.exists():
            POOL_1G.write_text(str(before + 1))
        if not POOL_1G.exists() or int(POOL_1G.read_text()) <= before:
            pytest.skip("this host has no free hugepage of 1 GiB")
        yield
    finally:
        if POOL_1G.exists():
            POOL_1G.write_text(str(before))


def start_as_printed(stage, mode: str, queues: int, memory: str, *options: object):
    """A guest of exactly the arguments that are printed has a network."""
    net = stage.netns()
    daemon = daemon_for(stage, mode, VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"])
    args = daemon.ctl("--json", "qemu-args", 1, "--memory", memory, "--mac", MAC,
                      "--queues", queues, "--qemu", "10.0", *options).json["args"]  # fmt: skip
    guest = stage.guest(daemon.socket(1), args=args, cpus=queues)
    guest.wait_ping(PEER)
    assert guest.run("cat /sys/class/net/eth0/address") == MAC
    assert len(guest.run("ls -d /sys/class/net/eth0/queues/rx-*").split()) == queues
    return guest


def page_kib(guest) -> int:
    """Of the VM's memory."""
    mapped = Path(f"/proc/{guest.process.pid}/smaps").read_text()
    (size,) = re.findall(r"/memfd:memory-backend-memfd.*?KernelPageSize: +(\d+) kB", mapped, re.S)
    return int(size)


def pci_device(guest) -> str:
    return guest.run("cat /sys/class/net/eth0/device/../device")


def test_qemu_with_hugepages_and_virtio_1_only(stage, hugepages):
    guest = start_as_printed(stage, "server", 2, "192M", "--hugepages", "--disable-legacy")
    assert page_kib(guest) == 2 << 10 and pci_device(guest) == MODERN


@pytest.mark.once
def test_qemu_in_client_mode_on_ordinary_memory(stage):
    guest = start_as_printed(stage, "client", 1, "192M")
    assert page_kib(guest) == 4 and pci_device(guest) == TRANSITIONAL


@pytest.mark.once
def test_qemu_with_a_hugepage_of_1g(stage, hugepage_1g):
    guest = start_as_printed(stage, "server", 1, "1G", "--hugepages=1G")
    assert page_kib(guest) == 1 << 20


@pytest.mark.parametrize("mode", ["server", "client"])
def test_libvirt_accepts_the_domain(stage, mode):
    """By the schema of libvirt, in all variants."""
    daemon = daemon_for(stage, mode, VIRTIOFWD_JUMBO=mode == "server")
    variants = [
        (), ("--queues", 4, "--vcpus", 4), ("--mac", MAC), ("--hugepages",),
        ("--hugepages=1G", "--memory", "2G"), ("--disable-legacy",),
    ]  # fmt: skip
    for variant in variants:
        parts = daemon.ctl("--json", "libvirt-xml", 1, *variant).json
        validate(stage.dir / "domain.xml", **parts)
    parts["interface"] = "<interface type='vhostuser'/>"
    with pytest.raises(AssertionError, match="fails to validate"):
        validate(stage.dir / "domain.xml", **parts)
