# SPDX-License-Identifier: BSD-3-Clause
"""Broken configuration files: every error is told with its line, nothing starts, a reload keeps
what runs."""

import os
import re
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest

from lib.env import CTL, MANAGER, RELAY, patience
from lib.wait import until

LONG = "/" + "x" * 299

# name: (line, what the message must have). The line is the file's second; a list says more.
ERRORS: Dict[str, tuple] = {
    # the form
    "no_assignment": ("hello world", r"hello"),
    "no_name": ("=5", r"="),
    "blank_before_the_equals_sign": ("VIRTIOFWD_JUMBO =y", r"VIRTIOFWD_JUMBO"),
    "blank_after_the_equals_sign": ("VIRTIOFWD_JUMBO= y", r"VIRTIOFWD_JUMBO"),
    "name_with_a_dash": ("VIRTIOFWD-JUMBO=y", r"VIRTIOFWD-JUMBO"),
    "dollar": ("VIRTIOFWD_SOCKET_DIR=$HOME", r"VIRTIOFWD_SOCKET_DIR.*\$"),
    "dollar_in_quotes": ('VIRTIOFWD_SOCKET_DIR="/tmp/$USER"', r"VIRTIOFWD_SOCKET_DIR.*\$"),
    "backquote": ("VIRTIOFWD_SOCKET_DIR=`pwd`", r"VIRTIOFWD_SOCKET_DIR"),
    "backquote_in_quotes": ('VIRTIOFWD_SOCKET_DIR="`pwd`"', r"VIRTIOFWD_SOCKET_DIR"),
    "semicolon": ("VIRTIOFWD_JUMBO=y; reboot", r"VIRTIOFWD_JUMBO.*;"),
    "pipe": ("VIRTIOFWD_JUMBO=y|cat", r"VIRTIOFWD_JUMBO"),
    "redirection": ("VIRTIOFWD_SOCKET_DIR=/tmp>/etc/passwd", r"VIRTIOFWD_SOCKET_DIR"),
    "quote_without_end": ('VIRTIOFWD_SOCKET_DIR="/tmp', r"VIRTIOFWD_SOCKET_DIR"),
    "single_quote_without_end": ("VIRTIOFWD_SOCKET_DIR='/tmp", r"VIRTIOFWD_SOCKET_DIR"),
    "array_without_end": ("VIRTIOFWD_STATIC_VFS=(vdev:net_null1=1", r"VIRTIOFWD_STATIC_VFS"),
    "array_in_array": ("VIRTIOFWD_STATIC_VFS=((vdev:net_null1=1))", r"VIRTIOFWD_STATIC_VFS"),
    "array_where_one_value_is_due": ("VIRTIOFWD_LOG_LEVEL=(1 2)", r"VIRTIOFWD_LOG_LEVEL"),
    # values
    "cpu_mask": ("VIRTIOFWD_CPU_MASK=1,x", r"VIRTIOFWD_CPU_MASK.*1,x"),
    "cpu_mask_backwards": ("VIRTIOFWD_CPU_MASK=5-2", r"VIRTIOFWD_CPU_MASK.*5-2"),
    "cpu_mask_hexadecimal": ("VIRTIOFWD_CPU_MASK=0xzz", r"VIRTIOFWD_CPU_MASK.*0xzz"),
    "cpu_mask_of_none": ("VIRTIOFWD_CPU_MASK=0x0", r"VIRTIOFWD_CPU_MASK"),
    "cpu_mask_negative": ("VIRTIOFWD_CPU_MASK=-1", r"VIRTIOFWD_CPU_MASK"),
    "cpu_that_the_host_lacks": ("VIRTIOFWD_CPU_MASK=0,8191", r"VIRTIOFWD_CPU_MASK.*8191"),
    "cpu_beyond_all": ("VIRTIOFWD_CPU_MASK=99999999999", r"VIRTIOFWD_CPU_MASK"),
    "master_lcore": ("VIRTIOFWD_MASTER_LCORE=8191", r"VIRTIOFWD_MASTER_LCORE.*8191"),
    "master_lcore_text": ("VIRTIOFWD_MASTER_LCORE=first", r"VIRTIOFWD_MASTER_LCORE.*first"),
    "log_level_8": ("VIRTIOFWD_LOG_LEVEL=8", r"VIRTIOFWD_LOG_LEVEL.*8.*7"),
    "log_level_negative": ("VIRTIOFWD_LOG_LEVEL=-1", r"VIRTIOFWD_LOG_LEVEL.*-1"),
    "log_level_text": ("VIRTIOFWD_LOG_LEVEL=debug", r"VIRTIOFWD_LOG_LEVEL.*debug"),
    "boolean": ("VIRTIOFWD_JUMBO=perhaps", r"VIRTIOFWD_JUMBO.*perhaps.*true"),
    "boolean_number": ("VIRTIOFWD_VHOST_CLIENT=2", r"VIRTIOFWD_VHOST_CLIENT.*2"),
    "relative_path": ("VIRTIOFWD_SOCKET_DIR=tmp", r"VIRTIOFWD_SOCKET_DIR.*tmp"),
    "long_path": (f"VIRTIOFWD_SOCKET_DIR={LONG}", r"VIRTIOFWD_SOCKET_DIR.*107"),
    "pattern_without_number": ("VIRTIOFWD_SOCKET_FNAME_PATTERN=v.sock", r"PATTERN.*v\.sock.*%u"),
    "pattern_with_two": ("VIRTIOFWD_SOCKET_FNAME_PATTERN=v%u%u", r"PATTERN.*v%u%u"),
    "pattern_with_another": ("VIRTIOFWD_SOCKET_FNAME_PATTERN=v%s", r"PATTERN.*v%s"),
    "pattern_with_a_write": ("VIRTIOFWD_SOCKET_FNAME_PATTERN=v%u%n", r"PATTERN.*v%u%n"),
    "pattern_with_slash": ("VIRTIOFWD_SOCKET_FNAME_PATTERN=a/v%u", r"PATTERN.*a/v%u"),
    "pattern_with_digit": ("VIRTIOFWD_SOCKET_FNAME_PATTERN=v%u1", r"PATTERN.*v%u1"),
    "static_without_id": ("VIRTIOFWD_STATIC_VFS=vdev:net_null1", r"STATIC_VFS.*net_null1"),
    "static_id_64": ("VIRTIOFWD_STATIC_VFS=(vdev:net_null1=64)", r"STATIC_VFS.*64.*63"),
    "static_id_negative": ("VIRTIOFWD_STATIC_VFS=(vdev:net_null1=-1)", r"STATIC_VFS.*-1"),
    "static_id_huge": ("VIRTIOFWD_STATIC_VFS=(vdev:net_null1=4294967297)", r"STATIC_VFS"),
    "static_no_device": ("VIRTIOFWD_STATIC_VFS=(=1)", r"STATIC_VFS"),
    "static_bad_device": ("VIRTIOFWD_STATIC_VFS=(0000:05:99.9=1)", r"STATIC_VFS.*0000:05:99.9"),
    "static_twice_one_id": ("VIRTIOFWD_STATIC_VFS=(vdev:net_null1=1 vdev:net_null2=1)", r"1"),
    "static_twice_one_device": ("VIRTIOFWD_STATIC_VFS=(vdev:net_null1=1 vdev:net_null1=2)", r"1"),
    "pins_without_colon": ("VIRTIOFWD_CPU_PINS=1", r"CPU_PINS"),
    "pins_bad_id": ("VIRTIOFWD_CPU_PINS=64:0", r"CPU_PINS.*64"),
    "pins_bad_cpu": ("VIRTIOFWD_CPU_PINS=1:x", r"CPU_PINS.*x"),
    "pins_negative_cpu": ("VIRTIOFWD_CPU_PINS=1:-1", r"CPU_PINS.*-1"),
    "pins_three_cpus": ("VIRTIOFWD_CPU_PINS=1:0,0,0", r"CPU_PINS"),
    "pins_of_no_worker": ("VIRTIOFWD_CPU_PINS=1:8191", r"CPU_PINS.*8191"),
    "endpoint": ("VIRTIOFWD_ZMQ_STATS_EP=somewhere", r"ZMQ_STATS_EP.*somewhere"),
    "endpoint_long": (f"VIRTIOFWD_ZMQ_STATS_EP=ipc://{LONG}", r"ZMQ_STATS_EP.*107"),
    "endpoint_of_two": (
        "VIRTIOFWD_ZMQ_CONFIG_EP=ipc:///run/one\nVIRTIOFWD_ZMQ_STATS_EP=ipc:///run/one",
        r"ZMQ_(STATS|CONFIG)_EP.*/run/one",
    ),
    "bind": ("VIRTIOFWD_BIND_VFIO_PCI=0000:01:02.9", r"BIND_VFIO_PCI.*0000:01:02.9"),
    "bind_count": ("VIRTIOFWD_BIND_VFIO_PCI=ens3:many", r"BIND_VFIO_PCI.*many"),
    "token": ("VIRTIOFWD_VFIO_VF_TOKEN=secret", r"VFIO_VF_TOKEN.*secret"),
    "sensitivity": ("VIO4WD_CORE_SCHED_SENSITIVITY=much", r"SENSITIVITY.*much"),
    "sensitivity_infinite": ("VIO4WD_CORE_SCHED_SENSITIVITY=inf", r"SENSITIVITY.*inf"),
    "poll_interval": ("VIO4WD_CORE_SCHED_POLL_INTERVAL=0", r"POLL_INTERVAL.*0"),
    "backend": ("VIO4WD_BACKEND=hardware", r"VIO4WD_BACKEND.*hardware.*auto"),
    "auto_vfs": ("VIO4WD_AUTO_VFS=ens3", r"VIO4WD_AUTO_VFS.*ens3"),
    "auto_vfs_id": ("VIO4WD_AUTO_VFS=ens3:64", r"VIO4WD_AUTO_VFS.*64"),
    "num_vfs": ("VIO4WD_NUM_VFS=ens3=", r"VIO4WD_NUM_VFS.*ens3="),
    "exclude": ("VIO4WD_EXCLUDE=nonsense", r"VIO4WD_EXCLUDE.*nonsense"),
    "spare": ("VIO4WD_SPARE_VFS=netdev:eth0", r"VIO4WD_SPARE_VFS.*netdev:eth0"),
    "alias": ("VIO4WD_ALIASES=name", r"VIO4WD_ALIASES.*name"),
    "alias_of_nothing": ("VIO4WD_ALIASES=(name=)", r"VIO4WD_ALIASES"),
    "alias_twice": ("VIO4WD_ALIASES=(n=vdev:net_null1 n=vdev:net_null2)", r"VIO4WD_ALIASES.*n"),
    "uio_driver": ("VIO4WD_UIO_DRIVER=e1000", r"VIO4WD_UIO_DRIVER.*e1000.*vfio-pci"),
    "poll_mode": ("VIO4WD_POLL_MODE=lazy", r"VIO4WD_POLL_MODE.*lazy.*adaptive"),
    "max_sleep": ("VIO4WD_MAX_SLEEP_US=0", r"VIO4WD_MAX_SLEEP_US.*0"),
    "max_sleep_huge": ("VIO4WD_MAX_SLEEP_US=99999999999999999999", r"VIO4WD_MAX_SLEEP_US"),
    "metrics": ("VIO4WD_METRICS_LISTEN=9464", r"VIO4WD_METRICS_LISTEN.*9464"),
    "metrics_port": ("VIO4WD_METRICS_LISTEN=127.0.0.1:70000", r"METRICS_LISTEN.*70000"),
    "runtime_dir": ("VIO4WD_RUNTIME_DIR=run", r"VIO4WD_RUNTIME_DIR.*run"),
    "migration_without_keys": ("VIO4WD_MIGRATION_LISTEN=0.0.0.0:1", r"MIGRATION_LISTEN.*KEY"),
    "not_utf8": (b"VIRTIOFWD_SOCKET_DIR=/tmp/\xff\xfe", r"VIRTIOFWD_SOCKET_DIR"),
    "control_character": (b"VIRTIOFWD_SOCKET_DIR=/tmp/\x1b[2J", r"VIRTIOFWD_SOCKET_DIR"),
    "nul_byte": (b"VIRTIOFWD_SOCKET_DIR=/t\0mp", r"NUL"),
}


