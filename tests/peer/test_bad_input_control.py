# SPDX-License-Identifier: BSD-3-Clause
"""Bad input on the control socket harms no service and no relay."""

import array
import json
import os
import random
import socket
import struct
import time
from typing import Any, Iterator, List, Optional

import pytest

from lib.daemon import Daemon
from lib.env import patience
from lib.rpc import Rpc, RpcError
from lib.watched import Watched, watched


@pytest.fixture(scope="module")
def service() -> Iterator[Watched]:
    with watched() as service:
        yield service


@pytest.fixture
def daemon(service: Watched) -> Iterator[Daemon]:
    yield service.daemon
    service.check()


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
