# SPDX-License-Identifier: BSD-3-Clause
"""The names of 1.1's scripts: options, output and exit statuses that its users' scripts build upon."""

import errno
import re
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable, List, Tuple

import pytest

from lib.env import BUILD, COMPAT11, cpus, patience
from lib.process import Process, run
from lib.wait import until
from lib.zmq11 import Stats, messages

A, B = "0000:00:01.0", "0000:00:02.0"
ALIASES = [f"{A}=vdev:net_null1,no-rx=1", f"{B}=vdev:net_null2,no-rx=1"]
PROGRAMS = (
    "virtioforwarder_port_control.py", "virtioforwarder_port_control_tester.py",
    "virtioforwarder_stats.py", "virtioforwarder_core_pinner.py", "core_pinner.py",
    "virtioforwarder_monitor_load.py", "monitor_load.py", "virtioforwarder_core_scheduler.py",
)  # fmt: skip
Call = Callable[..., Tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in PROGRAMS:
        (tmp_path / name).symlink_to(COMPAT11)
    return tmp_path


@pytest.fixture
def call(folder: Path) -> Call:
    def _call(name: str, *args: object) -> Tuple[int, str, str]:
        done = subprocess.run(
            [folder / name, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=patience(20),
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return _call


def workers() -> List[int]:
    return cpus()[-2:]


def test_port_control(stage: Any, call: Call) -> None:
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES)

    def control(op: str, *args: object) -> Tuple[int, str]:
        status, out, err = call(
            "virtioforwarder_port_control.py", op, *args, "--zmq_ep", daemon.endpoint("port_control")
        )
        assert err == ""
        return status, out

    add = ("--virtio-id", 1, f"--pci-addr={A}")
    assert control("add", *add) == (0, "")
    daemon.wait_state(1, "listening")
    assert control("add", *add, "--conditional") == (0, "")
    status, out = control("add", *add)
    reply = messages().PortControlResponse(status=messages().PortControlResponse.ERROR)
    reply.error_code = errno.EEXIST
    reply.error_code_source = re.search(r'error_code_source: "(.*)"', out)[1]
    assert status == 1 and out == f"{reply}\n"
    assert control("query_pci", "--vhost-path", daemon.socket(1)) == (0, f"{A}\n")
    # A bond: as many members as given, its name and its mode get there.
    bond = ("--virtio-id", 2, f"--pci-addr={A}", f"--pci-addr={B}", "--name", "net_bonding9")
    status, out = control("add", *bond, "--mode", 2)
    assert status == 1 and f"error_code: {errno.EBUSY}\n" in out, out
    assert control("remove", "--virtio-id", 1, "--pci-addr", "00:01.0") == (0, "")
    assert control("remove", "--virtio-id", 1, "--pci-addr", A, "--conditional") == (0, "")
    assert control("remove", "--virtio-id", 1, "--pci-addr", A)[0] == 1
    assert control("add", *bond, "--mode", 2) == (0, "")
    assert daemon.wait_state(2, "listening")["bond"]["mode"] == 2
    assert control("query_pci", "--vhost-path", daemon.socket(2)) == (0, "net_bonding9\n")
    assert control("remove", "--virtio-id", 2, "--name", "net_bonding9") == (0, "")


def test_sockets_by_the_tester(stage: Any, call: Call) -> None:
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES, VIRTIOFWD_DYNAMIC_SOCKETS=True)
    until(daemon.relay_pids, "a relay runs")
    path = daemon.sockets / "vm-a"
    where = ("--zmq_ep", daemon.endpoint("port_control"), "--vhost-path", path)
    name = "virtioforwarder_port_control_tester.py"
    assert call(name, "add_sock", "--pci-addr", A, *where) == (0, "", "")
    assert path.is_socket()
    assert call(name, "query_pci", *where) == (0, f"{A}\n", "")
    assert call(name, "remove_sock", *where, "--pci-addr", A) == (0, "", "")
    assert not path.exists()
    status, out, _ = call(name, "query_pci", *where)
    assert status == 1 and 'error_code_source: "vhost_path"' in out


def flat(reply: Any, zero: bool) -> str:
    """What 1.1 prints of an answer: by the names of the protocol, in its order."""
    orders = {
        d: [
            *(f"{u}_{w}" for w in (f"rx_from_{a}", f"tx_to_{b}") for u in ("pkts", "bytes")),
            *(f"{u}_rate_{w}" for w in (f"rx_from_{a}", f"tx_to_{b}") for u in ("pkt", "byte")),
            *(f"{u}_dropped_{b}_{w}" for w in ("queue_full", "not_connected")
              for u in ("pkts", "bytes")),
        ]
        for d, a, b in (("vf_to_vm", "vf", "vm"), ("vm_to_vf", "vm", "vf"))
    }  # fmt: skip
    lines = []
    for r in reply.relay:
        lines.append(f"relay_{r.id}.active={r.active}")
        for group, names in (("cpu", orders), ("vf", ["pci_addr_str"]),
                             ("vhost", ["vhost_socket_name"])):  # fmt: skip
            part = getattr(r, group)
            for n in names:
                if part.HasField(n) and not (not zero and getattr(part, n) == 0):
                    lines.append(f"relay_{r.id}.{group}.{n}={getattr(part, n)}")
        for d, order in orders.items():
            part = getattr(r, d)
            lines.append(f"relay_{r.id}.{d}.active={part.active}")
            lines.append(f"relay_{r.id}.{d}.internal_state={part.internal_state}")
            where = f"{d}.cpu_{getattr(r.cpu, d)}" if r.cpu.HasField(d) else d
            for n in order:
                value = getattr(part, n)
                if part.HasField(n) and (zero or value != 0 or isinstance(value, float)):
                    lines.append(f"relay_{r.id}.{where}.{n}={value}")
    return "".join(f"{x}\n" for x in lines)


def test_stats(stage: Any, call: Call) -> None:
    """The lines are those of 1.1's script for the same answer: all that 1.1's protocol has."""
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES)
    daemon.add(1, A)
    daemon.add(2, B)
    pmd = stage.testpmd(daemon.socket(1), mode="txonly")
    pmd.start()
    daemon.wait_state(1, "active")
    until(lambda: daemon.stats(1)["vm_to_vf"]["packets_out"] > 100, "packets flow")
    pmd.stop_forwarding()
    where = ("--stats-ep", daemon.endpoint("stats"))
    name = "virtioforwarder_stats.py"

    def settled() -> bool:
        with Stats(daemon.endpoint("stats")) as stats:
            reply = stats.get(delay=100, include_inactive=True)
        return all(r.vm_to_vf.pkt_rate_rx_from_vm == 0 for r in reply.relay)

    until(settled, "no packets flow", 20)
    with Stats(daemon.endpoint("stats")) as stats:
        whole, active = stats.get(delay=10), stats.get(delay=10, include_inactive=False)
    assert call(name, *where, "--include-inactive") == (0, flat(whole, True), "")
    status, out, _ = call(name, *where, "-z", "--delay", 10)
    assert (status, out) == (0, flat(active, False))
    assert "relay_1.active=True" in out and "relay_2" not in out
    assert f"relay_1.vm_to_vf.cpu_{workers()[-1]}.pkts_rx_from_vm=" in out
    status, out, _ = call(name, *where, "--output-format", "protobuf")
    assert status == 0 and out == f"{active}\n"


