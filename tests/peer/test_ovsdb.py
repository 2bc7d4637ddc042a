# SPDX-License-Identifier: BSD-3-Clause
"""Port control by OVSDB, with the real ovsdb-server and ovs-vsctl."""

import pytest

from lib.ovsdb import BRIDGE, Ovsdb
from lib.wait import stays, until

ALIASES = [f"vm{i}=vdev:net_ring{i}" for i in range(1, 5)]


@pytest.fixture
def ovsdb(stage):
    return stage.add(Ovsdb(stage.dir / "ovsdb"))


def manager(stage, ovsdb, **config):
    return stage.daemon(
        **{
            "VIRTIOFWD_ZMQ_PORT_CONTROL_EP": "",
            "VIRTIOFWD_OVSDB_SOCK_PATH": ovsdb.path,
            "VIO4WD_ALIASES": ALIASES,
            **config,
        }
    )


def interface(daemon, relay):
    return daemon.relay(relay)["interface"]


def wait_interface(daemon, relay, name):
    """The relay has the device of that interface; None: it has none."""
    until(lambda: interface(daemon, relay) == name, f"relay {relay} has {name}")
    state = daemon.wait_state(relay, "listening" if name else "free")
    assert not name or state["origin"] == "ovsdb"


def control(daemon):
    return daemon.rpc("status")["port_control"]


def wait_control(daemon, state):
    until(lambda: control(daemon)["state"] == state, f"port control is {state}")


def interfaces(daemon):
    return {i["interface"]: i for i in control(daemon)["interfaces"]}


def test_records_become_pairings(stage, ovsdb):
    ovsdb.vsctl("add-port", BRIDGE, "nobody", *ovsdb.ask("vm1", 1))
    daemon = manager(stage, ovsdb)
    wait_interface(daemon, 1, "vm1")
    where = f"port control by OVSDB, {ovsdb.path}, connected"
    assert where in daemon.ctl("status").out and where in daemon.ctl("version").out
    assert "ovsdb (interface vm1)" in daemon.ctl("show", 1).out

    ovsdb.vsctl(*ovsdb.ask("vm2", 2, "virtio_relay"))
    wait_interface(daemon, 2, "vm2")
    # What else is written into a record is nothing to us.
    ovsdb.vsctl("set", "Interface", "vm2", "external_ids:iface-id=7", "mtu_request=9000")
    ovsdb.vsctl("set", "Interface", "vm2", "external_ids:virtio_relay=63")
    wait_interface(daemon, 63, "vm2")
    wait_interface(daemon, 2, None)
    # Two change places in one transaction.
    ovsdb.vsctl(*ovsdb.ask("vm1", 63), *ovsdb.ask("vm2", 1, "virtio_relay"))
    wait_interface(daemon, 63, "vm1")
    wait_interface(daemon, 1, "vm2")

    ovsdb.vsctl("remove", "Interface", "vm1", "external_ids", "virtio_forwarder")
    wait_interface(daemon, 63, None)
    ovsdb.vsctl("del-port", "vm2")
    wait_interface(daemon, 1, None)
    assert not interfaces(daemon)
    # vio4wdctl goes beside it, and what it takes away stays away until the record changes.
    ovsdb.vsctl(*ovsdb.ask("vm1", 1))
    wait_interface(daemon, 1, "vm1")
    daemon.ctl("remove", 1)
    until(lambda: interfaces(daemon)["vm1"]["state"] == "failed", "OVSDB knows that")
    daemon.add(1, "vm3")
    ovsdb.vsctl(*ovsdb.ask("vm1", 2))
    wait_interface(daemon, 2, "vm1")
    assert daemon.relay(1)["origin"] == "control"


def test_ports_of_the_switch_itself(stage, ovsdb):
    """What Open vSwitch makes is served as it is; of anything else a VM would get its part only."""
    name = stage.netns().host
    daemon = manager(stage, ovsdb)
    ovsdb.vsctl(*ovsdb.ask(name, 1))
    until(lambda: name in interfaces(daemon), "it is seen")
    assert "would share it with the switch" in interfaces(daemon)[name]["reason"]
    ovsdb.vsctl("set", "Interface", name, "type=internal")
    wait_interface(daemon, 1, name)
    assert daemon.relay(1)["device"] == f"netdev:{name}"