def run(*argv: object) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        list(map(str, argv)), stdin=subprocess.DEVNULL, capture_output=True, timeout=patience(20)
    )  # fmt: skip


def issues(stderr: bytes, path: Path) -> List[tuple]:
    """(line, text) of what is said about the file; nothing of it may confuse a terminal."""
    text = stderr.decode()  # UTF-8, whatever the file has
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text), repr(text)
    found = re.findall(rf"{re.escape(str(path))}:(\d+): (.*)", text)
    return [(int(line), said) for line, said in found]


def both(path: Path) -> List[tuple]:
    """What the manager and vio4wdctl say about a broken file; they agree. Neither starts."""
    daemon = run(MANAGER, "--config", path, "--relay-program", RELAY)
    assert daemon.returncode == 78, daemon  # which is not tried again (virtio-forwarder.service)
    check = run(CTL, "--config", path, "config", "check")
    assert check.returncode == 1, check
    said = issues(daemon.stderr, path)
    assert said, daemon.stderr.decode(errors="replace")
    shown = issues(check.stderr, path) or issues(check.stdout, path)
    assert [line for line, _ in shown] == [line for line, _ in said], (shown, said)
    return said


@pytest.fixture
def runtime(tmp_path: Path) -> str:
    """The first line of a file: nothing may happen in the machine's own runtime directory."""
    return f"VIO4WD_RUNTIME_DIR={tmp_path / 'run'}\n"


