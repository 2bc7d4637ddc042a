# SPDX-License-Identifier: BSD-3-Clause
"""vf_monitor hears the kernel and udevd. The kernel is asked for events of devices that the host
has; those of real VFs are heard in tests/vm."""

from pathlib import Path
from typing import Callable, Iterator

import pytest
from lib.env import TOP
from lib.udevd import RULES, UdevHost, change, functions
from lib.wait import until

OURS = (TOP / "rules" / RULES).read_text()
LOST = 16 * 1024 * 1024 * 2  # the receive buffer; the kernel doubles what is asked for
MakeHost = Callable[..., UdevHost]


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[MakeHost]:
    hosts = []

    def make(**options: object) -> UdevHost:
        hosts.append(UdevHost(tmp_path, **options))  # type: ignore[arg-type]
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


@pytest.fixture
def nic() -> str:
    """A PCI network function of the host."""
    found = functions(network=True)
    if not found:
        pytest.skip("this host has no PCI network function")
    return found[0]


def test_kernel_alone(make_host: MakeHost, nic: str) -> None:
    """Without udevd; functions that are no network devices are left out."""
    monitor = make_host(udevd=False).monitor()
    try:
        for other in functions(network=False):
            change(other)
        change(nic)
        monitor.wait_events([f"changed {nic}"])
        assert "no udevd runs" in monitor.process.text()
    finally:
        monitor.close()


def test_interface_of_a_function(make_host: MakeHost, nic: str) -> None:
    """Of an interface the function is told that it belongs to, also when virtio is in between; of
    interfaces without one nothing is."""
    folder = Path("/sys/bus/pci/devices", nic)
    interfaces = [*folder.glob("net/*"), *folder.glob("virtio*/net/*")]
    if not interfaces:
        pytest.skip(f"{nic} has no interface in this network namespace")
    monitor = make_host(udevd=False, network=False).monitor()
    try:
        change(Path("/sys/class/net/lo"))
        change(interfaces[0])
        monitor.wait_events([f"changed {nic}"])
    finally:
        monitor.close()


def trigger_ours(host: UdevHost) -> None:
    """As after an installation: VFs and PFs that this host may have get their tags."""
    for link in ("physfn", "sriov_totalvfs"):
        for folder in Path("/sys/bus/pci/devices").glob(f"*/{link}"):
            change(folder.parent)
    host.run("udevadm", "settle", "--timeout=20")


def test_tag(make_host: MakeHost, nic: str) -> None:
    host = make_host(rules=OURS + 'SUBSYSTEM=="pci", ENV{SYNTH_ARG_TAG}=="1", TAG+="vio4wd"\n')
    trigger_ours(host)
    monitor = host.monitor()
    try:
        change(nic)
        change(nic, TAG="1")
        change(nic)  # who was tagged once is told of
        monitor.wait_events([f"changed {nic}"] * 2)
        assert "all events" not in monitor.process.text()
    finally:
        monitor.close()


@pytest.mark.parametrize("rules", [None, ""], ids=["missing", "masked"])
def test_rules_not_installed(make_host: MakeHost, nic: str, rules: str) -> None:
    monitor = make_host(rules=rules).monitor()
    try:
        for other in functions(network=False):
            change(other)
        change(nic)
        monitor.wait_events([f"changed {nic}"])
        assert "install the rules" in monitor.process.text()
    finally:
        monitor.close()


def test_stale_control_socket(make_host: MakeHost, nic: str) -> None:
    """A udevd that was killed leaves its socket; nobody listens there."""
    host = make_host(udevd=False)
    host.run(
        "/usr/bin/python3", "-c",
        "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
        "s.bind('/run/udev/control')",
    )  # fmt: skip
    monitor = host.monitor()
    try:
        change(nic)
        monitor.wait_events([f"changed {nic}"])
    finally:
        monitor.close()


# A message of udevd's about another device, sent on to its group a thousand times with bytes of its
# properties changed, cut off, and with lengths and offsets that lead elsewhere. Only root can send
# such.
GARBAGE = r"""
import random, socket, struct, sys
nic, other = sys.argv[1].encode(), b"0000:00:1e.7"
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)
s.bind((0, 2))
with open("/sys/bus/pci/devices/" + sys.argv[1] + "/uevent", "w") as f:
    f.write("change")
message = b""
while nic not in message:
    message = s.recv(65536)
s.close()
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)
message = message.replace(nic, other)
assert message[:8] == b"libudev\0"
random.seed(1)
bad = [b"\0", b"libudev\0", message[:39], message[:40], message[:-1], message + b"\0" * 9000]
for i in range(1000):
    changed = bytearray(message)
    for j in range(random.randint(1, 4)):
        changed[random.randrange(40, len(changed))] = random.randrange(256)
    if i % 3 == 0:
        struct.pack_into("=II", changed, 16, random.choice((0, 39, 41, len(message), 2**31)),
                         random.choice((0, 1, len(message), 2**31)))
    bad.append(bytes(changed[:random.randint(1, len(changed))] if i % 4 == 0 else changed))
for data in [message, *bad]:
    s.sendto(data, (0, 2))
"""


def test_malformed_messages(make_host: MakeHost, nic: str) -> None:
    host = make_host()
    monitor = host.monitor()
    try:
        host.run("/usr/bin/python3", "-c", GARBAGE, nic)
        before = [f"changed {nic}", "changed 0000:00:1e.7"]
        until(lambda: monitor.events()[:2] == before, "the events before the garbage")
        change(nic)
        until(lambda: monitor.events()[-1] == f"changed {nic}", "the event after the garbage",
              alive=monitor.process.check_running)  # fmt: skip
        assert monitor.events().count(f"changed {nic}") == 2
    finally:
        monitor.close()


def test_lost(make_host: MakeHost, nic: str) -> None:
    """What does not fit into the receive buffer is told as such, once the monitor runs again."""
    host = make_host(udevd=False)
    monitor = host.monitor()
    try:
        monitor.pause()
        # Of an interface that only the namespace has: nobody else is disturbed.
        host.run(
            "sh", "-c",
            f"i=0; while [ $i -lt {LOST // 512} ]; do echo change; i=$((i + 1)); done"
            " >/run/changes;"
            "while read -r line; do echo $line >/sys/class/net/lo/uevent; done </run/changes",
        )  # fmt: skip
        monitor.resume()
        monitor.wait_events(["lost"])
        change(nic)
        monitor.wait_events(["lost", f"changed {nic}"])
    finally:
        monitor.close()
