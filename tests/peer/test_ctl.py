# SPDX-License-Identifier: BSD-3-Clause
"""vio4wdctl: every command against a running vio4wd, and its exit statuses."""

import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lib.env import cpus

REFUSED, USAGE, UNREACHABLE = 1, 2, 3
NULL = "vdev:net_null1,no-rx=1"
RESTS_AFTER = 12  # seconds without a question


@pytest.fixture
def running(stage):
    return stage.daemon()


def test_add_show_remove(running):
    running.ctl("add", "--id", 1, "--device", NULL)
    table = running.ctl("status").out
    assert NULL in table and str(running.socket(1)) in table and "listening" in table
    status = running.ctl("--json", "status").json
    assert [r["device"] for r in status["relays"] if r["id"] == 1] == [NULL]
    assert NULL in running.ctl("show", 1).out
    assert running.ctl("--json", "show", 1).json["state"] == "listening"
    running.ctl("remove", 1)
    assert running.ctl("--json", "show", 1).json["state"] == "free"


def test_statistics(running):
    running.ctl("add", "--id", 1, "--device", NULL)
    assert running.ctl("stats").out
    assert running.ctl("stats", 1).out
    (entry,) = running.ctl("--json", "stats", 1).json["relays"]
    assert entry["id"] == 1 and entry["vm_to_vf"]["packets_in"] == 0


def test_pin(running):
    running.ctl("add", "--id", 1, "--device", NULL)
    cpu = cpus()[-1]
    running.ctl("pin", 1, "--cpu", f"{cpu},{cpu}")
    assert running.relay(1)["pinned"]
    assert running.ctl("pin", 1, "--cpu", "4000", status=REFUSED).err


def test_relays(running):
    text = running.ctl("relays").out
    assert "running" in text and "LONGEST ROUND" in text
    (process,) = running.ctl("--json", "relays").json["processes"]
    assert process["pid"] == running.relay_pids()[0]
    for worker in process["workers"]:
        assert worker["longest_round_us"] >= 0 and worker["slow_rounds"] >= 0


def test_rates_after_a_rest(stage):
    """A manager that nobody has asked for long reads no counters; the first answer has rates all the
    same, and of now."""
    daemon = stage.daemon(VIO4WD_CORE_SCHED_ENABLE=False)
    daemon.add(1, NULL)
    pmd = stage.testpmd(daemon.socket(1), mode="txonly")
    daemon.wait_state(1, "active")
    time.sleep(RESTS_AFTER)
    pmd.start()
    time.sleep(0.5)
    assert daemon.relay(1)["rates"]["vm_to_vf"]["packets"] > 0


def test_log_level(running):
    assert "6" in running.ctl("log-level").out
    running.ctl("log-level", 7)
    assert running.ctl("--json", "log-level").json["level"] == 7


def test_config(running):
    running.ctl("config", "check")
    assert "VIO4WD_RUNTIME_DIR" in running.ctl("config", "show").out
    assert running.ctl("--json", "config", "show").json["VIRTIOFWD_LOG_LEVEL"] in (6, "6")


def test_arguments_for_qemu_and_libvirt(running):
    text = running.ctl("qemu-args", 1).out
    assert str(running.socket(1)) in text and "vhost-user" in text
    root = ET.fromstring(f"<x>{running.ctl('libvirt-xml', 1).out}</x>")
    source = next(root.iter("source"))
    assert source.get("path") == str(running.socket(1)) and source.get("mode") == "client"


def test_version(running):
    assert running.ctl("version").out.strip()


@pytest.mark.parametrize(
    "args",
    [
        ("remove", 1),
        ("add", "--id", 1, "--device", "nonsense"),
        ("add", "--id", 1, "--device", "vdev:net_there_is_no_such_driver"),
        ("add", "--id", 1, "--device", "netdev:v4none"),
        ("add", "--id", 64, "--device", NULL),
        ("show", 999),
    ],
)
def test_refusals(running, args):
    if args[0] == "add" and "netdev" in str(args):
        # It may appear later: the pairing waits for it.
        running.ctl(*args, status=None)
        return
    done = running.ctl(*args, status=REFUSED)
    assert done.err.strip() and not done.out


