# SPDX-License-Identifier: BSD-3-Clause
"""Rings and doorbells that cannot be, set up by messages."""

import os
import socket
import struct
import tempfile
import time

from .hostile import MAX_U64, PAGE, case, negotiated, running, says, talk
from .net_vm import FEATURES, NetVM
from .vhost_user import NO_FD, USER_BASE, FrontEnd, Memory, Request, eventfd


@case
def ring_addresses_outside_memory(path: str) -> None:
    end = USER_BASE + (4 << 20)
    for addr in (0, 1, USER_BASE - PAGE, end - 16, end, MAX_U64 - 15, MAX_U64):

        def speak(vm: FrontEnd) -> None:
            for ring in (0, 1):
                vm.start_ring(ring)
                vm.vring_addr(ring, addr, addr, addr)
                vm.enable(ring)
            vm.driver_ok()
            vm.sync()
            vm.kick(1)

        negotiated(path, speak)


@case
def ring_addresses_moved_while_running(path: str) -> None:
    running(path, lambda vm: vm.vring_addr(1, 0, 0, 0))
    running(path, lambda vm: vm.vring_addr(0, USER_BASE + 3, USER_BASE + 3, USER_BASE + 3))


@case
def ring_log_addresses(path: str) -> None:
    def speak(vm: FrontEnd) -> None:
        vm.start_ring(0)
        payload = struct.pack("<IIQQQQ", 0, 1, USER_BASE, USER_BASE, USER_BASE, MAX_U64 - 3)
        vm.send(Request.SET_VRING_ADDR, payload)

    negotiated(path, speak)


@case
def ring_sizes(path: str) -> None:
    for size in (0, 1, 3, 32768, 65535, 65536, 0x80000000, 0xFFFFFFFF):

        def speak(vm: FrontEnd) -> None:
            for ring in (0, 1):
                vm.start_ring(ring)
                vm.state(Request.SET_VRING_NUM, ring, size)
                vm.enable(ring)
            vm.driver_ok()
            vm.sync()
            vm.rings[1].publish(0)
            vm.kick(1)

        negotiated(path, speak)


@case
def ring_sizes_changed_while_running(path: str) -> None:
    for size in (0, 16, 32768):
        running(path, lambda vm: vm.state(Request.SET_VRING_NUM, 1, size))


@case
def ring_bases(path: str) -> None:
    for base in (1, 65535, 65536, 0x7FFFFFFF, 0xFFFFFFFF):

        def speak(vm: FrontEnd) -> None:
            for ring in (0, 1):
                vm.start_ring(ring)
                vm.state(Request.SET_VRING_BASE, ring, base)
                vm.enable(ring)
            vm.driver_ok()
            vm.sync()
            vm.kick(1)
            vm.sync()

        negotiated(path, speak)
    running(path, lambda vm: vm.state(Request.SET_VRING_BASE, 1, 12345))


@case
def ring_numbers(path: str) -> None:
    """Each message about a ring, for rings that cannot be."""
    state = (Request.SET_VRING_NUM, Request.SET_VRING_BASE, Request.GET_VRING_BASE)
    fds = (Request.SET_VRING_KICK, Request.SET_VRING_CALL, Request.SET_VRING_ERR)
    event = eventfd()
    for index in (200, 255, 256, 0x7FFFFFFF, 0xFFFFFFFF):
        for request in (*state, Request.SET_VRING_ENABLE):
            talk(path, lambda vm: vm.state(request, index, 1))
        for request in fds:
            talk(path, lambda vm: vm.u64(request, index, [event]))
        talk(path, lambda vm: vm.vring_addr(index, USER_BASE, USER_BASE, USER_BASE))
    os.close(event)


@case
def all_rings_enabled(path: str) -> None:
    """A ring is made by the first message about it."""

    def speak(vm: FrontEnd) -> None:
        for index in range(256):
            vm.enable(index)

    talk(path, speak)
    running(path, speak)


@case
def rings_without_memory(path: str) -> None:
    def speak(vm: FrontEnd) -> None:
        vm.negotiate(FEATURES)
        vm.memory = Memory()
        vm.make_rings(2, 64)
        vm.start()
        vm.kick(1)

    talk(path, speak)


