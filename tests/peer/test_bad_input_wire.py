# SPDX-License-Identifier: BSD-3-Clause
"""Bad input on the ZeroMQ endpoints and the control socket harms no service and no relay."""

import array
import json
import os
import random
import socket
import struct
import time
from typing import Any, Iterator, List, Optional

import pytest
import zmq

from lib import leaks
from lib.daemon import Daemon
from lib.env import patience
from lib.net_vm import NumberedLoop
from lib.rpc import Rpc, RpcError
from lib.wait import until
from lib.zmq11 import Config, CoreSched, PortControl, Stats, messages

ENDPOINTS = ("port_control", "stats", "core_sched", "config")
MAX_U32 = (1 << 32) - 1
ALIASES = [f"0000:00:00.{n}=vdev:net_ring1{n}" for n in range(1, 4)]


class Watched:
    """A manager with one relay that carries traffic, and what must be true after every abuse."""

    def __init__(self, daemon: Daemon, traffic: NumberedLoop):
        self.daemon, self.traffic = daemon, traffic
        self.pids = daemon.relay_pids()
        self.descriptors = leaks.descriptors(daemon.process.pid)
        self.config = daemon.rpc("config")

    def check(self) -> None:
        d = self.daemon
        d.process.check_running()
        d.drop_rpc()  # a new connection: is it still accepted?
        assert [r["id"] for r in d.rpc("status")["relays"] if r["device"]] == [1]
        assert d.relay(1)["state"] == "active"
        assert d.rpc("config") == self.config
        pb = messages()
        with PortControl(d.endpoint("port_control"), 10000) as port:
            port.refused("REMOVE", ["0000:00:00.1"], 2, conditional=False)
        with Stats(d.endpoint("stats"), 10000) as stats:
            reply = stats.get(1)
            assert reply.status == pb.StatsResponse.OK and [r.id for r in reply.relay] == [1]
            assert reply.relay[0].active
        with CoreSched(d.endpoint("core_sched"), 10000) as sched:
            assert list(sched.cores().eal_cores)
        with Config(d.endpoint("config"), 10000) as config:
            assert config.get().status == pb.ConfigResponse.OK
        self.traffic.progress(50)
        assert (self.traffic.lost, self.traffic.boots) == (0, 1)
        assert d.relay_pids() == self.pids
        assert all(p["restarts"] == 0 for p in d.processes())
        d.drop_rpc()
        until(
            lambda: leaks.descriptors(d.process.pid) <= self.descriptors,
            f"the manager has {self.descriptors} descriptors again",
        )


@pytest.fixture(scope="module")
def service() -> Iterator[Watched]:
    with Daemon(VIRTIOFWD_STATIC_VFS=["vdev:net_ring1=1"], VIO4WD_ALIASES=ALIASES) as daemon:
        with NumberedLoop(str(daemon.socket(1))) as traffic:
            daemon.wait_state(1, "active")
            with Stats(daemon.endpoint("stats"), 10000) as stats:
                stats.get(1)  # the first one may open what later ones find open
            yield Watched(daemon, traffic)


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


# The control socket


def control(daemon: Daemon) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(daemon.runtime / "control"))  # blocking: the backlog may be full
    sock.settimeout(patience(20))
    return sock


def say(sock: socket.socket, data: bytes) -> None:
    """Sends what the server takes; it may hang up on the way."""
    try:
        sock.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


def hear(sock: socket.socket) -> Optional[bytes]:
    """The next line, or None when the server has hung up."""
    line = b""
    while not line.endswith(b"\n"):
        try:
            part = sock.recv(1)
        except ConnectionResetError:
            return None
        if not part:
            return None
        line += part
    return line


NO_RPC = {
    "text": b"hello\n",
    "binary": bytes(range(256)) + b"\n",
    "nul": b"\0" * 100 + b"\n",
    "number": b"42\n",
    "null": b"null\n",
    "string": b'"status"\n',
    "empty_object": b"{}\n",
    "empty_array": b"[]\n",
    "open": b'{"jsonrpc": "2.0", "id": 1, "method": "status"\n',
    "two_in_a_line": b'{"jsonrpc":"2.0","id":1,"method":"version"}{"jsonrpc":"2.0","id":2}\n',
    "comment": b'{"jsonrpc":"2.0","id":1,/**/"method":"version"}\n',
    "not_utf8": b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}\n',
    "method_number": b'{"jsonrpc":"2.0","id":1,"method":7}\n',
    "method_null": b'{"jsonrpc":"2.0","id":1,"method":null}\n',
    "params_text": b'{"jsonrpc":"2.0","id":1,"method":"status","params":"x"}\n',
    "params_array": b'{"jsonrpc":"2.0","id":1,"method":"status","params":[1]}\n',
    "id_object": b'{"jsonrpc":"2.0","id":{},"method":"status"}\n',
    "version_1": b'{"jsonrpc":"1.0","id":1,"method":"status"}\n',
    "result_nobody_asked_for": b'{"jsonrpc":"2.0","id":1,"result":{}}\n',
    "error_nobody_asked_for": b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}\n',
    "deep_arrays": b"[" * 100000 + b"\n",
    "deep_objects": b'{"a":' * 100000 + b"\n",
    "deep_params": b'{"jsonrpc":"2.0","id":1,"method":"status","params":'
    + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}\n",
    "huge_numbers": b'{"jsonrpc":"2.0","id":1e400,"method":"show","params":{"id":1e400}}\n',
    "five_megabytes": b"x" * (5 << 20) + b"\n",
    "five_megabytes_of_request": b'{"jsonrpc":"2.0","id":1,"method":"status","params":{"x":"'
    + b"x" * (5 << 20) + b'"}}\n',
}  # fmt: skip


