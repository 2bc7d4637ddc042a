# SPDX-License-Identifier: BSD-3-Clause
"""Bonds of DPDK's virtual devices: made, used and taken away, also by 1.1's clients, with the sockets
that the configuration has and with sockets on demand."""

import errno
import os
import signal

import pytest

from lib.daemon import Daemon
from lib.wait import until
from lib.zmq11 import PortControl, Stats

VDEVS = {f"0000:00:0{i}.0": f"vdev:net_null{i}" for i in range(1, 10)}
ADDRESSES = list(VDEVS)
A, B, C, D = ADDRESSES[:4]
ALIASES = [f"{a}={v}" for a, v in VDEVS.items()]
NAME = "net_bonding0"


def members(daemon, relay):
    return daemon.relay(relay)["bond"]["members"]


def add(daemon, relay, name, mode, *devices, status=0):
    options = [x for d in devices for x in ("--device", d)]
    return daemon.ctl("add", "--id", relay, "--bond", name, "--mode", mode, *options, status=status)


def until_more(pmd, port=0, count=500):
    before = pmd.stats()[port]["rx"]
    until(lambda: pmd.stats()[port]["rx"] > before + count, f"packets reach the VM {port}")


def test_modes_carry_packets(stage):
    """One mode after another under one VM. A mode with LACP carries nothing without a partner."""
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES)
    pmd = stage.testpmd(daemon.socket(1), mode="io", mbufs=4096)
    pmd.start(1)
    with PortControl(daemon.endpoint("port_control")) as control:
        for mode in (0, 1, 2, 3, 5, 6):
            control.ok("add", [A, B], 1, name=NAME, mode=mode)
            seen = daemon.wait_state(1, "active")
            assert seen["device"] == NAME and seen["bond"]["mode"] == mode
            assert [m["device"] for m in seen["bond"]["members"]] == [VDEVS[A], VDEVS[B]]
            assert all(m["in"] for m in seen["bond"]["members"])
            assert "bond" in seen["reason"]
            until_more(pmd)
            with Stats(daemon.endpoint("stats")) as stats:
                (relay,) = stats.get(1).relay
            assert relay.vf.pci_addr_str == NAME and relay.active
            assert daemon.processes()[0]["ports"] == 3
            if mode % 2:
                control.ok("remove", virtio_id=1, name=NAME)
            else:
                control.ok("remove", [B], 1)
            assert daemon.wait_state(1, "connected")["bond"] is None
    assert daemon.processes()[0]["resources"]["ports"] == 0


def test_lacp_is_spoken_without_a_vm(stage):
    """Two bonds are each other's partners, on two wires of shared memory."""

    def end(wire, role):
        wire_name = f"v4bond{os.getpid()}"
        return (
            f"vdev:net_memif{2 * wire + (role == 'client')},role={role},id={wire},"
            f"socket={wire_name},socket-abstract=yes"
        )

    names = {f"0000:00:0{i}.0": end(i % 2, "server" if i < 2 else "client") for i in range(4)}
    daemon = stage.daemon(
        VIO4WD_ALIASES=[f"{a}={v}" for a, v in names.items()], VIO4WD_MAX_SLEEP_US=100000
    )
    servers, clients = list(names)[:2], list(names)[2:]
    add(daemon, 1, "net_bonding1", "802.3ad", *servers)
    add(daemon, 2, "net_bonding2", 4, *clients)

    def active():
        return [m["active"] for relay in (1, 2) for m in members(daemon, relay)]

    until(lambda: any(active()[:2]) and any(active()[2:]), "LACP has agreed", 30, interval=0.2)
    # Traffic goes once both distribute.
    pmd = stage.testpmd([daemon.socket(1), daemon.socket(2)], mode="io", mbufs=4096)
    pmd.start(1)
    until(lambda: min(p["rx"] for p in pmd.stats()) > 100, "packets go round")
    pmd.quit()
    daemon.wait_state(1, "listening")
    # The partner goes, which is no fault of the members.
    daemon.ctl("remove", 2)
    until(lambda: not any(m["active"] for m in members(daemon, 1)), "nobody is there to speak to", 20)
    assert "has no link" in daemon.relay(1)["reason"]
    add(daemon, 2, "net_bonding2", 4, *clients)
    until(lambda: any(active()[:2]), "LACP has agreed again", 30, interval=0.2)


