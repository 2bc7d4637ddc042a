# SPDX-License-Identifier: BSD-3-Clause
"""The units, under a real systemd: start and stop, crashes, what a relay may do, broken
configurations. Installed as `make install` does it."""

import re
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Set

import pytest

from lib.env import BUILD, TOP, tool
from lib.leaks import HUGEPAGES
from lib.ovsdb import SCHEMA
from lib.process import run
from lib.systemd import SERVICE, Systemd, leftovers
from lib.testpmd import Testpmd
from lib.wait import until

SHIPPED = BUILD / "conf/systemd"
RELAY = "vio4wd-relay@0.service"
SCHEDULER = "vio4wd_core_scheduler.service"
UNITS = [SERVICE, "vio4wd-relay@.service", "vio4wd-hugepages.service", SCHEDULER]
NULL = "vdev:net_null1,no-rx=1"


@pytest.fixture(scope="module")
def booted() -> Iterator[Systemd]:
    with Systemd() as bed:
        yield bed


@pytest.fixture
def bed(booted: Systemd, request: pytest.FixtureRequest) -> Iterator[Systemd]:
    """Nothing of ours runs before and after."""
    booted.clear_journal()
    yield booted
    if getattr(request.node, "failed_call", True):
        print(booted.run("journalctl", "--no-pager", "-o", "short-monotonic", check=False))
    booted.systemctl("stop", SERVICE, "vio4wd-relay@*", check=False)
    complaints = re.findall(r".*(?:Sanitizer|runtime error:).*", booted.journal(""))
    booted.systemctl("reset-failed")
    state = booted.path("/run/virtio-forwarder/state.json")
    state.unlink(missing_ok=True)
    assert not booted.processes()
    assert not leftovers(booted)
    assert not complaints


def start(bed: Systemd, **config: object) -> Systemd:
    config.setdefault("VIRTIOFWD_STATIC_VFS", [f"{NULL}=1"])
    bed.write_config(**config)
    bed.systemctl("start", SERVICE)
    return bed


def test_units_are_understood(bed: Systemd) -> None:
    """Nothing in them is misspelt, unknown to this systemd, or not there."""
    assert bed.run("systemd-analyze", "verify", "--man=no", *UNITS) == ""


@pytest.mark.parametrize(
    "unit, most",
    [("vio4wd-relay@.service", 1.3), ("vio4wd-hugepages.service", 1.2), (SCHEDULER, 1.6), (SERVICE, 4.3)],
)
def test_exposure(unit: str, most: float) -> None:
    """0 is best and 10 worst; what is left is explained in the units."""
    text = run(["systemd-analyze", "security", "--offline=true", "--no-pager", SHIPPED / unit])
    match = re.search(r"Overall exposure level for \S+: ([0-9.]+)", text)
    assert match and float(match.group(1)) <= most, text


def system_calls(lines: List[str]) -> Callable[[str], Set[str]]:
    """From what `systemd-analyze syscall-filter` lists: the calls of a group."""
    groups: Dict[str, List[str]] = {}
    members: List[str] = []
    for line in lines:
        if line.startswith("@"):
            members = groups.setdefault(line.split()[0], [])
        elif line.strip() and not line.strip().startswith("#"):
            members.append(line.strip())

    def expand(name: str) -> Set[str]:
        if not name.startswith("@"):
            return {name}
        return set().union(*(expand(n) for n in groups[name]))

    return expand


def test_unit_allows_what_the_relay_allows_itself() -> None:
    """The unit's filter is put on first: a call that is missing there would be missing for good."""
    expand = system_calls(run(["systemd-analyze", "--no-pager", "syscall-filter"]).splitlines())
    allowed = expand("@default")
    unit = (SHIPPED / "vio4wd-relay@.service").read_text()
    for value in re.findall(r"^SystemCallFilter=(.*)", unit, re.M):
        names: Set[str] = set().union(*(expand(n) for n in value.lstrip("~").split()))
        allowed = allowed - names if value.startswith("~") else allowed | names
    source = (TOP / "src/sw-relay/sandbox_syscalls.c").read_text()
    own = source[source.index("allowed[]") : source.index("deadly[]")].split("#ifdef")[0]
    wanted = set(re.findall(r"SCMP_SYS\((\w+)\)", own))
    assert len(wanted) > 100
    # Without capabilities nothing could change its owner anyway.
    assert wanted - allowed <= {"chown", "fchownat"}


