# SPDX-License-Identifier: BSD-3-Clause
"""Waiting for events with a deadline."""

import time
from typing import Callable, Optional, TypeVar

from .env import patience

T = TypeVar("T")


class Timeout(AssertionError):
    pass


def until(
    condition: Callable[[], T],
    what: str,
    timeout: float = 20,
    alive: Optional[Callable[[], None]] = None,
    interval: float = 0.02,
) -> T:
    """Waits until condition() is true and returns its value. alive() raises when waiting is vain."""
    limit = patience(timeout)
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if alive:
            alive()
        if time.monotonic() > end:
            raise Timeout(f"not within {limit:.0f} s: {what} (last: {value!r})")
        time.sleep(interval)


def stays(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Asserts that condition() holds all the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"no longer true: {what}"
        time.sleep(0.02)
