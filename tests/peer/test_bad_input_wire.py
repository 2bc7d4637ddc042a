# SPDX-License-Identifier: BSD-3-Clause
"""Bad input on 1.1's ZeroMQ endpoints harms no service and no relay."""

import os
import random
import socket
import time
from typing import Iterator

import pytest
import zmq

from lib.daemon import Daemon
from lib.env import patience
from lib.net_vm import NumberedLoop
from lib.rpc import RpcError
from lib.watched import ALIASES, Watched, watched
from lib.zmq11 import Config, CoreSched, PortControl, Stats, messages

ENDPOINTS = ("port_control", "stats", "core_sched", "config")
MAX_U32 = (1 << 32) - 1


@pytest.fixture(scope="module")
def service() -> Iterator[Watched]:
    with watched() as service:
        yield service


@pytest.fixture
def daemon(service: Watched) -> Iterator[Daemon]:
    yield service.daemon
    service.check()


# The ZeroMQ endpoints: bytes


def raw_socket(kind: int, daemon: Daemon, name: str) -> zmq.Socket:
    sock = zmq.Context.instance().socket(kind)
    sock.linger = 0
    sock.rcvtimeo = sock.sndtimeo = int(patience(10) * 1000)
    sock.connect(daemon.endpoint(name))
    return sock


def good_request(name: str) -> bytes:
    pb = messages()
    if name == "port_control":
        message = pb.PortControlRequest(op=pb.PortControlRequest.REMOVE, virtio_id=5, name="none")
        message.pci_addrs.add(domain=0, bus=0, slot=0, function=1)
        return message.SerializeToString()
    if name == "stats":
        return pb.StatsRequest(relay=[1, 2, 3], include_inactive=True, delay=1).SerializeToString()
    if name == "core_sched":
        message = pb.CoreSchedRequest(op=pb.CoreSchedRequest.UPDATE)
        message.relay_cpu_map.add(relay_number=9, vf2virtio_cpu=9999, virtio2vf_cpu=9999)
        return message.SerializeToString()
    return pb.ConfigRequest().SerializeToString()


def check_reply(name: str, request: bytes, data: bytes) -> None:
    """Well-formed whatever was asked, and an error when the request was no request."""
    pb = messages()
    ask, answer, error = {
        "port_control": (pb.PortControlRequest, pb.PortControlResponse, 0),
        "stats": (pb.StatsRequest, pb.StatsResponse, 400),
        "core_sched": (pb.CoreSchedRequest, pb.CoreSchedResponse, 0),
        "config": (pb.ConfigRequest, pb.ConfigResponse, 400),
    }[name]
    reply = answer()
    reply.ParseFromString(data)  # raises when a required field is missing
    try:
        ask().ParseFromString(request)
    except Exception:
        assert reply.status == error, (request, reply)
        if name in ("port_control", "core_sched"):
            assert reply.error_code > 0 and reply.error_code_source, (request, reply)


