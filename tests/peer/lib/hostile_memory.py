# SPDX-License-Identifier: BSD-3-Clause
"""Memory tables that lie."""

import os

from .hostile import MAX_U64, PAGE, case, running, talk, says
from .net_vm import FEATURES, NetVM
from .vhost_user import GUEST_BASE, USER_BASE, Dropped, FrontEnd, Memory, eventfd


def table(path: str, regions, fds=None, count=None) -> None:
    """A memory table, and then rings as if it were good."""

    def speak(vm: FrontEnd) -> None:
        vm.negotiate(FEATURES)
        vm.memory = Memory()
        vm.mem_table(regions, [vm.memory.fd] * len(regions) if fds is None else fds, count)
        vm.make_rings(2, 64)
        vm.start()

    talk(path, speak)


@case
def memory_of_no_regions(path: str) -> None:
    table(path, [])


@case
def memory_of_9_and_255_regions(path: str) -> None:
    regions = [(GUEST_BASE + n * PAGE, PAGE, USER_BASE + n * PAGE, n * PAGE) for n in range(9)]
    for count in (9, 255, 0x80000000, 0xFFFFFFFF):
        table(path, regions[:8], count=count)
    table(path, regions)


@case
def memory_without_descriptors(path: str) -> None:
    region = (GUEST_BASE, 4 << 20, USER_BASE, 0)
    table(path, [region], fds=[])
    table(path, [region], count=2)
    table(path, [region, region, region], fds=[0])


@case
def memory_in_odd_files(path: str) -> None:
    region = (GUEST_BASE, 4 << 20, USER_BASE, 0)
    ends = os.pipe()
    null = os.open("/dev/null", os.O_RDWR)
    reading = os.open("/proc/self/exe", os.O_RDONLY)
    for fd in (*ends, null, reading):
        table(path, [region], fds=[fd])
        os.close(fd)
    event = eventfd()
    table(path, [region] * 2, fds=[event, event])
    os.close(event)


@case
def memory_of_odd_sizes(path: str) -> None:
    for size in (0, 1, PAGE - 1, 1 << 62, MAX_U64, MAX_U64 - PAGE + 1):
        table(path, [(GUEST_BASE, size, USER_BASE, 0)])


@case
def memory_at_odd_offsets(path: str) -> None:
    for offset in (1, 4 << 20, 1 << 62, MAX_U64, MAX_U64 - PAGE + 1):
        table(path, [(GUEST_BASE, 4 << 20, USER_BASE, offset)])


@case
def memory_at_odd_addresses(path: str) -> None:
    for guest, user in ((MAX_U64, USER_BASE), (GUEST_BASE, MAX_U64), (0, 0), (1, 1)):
        table(path, [(guest, 4 << 20, user, 0)])


@case
def memory_overlapping(path: str) -> None:
    region = (GUEST_BASE, 4 << 20, USER_BASE, 0)
    table(path, [region] * 8)
    table(path, [region, (GUEST_BASE + PAGE, 1 << 20, USER_BASE + PAGE, PAGE)])


@says("memory is smaller than it said")
def memory_larger_than_its_file(path: str) -> None:
    """Touching what lies beyond the end of the file is SIGBUS."""

    def speak(vm: FrontEnd) -> None:
        vm.negotiate(FEATURES)
        vm.memory = Memory()
        os.ftruncate(vm.memory.fd, PAGE)
        vm.share_memory()
        vm.memory.next = 2 * PAGE
        vm.make_rings(2, 64)
        vm.start()
        vm.kick(1)

    talk(path, speak)


@says("memory is smaller than it said")
def memory_truncated_while_running(path: str) -> None:
    def speak(vm: NetVM) -> None:
        os.ftruncate(vm.memory.fd, 0)
        vm.kick(0)
        vm.kick(1)
        vm.sync()
        vm.is_dropped(0.3)
        raise Dropped("our own mapping is gone, too")

    running(path, speak)


@case
def memory_changed_while_running(path: str) -> None:
    """A new table without the rings, and one that is nonsense."""

    def speak(vm: NetVM) -> None:
        vm.mem_table([(GUEST_BASE, PAGE, USER_BASE, 0)], [vm.memory.fd])
        vm.kick(1)
        vm.mem_table([(GUEST_BASE, 0, USER_BASE, 0)], [vm.memory.fd])
        vm.mem_table([], [])

    running(path, speak)