def test_relay_is_a_unit_without_rights(bed: Systemd) -> None:
    start(bed)
    assert bed.show(SERVICE, "ActiveState") == bed.show(RELAY, "ActiveState") == "active"
    assert "1 waiting for a VM" in bed.show(SERVICE, "StatusText")
    bed.wait_state(1, "listening")
    pid = bed.relay_pid()
    (process,) = bed.ctl_json("relays")["processes"]
    assert process["pid"] == pid and process["state"] == "running"
    status = bed.status_of(pid)
    assert status["PPid"] == "1"
    uid, gid = bed.run("id", "-u", "vio4wd").strip(), bed.run("id", "-g", "vio4wd").strip()
    assert set(status["Uid"].split()) == {uid} and set(status["Gid"].split()) == {gid}
    assert set(status["Groups"].split()) | {gid} == set(bed.run("id", "-G", "vio4wd").split())
    # It may not give orders.
    control = bed.path("/run/virtio-forwarder/control").stat()
    assert control.st_uid == 0 and str(control.st_gid) not in [gid, *status["Groups"].split()]
    assert control.st_mode & 0o777 == 0o660
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
        assert int(status[name], 16) == 0, name
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    # The manager has what its work needs, and its relay is not among its children.
    manager = bed.status_of(bed.main_pid(SERVICE))
    assert bin(int(manager["CapBnd"], 16)).count("1") <= 8
    assert manager["NoNewPrivs"] == "1" and manager["Seccomp"] == "2"


def test_core_scheduler_runs_with_the_manager(bed: Systemd) -> None:
    """Only when it is asked for; without rights it reaches the endpoints."""
    start(bed)
    until(lambda: bed.show(SCHEDULER, "ActiveState") == "inactive", "it is skipped")
    assert bed.show(SCHEDULER, "Result") == "exec-condition"
    bed.write_config(VIRTIOFWD_STATIC_VFS=[f"{NULL}=1"], VIO4WD_CORE_SCHED_ENABLE=True)
    bed.systemctl("restart", SERVICE)
    until(lambda: "vio4wd answers" in bed.journal(SCHEDULER), "it has looked", 30)
    status = bed.status_of(bed.main_pid(SCHEDULER))
    assert "0" not in status["Uid"].split()
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
        assert int(status[name], 16) == 0, name
    bed.systemctl("stop", SERVICE)
    until(lambda: bed.show(SCHEDULER, "ActiveState") == "inactive", "it ends with the manager")


def test_packets_flow_while_the_manager_is_killed(bed: Systemd, tmp_path: Path) -> None:
    wire = bed.veth("v4a")
    start(bed, VIRTIOFWD_STATIC_VFS=["netdev:v4a=1"])
    with Testpmd(tmp_path / "pmd.txt", bed.socket(1), mode="txonly") as pmd:
        pmd.start()
        bed.wait_state(1, "active")
        bed.wait_received(wire)
        manager, relay = bed.main_pid(SERVICE), bed.relay_pid()
        bed.run("kill", "-KILL", manager)
        bed.wait_received(wire)
        until(lambda: bed.main_pid(SERVICE) not in (0, manager), "it is started again")
        until(lambda: bed.show(SERVICE, "ActiveState") == "active", "it is ready")
        assert bed.wait_state(1, "active")["device"] == "netdev:v4a"
        assert bed.relay_pid() == relay, "the relay is the same"
        assert bed.show(SERVICE, "NRestarts") == "1"
        assert "runs already: taking it over" in bed.journal()
        bed.wait_received(wire)
        # The new one is in charge of it.
        bed.ctl("remove", 1)
        assert bed.wait_state(1, "connected")["device"] is None
        bed.ctl("add", "--id", 1, "--device", "netdev:v4a")
        bed.wait_received(wire)
    bed.run("ip", "link", "del", "v4a")