@pytest.mark.parametrize(
    "args",
    [(), ("nonsense",), ("add", "--id"), ("add",), ("show",), ("show", "x"), ("pin", 1),
     ("add", "--id", 1, "--device", NULL, "--backend", "x"), ("status", "--nonsense")],
)  # fmt: skip
def test_wrong_usage(running, args):
    assert running.ctl(*args, status=USAGE).err.strip()


def test_no_daemon(stage):
    daemon = stage.daemon(start=False)
    daemon.write_config()
    done = daemon.ctl("status", status=UNREACHABLE)
    assert str(daemon.runtime) in done.err


def test_doctor_on_this_host(stage):
    """Without a daemon, and with one: every check says something, and says all of it."""
    daemon = stage.daemon(start=False)
    daemon.write_config()

    def examine(*areas):
        report = daemon.ctl("--json", "doctor", *areas, status=None).json
        for f in report["findings"]:
            assert f["looked_at"] and f["found"], f
            assert f["severity"] == "ok" or (f["expected"] and f["action"]), f
        assert sum(report["counts"].values()) == len(report["findings"])
        return {(f["area"], f["check"]): f for f in report["findings"]}

    found = examine()
    assert {area for area, _ in found} == {
        "config", "install", "cpu", "iommu", "memory", "vf", "vdpa", "libvirt", "socket", "daemon"
    }  # fmt: skip
    assert found["daemon", "running"]["severity"] == "note"
    assert str(daemon.runtime) in found["daemon", "running"]["found"]
    assert found["config", "file"]["severity"] == "ok"
    groups = any(Path("/sys/kernel/iommu_groups").iterdir())
    assert (found["iommu", "active"]["severity"] == "ok") == groups
    assert found["socket", "path"]["severity"] == "ok"
    # Root may enter every folder; an ordinary user of QEMU needs the way to be open.
    daemon.write_config(VIRTIOFWD_SOCKET_OWNER="nobody", VIRTIOFWD_SOCKET_GROUP="nogroup")
    daemon.dir.chmod(0o700)
    found = examine("socket")
    assert str(daemon.dir) in found["socket", "path"]["found"]
    assert found["socket", "path"]["severity"] == "error"
    daemon.dir.chmod(0o755)
    assert examine("socket")["socket", "path"]["severity"] == "ok"

    daemon.start()
    found = examine("daemon")
    assert set(found) == {("daemon", "running"), ("daemon", "config"), ("daemon", "relays")}
    assert {f["severity"] for f in found.values()} == {"ok"}
    daemon.write_config(VIRTIOFWD_TSO=True)
    assert examine("daemon")["daemon", "config"]["severity"] == "note"


def test_doctor_exit_status_and_table(stage):
    daemon = stage.daemon(start=False)
    daemon.write_config()
    good = daemon.ctl("doctor", "config", "daemon", status=0)
    assert "0 errors, 0 warnings" in good.out and "to do" in good.out
    daemon.write_config(VIRTIOFWD_CPU_MASK="x")
    bad = daemon.ctl("doctor", "config", status=REFUSED)
    assert "VIRTIOFWD_CPU_MASK" in bad.out and "1 error" in bad.out
    assert " ok  " not in bad.out
    assert " ok  " in daemon.ctl("doctor", "config", "--all", status=REFUSED).out
    assert "did you mean 'iommu'" in daemon.ctl("doctor", "iomu", status=USAGE).err


@pytest.mark.parametrize(
    "command",
    ["status", "show", "add", "remove", "stats", "pin", "relays", "log-level", "config",
     "doctor", "qemu-args", "libvirt-xml"],
)  # fmt: skip
def test_help(stage, command):
    daemon = stage.daemon(start=False)
    daemon.write_config()
    assert "Usage: vio4wdctl" in daemon.ctl(command, "--help").out
