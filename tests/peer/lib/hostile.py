# SPDX-License-Identifier: BSD-3-Clause
"""Acts of hostile front ends: each takes the path of a socket that the back end listens on, does its
worst and leaves. The back end may close the connection at any time; those in DROPPED it must. Those
in SAYS end with such a line in its log."""

import mmap
from typing import Callable, Dict, List

from .net_vm import FEATURES, NetVM
from .vhost_user import Dropped, FrontEnd
from .vring import Confused

Case = Callable[[str], None]
CASES: Dict[str, Case] = {}
DROPPED: List[str] = []
SAYS: Dict[str, str] = {}
MAX_U64 = (1 << 64) - 1
PAGE = mmap.PAGESIZE


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def dropped(function: Case) -> Case:
    DROPPED.append(function.__name__)
    return case(function)


def says(text: str) -> Callable[[Case], Case]:
    """The back end's log has this text afterwards."""

    def decorate(function: Case) -> Case:
        SAYS[function.__name__] = text
        return case(function)

    return decorate


def talk(path: str, speak: Callable[[FrontEnd], None], must_drop: bool = False) -> None:
    """One connection; speak may be cut short by the back end."""
    with FrontEnd() as vm:
        vm.connect(path)
        try:
            speak(vm)
            if not must_drop:
                vm.sync()
        except (Dropped, TimeoutError):
            return
        if must_drop:
            assert vm.is_dropped(vm.timeout), "the connection is still open"


def negotiated(path: str, speak: Callable[[FrontEnd], None], must_drop: bool = False) -> None:
    """After features and memory, before the rings."""

    def all_of_it(vm: FrontEnd) -> None:
        vm.negotiate(FEATURES)
        vm.share_memory()
        vm.make_rings(2, 64)
        speak(vm)

    talk(path, all_of_it, must_drop)


def running(path: str, speak: Callable[[NetVM], None], must_drop: bool = False) -> None:
    """In the middle of the traffic of a VM that behaved until now."""
    with NetVM() as vm:
        vm.connect(path)
        vm.boot()
        try:
            for _ in range(32):
                vm.transmit(bytes(60))
            speak(vm)
            if not must_drop:
                for _ in range(32):
                    vm.transmit(bytes(60))
                vm.sync()
                return
        except (Dropped, TimeoutError, Confused):
            return
        assert vm.is_dropped(vm.timeout), "the connection is still open"
