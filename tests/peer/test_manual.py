# SPDX-License-Identifier: BSD-3-Clause
"""The manual: its commands run as they are printed, and its configurations are right.

A block of commands that needs more than a host with vio4wd says so in its first line, and is only
looked over by the shell."""

import re
from pathlib import Path
from typing import Iterator, List, NamedTuple

import pytest

from lib.env import TOP
from lib.process import run
from lib.systemd import SERVICE, Systemd
from lib.wait import until

pytestmark = pytest.mark.once  # it is about what is written
DOCS = TOP / "docs"
PAGES = sorted([*(DOCS / "manual").glob("*.md"), *DOCS.glob("*.md"), TOP / "README.md"])
NEEDS = "# needs: "
SCRIPTS = "/usr/libexec/virtio-forwarder"
SHELL = ("bash", "-euo", "pipefail", "-c")
MESSAGE = re.compile(r": (error|warning): ")
LACKS = re.compile(r"the host lacks CPU|this host does not have")  # of the machine of the test
ANCHOR = re.compile(r"[^\w\- ]")


class Block(NamedTuple):
    line: int
    kind: str  # what stands behind the fence
    text: str


def blocks(page: Path) -> List[Block]:
    found, start, kind, lines = [], 0, "", []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if not line.startswith("```"):
            lines.append(line)
        elif start:
            found.append(Block(start, kind, "\n".join(lines) + "\n"))
            start = 0
        else:
            start, kind, lines = number, line[3:], []
    assert not start, f"{page}:{start}: a block that does not end"
    return found


def anchors(page: Path) -> set:
    """Of the headings, as forges make them."""
    headings = re.findall(r"^#+ +(.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.S), re.M)
    return {ANCHOR.sub("", h.lower()).replace(" ", "-") for h in headings}


@pytest.fixture(scope="module")
def host() -> Iterator[Systemd]:
    """As the manual's first page has it: vio4wd runs, relay 1 is paired with eth1."""
    with Systemd() as bed:
        bed.veth("eth1")
        if not bed.path(SCRIPTS).exists():  # with another prefix than /usr
            bed.run("ln", "-s", f"/usr/local{SCRIPTS[4:]}", SCRIPTS)
        bed.write_config(VIRTIOFWD_STATIC_VFS=["netdev:eth1=1"])
        bed.systemctl("start", SERVICE)
        yield bed
        bed.systemctl("stop", SERVICE)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_commands(host: Systemd, page: Path) -> None:
    host.wait_state(1, "listening")
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.kind == "sh" and block.text.startswith(NEEDS):
            assert len(block.text.splitlines()[0]) > len(NEEDS), f"{where}: what does it need?"
            run(["bash", "-n", "-c", block.text])
        elif block.kind == "sh":
            print(where, host.run(*SHELL, block.text), sep="\n")
        elif block.kind == "conf":
            file = host.dir / "conf"
            file.write_text(block.text)
            checked = host.ctl("config", "check", file, check=False).splitlines()
            wrong = [x for x in checked if MESSAGE.search(x) and not LACKS.search(x)]
            assert checked and not wrong, f"{where}: {wrong}"
        else:
            assert block.kind == "", f"{where}: neither sh nor conf"
    until(lambda: host.show(SERVICE, "ActiveState") == "active", "vio4wd still runs")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page}: there is no {target}"
        assert not anchor or anchor in anchors(file), f"{page}: there is no {target}"


def test_figures() -> None:
    """Chart and tables of the page about performance are those of the figures in the tree."""
    run([TOP / "bench/chart", "--check"])
