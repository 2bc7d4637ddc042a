# SPDX-License-Identifier: BSD-3-Clause
"""What a hostile front end says: one function for each kind of bad message. Each takes the path of
a socket that the back end listens on, does its worst and leaves. The relay may close the connection
at any time; those in DROPPED it must."""

import mmap
import os
import random
import socket
import struct
import tempfile
import time
from typing import Callable, Dict, List

from .net_vm import FEATURES, NetVM
from .vhost_user import (
    GUEST_BASE,
    LOG_ALL,
    NEED_REPLY,
    NET_MQ,
    NO_FD,
    PROTO_LOG_SHMFD,
    PROTO_MQ,
    PROTO_STATUS,
    REPLY,
    USER_BASE,
    VERSION,
    Dropped,
    FrontEnd,
    Memory,
    Request,
    bits,
    eventfd,
)

Case = Callable[[str], None]
CASES: Dict[str, Case] = {}
DROPPED: List[str] = []
MAX_U64 = (1 << 64) - 1
PAGE = mmap.PAGESIZE


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def dropped(function: Case) -> Case:
    DROPPED.append(function.__name__)
    return case(function)


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
        except (Dropped, TimeoutError):
            return
        assert vm.is_dropped(vm.timeout), "the connection is still open"


# Bytes


@dropped
def random_bytes(path: str) -> None:
    rng = random.Random(1)
    for n in range(20):
        talk(path, lambda vm: vm.send_raw(rng.randbytes(12 + 400 * n)), must_drop=True)


@case
def random_messages(path: str) -> None:
    """The header is right, the rest is not."""
    rng = random.Random(2)
    for _ in range(40):

        def speak(vm: FrontEnd) -> None:
            for _ in range(8):
                vm.send(rng.randrange(1, 42), rng.randbytes(rng.choice((0, 4, 8, 12, 40, 264))))

        talk(path, speak)


@dropped
def unknown_request(path: str) -> None:
    for request in (41, 99, 200, 0x7FFFFFFF, 0x80000001, 0xFFFFFFFF):
        talk(path, lambda vm: vm.send(request, bytes(8)), must_drop=True)


@case
def request_zero(path: str) -> None:
    talk(path, lambda vm: vm.send(0))


@case
def wrong_version(path: str) -> None:
    for flags in (0, 2, 3):
        talk(path, lambda vm: vm.send(Request.SET_OWNER, flags=flags))


@case
def wrong_flags(path: str) -> None:
    for flags in (VERSION | REPLY, VERSION | NEED_REPLY, 0xFFFFFFFD):
        talk(path, lambda vm: vm.send(Request.SET_OWNER, flags=flags))


@case
def wrong_size(path: str) -> None:
    """A payload that is not the request's."""
    for request in Request:
        for size in (0, 1, 7, 9, 272):
            talk(path, lambda vm: vm.send(request, b"\xaa" * size))