@pytest.mark.parametrize("name", ERRORS)
def test_error(tmp_path, runtime, name):
    line, message = ERRORS[name]
    path = tmp_path / "config"
    raw = line if isinstance(line, bytes) else line.encode()
    if name == "runtime_dir":
        runtime = "# the second line is the one\n"
    path.write_bytes(runtime.encode() + raw + b"\n")
    said = both(path)
    at = {number for number, _ in said}
    assert at & {2, 3} and not at - {2, 3}, said
    assert any(re.search(message, text) for _, text in said), said
    assert not (tmp_path / "run").exists(), "something was started"


def test_every_error_is_reported_at_once(tmp_path, runtime):
    lines = [
        "VIRTIOFWD_JUMBO=perhaps",
        "VIRTIOFWD_TSO=true",
        "VIRTIOFWD_LOG_LEVEL=9",
        "# a comment",
        "VIRTIOFWD_SOCKET_DIR=$HOME",
        "VIO4WD_BACKEND=none",
        "VIRTIOFWD_STATIC_VFS=(vdev:net_null1=1 vdev:net_null2=99",
        "	vdev:net_null3=x)",
        "this is no assignment",
        "VIO4WD_POLL_MODE=lazy",
    ]
    path = tmp_path / "config"
    path.write_text(runtime + "\n".join(lines) + "\n")
    assert {2, 4, 6, 7, 8, 9, 10, 11} == {line for line, _ in both(path)}