def test_manager_that_hangs_is_started_again(bed: Systemd) -> None:
    bed.drop_in(SERVICE, "[Service]\nWatchdogSec=1\n")
    start(bed)
    manager, relay = bed.main_pid(SERVICE), bed.relay_pid()
    bed.run("kill", "-STOP", manager)
    until(lambda: bed.main_pid(SERVICE) not in (0, manager), "it is started again", interval=0.1)
    bed.wait_state(1, "listening")
    assert bed.relay_pid() == relay
    assert "Failed with result 'watchdog'" in bed.journal()
    bed.drop_in(SERVICE, "")


def test_relay_that_dies_is_started_again(bed: Systemd, tmp_path: Path) -> None:
    """Client mode: the relay finds its way back to the VM's socket, which others made."""
    wire = bed.veth("v4b")
    start(bed, VIRTIOFWD_STATIC_VFS=["netdev:v4b=1"], VIRTIOFWD_VHOST_CLIENT=True)
    with Testpmd(tmp_path / "pmd.txt", bed.socket(1), mode="txonly", server=True) as pmd:
        pmd.start()
        bed.wait_received(wire)
        relay = bed.relay_pid()
        bed.run("kill", "-KILL", relay)
        until(lambda: bed.relay_pid() not in (0, relay), "it is started again")
        bed.wait_state(1, "active")
        bed.wait_received(wire)
    bed.socket(1).unlink()
    assert f"relay process 0 (pid {relay}) was killed by signal 9 (Killed)" in bed.journal()
    (process,) = bed.ctl_json("relays")["processes"]
    assert process["restarts"] == 1
    assert bed.show(SERVICE, "NRestarts") == "0"
    bed.run("ip", "link", "del", "v4b")


def test_relay_that_does_not_start(bed: Systemd) -> None:
    """Without its user: the reason is told, the manager serves on, and it heals by itself."""
    bed.drop_in("vio4wd-relay@.service", "[Service]\nUser=vio4wd-nobody\n")
    start(bed)
    assert "systemd-sysusers" in bed.show(SERVICE, "StatusText")
    (process,) = bed.ctl_json("relays")["processes"]
    assert process["state"] == "failed" and "217" in process["reason"]
    bed.drop_in("vio4wd-relay@.service", "")
    bed.wait_state(1, "listening")


def test_systemd_executes_itself_anew(bed: Systemd) -> None:
    """While a relay is being started: its connections end, and nobody knows what it has read."""
    start(bed)
    relay = bed.relay_pid()
    bed.run("sh", "-c", f"kill -KILL {relay}; systemctl daemon-reexec")
    until(lambda: bed.relay_pid() not in (0, relay), "it is started again")
    bed.wait_state(1, "listening")
    assert len(bed.processes()) == 2


def test_reload(bed: Systemd) -> None:
    start(bed)
    bed.write_config(VIRTIOFWD_STATIC_VFS=[f"{NULL}=1", "vdev:net_null4,no-rx=1=4"])
    bed.systemctl("reload", SERVICE)
    assert bed.wait_state(4, "listening")["origin"] == "static"
    bed.write_config(VIRTIOFWD_LOG_LEVEL="loud")
    pid = bed.main_pid(SERVICE)
    assert "failed" in bed.systemctl("reload", SERVICE, check=False)
    assert re.search(r"virtioforwarder:\d+: .*LOG_LEVEL.*loud", bed.journal())
    assert bed.show(SERVICE, "ActiveState") == "active" and bed.main_pid(SERVICE) == pid
    assert bed.wait_state(4, "listening")