@pytest.mark.parametrize("name", NO_RPC)
def test_lines_that_are_no_requests(daemon, name):
    """Each is answered with an error, or the connection ends; a good one behind it may be lost."""
    with control(daemon) as sock:
        say(sock, NO_RPC[name])
        say(sock, b'{"jsonrpc":"2.0","id":77,"method":"version"}\n')
        while True:
            line = hear(sock)
            if line is None:
                break
            answer = json.loads(line)
            if answer.get("id") == 77:
                assert answer["result"]["version"]
                break
            if name not in ("params_array", "version_1", "id_object"):
                assert answer["error"]["code"] < 0 and answer["error"]["message"], answer


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_half_a_line(daemon, cut):
    line = b'{"jsonrpc":"2.0","id":1,"method":"version"}\n'
    socks = [control(daemon) for _ in range(20)]
    for sock in socks:
        sock.sendall(line[:cut])
    with Rpc(daemon.runtime / "control") as other:  # they are silent; others are served
        assert other.call("version")["version"]
    for sock in socks[:10]:
        sock.sendall(line[cut:])
        assert json.loads(hear(sock))["result"]["version"]
    for sock in socks:
        sock.close()


def test_byte_by_byte(daemon):
    with control(daemon) as sock:
        for byte in b'{"jsonrpc":"2.0","id":1,"method":"version"}\n':
            sock.sendall(bytes((byte,)))
        assert json.loads(hear(sock))["result"]["version"]


def test_flood(daemon):
    """A client that asks without end and never reads; another one is served meanwhile."""
    line = b'{"jsonrpc":"2.0","id":1,"method":"status"}\n' * 100
    with control(daemon) as sock:
        sock.setblocking(False)
        sent = 0
        end = time.monotonic() + patience(20)
        while sent < 200 * len(line) and time.monotonic() < end:
            try:
                sent += sock.send(line)
            except BlockingIOError:
                break  # the server has stopped to read: that is as good as hanging up
            except (BrokenPipeError, ConnectionResetError):
                break
        with Rpc(daemon.runtime / "control") as other:
            assert other.call("version")["version"]


def test_answers_of_a_flood_are_complete(daemon):
    count = 2000
    request = b'{"jsonrpc":"2.0","id":%d,"method":"version"}\n'
    with control(daemon) as sock:
        for first in range(0, count, 100):
            sock.sendall(b"".join(request % n for n in range(first, first + 100)))
            for n in range(first, first + 100):
                assert json.loads(hear(sock))["id"] == n


def test_notifications_are_not_answered(daemon):
    with control(daemon) as sock:
        for method in (b"status", b"nonsense", b"remove", b""):
            sock.sendall(b'{"jsonrpc":"2.0","method":"%s","params":{"id":"x"}}\n' % method)
        sock.sendall(b'{"jsonrpc":"2.0","id":5,"method":"version"}\n')
        assert json.loads(hear(sock))["id"] == 5


def test_ids_come_back_as_they_were(daemon):
    with control(daemon) as sock:
        for ident in (0, -1, 2**53, "text", "", "\u2603", 1.5):
            request = {"jsonrpc": "2.0", "id": ident, "method": "version"}
            sock.sendall(json.dumps(request).encode() + b"\n")
            assert json.loads(hear(sock))["id"] == ident


def test_clients_that_vanish_while_they_are_served(daemon):
    for n in range(100):
        sock = control(daemon)
        params = b'{"window_ms":200}' if n % 2 else b"{}"
        method = (b"stats", b"status", b"show", b"relays")[n % 4]
        sock.sendall(b'{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}\n' % (method, params))
        if n % 3 == 0:
            sock.shutdown(socket.SHUT_RD)
        sock.close()


def test_500_connections(daemon):
    socks: List[socket.socket] = []
    try:
        for _ in range(500):
            socks.append(control(daemon))
        for sock in socks[::25]:
            say(sock, b'{"jsonrpc":"2.0","id":1,"method":"version"}\n')
            line = hear(sock)
            assert line is None or json.loads(line)["result"]["version"]
    finally:
        for sock in socks:
            sock.close()


