# SPDX-License-Identifier: BSD-3-Clause
"""The Debian packages under a real systemd: from the first installation, in place of
virtio-forwarder 1.1, to an upgrade, removal and purge, after which nothing is left."""

import re
import shutil
from pathlib import Path
from typing import Iterator, Set

import pytest

from lib.env import TOP, tool
from lib.process import run
from lib.systemd import CONFIG, SERVICE, Systemd, leftovers
from lib.testpmd import Testpmd
from lib.wait import until

OUT = TOP / "build-deb"
VERSION = (TOP / "VERSION").read_text().strip()
OLDER = "0.0.1"
NAMES = ("vio4wd", "vio4wd-tools", "vio4wd-doc")
# Of dpkg, the journal, and the files of users, which stay by Debian's rules.
EXPECTED = (
    "/var/lib/dpkg/", "/var/log/", "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-",
)  # fmt: skip


@pytest.fixture(scope="module")
def packages() -> Path:
    """Of the tree as it is."""
    run([TOP / "tools/deb"], timeout=1200)
    return OUT


@pytest.fixture
def bed() -> Iterator[Systemd]:
    with Systemd(installed=False) as booted:
        # That of container images forbids packages to start services.
        booted.path("/usr/sbin/policy-rc.d").unlink(missing_ok=True)
        yield booted
        print(booted.run("journalctl", "--no-pager", "-o", "short-monotonic", check=False))


def deb(folder: Path, name: str, version: str = VERSION) -> Path:
    (found,) = folder.glob(f"{name}_{version}_*.deb")
    return found


def older(folder: Path, packages: Path) -> None:
    """Packages of a version before: the configuration they ship is another one."""
    for name in NAMES:
        tree = folder / name
        run(["dpkg-deb", "--raw-extract", deb(packages, name), tree])
        control = tree / "DEBIAN/control"
        control.write_text(control.read_text().replace(VERSION, OLDER))
        if name == "vio4wd":
            with (tree / str(CONFIG)[1:]).open("a") as file:
                file.write("# Another comment.\n")
        run(["dpkg-deb", "--root-owner-group", "--build", tree, folder])
        shutil.rmtree(tree)


def version_1_1(folder: Path) -> Path:
    """A package of that name: its service and its configuration."""
    tree = folder / "1.1"
    for file, text in (
        ("DEBIAN/control", "Package: virtio-forwarder\nVersion: 1.1.99\nArchitecture: all\n"
         "Maintainer: nobody <nobody@localhost>\nDescription: virtio-forwarder 1.1\n"),
        ("DEBIAN/conffiles", f"{CONFIG}\n"),
        (str(CONFIG)[1:], "VIRTIOFWD_TSO=y\n"),
    ):  # fmt: skip
        path = tree / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    run(["dpkg-deb", "--root-owner-group", "--build", tree, folder / "virtio-forwarder.deb"])
    shutil.rmtree(tree)
    return folder / "virtio-forwarder.deb"


def dpkg(bed: Systemd, *args: object) -> str:
    """As somebody who takes the answer that is proposed to each question. No manual is indexed."""
    return bed.run(
        "env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--no-triggers", "--force-confdef",
        "--force-confold", *args, timeout=180,
    )  # fmt: skip


def files(bed: Systemd) -> Set[str]:
    paths = bed.run("find", "/etc", "/usr", "/var", "-path", "/var/cache", "-prune", "-o", "-print")
    return {path for path in paths.splitlines() if not path.startswith(EXPECTED)}


def test_lintian(packages: Path) -> None:
    """No errors and no warnings."""
    text = run(
        [tool("lintian"), "--allow-root", "--tag-display-limit", "0", *packages.glob("*.deb")],
        check=False, timeout=300,
    )  # fmt: skip
    assert [line for line in text.splitlines() if re.match("[EW]: ", line)] == []


def test_life_of_the_packages(bed: Systemd, packages: Path, tmp_path: Path) -> None:
    before = files(bed)
    own = bed.dir / "debs"
    own.mkdir()
    older(own, packages)
    for name in NAMES:
        shutil.copy(deb(packages, name), own)

    # In place of 1.1, whose configuration stays.
    dpkg(bed, "--install", version_1_1(own))
    bed.write_config(VIRTIOFWD_STATIC_VFS=["vdev:net_null1,no-rx=1=1"])
    config = bed.path(CONFIG).read_text()
    dpkg(bed, "--auto-deconfigure", "--install", *(deb(own, name, OLDER) for name in NAMES))
    old = bed.run("dpkg-query", "--show", "--showformat", "${Status}", "virtio-forwarder")
    assert not old.endswith(" installed")
    assert bed.path(CONFIG).read_text() == config
    assert bed.show(SERVICE, "UnitFileState") == "enabled"
    assert bed.show(SERVICE, "ActiveState") == "active"
    bed.wait_state(1, "listening")

    # Packets flow on while another version comes.
    wire = bed.veth("v4p")
    with Testpmd(tmp_path / "pmd.txt", bed.socket(2), mode="txonly") as pmd:
        bed.ctl("add", "--id", 2, "--device", "netdev:v4p")
        pmd.start()
        bed.wait_state(2, "active")
        bed.wait_received(wire)
        manager, relay = bed.main_pid(SERVICE), bed.relay_pid()
        dpkg(bed, "--install", *(deb(own, name) for name in NAMES))
        until(lambda: bed.main_pid(SERVICE) not in (0, manager), "the manager is a new one")
        until(lambda: bed.show(SERVICE, "ActiveState") == "active", "it is ready")
        bed.wait_state(2, "active")
        assert bed.relay_pid() == relay, "the relay is the same"
        bed.wait_received(wire)
    assert bed.path(CONFIG).read_text() == config

    bed.systemctl("restart", SERVICE)
    bed.wait_state(1, "listening")

    dpkg(bed, "--remove", *NAMES)
    assert not bed.processes()
    assert bed.path(CONFIG).read_text() == config, "an administrator's"
    dpkg(bed, "--purge", *NAMES)
    assert leftovers(bed) == []
    assert not bed.path("/run/virtio-forwarder").exists()
    assert "not-found" in bed.show(SERVICE, "LoadState")
    assert files(bed) - before == set()