def test_the_server_and_the_manager_come_and_go(stage, ovsdb):
    ovsdb.vsctl(*ovsdb.ask("vm1", 1), *ovsdb.ask("vm2", 2))
    daemon = manager(stage, ovsdb)
    wait_interface(daemon, 1, "vm1")
    wait_interface(daemon, 2, "vm2")
    pmd = stage.testpmd(daemon.socket(1), mode="io")
    pmd.start(1)
    daemon.wait_state(1, "active")

    def flows():
        before = pmd.received()
        until(lambda: pmd.received() > before + 100, "packets go round")

    ovsdb.kill()
    wait_control(daemon, "disconnected")
    flows()
    assert daemon.relay(1)["state"] == "active" and daemon.relay(2)["state"] == "listening"
    until(lambda: "nobody listens" in control(daemon)["reason"], "the reason is told")
    # What changes out of its sight is made up for.
    away = ovsdb.dir / "away.sock"
    ovsdb.start(away)
    ovsdb.vsctl("del-port", "vm2", *ovsdb.ask("vm3", 3), path=away)
    ovsdb.stop()
    ovsdb.start()
    wait_interface(daemon, 3, "vm3")
    wait_interface(daemon, 2, None)
    flows()

    # A manager that was away finds what it had, and does what it missed.
    daemon.kill()
    ovsdb.vsctl(*ovsdb.ask("vm2", 2))
    ovsdb.vsctl("del-port", "vm3")
    daemon.start()
    wait_interface(daemon, 2, "vm2")
    wait_interface(daemon, 3, None)
    flows()
    added = [e for e in daemon.relay(1)["history"] if "add vm1" in e["text"]]
    assert not added, "it was added twice"


def test_all_relays(stage, ovsdb):
    """64 interfaces in one transaction, all of them away in another."""
    aliases = [f"vm{i}=vdev:net_null{i},no-rx=1" for i in range(64)]
    daemon = manager(stage, ovsdb, VIO4WD_ALIASES=aliases)
    wait_control(daemon, "connected")
    ovsdb.vsctl(*[a for i in range(64) for a in ovsdb.ask(f"vm{i}", i)])

    def count(state):
        relays = daemon.rpc("status")["relays"]
        return sum(r["state"] == state and r["interface"] == f"vm{r['id']}" for r in relays)

    until(lambda: count("listening") == 64, "64 relays", 60)
    ovsdb.vsctl("del-br", BRIDGE)
    until(lambda: not interfaces(daemon) and count("listening") == 0, "no relay", 60)


def test_hostile_records(stage, ovsdb):
    ovsdb.vsctl(*ovsdb.ask("vm1", 1))
    daemon = manager(stage, ovsdb)
    wait_interface(daemon, 1, "vm1")
    forward = "virtio_forwarder"
    ovsdb.insert("id-64", {forward: "64"})
    ovsdb.insert("id-text", {forward: "0x1"})
    ovsdb.insert("id-huge", {forward: "9" * 1_000_000})
    ovsdb.insert("id-empty", {forward: ""})
    ovsdb.insert("id-lines", {forward: "1\n<3>forged line\x1b[2J"})
    ovsdb.insert("vm0", {forward: "1"})  # before vm1 in the alphabet, and later
    ovsdb.insert("../../etc", {forward: "5"})
    ovsdb.insert("e" * 1_000_000, {forward: "6"})
    ovsdb.insert("\x1b[31mred\n", {forward: "7"})
    ovsdb.insert("no-such", {forward: "8"})
    ovsdb.insert("lo", {forward: "9"})
    ovsdb.insert("nothing", {"x" * 1000: "y" * 1_000_000})
    ovsdb.insert("vm2", {forward: "2", "virtio_relay": "rubbish"})
    wait_interface(daemon, 2, "vm2")
    seen = interfaces(daemon)
    assert seen["vm1"]["state"] == seen["vm2"]["state"] == "paired" and len(seen) == 13
    assert interface(daemon, 1) == "vm1"
    for name, why in {
        "id-64": "'64': a relay id, 0 to 63",
        "id-text": "'0x1'",
        "id-huge": "'9999",
        "id-empty": "''",
        "id-lines": "forged line",
        "vm0": "interface vm1 has relay 1",
        "../../etc": "no name of an interface",
        "e" * 63: "1000000 bytes",
        "?[31mred?": "plain UTF-8",
        "no-such": "there is no interface no-such",
        "lo": "neither a VF's interface",
    }.items():
        assert why in seen[name]["reason"], seen[name]
        daemon.wait_log("OVSDB: interface " + name.replace("?", ".").replace("[", ".") + ": ")
    assert all(interface(daemon, i) is None for i in (5, 6, 7, 8, 9))
    assert not any(line.startswith("<3>forged") for line in daemon.log_text().splitlines())
    status = daemon.ctl("status").out
    assert "interface vm0, relay 1, refused: interface vm1 has relay 1" in status
    # The next one gets the id when the first no longer wants it.
    ovsdb.vsctl("del-port", "vm1")
    until(lambda: interfaces(daemon)["vm0"]["state"] == "waiting", "it is vm0's turn")
    ovsdb.vsctl(*ovsdb.ask("vm4", 4))
    wait_interface(daemon, 4, "vm4")


def test_no_server(stage):
    """It is no reason not to start, and nothing to be told again and again."""
    daemon = stage.daemon(VIRTIOFWD_ZMQ_PORT_CONTROL_EP="")
    daemon.wait_log("OVSDB: .*no-ovsdb: .*does not exist.*tried again")
    daemon.add(1, "vdev:net_null1,no-rx=1")
    stays(lambda: daemon.log_text().count("does not exist") == 1, "said once", 2)
    assert "disconnected" in daemon.ctl("version").out