def test_sockets_on_demand(stage):
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES, VIRTIOFWD_DYNAMIC_SOCKETS=True)
    folder = stage.writable_dir()
    first, second = folder / "vm-a", daemon.sockets / "vm-b"
    with PortControl(daemon.endpoint("port_control")) as control:
        control.ok("add_sock", [A, B], name=NAME, vhost_path=str(first))
        control.ok("add_sock", [A, B], name=NAME, vhost_path=str(first))  # conditional
        control.ok("add_sock", [C], vhost_path=str(second))
        assert control.ok("query_pci", vhost_path=str(first)).query_string == NAME
        assert control.ok("query_pci", vhost_path=str(second)).query_string == C
        pmd = stage.testpmd([first, second], mode="io", mbufs=4096)
        pmd.start(1)
        until_more(pmd, 0)
        # What a bond has nobody else gets, and the other way round.
        taken = control.refused("add_sock", [B], vhost_path=f"{first}-2")
        assert taken.error_code == errno.EBUSY
        assert control.refused(
            "add_sock", [C, D], name="net_bonding1", vhost_path=f"{first}-2"
        ).error_code == errno.EBUSY
        control.refused("remove_sock", [C], vhost_path=str(first))
        control.refused("remove_sock", name="net_bonding7", vhost_path=str(first))
        control.ok("remove_sock", name=NAME)
        assert not first.exists()
        control.ok("remove_sock", vhost_path=str(second))
        pmd.quit()
        control.ok("add_sock", [C, A, B], name=NAME, vhost_path=str(second))
        pmd = stage.testpmd(second, mode="io", mbufs=4096)
        pmd.start(1)
        until_more(pmd)
        control.ok("remove_sock", [A])
        assert not second.exists()
        control.refused("query_pci", vhost_path=str(second))


def test_sockets_on_demand_in_client_mode(stage):
    """The VM makes the socket, before or after it is asked for, anywhere."""
    daemon = stage.daemon(
        VIO4WD_ALIASES=ALIASES, VIRTIOFWD_DYNAMIC_SOCKETS=True, VIRTIOFWD_VHOST_CLIENT=True
    )
    folder = stage.writable_dir()
    with PortControl(daemon.endpoint("port_control")) as control:
        for pci, fields, shown in (([A], {}, A), ([B, C], {"name": NAME}, NAME)):
            path = folder / shown.replace(":", "-")
            control.ok("add_sock", pci, vhost_path=str(path), **fields)
            assert control.ok("query_pci", vhost_path=str(path)).query_string == shown
            pmd = stage.testpmd(path, mode="io", mbufs=4096, server=True)
            pmd.start(1)
            until_more(pmd)
            pmd.quit()
            control.ok("remove_sock", vhost_path=str(path))


def test_who_dies_finds_its_bond_again(stage):
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES)
    add(daemon, 1, NAME, "balance-rr", A, B)
    pids = daemon.relay_pids()
    daemon.kill()
    daemon.start()
    seen = daemon.wait_state(1, "listening")
    assert daemon.relay_pids() == pids
    assert seen["device"] == NAME and all(m["in"] for m in seen["bond"]["members"])
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: daemon.relay_pids() not in ([], pids), "the relay is started again")
    assert all(m["in"] for m in daemon.wait_state(1, "listening")["bond"]["members"])
    shown = daemon.ctl("show", 1).out
    assert "balance-rr" in shown and VDEVS[A] in shown
    daemon.ctl("remove", 1, "--device", VDEVS[C], status=1)
    daemon.ctl("remove", 1, "--device", NAME)


@pytest.fixture(scope="module")
def refusals():
    with Daemon(VIO4WD_ALIASES=ALIASES) as daemon:
        yield daemon


@pytest.mark.parametrize(
    "name, mode, devices, words",
    [
        ("bond0", 1, [A, B], "begins with net_bonding"),
        (NAME, 1, [A], "at least 2"),
        (NAME, 1, [A, A], "the same device"),
        (NAME, 1, [A, VDEVS[A]], "the same device"),
        (NAME, 1, ["netdev:lo", A], "Linux"),
        (NAME, 1, [A, "vdev:no_such_driver"], "no_such_driver"),
        (NAME, 7, [A, B], "--mode"),
    ],
)
def test_what_is_no_bond(refusals, name, mode, devices, words):
    done = add(refusals, 1, name, mode, *devices, status=None)
    assert done.status != 0 and words in done.err, done.err
    assert refusals.relay(1)["device"] is None