def test_thousands_of_errors_end(tmp_path, runtime):
    path = tmp_path / "config"
    path.write_text(runtime + "VIRTIOFWD_JUMBO=perhaps\n" * 20000)
    assert len(both(path)) >= 100


def test_unknown_variables_are_warnings_that_name_the_closest(tmp_path, runtime):
    path = tmp_path / "config"
    path.write_text(runtime + "VIRTIOFWD_JUMB0=y\nVIO4WD_BACKENDS=sw\nOTHER_PROGRAM=$nonsense\n")
    path.write_text(runtime + "VIRTIOFWD_JUMB0=y\nVIO4WD_BACKENDS=sw\nOTHER_PROGRAM=1\n")
    check = run(CTL, "--config", path, "config", "check")
    assert check.returncode == 0, check
    said = issues(check.stderr, path) or issues(check.stdout, path)
    assert [line for line, _ in said] == [2, 3], said
    assert "VIRTIOFWD_JUMBO" in said[0][1] and "VIO4WD_BACKEND" in said[1][1]


@pytest.mark.parametrize("kind", ["missing", "folder", "device", "fifo", "loop"])
def test_files_that_are_none(tmp_path, kind):
    path = tmp_path / "config"
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    for status, *argv in (
        (78, MANAGER, "--config", path, "--relay-program", RELAY),
        (1, CTL, "--config", path, "config", "check"),
    ):
        done = run(*argv)
        assert done.returncode == status, done
        assert str(path) in done.stderr.decode() + done.stdout.decode(), done


