# SPDX-License-Identifier: BSD-3-Clause
"""A running VM moves from relay to relay, each with a manager of its own, behind a switch."""

from lib.daemon import Daemon
from lib.echo import BLOCK, WINDOW, Echoes
from lib.env import sanitized, tool
from lib.frames import rarp_request, read_pcap
from lib.net_vm import LOG_PROTOCOL, NetVM, NumberedLoop, log_checked
from lib.qemu import Guest
from lib.vhost_user import (
    NET_MRG_RXBUF,
    PROTO_RARP,
    PROTOCOL,
    VERSION_1,
    FrontEnd,
    Memory,
    Request,
    bits,
)
from lib.wait import until

PEER = "10.9.0.1"
GUEST = "10.9.0.2"
MAC = "52:54:00:09:00:02"
ECHO = 7
RATE = 200
FROM_PEER, FROM_GUEST = 1, 2  # streams of numbered packets


class Announcements:
    """The RARP requests that the network has seen."""

    def __init__(self, stage, net) -> None:
        self.path = stage.dir / "rarp.pcap"
        argv = [tool("tcpdump"), "-i", net.peer, "-U", "-w", self.path, "rarp"]
        stage.add(net.start(argv, stage.dir / "tcpdump.txt")).wait_text("listening on")

    def count(self) -> int:
        return [rarp_request(frame) for frame in read_pcap(self.path)].count(MAC)

    def wait(self, more_than: int) -> None:
        until(lambda: self.count() > more_than, f"RARP request of {MAC}")


def host(stage, net, side: int, mode: str, **config) -> Daemon:
    return stage.daemon(
        VIRTIOFWD_STATIC_VFS=[f"netdev:{net.hosts()[side]}=1"],
        VIRTIOFWD_VHOST_CLIENT=mode == "client",
        **config,
    )


def guest_on(stage, daemon: Daemon, mode: str, **options) -> Guest:
    return stage.guest(daemon.socket(1), server=mode == "client", mac=MAC, **options)


def move(echoes: Echoes, guest: Guest, to: Guest) -> dict:
    """With full windows of data that the guest's programs have not read when it goes."""
    guest.run("killall -STOP cat")
    echoes.wait_full()
    info = guest.migrate(to)
    to.run("killall -CONT cat")
    echoes.progress(WINDOW + BLOCK)
    return info


def test_back_and_forth(stage, figure):
    """Many times, between a relay in server mode and one in client mode: connections live on and their
    data is right, packets arrive once or not at all, and the network learns where the VM is."""
    times, modes = 3 if sanitized() else 10, ("server", "client")
    net = stage.switch()
    announcements = Announcements(stage, net)
    daemons = [host(stage, net, side, mode) for side, mode in enumerate(modes)]
    guests = [
        guest_on(stage, daemon, mode, device="guest_announce=off", incoming=side > 0, ready=not side)
        for side, (daemon, mode) in enumerate(zip(daemons, modes))
    ]
    guests[0].wait_ping(PEER)
    guests[0].spawn(f"nc -ll -p {ECHO} -e cat", "/tmp/nc")
    guests[0].run(f"until netstat -ltn | grep -q :{ECHO}; do sleep 0.1; done")
    echoes = stage.add(Echoes(net, GUEST, ECHO, 3))
    received = guests[0].spawn("numbered recv eth0", "/tmp/received")
    at_peer = stage.receiver(net.peer, net)
    stage.sender(net.peer, net, rate=RATE, dst=MAC, stream=FROM_PEER)
    guests[0].spawn(
        f"numbered send eth0 --rate {RATE} --dst {net.mac()} --stream {FROM_GUEST}", "/tmp/sent"
    )
    echoes.progress(WINDOW)

    downtimes = []
    for n in range(times):
        here, there = guests[n % 2], guests[(n + 1) % 2]
        seen = announcements.count()
        downtimes.append(move(echoes, here, there)["downtime"])
        announcements.wait(seen)
        assert daemons[(n + 1) % 2].wait_state(1, "active")["vm"]
        assert daemons[n % 2].wait_state(1, "listening")["vm"] is False
        if n + 1 < times:
            here.wait_incoming()

    at_guest = stage.stream_in(there, received, "/tmp/received", FROM_PEER)
    streams = {"to the VM": at_guest, "from the VM": at_peer.stream(FROM_GUEST)}
    for direction, seen in streams.items():
        assert seen["received"] > RATE and seen["duplicate"] == 0 and seen["damaged"] == 0, seen
        figure(
            f"{direction}: {seen['missing']} of {seen['received'] + seen['missing']} packets lost "
            f"in {times} migrations, longest silence {seen['silence_ms']:.0f} ms"
        )
    figure(f"downtime as QEMU says {sorted(downtimes)} ms, {echoes.received() >> 20} MiB of TCP")
    echoes.check()


def test_written_pages_are_logged(stage):
    """QEMU copies again what the log says: every page that the relay has written, and no more."""
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=["vdev:net_ring0=1"])
    log = stage.add(Memory(64 << 10))
    with NumberedLoop(str(daemon.socket(1)), protocol=LOG_PROTOCOL) as vm:
        vm.progress(100)
        with log_checked(vm, log):
            pass
        assert vm.lost == 0 and vm.boots == 1


def test_idle_vm_is_announced(stage):
    """The worker sleeps and the VM sends nothing: each request reaches the network all the same."""
    net = stage.netns(address=None)
    announcements = Announcements(stage, net)
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"])
    with NetVM() as vm:
        vm.connect(str(daemon.socket(1)))
        vm.boot(protocol=PROTOCOL | bits(PROTO_RARP))
        daemon.wait_state(1, "active")
        for n in range(3):
            until(
                lambda: all(lane["state"] == "armed" for lane in daemon.relay(1)["lanes"]),
                "the worker sleeps",
            )
            vm.send_rarp(MAC)
            announcements.wait(n)
        vm.stop()


def test_features_that_the_other_relay_lacks(stage):
    """The VM that comes with them is refused, and the log says which they are."""
    daemon = stage.daemon(VIRTIOFWD_MRGBUF=False)
    with FrontEnd() as vm:
        vm.connect(str(daemon.socket(1)))
        assert not vm.ask_u64(Request.GET_FEATURES) & bits(NET_MRG_RXBUF)
        vm.u64(Request.SET_FEATURES, bits(VERSION_1, NET_MRG_RXBUF))
        daemon.wait_log(r"relay 1: .* does not offer: MRG_RXBUF; .* the same .*VIRTIOFWD_MRGBUF")
        until(vm.is_dropped, "the connection is closed")
