# SPDX-License-Identifier: BSD-3-Clause
"""libvirt starts domains with what `vio4wdctl libvirt-xml` prints, under QEMU's own user."""

import re
from typing import Iterator

import pytest

from lib.env import tool
from lib.libvirt import Domain, Libvirt
from lib.once import once
from lib.systemd import SERVICE, Systemd

GUEST, PEER = "10.9.0.2", "10.9.0.1"
VETH = "v4libvirt"


@pytest.fixture(scope="module")
def libvirt() -> Iterator[Libvirt]:
    with Systemd() as bed:
        yield Libvirt(bed).start()


@pytest.fixture
def bed(libvirt: Libvirt, request: pytest.FixtureRequest) -> Iterator[Systemd]:
    """With the manager's device, at whose other end is the guest's peer."""
    bed = libvirt.bed
    bed.clear_journal()
    wire = bed.veth(VETH)
    bed.run(tool("ip"), "address", "add", f"{PEER}/24", "dev", wire)
    yield bed
    if getattr(request.node, "failed_call", True):
        print(bed.run("journalctl", "--no-pager", "-o", "short-monotonic", check=False))
    bed.systemctl("stop", SERVICE)
    bed.run(tool("ip"), "link", "del", VETH)
    assert not re.findall(r".*(?:Sanitizer|runtime error:).*", bed.journal(SERVICE))


@pytest.fixture
def domain(libvirt: Libvirt, bed: Systemd, mode: str, request) -> Iterator[Domain]:
    """Defined as the manager says in a mode, which is that of the relay."""
    bed.write_config(
        VIRTIOFWD_STATIC_VFS=[f"netdev:{VETH}=1"], VIRTIOFWD_VHOST_CLIENT=mode == "client"
    )
    bed.systemctl("start", SERVICE)
    elements = bed.ctl_json("libvirt-xml", 1, "--memory", "192M")
    domain = Domain(libvirt, f"vm-{mode}", elements, f"{GUEST}/24")
    yield domain
    if getattr(request.node, "failed_call", True):
        print(domain.text())
        domain.destroy(check=False)


def owner(bed: Systemd, path: object) -> str:
    return bed.run("stat", "-c", "%U:%G", path).strip()


@pytest.mark.parametrize("mode", ["server", once("client")])
def test_domain_of_what_is_printed(bed: Systemd, domain: Domain) -> None:
    bed.wait_state(1, "listening")
    domain.start()
    bed.wait_state(1, "active")
    # QEMU and the relay are different users without rights, and get at the same socket.
    qemu = domain.pid()
    assert owner(bed, f"/proc/{qemu}") == "libvirt-qemu:libvirt-qemu"
    assert owner(bed, f"/proc/{bed.relay_pid()}") == "vio4wd:vio4wd-relay"
    assert owner(bed, bed.socket(1)) == "libvirt-qemu:kvm"
    assert domain.run("cat /sys/class/net/eth0/carrier") == "1"
    domain.wait_ping(PEER)
    # Another relay process, the same VM.
    relay = bed.relay_pid()
    bed.systemctl("restart", SERVICE)
    bed.wait_state(1, "active")
    domain.wait_ping(PEER)
    assert domain.pid() == qemu and bed.relay_pid() != relay
    domain.destroy()
    bed.wait_state(1, "listening")