@pytest.mark.parametrize("name", ENDPOINTS)
def test_random_and_truncated_protobufs(daemon, name):
    rng = random.Random(ENDPOINTS.index(name))
    good = good_request(name)
    requests = [b""] + [good[:n] for n in range(len(good))]
    requests += [rng.randbytes(rng.randrange(1, 200)) for _ in range(100)]
    requests += [rng.randbytes(60000), b"\x00" * 60000, b"\xff" * 60000, b"\x0a" * 60000]
    for _ in range(100 if good else 0):
        flipped = bytearray(good)
        flipped[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
        requests.append(bytes(flipped))
    requests.append(b"\x0b" * 5000)  # groups in groups
    sock = raw_socket(zmq.REQ, daemon, name)
    try:
        for request in requests:
            sock.send(request)
            check_reply(name, request, sock.recv())
    finally:
        sock.close()


@pytest.mark.parametrize("name", ENDPOINTS)
def test_envelopes(daemon, name):
    """Empty and multi-part messages, a DEALER without delimiter, sockets of the wrong kind. One
    that speaks properly on the same connection afterwards is answered."""
    good = good_request(name)
    for parts in (
        [b""],
        [b"", b""],
        [good],
        [b"", good, b""],
        [b"", good, good, good],
        [b"", b"", b"", good],
        [b"x", b"", good],
        [b"x"] * 100,
        [b""] * 100,
    ):
        sock = raw_socket(zmq.DEALER, daemon, name)
        sock.send_multipart(parts)
        sock.send_multipart([b"", good])
        deadline = time.monotonic() + patience(10)
        answered = False
        while not answered and time.monotonic() < deadline:
            reply = sock.recv_multipart()
            try:
                check_reply(name, good, reply[-1])
                answered = reply[0] == b""
            except Exception:
                continue
        assert answered, parts
        sock.close()
    sock = raw_socket(zmq.REQ, daemon, name)
    sock.send_multipart([good, good])
    sock.close()
    for kind in (zmq.PUSH, zmq.PUB, zmq.ROUTER, zmq.PAIR):
        sock = raw_socket(kind, daemon, name)
        try:
            sock.send(b"hello", zmq.NOBLOCK)
        except zmq.ZMQError:
            pass
        sock.close()


@pytest.mark.parametrize("name", ENDPOINTS)
def test_megabytes(daemon, name):
    for size in (65536, 65537, 1 << 20):
        sock = raw_socket(zmq.DEALER, daemon, name)
        for _ in range(4):
            sock.send_multipart([b"", bytes(size)])
        sock.poll(200)
        sock.close()


@pytest.mark.parametrize("name", ENDPOINTS)
def test_bytes_that_are_no_zeromq(daemon, name):
    path = daemon.endpoint(name)[len("ipc://") :]
    rng = random.Random(3)
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
    openings = [b"", b"G", b"GET / HTTP/1.0\r\n\r\n", greeting[:10], greeting, b"\xff" * 4096]
    openings += [greeting + rng.randbytes(64) for _ in range(10)]
    openings += [greeting + b"\x04\x26\x05READY" + b"\xff" * 100]
    openings += [greeting + b"\x06" + b"\xff" * 8 + b"x" * 100]
    socks = []
    for opening in openings * 3:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(patience(10))
        sock.connect(path)
        try:
            sock.sendall(opening)
        except (BrokenPipeError, ConnectionResetError):
            pass
        socks.append(sock)
    # All of them are silent now; the check that follows asks meanwhile.
    with Config(daemon.endpoint("config"), 10000) as config:
        assert config.get().status == messages().ConfigResponse.OK
    for sock in socks:
        sock.close()


@pytest.mark.parametrize("name", ENDPOINTS)
def test_clients_that_vanish(daemon, name):
    for _ in range(100):
        sock = raw_socket(zmq.DEALER, daemon, name)
        sock.linger = 20
        sock.send_multipart([b"", good_request(name)])
        sock.close()


@pytest.mark.parametrize("name", ENDPOINTS)
def test_a_client_that_asks_and_never_reads(daemon, name):
    sock = raw_socket(zmq.DEALER, daemon, name)
    sock.rcvhwm = 1
    sock.sndtimeo = 100
    try:
        for _ in range(3000):
            sock.send_multipart([b"", good_request(name)])
    except zmq.Again:
        pass
    with Config(daemon.endpoint("config"), 10000) as config:
        assert config.get().status == messages().ConfigResponse.OK
    sock.close()


# The ZeroMQ endpoints: values


@pytest.mark.parametrize("count", [0, 9, 12, 30])
def test_number_of_addresses(daemon, count):
    with PortControl(daemon.endpoint("port_control")) as port:
        addresses = [f"0000:00:{n:02x}.1" for n in range(count)]
        port.refused("ADD", addresses, 5)
        port.refused("ADD", addresses, 5, name="net_bonding0", mode=1)
        port.refused("ADD", ["0000:00:00.1"] * count, 5, name="net_bonding0")


@pytest.mark.parametrize("relay", [64, 999, 1 << 31, MAX_U32, None])
def test_ids_out_of_range(daemon, relay):
    with PortControl(daemon.endpoint("port_control")) as port:
        for op in ("ADD", "REMOVE"):
            port.refused(op, ["0000:00:00.1"], relay)
    if relay is None:
        return
    with Stats(daemon.endpoint("stats")) as stats:
        reply = stats.get(relay, 1)
        assert reply.status == messages().StatsResponse.OK
        assert [r.id for r in reply.relay] == [1]
    with pytest.raises(RpcError):
        daemon.rpc("add", id=relay, device="vdev:net_null5")


def test_addresses_out_of_range(daemon):
    pb = messages()
    with PortControl(daemon.endpoint("port_control")) as port:
        for fields in (
            (MAX_U32, 0, 0, 1),
            (0, 256, 0, 1),
            (0, MAX_U32, 0, 1),
            (0, 0, 32, 1),
            (0, 0, MAX_U32, 1),
            (0, 0, 0, 8),
            (0, 0, 0, MAX_U32),
            (0, 0, 256, 1),  # 0000:00:00.1 when cut to a byte
        ):
            message = pb.PortControlRequest(op=pb.PortControlRequest.ADD, virtio_id=5)
            message.pci_addrs.add(
                domain=fields[0], bus=fields[1], slot=fields[2], function=fields[3]
            )
            reply = port.request(message)
            # An address that may exist is refused, too: there is no such device.
            assert reply.status == pb.PortControlResponse.ERROR, (fields, reply)
            assert reply.error_code > 0 and reply.error_code_source


@pytest.mark.parametrize(
    "name", ["", "x", "net_bonding" + "0" * 300, "net_bonding%s%n", "net_bonding\n\x1b[2J", "../b"]
)
def test_bond_names(daemon, name):
    with PortControl(daemon.endpoint("port_control")) as port:
        for mode in (1, 7, MAX_U32):
            port.refused("ADD", ["0000:00:00.1", "0000:00:00.2"], 5, name=name, mode=mode)
        port.refused("REMOVE", [], 5, name=name)
    assert "\x1b" not in daemon.log_text()


@pytest.mark.parametrize("relays", [65, 1000, 10000])
def test_too_many_relays_asked_for(daemon, relays):
    with Stats(daemon.endpoint("stats")) as stats:
        assert stats.get(*[1] * relays).status == messages().StatsResponse.E2BIG


@pytest.mark.parametrize("delay", [1001, 60000, MAX_U32])
def test_delay_is_capped_and_holds_nobody_up(daemon, delay):
    pb = messages()
    request = pb.StatsRequest(relay=[1], delay=delay).SerializeToString()
    slow = raw_socket(zmq.DEALER, daemon, "stats")
    begin = time.monotonic()
    slow.send_multipart([b"", request])
    with Stats(daemon.endpoint("stats")) as stats:
        assert stats.get(1).status == pb.StatsResponse.OK
        quick = time.monotonic() - begin
    reply = pb.StatsResponse()
    reply.ParseFromString(slow.recv_multipart()[-1])
    took = time.monotonic() - begin
    slow.close()
    assert [r.id for r in reply.relay] == [1]
    assert took < patience(2.0), took  # what 1.1's clients wait
    assert quick < took


@pytest.mark.parametrize(
    "pin", [(1, -1000, 0), (1, 0, -2), (1, 9999, 9999), (1, 2**31 - 1, 0), (1, -(2**31), 0)]
)
def test_cpus_that_are_no_workers(daemon, pin):
    before = daemon.relay(1)["cpus"]
    with CoreSched(daemon.endpoint("core_sched")) as sched:
        reply = sched.update(pin)
    assert reply.status == messages().CoreSchedResponse.ERROR, reply
    assert reply.error_code > 0 and reply.error_code_source, reply
    assert daemon.relay(1)["cpus"] == before


@pytest.mark.parametrize("relay", [-1, 64, 999, 2**31 - 1])
def test_pins_of_relays_that_cannot_be(daemon, relay):
    with CoreSched(daemon.endpoint("core_sched")) as sched:
        worker = sched.cores().eal_cores[0]
        reply = sched.update((relay, worker, worker))
        assert reply.status == messages().CoreSchedResponse.ERROR, reply
        many = sched.update(*[(relay, worker, worker)] * 2000)
        assert many.status == messages().CoreSchedResponse.ERROR


# Paths


def test_what_is_at_a_socket_path_stays(stage, tmp_path):
    """A file, a symbolic link, a folder in the way: the manager starts, serves the others, and
    serves this one when the way is free."""
    daemon = stage.daemon(False, VIRTIOFWD_STATIC_VFS=["vdev:net_ring1=1", "vdev:net_ring2=20"])
    target = tmp_path / "precious"
    target.write_text("data")
    daemon.socket(20).write_text("data")
    daemon.socket(21).symlink_to(target)
    daemon.socket(22).symlink_to(tmp_path / "nowhere")
    daemon.socket(23).mkdir()
    before = {n: os.lstat(daemon.socket(n)) for n in range(20, 24)}
    daemon.start()
    with NumberedLoop(str(daemon.socket(1))) as traffic:
        for n in before:
            with pytest.raises(RpcError) as e:
                daemon.add(n, f"vdev:net_null{n}")
            assert n == 20 or str(daemon.socket(n)) in str(e.value)
        assert str(daemon.socket(20)) in daemon.relay(20)["reason"]
        for n, old in before.items():
            new = os.lstat(daemon.socket(n))
            assert (old.st_ino, old.st_mode) == (new.st_ino, new.st_mode)
        assert target.read_text() == "data" and not (tmp_path / "nowhere").exists()

        for n in (20, 21, 22):
            daemon.socket(n).unlink()
        daemon.socket(23).rmdir()
        daemon.wait_state(20, "listening")
        for n in (21, 22, 23):
            daemon.add(n, f"vdev:net_null{n}")
        traffic.progress(100)
        assert (traffic.lost, traffic.boots) == (0, 1)


@pytest.fixture
def dynamic(stage) -> Daemon:
    return stage.daemon(VIRTIOFWD_DYNAMIC_SOCKETS=True, VIO4WD_ALIASES=ALIASES)


def test_paths_of_dynamic_sockets(dynamic, tmp_path):
    folder = dynamic.sockets
    precious = folder / "precious"
    precious.write_text("data")
    (folder / "link").symlink_to(precious)
    (folder / "dangling").symlink_to(folder / "nowhere")
    fits = str(folder) + "/" + "s" * (107 - len(str(folder)) - 1)
    bad = [
        "",
        "relative",
        "/" + "x" * 299,
        str(folder) + "/" + "x" * (300 - len(str(folder)) - 1),
        fits + "s",
        "/no/such/folder/socket",
        str(folder),
        str(precious),
        str(folder / "link"),
        str(folder / "dangling"),
        str(precious / "below"),
        str(folder) + "/new\nline",
        str(folder) + "/\x1b[2J",
    ]
    with PortControl(dynamic.endpoint("port_control"), 10000) as port:
        for path in bad:
            port.refused("ADD_SOCK", ["0000:00:00.1"], vhost_path=path)
            port.refused("REMOVE_SOCK", [], vhost_path=path, conditional=False)
            port.refused("QUERY_PCI", [], vhost_path=path)
        port.refused("ADD_SOCK", ["0000:00:00.1"])
        port.refused("ADD_SOCK", [], vhost_path=fits)
        port.refused("REMOVE_SOCK", [])
        port.refused("QUERY_PCI", [])
        assert precious.read_text() == "data"
        assert os.readlink(folder / "link") == str(precious)
        assert os.readlink(folder / "dangling") == str(folder / "nowhere")
        assert not (folder / "nowhere").exists()

        port.ok("ADD_SOCK", ["0000:00:00.1"], vhost_path=fits)
        with NumberedLoop(fits) as traffic:
            traffic.progress(100)
            port.refused("ADD_SOCK", ["0000:00:00.2"], vhost_path=fits)
            traffic.progress(100)
            assert traffic.lost == 0
        assert port.ok("QUERY_PCI", [], vhost_path=fits).query_string == "0000:00:00.1"
        port.ok("REMOVE_SOCK", ["0000:00:00.1"], vhost_path=fits)
        assert not os.path.lexists(fits)