def test_core_pinner_and_load(stage: Any, call: Call, folder: Path) -> None:
    first, last = workers()[0], workers()[-1]
    daemon = stage.daemon(
        VIO4WD_ALIASES=ALIASES, VIRTIOFWD_CPU_MASK=",".join(map(str, sorted({first, last})))
    )
    daemon.add(1, A)
    pmd = stage.testpmd(daemon.socket(1), mode="txonly")
    pmd.start()
    daemon.wait_state(1, "active")
    where = ("--stats-ep", daemon.endpoint("stats"), "--sched-ep", daemon.endpoint("core_sched"))
    table = {
        2: f"===================\n== {first:02d} ==   == {last:02d} ==\n"
           "01               01\n===================\n",
        1: f"========\n== {first:02d} ==\n01    01\n========\n",
    }[len({first, last})]  # fmt: skip
    assert call("core_pinner.py", *where, f"--virtio-cpu=1:{first},{last}") == (
        0, f"Setting relay 1={first},{last}\nScheduler response: OK\nNew worker core mapping:\n{table}", ""
    )  # fmt: skip
    expected = (0, f"Worker cores affinities:\n{table}", "")
    assert call("virtioforwarder_core_pinner.py", *where, "--print-core-map") == expected
    assert call("virtioforwarder_core_pinner.py", *where) == expected
    status, out, err = call("core_pinner.py", *where, "--virtio-cpu=1:4000,4000")
    assert status == 1 and "Scheduler response: ERROR\n" in out
    assert err == f"refused: vf2virtio_cpu (error {errno.EINVAL})\n"
    status, out, _ = call("core_pinner.py", *where, "--virtio-cpu", "1:x")
    assert status == 1 and out.startswith("Invalid virtio-cpu command line format.")

    monitor = Process(
        [folder / "monitor_load.py", *where, "--poll-interval", "0.2"], stage.dir / "monitor.txt"
    )
    stage.add(monitor)
    until(
        lambda: re.search(rf"^CPU loads\n(CPU\d+: -*\n)*CPU{first}: -+$", monitor.text(), re.M),
        "the worker of VM to VF has a bar",
    )
    assert monitor.stop(signal.SIGINT) == 0