def test_descriptors_that_nobody_asked_for(daemon):
    """They ride along and are closed: the check afterwards counts them."""
    null = os.open("/dev/null", os.O_RDWR)
    line = b'{"jsonrpc":"2.0","id":1,"method":"version"}\n'
    for count in (1, 60, 250):
        with control(daemon) as sock:
            fds = array.array("i", [null] * count)
            sock.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            hear(sock)
    os.close(null)


def test_unknown_methods(daemon):
    for method in ("nonsense", "", "Status", "endpoint_add", "x" * 100000, "\u2603", "a\nb\x1b[2J"):
        with pytest.raises(RpcError) as e:
            daemon.rpc(method)
        assert e.value.code < 0
    assert "\x1b" not in daemon.log_text()


NO_NUMBERS: List[Any] = ["1", "", [], [1], {}, True, 1.5, 1e300, -1, 2**31, 2**32, 2**63, 2**64]
NO_TEXTS: List[Any] = [1, 1.5, [], ["vdev:net_null7"], {}, True]
NO_BOOLS: List[Any] = ["yes", "", 7, 1.5, [], {}]
NULL7 = "vdev:net_null7"

PARAMS = {
    "show.id": (dict(), "id", NO_NUMBERS + [64, 999]),
    "add.id": (dict(device=NULL7), "id", NO_NUMBERS + [64, 999]),
    "add.device": (
        dict(id=7),
        "device",
        NO_TEXTS + ["", " ", "nonsense", "vdev:", "vdev:no_such_driver7", "netdev:", "netdev:" + "x" * 16,
                    "netdev:../../etc", "0000:05:08.9", "x" * 70000,
                    "vdev:net_null7,copy=" + "9" * 300, "vdev:net_null7\n", "vdev:net_null7\x00,"],
    ),
    "add.backend": (dict(id=7, device=NULL7), "backend", NO_TEXTS + ["", "hardware", "x" * 5000]),
    "add.conditional": (dict(id=7, device=NULL7), "conditional", NO_BOOLS),
    "remove.id": (dict(), "id", NO_NUMBERS + [64, 999, 7]),
    "remove.device": (dict(id=1), "device", NO_TEXTS + ["nonsense", NULL7, "x" * 70000]),
    "remove.conditional": (dict(id=1, device=NULL7), "conditional", NO_BOOLS),
    "pin.id": (dict(vf_to_vm=-1, vm_to_vf=-1), "id", NO_NUMBERS + [64]),
    "pin.vf_to_vm": (dict(id=1, vm_to_vf=-1), "vf_to_vm", ["x", [], {}, 1.5, True, -2, 9999, 2**40]),
    "pin.vm_to_vf": (dict(id=1, vf_to_vm=-1), "vm_to_vf", ["x", [], {}, 1.5, True, -2, 9999, 2**40]),
    "stats.id": (dict(), "id", NO_NUMBERS + [64]),
    "stats.window_ms": (dict(id=1), "window_ms", ["x", [], {}, 1.5, True, -1, 1001, 2**32, 2**64]),
    "log-level.level": (dict(), "level", ["debug", [], {}, 1.5, True, -1, 8, 2**32]),
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMS)
def test_params_of_the_wrong_kind(daemon, name):
    method = name.split(".")[0]
    good, param, values = PARAMS[name]
    for value in values:
        with pytest.raises(RpcError) as e:
            daemon.rpc(method, **{**good, param: value})
            pytest.fail(f"{method} takes {param}={str(value)[:60]!r}")
        assert e.value.code < 0 and str(e.value), value
        assert len(str(e.value)) < 1000


@pytest.mark.parametrize("name", PARAMS)
def test_params_that_are_missing(daemon, name):
    method = name.split(".")[0]
    if method in ("stats", "log-level"):
        assert daemon.rpc(method)  # all of them are optional
        return
    with pytest.raises(RpcError):
        daemon.rpc(method)


def test_messages_split_and_joined(daemon):
    """Requests in pieces that end anywhere."""
    rng = random.Random(4)
    request = b'{"jsonrpc":"2.0","id":%d,"method":"version"}\n'
    data = b"".join(request % n for n in range(200))
    with control(daemon) as sock:
        at = 0
        while at < len(data):
            size = rng.randrange(1, 200)
            sock.sendall(data[at : at + size])
            at += size
        for n in range(200):
            assert json.loads(hear(sock))["id"] == n


def test_credentials_and_urgent_data(daemon):
    with control(daemon) as sock:
        pid = struct.pack("3i", os.getpid(), os.getuid(), os.getgid())
        line = b'{"jsonrpc":"2.0","id":1,"method":"version"}\n'
        sock.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, pid)])
        assert json.loads(hear(sock))["result"]["version"]
