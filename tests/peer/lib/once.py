# SPDX-License-Identifier: BSD-3-Clause
"""Tests, and variants of them, that are run with the build that is shipped only.

The build with sanitizers repeats the peer tests to find errors of memory. A variant that takes the
same ways through the code as another finds none that the other does not, and costs as much; neither does
a test that is not about the programs. They have the mark `once`."""

from typing import Any, List

import pytest

from .env import sanitized


def once(*values: Any) -> Any:
    """The parameters of such a variant."""
    return pytest.param(*values, marks=pytest.mark.once)


def leave_out(config: pytest.Config, items: List[pytest.Item]) -> None:
    if sanitized():
        left_out = [item for item in items if item.get_closest_marker("once")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