@case
def doorbells_without_descriptor(path: str) -> None:
    requests = (Request.SET_VRING_KICK, Request.SET_VRING_CALL, Request.SET_VRING_ERR)
    for request in requests:
        running(path, lambda vm: vm.u64(request, 1))
        running(path, lambda vm: vm.u64(request, 1 | NO_FD))
        running(path, lambda vm: vm.u64(request, 1 | NO_FD, [vm.kicks[0]]))
        running(path, lambda vm: vm.u64(request, 1, [vm.kicks[0]] * 8))


@case
def doorbells_of_other_kinds(path: str) -> None:
    """Regular files, pipes, sockets, and descriptors that are closed at once."""
    with tempfile.TemporaryFile() as regular:
        read_end, write_end = os.pipe()
        ends = socket.socketpair()
        for fd in (regular.fileno(), read_end, write_end, ends[0].fileno()):

            def speak(vm: NetVM) -> None:
                for ring in (0, 1):
                    vm.u64(Request.SET_VRING_KICK, ring, [fd])
                    vm.u64(Request.SET_VRING_CALL, ring, [fd])
                    vm.transmit(bytes(60))
                vm.sync()
                vm.kick(1)
                vm.sync()

            running(path, speak)
        os.close(read_end)
        os.close(write_end)
        for end in ends:
            end.close()


@says("no eventfd")
def doorbell_is_the_connection(path: str) -> None:
    def speak(vm: NetVM) -> None:
        for request in (Request.SET_VRING_CALL, Request.SET_VRING_KICK):
            vm.u64(request, 1, [vm.sock.fileno()])

    running(path, speak)


def _pester(path: str, fd: int) -> None:
    """Traffic that makes the back end ring fd, for as long as the traffic lasts."""

    def speak(vm: NetVM) -> None:
        for ring in (0, 1):
            vm.u64(Request.SET_VRING_CALL, ring, [fd])
        vm.sync()
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            vm.transmit(bytes(60))
            vm.receive()
            vm.is_dropped(0.002)

    running(path, speak)


@case
def call_counter_full(path: str) -> None:
    """An eventfd that blocks who writes to it, and that nobody reads."""
    fd = os.eventfd(0, os.EFD_CLOEXEC)
    os.eventfd_write(fd, MAX_U64 - 1)
    _pester(path, fd)
    os.close(fd)


@says("no eventfd, or blocks")
def call_counter_full_and_blocking(path: str) -> None:
    """Both ends share its flags, so what the back end makes non-blocking can be undone."""
    fd = os.eventfd(0, os.EFD_CLOEXEC)
    os.eventfd_write(fd, MAX_U64 - 1)

    def speak(vm: NetVM) -> None:
        for ring in (0, 1):
            vm.u64(Request.SET_VRING_CALL, ring, [fd])
        vm.sync()
        end = time.monotonic() + vm.timeout
        while not vm.is_dropped(0.002) and time.monotonic() < end:
            os.set_blocking(fd, True)
            vm.transmit(bytes(60))

    running(path, speak, must_drop=True)
    os.close(fd)


@case
def call_pipe_full(path: str) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, bytes(4096))
    except BlockingIOError:
        pass
    os.set_blocking(write_end, True)
    _pester(path, write_end)
    os.close(read_end)
    os.close(write_end)


@case
def kick_counter_full(path: str) -> None:
    fd = os.eventfd(0, os.EFD_CLOEXEC)
    os.eventfd_write(fd, MAX_U64 - 1)

    def speak(vm: NetVM) -> None:
        for ring in (0, 1):
            vm.u64(Request.SET_VRING_KICK, ring, [fd])

    running(path, speak)
    os.close(fd)


@case
def rings_toggled(path: str) -> None:
    """Off and on, stopped and started, under traffic."""

    def speak(vm: NetVM) -> None:
        for n in range(100):
            vm.enable(1, bool(n & 1))
            vm.transmit(bytes(60))
        for _ in range(20):
            vm.ask(Request.GET_VRING_BASE, struct.pack("<II", 1, 0))
            vm.start_ring(1)
            vm.transmit(bytes(60))

    running(path, speak)
