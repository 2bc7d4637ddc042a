# SPDX-License-Identifier: BSD-3-Clause
"""Bad messages: bytes that are none, requests out of place, payloads that lie."""

import os
import random
import socket
import struct
import time

from .hostile import MAX_U64, PAGE, case, dropped, negotiated, running, says, talk
from .net_vm import FEATURES, NetVM
from .vhost_user import (
    LOG_ALL,
    NEED_REPLY,
    NET_MQ,
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


@says("does not read answers")
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
