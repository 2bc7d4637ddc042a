# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the tests in the virtual machine: those of the peer tests, and the PF."""

import sys
from pathlib import Path
from typing import Iterator

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "peer")]

from lib.stage import (  # noqa: E402, F401
    Stage,
    check_programs,
    daemon,
    hugepages,
    pytest_runtest_makereport,
    stage,
)
from sriov import Pf  # noqa: E402
from tap import pytest_configure  # noqa: E402, F401


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    if not Path("/run/vm/start").exists():
        raise pytest.UsageError(
            "these tests make and unbind network functions: run them in the virtual machine, "
            "tests/vm/run --test FILE"
        )
    check_programs()


@pytest.fixture
def pf() -> Iterator[Pf]:
    """The machine's PF, up, without VFs; without them again at the end."""
    function = Pf()
    function.set_vfs(0)
    function.up()
    try:
        yield function
    finally:
        function.set_vfs(0)
