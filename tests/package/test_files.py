# SPDX-License-Identifier: BSD-3-Clause
"""What `make install` installs is in the packages, of Debian and of RPM, and nowhere twice; what
they say of the project is true."""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Dict, List, Set

import pytest

from lib.env import BUILD, TOP, tool
from lib.process import run

DEBIAN = TOP / "packaging/debian"
SPEC = TOP / "packaging/rpm/vio4wd.spec"
VERSION = (TOP / "VERSION").read_text().strip()
# Of systemd-rpm-macros.
MACROS = {
    "_unitdir": "/usr/lib/systemd/system",
    "_sysusersdir": "/usr/lib/sysusers.d",
    "_udevrulesdir": "/usr/lib/udev/rules.d",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Set[str]:
    """As below /usr, whatever the prefix of the build is; /lib is in it."""
    folder = tmp_path_factory.mktemp("dest")
    run(["env", f"DESTDIR={folder}", "meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"])
    files = [p for p in folder.rglob("*") if p.is_symlink() or p.is_file()]
    paths = {f"/{p.relative_to(folder)}" for p in files}
    assert len(paths) > 10
    return {re.sub("^/lib/", "/usr/lib/", p.replace("/usr/local/", "/usr/")) for p in paths}


def taken(path: str, patterns: List[str]) -> bool:
    """A pattern may name a folder above it."""
    above = [path, *map(str, Path(path).parents)]
    return any(fnmatchcase(p, pattern) for p in above for pattern in patterns)


def packages_of(path: str, packages: Dict[str, List[str]]) -> List[str]:
    return [name for name, patterns in packages.items() if taken(path, patterns)]


def test_debian_packages_have_everything(installed: Set[str]) -> None:
    packages = {
        file.stem: ["/" + line.replace("{,usr/}", "usr/") for line in file.read_text().split()]
        for file in DEBIAN.glob("*.install")
    }
    assert set(packages) == {"vio4wd", "vio4wd-tools", "vio4wd-doc"}
    where = {path: packages_of(path, packages) for path in installed}
    assert {path: names for path, names in where.items() if len(names) != 1} == {}


def test_rpm_packages_have_everything(installed: Set[str]) -> None:
    defines = [x for name, value in MACROS.items() for x in ("--define", f"{name} {value}")]
    text = run([tool("rpmspec"), "--parse", *defines, SPEC])
    packages: Dict[str, List[str]] = {}
    for name, files in re.findall(r"^%files *(\w*)\n((?:.+\n?)*)", text, re.M):
        lines = [line.split()[-1] for line in files.splitlines()]
        packages[name or "vio4wd"] = [line for line in lines if line.startswith("/")]
    assert set(packages) == {"vio4wd", "tools", "doc"}
    wanted = {path for path in installed if not path.startswith("/etc/apparmor.d/")}
    where = {path: packages_of(path, packages) for path in wanted}
    assert {path: names for path, names in where.items() if len(names) != 1} == {}
    # An entry for nothing is an error of rpmbuild.
    entries = [pattern for patterns in packages.values() for pattern in patterns]
    assert [e for e in entries if not any(taken(path, [e]) for path in wanted)] == []


def test_versions_agree() -> None:
    assert (DEBIAN / "changelog").read_text().startswith(f"vio4wd ({VERSION}) ")
    assert re.search(r"^Version: *(.*)$", SPEC.read_text(), re.M).group(1) == VERSION


def test_debian_package_needs_what_the_build_needs() -> None:
    """tools/packages is what `make setup` installs; the compiler and make are in each build."""
    lines = (TOP / "tools/packages").read_text().splitlines()
    listed = lines[lines.index("# build") + 1 : lines.index("# tests and demonstration")]
    control = (DEBIAN / "control").read_text()
    needs = re.search(r"^Build-Depends:\n((?: .*\n)*)", control, re.M).group(1)
    names = {re.match(r"[\w.+-]+", line.strip()).group() for line in needs.splitlines()}
    builtin = {"gcc", "libc6-dev", "make"}
    assert names - {"debhelper-compat", "dh-apparmor"} == {x for x in listed if x} - builtin


def understood(profile: Path) -> None:
    run([tool("apparmor_parser"), "--skip-kernel-load", "--skip-cache", profile])


@pytest.mark.parametrize("profile", ["vio4wd", "vio4wd-relay"])
def test_apparmor_understands_the_profile(profile: str) -> None:
    understood(BUILD / "conf/apparmor" / profile)


def test_apparmor_understands_the_rules_for_qemu(tmp_path: Path) -> None:
    """In a profile, as libvirt includes them."""
    file = tmp_path / "profile"
    rules = TOP / "conf/apparmor/libvirt-qemu"
    file.write_text(f"include <tunables/global>\nprofile qemu {{\n  include \"{rules}\"\n}}\n")
    understood(file)
