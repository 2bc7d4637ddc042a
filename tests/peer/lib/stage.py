# SPDX-License-Identifier: BSD-3-Clause
"""The fixtures of all tests of whole programs: what a conftest.py imports by name is a fixture there."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest

from . import leaks
from .daemon import Daemon
from .env import CTL, MANAGER, NUMBERED, RELAY
from .hugepages import Hugepages
from .netns import Netns, Switch
from .numbered import NOTHING, Receiver, Sender
from .qemu import Guest
from .testpmd import Testpmd
from .wait import until


def check_programs() -> None:
    for program in (MANAGER, RELAY, CTL, NUMBERED):
        if not program.exists():
            raise pytest.UsageError(f"{program} is missing: run make build")


@pytest.fixture(scope="session")
def hugepages() -> Iterator[Path]:
    """A hugetlbfs mount; the pool has its former size again at the end."""
    folder = Path(tempfile.mkdtemp(prefix="v4huge-"))
    try:
        with Hugepages(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


Figure = Callable[[str], None]


@pytest.fixture
def figure(capsys: pytest.CaptureFixture) -> Figure:
    """Says what was measured, as a comment of the TAP."""

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"# {text}", flush=True)

    return say


class Stage:
    """Makes the actors of one test and ends them in the opposite order."""

    def __init__(self, folder: Path) -> None:
        self.dir = folder
        self._actors: list = []
        self._count = 0

    def _name(self, text: str) -> Path:
        self._count += 1
        return self.dir / f"{self._count}-{text}"

    def add(self, actor: Any) -> Any:
        self._actors.append(actor)
        return actor

    def writable_dir(self) -> Path:
        """A folder that a relay, which has no rights, may write to."""
        self.dir.chmod(0o755)
        folder = self._name("open")
        folder.mkdir()
        folder.chmod(0o1777)
        return folder

    def daemon(self, start: bool = True, **config: Any) -> Daemon:
        daemon = Daemon(**config)
        self.add(daemon)
        return daemon.start() if start else daemon

    def netns(self, **options: object) -> Netns:
        net = Netns(**options)  # type: ignore[arg-type]
        self.add(net)
        return net

    def switch(self, **options: object) -> Switch:
        return self.add(Switch(**options))  # type: ignore[arg-type]

    def guest(self, vhost: Path, ready: bool = True, **options: object) -> Guest:
        guest = Guest(self._name("guest"), vhost, **options)  # type: ignore[arg-type]
        self.add(guest)
        return guest.wait_ready() if ready else guest

    def testpmd(self, sockets: object, ready: bool = True, **options: object) -> Testpmd:
        pmd = Testpmd(self._name("testpmd.txt"), sockets, **options)  # type: ignore[arg-type]
        self.add(pmd)
        return pmd.wait_ready() if ready else pmd

    def sender(self, iface: str, net: object = None, **options: object) -> Sender:
        prefix = net.prefix() if isinstance(net, Netns) else ()
        sender = Sender(iface, self._name("sender.txt"), prefix, **options)
        self.add(sender)
        return sender

    def receiver(self, iface: str, net: object = None) -> Receiver:
        prefix = net.prefix() if isinstance(net, Netns) else ()
        receiver = Receiver(iface, self._name("receiver.txt"), prefix)
        self.add(receiver)
        return receiver

    def until_received(self, receiver: Receiver, stream: int, count: int) -> None:
        """Waits until all numbers of a stream have come, each once and in order."""
        last = {}

        def complete() -> bool:
            last.update(receiver.stream(stream))
            return last["received"] >= count

        until(complete, f"{count} packets of stream {stream}: {last}", 20, interval=0.2)
        self._flawless(last, count)

    def until_received_in(
        self, guest: Guest, pid: int, log: str, stream: int, count: int
    ) -> None:
        """The same for a receiver in the guest with this pid and log."""
        last = {}

        def complete() -> bool:
            last.update(self.stream_in(guest, pid, log, stream))
            return last["received"] >= count

        until(complete, f"{count} packets of stream {stream} in the guest: {last}", 20)
        guest.run(f"kill {pid}")
        self._flawless(last, count)

    @staticmethod
    def stream_in(guest: Guest, pid: int, log: str, stream: int) -> Dict[str, Any]:
        """What a receiver in the guest has seen of a stream."""
        guest.run(f"kill -USR1 {pid}; sleep 0.2")
        reports = [x for x in guest.run(f"cat {log}").splitlines() if x.startswith("{")]
        return json.loads(reports[-1])["streams"].get(str(stream), NOTHING) if reports else NOTHING

    @staticmethod
    def _flawless(seen: Dict[str, Any], count: int) -> None:
        flaws = {k: seen[k] for k in ("missing", "duplicate", "late", "damaged") if seen[k]}
        assert not flaws and seen["received"] == count, seen

    def close(self, failed: bool) -> None:
        errors = []
        for actor in reversed(self._actors):
            if failed and isinstance(actor, Daemon):
                print(f"--- log of vio4wd\n{actor.log_text()[-20000:]}")
            try:
                actor.close()
            except AssertionError as e:
                errors.append(str(e))
        if failed:
            for path in sorted(self.dir.rglob("*.txt")):
                print(f"--- {path.relative_to(self.dir)}\n{path.read_text(errors='replace')[-4000:]}")
        if errors:
            raise AssertionError("\n".join(errors))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: object) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call":
        item.failed_call = report.failed  # type: ignore[attr-defined]


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="v4s-", dir="/tmp"))
    namespaces = leaks.namespaces()
    stage = Stage(folder)
    try:
        yield stage
    finally:
        try:
            stage.close(getattr(request.node, "failed_call", True))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    left = {n for n in leaks.namespaces() - namespaces if n.startswith(f"v4t-{os.getpid() % 100000}-")}
    assert not left, f"namespaces left: {left}"


@pytest.fixture
def daemon(stage: Stage) -> Callable[..., Daemon]:
    return stage.daemon