def test_port_control_without_zeromq(bed: Systemd) -> None:
    """What the unit allows is enough for it. Members of the control group may write commands."""
    config = {
        "VIRTIOFWD_STATIC_VFS": None,
        "VIRTIOFWD_ZMQ_PORT_CONTROL_EP": "",
        "VIO4WD_ALIASES": [f"vm5={NULL}"],
    }
    start(bed, VIRTIOFWD_IPC_PORT_CONTROL=True, **config)
    file = "/run/virtio-forwarder/vio_cmd"
    as_member = ["setpriv", "--reuid=nobody", "--regid=vio4wd", "--clear-groups"]
    bed.run(*as_member, "sh", "-c", f"echo add_port vm5 5 >{file}")
    assert bed.wait_state(5, "listening")["interface"] == "vm5"
    bed.run(*as_member, "sh", "-c", f"echo del_port vm5 >{file}")
    bed.wait_state(5, "free")

    bed.write_config(**config)
    bed.systemctl("restart", SERVICE)
    db = "/run/openvswitch/conf.db"
    bed.run("mkdir", "-p", "/run/openvswitch")
    bed.run(tool("ovsdb-tool"), "create", db, SCHEMA)
    remote = "--remote=punix:/run/openvswitch/db.sock"
    bed.run(tool("ovsdb-server"), remote, "--pidfile=/run/o.pid", "--detach", "--no-chdir", db)
    try:
        vsctl = [tool("ovs-vsctl"), "--no-wait", "init", "--", "add-br", "br0"]
        port = ["--", "add-port", "br0", "vm5", "--", "set", "Interface", "vm5"]
        bed.run(*vsctl, *port, "external_ids:virtio_forwarder=6")
        assert bed.wait_state(6, "listening")["origin"] == "ovsdb"
    finally:
        bed.run("sh", "-c", "kill $(cat /run/o.pid)")


def test_restart_and_stop(bed: Systemd) -> None:
    start(bed)
    bed.ctl("add", "--id", 5, "--device", "vdev:net_null5,no-rx=1")
    relay = bed.relay_pid()
    bed.systemctl("restart", SERVICE)
    assert bed.relay_pid() != relay, "the relay is another one"
    assert bed.wait_state(5, "listening")["origin"] == "control"
    bed.wait_state(1, "listening")
    bed.systemctl("stop", SERVICE)
    assert bed.show(SERVICE, "Result") == "success"
    assert not bed.processes()
    assert leftovers(bed) == ["state.json"], "what was asked for at run time"
    assert bed.show(RELAY, "ActiveState") != "active"


def test_stop_while_relays_start_or_hang(bed: Systemd) -> None:
    start(bed)
    bed.run("kill", "-STOP", bed.relay_pid())
    bed.systemctl("stop", SERVICE)
    assert bed.show(SERVICE, "Result") == "success"
    assert not bed.processes()
    bed.systemctl("reset-failed")
    # Before the first relay is ready.
    bed.systemctl("start", "--no-block", SERVICE)
    until(lambda: bed.show(RELAY, "ActiveState") == "activating", "the relay starts", interval=0.01)
    bed.systemctl("stop", SERVICE)
    assert bed.show(SERVICE, "Result") == "success"
    assert not bed.processes()


def test_broken_configuration(bed: Systemd) -> None:
    bed.write_config(VIRTIOFWD_LOG_LEVEL="loud")
    assert "failed" in bed.systemctl("start", SERVICE, check=False)
    assert re.search(r"virtioforwarder:\d+: .*LOG_LEVEL.*loud", bed.journal())
    assert bed.show(SERVICE, "ActiveState") == "failed"
    assert bed.show(SERVICE, "NRestarts") == "0", "it is not tried again"
    assert bed.show(SERVICE, "ExecMainStatus") == "78"
    start(bed)
    bed.wait_state(1, "listening")


def test_enable_and_disable(bed: Systemd) -> None:
    wants = bed.path(f"/etc/systemd/system/multi-user.target.wants/{SERVICE}")
    bed.systemctl("enable", SERVICE)
    assert wants.is_symlink()
    bed.systemctl("disable", SERVICE)
    assert not wants.is_symlink()


