# SPDX-License-Identifier: BSD-3-Clause
"""Eight clients add and remove at the same time, by vio4wdctl, by the control socket and by 1.1's
protocol: the end state is right and nothing leaks."""

import random
import threading
from typing import Callable, List

from lib import leaks
from lib.rpc import Rpc, RpcError
from lib.wait import until
from lib.zmq11 import PortControl, messages

CLIENTS = 8
OPERATIONS = 1000
RELAYS = 16  # each is used by two clients, so that they meet
ALIASES = [f"0000:00:{i:02x}.0=vdev:net_null{i},no-rx=1" for i in range(RELAYS)]


def address(relay: int) -> str:
    return ALIASES[relay].split("=")[0]


def by_control_socket(daemon, operation: str, relay: int) -> None:
    with Rpc(daemon.runtime / "control") as rpc:
        try:
            if operation == "add":
                rpc.call("add", id=relay, device=address(relay), conditional=True)
            else:
                rpc.call("remove", id=relay, conditional=True)
        except RpcError as e:
            raise AssertionError(f"{operation} {relay}: {e}") from None


def by_port_control(daemon, operation: str, relay: int) -> None:
    with PortControl(daemon.endpoint("port_control"), 10000) as control:
        reply = control.call(operation, [address(relay)], relay)
        assert reply.status == messages().PortControlResponse.OK, (operation, relay, reply)


def by_ctl(daemon, operation: str, relay: int) -> None:
    if operation == "add":
        daemon.ctl("add", "--id", relay, "--device", address(relay), "--conditional")
    else:
        daemon.ctl("remove", relay, "--conditional")


WAYS: List[Callable] = [by_control_socket, by_port_control, by_ctl]


def resources(daemon) -> dict:
    (process,) = daemon.processes()
    return process["resources"]


def settled(daemon) -> dict:
    """What is in use with nothing attached."""
    for relay in range(RELAYS):
        daemon.rpc("remove", id=relay, conditional=True)
    until(lambda: resources(daemon)["ports"] == 0, "all ports are closed")
    found = dict(resources(daemon))
    found["manager_fds"] = leaks.descriptors(daemon.process.pid)
    return found


def test_eight_clients(stage):
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES)
    # What is kept for later use is made by the first add and remove.
    for relay in range(RELAYS):
        daemon.add(relay, address(relay))
    before = settled(daemon)

    errors: List[str] = []
    last = {}
    locks = [threading.Lock() for _ in range(RELAYS)]

    def client(number: int) -> None:
        dice = random.Random(number)
        way = WAYS[number % len(WAYS)]
        try:
            for _ in range(OPERATIONS // CLIENTS):
                relay = dice.randrange(RELAYS)
                operation = dice.choice(["add", "remove"])
                # Two operations on one relay at once would leave its end state open.
                with locks[relay]:
                    way(daemon, operation, relay)
                    last[relay] = operation
        except Exception as e:  # shown below
            errors.append(f"client {number}: {e!r}")

    threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, "\n".join(errors)

    status = {r["id"]: r for r in daemon.rpc("status")["relays"]}
    for relay, operation in last.items():
        wanted = "listening" if operation == "add" else "free"
        assert daemon.wait_state(relay, wanted)["id"] == relay, status.get(relay)
    after = settled(daemon)
    assert after == before
    assert len(daemon.relay_pids()) == 1


def test_opposite_wishes_for_one_relay(stage):
    """Adding and removing one relay at once: each request is answered, the service lives."""
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES)
    errors: List[str] = []

    def client(operation: str) -> None:
        try:
            for _ in range(50):
                by_control_socket(daemon, operation, 3)
        except Exception as e:  # shown below
            errors.append(repr(e))

    threads = [threading.Thread(target=client, args=(op,)) for op in ["add", "remove"] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, "\n".join(errors)
    daemon.rpc("add", id=3, device=address(3), conditional=True)
    assert daemon.wait_state(3, "listening")["device"]