def test_wrong_options_and_no_answer(call: Call) -> None:
    for name in PROGRAMS[:-1]:
        status, out, _ = call(name, "--help")
        assert status == 0 and out.startswith(f"usage: {name}"), out
        status, _, err = call(name, "--nonsense")
        assert status == 2 and "--nonsense" in err
    control = "virtioforwarder_port_control.py"
    for args, status, words in (
        (["ad"], 2, "did you mean 'add'"),
        ([], 2, "the operation is missing"),
        (["add", "--virtio-id", "x"], 2, "--virtio-id is 'x'"),
        (["add", "--mode", "7"], 2, "--mode is '7'"),
        (["add", "--pci-addr", "1:2"], 1, "Badly formatted PCI address '1:2'"),
        (["add", "more"], 2, "unexpected argument 'more'"),
        (["remove", "--zmq_ep", "nonsense"], 1, "nonsense: "),
        (["remove", "--zmq_ep", "ipc:///nonexistent/x"], 1, "no answer; is vio4wd running"),
    ):
        done = call(control, *args)
        assert done[0] == status and words in done[2], done
    assert call("virtioforwarder_stats.py", "--output-format", "xml")[0] == 2


def test_installed(tmp_path: Path, call: Call) -> None:
    """All names in all folders, and the core scheduler where its name looks for it."""
    run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", tmp_path / "root"])
    (real,) = (tmp_path / "root").glob("**/libexec/virtio-forwarder")
    prefix = real.parents[1]
    for folder in ("libexec", "lib", "lib64"):
        there = prefix / folder / "virtio-forwarder"
        assert there.resolve() == real.resolve()
        for name in PROGRAMS:
            assert (there / name).resolve() == (real / "vio4wd-compat11").resolve()
    scheduler = Path("/") / prefix.relative_to(tmp_path / "root") / "sbin/vio4wd_core_scheduler"
    assert (tmp_path / "root" / scheduler.relative_to("/")).exists()
    status, out, err = call("virtioforwarder_core_scheduler.py", "--help")
    if scheduler.exists():
        assert status == 0 and out.startswith("Usage: vio4wd_core_scheduler")
    else:
        assert status == 1 and err == f"{scheduler}: No such file or directory\n"