def test_everything_at_once_is_stopped_by_its_slice(bed: Systemd) -> None:
    """When the manager is gone for good, relays go on until somebody ends them."""
    bed.drop_in(SERVICE, "[Service]\nRestart=no\n")
    start(bed)
    bed.run("kill", "-KILL", bed.main_pid(SERVICE))
    until(lambda: bed.show(SERVICE, "ActiveState") == "failed", "it stays ended")
    assert bed.show(RELAY, "ActiveState") == "active"
    bed.systemctl("stop", "system-vio4wd.slice")
    assert not bed.processes()
    bed.path("/run/virtio-forwarder/control").unlink()
    bed.drop_in(SERVICE, "")
    start(bed)
    bed.wait_state(1, "listening")


def test_without_the_template_relays_are_children(bed: Systemd) -> None:
    """Somebody's own unit of the manager, without ours."""
    template = Path(bed.show(RELAY, "FragmentPath"))
    own = bed.path(f"/etc/systemd/system/{SERVICE}")
    hidden = bed.path(template).with_suffix(".hidden")
    bed.path(template).rename(hidden)
    own.write_text(
        "[Service]\nType=notify\nKillMode=process\nRestart=on-failure\n"
        f"ExecStart={bed.program('vio4wd')}\n"
    )
    bed.systemctl("daemon-reload")
    try:
        start(bed)
        bed.wait_state(1, "listening")
        assert "relays are child processes" in bed.journal()
        (relay,) = [p["pid"] for p in bed.ctl_json("relays")["processes"]]
        assert bed.status_of(relay)["PPid"] == str(bed.main_pid(SERVICE))
        manager = bed.main_pid(SERVICE)
        bed.run("kill", "-KILL", manager)
        until(lambda: bed.main_pid(SERVICE) not in (0, manager), "it is started again")
        bed.wait_state(1, "listening")
        assert [p["pid"] for p in bed.ctl_json("relays")["processes"]] == [relay]
        bed.systemctl("stop", SERVICE)
        assert not bed.processes()
    finally:
        own.unlink()
        hidden.rename(bed.path(template))
        bed.systemctl("daemon-reload")
        bed.path("/run/virtio-forwarder").rmdir()


@pytest.fixture
def pool() -> Iterator[Path]:
    """The host's: it has its size again at the end."""
    number = HUGEPAGES / "nr_hugepages"
    before = number.read_text()
    yield number
    number.write_text(before)


def test_hugepages_are_reserved(bed: Systemd, pool: Path) -> None:
    wanted = int(pool.read_text()) + 4
    start(bed, VIO4WD_NR_HUGEPAGES=wanted)
    assert bed.show("vio4wd-hugepages.service", "Result") == "success"
    assert int(pool.read_text()) == wanted
    assert f"has {wanted} now" in bed.journal("vio4wd-hugepages.service")
    bed.write_config(VIO4WD_NR_HUGEPAGES=wanted + 2)
    bed.systemctl("restart", SERVICE)
    assert int(pool.read_text()) == wanted + 2
    # It is everybody's pool: it never gets smaller.
    bed.write_config(VIO4WD_NR_HUGEPAGES=1)
    bed.systemctl("restart", SERVICE)
    assert int(pool.read_text()) == wanted + 2


def test_hugepages_that_the_host_has_not(bed: Systemd, pool: Path) -> None:
    """It is told, and no reason not to serve."""
    start(bed, VIO4WD_NR_HUGEPAGES="63:2")
    assert bed.show("vio4wd-hugepages.service", "ActiveState") == "failed"
    assert "NUMA node 63 has no hugepages" in bed.journal("vio4wd-hugepages.service")
    bed.wait_state(1, "listening")


def test_relay_on_hugepages(bed: Systemd, hugepages: Path) -> None:
    start(bed, VIO4WD_HUGEPAGES=True, VIRTIOFWD_HUGETLBFS_MOUNT_POINT=hugepages)
    bed.wait_state(1, "listening")
    free = int((HUGEPAGES / "free_hugepages").read_text())
    assert free < int((HUGEPAGES / "nr_hugepages").read_text())
    bed.systemctl("stop", SERVICE)
    assert int((HUGEPAGES / "free_hugepages").read_text()) > free
