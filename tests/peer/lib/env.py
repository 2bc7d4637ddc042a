# SPDX-License-Identifier: BSD-3-Clause
"""Where things are: the tree, the build under test, the cache, programs of other packages."""

import json
import os
import re
import shutil
from functools import lru_cache
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("VIO4WD_BUILD", TOP / "build")).absolute()
CACHE = Path(os.environ.get("VIO4WD_CACHE", "/var/cache/vio4wd"))

MANAGER = BUILD / "src/manager/vio4wd"
RELAY = BUILD / "src/sw-relay/vio4wd-relay"
CTL = BUILD / "src/ctl/vio4wdctl"
COMPAT11 = BUILD / "src/compat11/vio4wd-compat11"
SCHEDULER = BUILD / "src/scheduler/vio4wd_core_scheduler"
NUMBERED = BUILD / "tests/peer/numbered"

PACKAGE_OF = {
    "apparmor_parser": "apparmor",
    "rpmspec": "rpm",
    "dpdk-testpmd": "dpdk-dev",
    "ovs-vsctl": "openvswitch-switch",
    "ovsdb-server": "openvswitch-switch",
    "ovsdb-tool": "openvswitch-switch",
    "ethtool": "ethtool",
    "ip": "iproute2",
    "iperf3": "iperf3",
    "ping": "iputils-ping",
    "protoc": "protobuf-compiler",
    "tcpdump": "tcpdump",
    "cpio": "cpio",
    "libvirtd": "libvirt-daemon",
    "virsh": "libvirt-clients",
    "virt-xml-validate": "libvirt-clients",
}


def tool(name: str) -> str:
    """The path of another package's program."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise RuntimeError(f"{name} is missing: install the package {PACKAGE_OF.get(name, name)}")
    return path


@lru_cache(maxsize=None)
def sanitized() -> bool:
    """Whether the build under test has AddressSanitizer, and is slow."""
    try:
        options = json.loads((BUILD / "meson-info/intro-buildoptions.json").read_text())
    except OSError:
        return False
    return any(o["name"] == "b_sanitize" and o["value"] != "none" for o in options)


def emulated() -> bool:
    """Whether this is the guest of tests/vm, whose processors are programs of the host."""
    return "VM_TOP" in os.environ


def patience(seconds: float) -> float:
    """A deadline in seconds for this build. Deadlines end what hangs; they measure nothing."""
    return seconds * (3 if sanitized() or emulated() else 1)


@lru_cache(maxsize=None)
def cpus() -> list:
    return sorted(os.sched_getaffinity(0))


def dpdk_version() -> tuple:
    """For what differs between versions of the vhost library."""
    for lib in Path("/usr/lib").glob("*/librte_vhost.so.*.*"):
        match = re.search(r"\.so\.(\d+)\.(\d+)", lib.name)
        if match:
            return int(match.group(1)), int(match.group(2))
    return 0, 0