def test_files_of_random_bytes(tmp_path):
    """No crash, no report of a sanitizer: a plain error or nothing to complain about."""
    for seed in range(20):
        path = tmp_path / f"config{seed}"
        path.write_bytes(os.urandom(200 * seed))
        done = run(CTL, "--config", path, "config", "check")
        assert done.returncode in (0, 1), (path.read_bytes(), done)
        assert b"Sanitizer" not in done.stderr, done


def test_the_shipped_file_is_right(tmp_path):
    from lib.env import TOP

    done = run(CTL, "--config", TOP / "conf/virtioforwarder", "config", "check")
    assert done.returncode == 0, done
    assert not issues(done.stderr + done.stdout, TOP / "conf/virtioforwarder"), done


def test_reload_with_a_broken_file_keeps_what_runs(stage):
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=["vdev:net_ring1=1"])
    daemon.wait_state(1, "listening")
    before, start = daemon.rpc("config"), len(daemon.log_text())
    good = daemon.config_file.read_text()

    daemon.config_file.write_text(
        good + "VIRTIOFWD_STATIC_VFS=(vdev:net_ring2=2)\nVIRTIOFWD_JUMBO=perhaps\n"
    )
    broken = good.count("\n") + 2
    daemon.reload()
    daemon.wait_log(rf"{re.escape(str(daemon.config_file))}:{broken}: .*JUMBO", start=start)
    daemon.wait_log(r"running configuration stays", start=start)
    assert daemon.rpc("config") == before
    assert daemon.relay(1)["state"] == "listening"

    with pytest.raises(Exception, match=rf":{broken}: "):
        daemon.rpc("reload")
    assert daemon.rpc("config") == before

    daemon.config_file.unlink()
    daemon.reload()
    start = len(daemon.log_text())
    daemon.wait_log(r"running configuration stays")
    assert daemon.rpc("config") == before

    daemon.config_file.write_text(good + "VIRTIOFWD_LOG_LEVEL=7\n")
    daemon.reload()
    until(lambda: daemon.rpc("config")["VIRTIOFWD_LOG_LEVEL"] in (7, "7"), "the level is read")
    assert daemon.relay(1)["state"] == "listening"


def test_settings_that_cannot_be_as_wished(stage):
    """They are no reason not to start; the log of the manager and `show` say what holds instead."""
    daemon = stage.daemon(
        VIRTIOFWD_ZERO_COPY=True, VIRTIOFWD_JUMBO=True, VIRTIOFWD_MRGBUF=False
    )
    daemon.wait_log(r"warning: .*VIRTIOFWD_ZERO_COPY: packets are copied")
    daemon.wait_log(r"warning: .*VIRTIOFWD_MRGBUF: off, with VIRTIOFWD_JUMBO")
    shown = daemon.ctl("show", 1).out
    assert re.search(r"^  warning +VIRTIOFWD_ZERO_COPY: packets are copied", shown, re.M), shown
    assert re.search(r"^  warning +VIRTIOFWD_MRGBUF: off, with VIRTIOFWD_JUMBO", shown, re.M), shown
    assert stage.daemon().ctl("--json", "show", 1).json["warnings"] == []