@dropped
def huge_size(path: str) -> None:
    for request in (Request.GET_FEATURES, Request.SET_MEM_TABLE, Request.SET_CONFIG):
        for size in (4096, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            talk(path, lambda vm: vm.send(request, bytes(256), size=size), must_drop=True)


@case
def half_a_message(path: str) -> None:
    """Cut off at each place of a message, and closed."""
    message = struct.pack("<IIIQ", Request.SET_FEATURES, VERSION, 8, FEATURES)
    for length in range(1, len(message)):
        with FrontEnd() as vm:
            vm.connect(path)
            vm.send_raw(message[:length])


@case
def silence(path: str) -> None:
    """Half a header, half a message, a header alone, and then nothing while the others go on and
    new ones come."""
    vms = [FrontEnd() for _ in range(3)]
    try:
        for vm, length in zip(vms, (5, 16, 12)):
            vm.connect(path)
            vm.send_raw(struct.pack("<IIIQ", Request.SET_FEATURES, VERSION, 8, 0)[:length])
        with FrontEnd() as other:
            other.connect(path).sync()
    finally:
        for vm in vms:
            vm.close()


@case
def never_reads(path: str) -> None:
    """Asks and asks, and leaves the answers in the socket; meanwhile another one comes."""
    with FrontEnd() as vm:
        vm.connect(path)
        vm.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        vm.sock.settimeout(0.2)
        end = time.monotonic() + 3
        try:
            while time.monotonic() < end:
                vm.send(Request.GET_FEATURES)
        except (Dropped, TimeoutError):
            pass
        with FrontEnd() as other:
            other.connect(path).sync()


@case
def flood(path: str) -> None:
    def speak(vm: FrontEnd) -> None:
        for _ in range(20000):
            vm.send(Request.SET_OWNER)
        for n in range(300):
            vm.enable(n % 2, bool(n & 2))

    running(path, speak)


@case
def many_connections(path: str) -> None:
    vms = []
    try:
        for _ in range(200):
            vms.append(FrontEnd().connect(path))
        for vm in vms[::10]:
            vm.sync()
    finally:
        for vm in vms:
            vm.close()


@case
def connect_and_go(path: str) -> None:
    for n in range(200):
        with FrontEnd() as vm:
            vm.connect(path)
            if n % 3:
                vm.send(Request.GET_FEATURES)
            if n % 3 == 2:
                vm.reply()


# Features


@dropped
def features_never_offered(path: str) -> None:
    for mask in (MAX_U64, 1 << 63, 1 << 50):
        talk(path, lambda vm: vm.u64(Request.SET_FEATURES, mask), must_drop=True)


@case
def protocol_features_never_offered(path: str) -> None:
    talk(path, lambda vm: vm.u64(Request.SET_PROTOCOL_FEATURES, MAX_U64))


@case
def features_changed_while_running(path: str) -> None:
    running(path, lambda vm: vm.u64(Request.SET_FEATURES, 0))
    running(path, lambda vm: vm.u64(Request.SET_FEATURES, vm.features ^ bits(LOG_ALL)))


@case
def multiqueue_taken_back(path: str) -> None:
    """Eight pairs, all running, then features without multiqueue."""

    def speak(vm: FrontEnd) -> None:
        vm.set_up(FEATURES | bits(NET_MQ), pairs=8, size=64, memory=Memory())
        vm.u64(Request.SET_STATUS, 0)
        vm.u64(Request.SET_FEATURES, vm.features & ~bits(NET_MQ))

    talk(path, speak)


# Memory


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


@case
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


@case
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


# Rings: their set-up


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


# Doorbells


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


@case
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


# The rest of the protocol


@case
def reset_owner(path: str) -> None:
    talk(path, lambda vm: vm.send(Request.RESET_OWNER))
    running(path, lambda vm: vm.send(Request.RESET_OWNER))


@case
def logs(path: str) -> None:
    memory = Memory(PAGE)
    pairs = ((0, 0), (PAGE, 1), (MAX_U64, 0), (PAGE, MAX_U64), (1 << 40, 0), (MAX_U64 - 1, PAGE))
    for size, offset in pairs:
        for fds in ([], [memory.fd], [memory.fd] * 2):

            def speak(vm: NetVM) -> None:
                vm.send(Request.SET_LOG_BASE, struct.pack("<QQ", size, offset), fds)
                vm.u64(Request.SET_FEATURES, vm.features | bits(LOG_ALL))

            running(path, speak)
    running(path, lambda vm: vm.send(Request.SET_LOG_FD, b"", [memory.fd]))
    memory.close()


@case
def log_smaller_than_the_memory(path: str) -> None:
    """Every page written is marked in the log, which has no room for them."""
    memory = Memory(PAGE)

    def speak(vm: FrontEnd) -> None:
        protocol = bits(PROTO_MQ, PROTO_STATUS, PROTO_LOG_SHMFD)
        vm.negotiate(FEATURES | bits(LOG_ALL), protocol)
        vm.share_memory()
        vm.send(Request.SET_LOG_BASE, struct.pack("<QQ", 8, 0), [memory.fd])
        vm.reply()
        vm.make_rings(2, 64)
        vm.start()
        data = vm.memory.alloc(4096)
        for _ in range(16):
            vm.rings[0].add([(vm.memory.guest + data, 2048, True)])
            vm.rings[1].add([(vm.memory.guest + data, 128, False)])
        vm.kick(0)
        vm.kick(1)

    talk(path, speak)
    memory.close()


@case
def iotlb_without_the_feature(path: str) -> None:
    for kind in (0, 1, 2, 3, 4, 255):
        payload = struct.pack("<QQQBB6x", MAX_U64 - 5, MAX_U64, USER_BASE, 3, kind)
        running(path, lambda vm: vm.send(Request.IOTLB_MSG, payload))


@case
def config_space(path: str) -> None:
    for request in (Request.GET_CONFIG, Request.SET_CONFIG):
        for offset, size in ((0, 0), (0, 12), (0, 256), (0, 257), (255, 2), (1 << 31, 1 << 31)):
            payload = struct.pack("<III", offset, size, 0) + bytes(min(size, 256))
            talk(path, lambda vm: vm.send(request, payload))
        talk(path, lambda vm: vm.send(request, struct.pack("<III", 0, 0xFFFFFFFF, 0)))


@case
def inflight(path: str) -> None:
    memory = Memory(PAGE)
    for size, offset in ((0, 0), (PAGE, 0), (MAX_U64, 0), (PAGE, MAX_U64), (1 << 40, 1 << 40)):
        for queues, ring in ((0, 0), (1, 1), (2, 256), (65535, 65535)):
            payload = struct.pack("<QQHH", size, offset, queues, ring)
            for fds in ([], [memory.fd]):
                negotiated(path, lambda vm: vm.send(Request.SET_INFLIGHT_FD, payload, fds))
            negotiated(path, lambda vm: vm.send(Request.GET_INFLIGHT_FD, payload))
    memory.close()


@case
def postcopy(path: str) -> None:
    for request in (Request.POSTCOPY_ADVISE, Request.POSTCOPY_LISTEN, Request.POSTCOPY_END):
        talk(path, lambda vm: vm.send(request))
        running(path, lambda vm: vm.send(request))


@case
def status_and_mtu(path: str) -> None:
    for value in (0, 0x80, 0xFF, 0x100, MAX_U64):
        talk(path, lambda vm: vm.u64(Request.SET_STATUS, value))
        talk(path, lambda vm: vm.u64(Request.NET_SET_MTU, value))
        talk(path, lambda vm: vm.u64(Request.SEND_RARP, value))
        running(path, lambda vm: vm.u64(Request.SET_STATUS, value))


@case
def descriptors_that_nobody_asked_for(path: str) -> None:
    """Every request with eight descriptors; none may stay open (the leak check sees it)."""
    event = eventfd()
    for request in Request:
        talk(path, lambda vm: vm.send(request, bytes(8), [event] * 8))
    os.close(event)


@case
def back_channel(path: str) -> None:
    """The back end's own requests go into a socket that nobody reads, and into no socket."""
    ends = socket.socketpair()
    for fds in ([ends[0].fileno()], [], [ends[0].fileno()] * 3):
        running(path, lambda vm: vm.send(Request.SET_BACKEND_REQ_FD, b"", fds))
    for end in ends:
        end.close()
    event = eventfd()
    running(path, lambda vm: vm.send(Request.SET_BACKEND_REQ_FD, b"", [event]))
    os.close(event)

