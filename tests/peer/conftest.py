# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the peer tests: real programs, everything of its own, nothing left behind."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lib.once import leave_out  # noqa: E402
from lib.stage import (  # noqa: E402, F401
    Stage,
    check_programs,
    daemon,
    figure,
    hugepages,
    pytest_runtest_makereport,
    stage,
)


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    if os.geteuid() != 0:
        raise pytest.UsageError(
            "the peer tests make network namespaces and raw sockets: run make check as root"
        )
    check_programs()


def pytest_collection_modifyitems(config: pytest.Config, items: list) -> None:
    leave_out(config, items)
