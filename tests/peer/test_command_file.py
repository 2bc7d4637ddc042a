# SPDX-License-Identifier: BSD-3-Clause
"""Port control by the command file."""

import os
import socket
import stat
import subprocess

import pytest

from lib.wait import until

ALIASES = [f"vm{i}=vdev:net_null{i},no-rx=1" for i in range(1, 9)]


@pytest.fixture
def running(stage):
    return stage.daemon(
        VIRTIOFWD_ZMQ_PORT_CONTROL_EP="", VIRTIOFWD_IPC_PORT_CONTROL=True, VIO4WD_ALIASES=ALIASES
    )


def file_of(daemon):
    return daemon.runtime / "vio_cmd"


def wait_port(daemon, relay, name):
    until(lambda: daemon.relay(relay)["interface"] == name, f"relay {relay} has {name}")
    return daemon.wait_state(relay, "listening" if name else "free")


def wait_taken(daemon):
    """The file may have been made anew."""

    def taken():
        try:
            return file_of(daemon).stat().st_size == 0
        except FileNotFoundError:
            return False

    until(taken, "the commands are taken")


def test_commands(running):
    file = file_of(running)
    assert f"port control by command file, {file}, open" in running.ctl("version").out
    assert file.stat().st_mode & 0o7777 == 0o660 and file.stat().st_uid == 0
    subprocess.run(["sh", "-c", f"echo add_port vm1 1 >{file}"], check=True)
    assert wait_port(running, 1, "vm1")["origin"] == "port_control"
    running.wait_log("vio_cmd: add_port vm1 1: done, relay 1")
    wait_taken(running)

    file.write_text("# several\n\nadd_port vm2 2\r\n\tadd_port  vm3 3\ndel_port vm1")
    wait_port(running, 2, "vm2")
    wait_port(running, 3, "vm3")
    wait_port(running, 1, None)
    # One that is written elsewhere is moved there when it is complete.
    ready = running.dir / "ready"
    ready.write_text("add_port vm4 4\n")
    ready.chmod(0o600)
    ready.rename(file)
    wait_port(running, 4, "vm4")
    wait_taken(running)
    assert file.stat().st_mode & 0o7777 == 0o660
    file.unlink()
    until(file.exists, "it is made anew")

    # Half a line is no command until the writer is done.
    with open(file, "w") as writer:
        writer.write("add_port vm")
        writer.flush()
        with open(file, "a") as other:
            other.write("")
        running.wait_log("vio_cmd is open elsewhere")
        writer.write("5 5\n")
    wait_port(running, 5, "vm5")

    running.stop()
    assert not file.exists()
    running.start()
    assert wait_port(running, 4, "vm4")["origin"] == "port_control"
    file.write_text("del_port vm4\n")
    wait_port(running, 4, None)


def test_bad_commands(running):
    file = file_of(running)
    file.write_bytes(
        b"add_port vm1\nadd_port vm1 64\nadd_port vm1 1x\nadd_port nosuch 1\nadd_port lo 1\n"
        b"del_port vm1\nadd_port ../x 1\nadd_port vm1 1 2\nadd_vm vm1\nadd_port\n"
        b"add_port \xff\x00\x1b[2J 1\n" + b"x" * 5000 + b"\nadd_port vm2 2\nadd_port vm3 2\n"
    )
    wait_port(running, 2, "vm2")
    for line in (
        "add_port vm1: refused: vm1 has no VF number",
        "add_port vm1 64: refused: '64' is no relay id: allowed is 0 to 63",
        "add_port vm1 1x: refused: '1x' is no relay id",
        "add_port nosuch 1: refused: there is no interface nosuch",
        "add_port lo 1: refused: lo is neither",
        "del_port vm1: refused: no relay has the device",
        r"add_port \.\./x 1: refused: '../x' is no name",
        "add_port vm1 1 2: refused: 'add_port vm1 1 2' is neither",
        "add_vm vm1: refused",
        "add_port: refused",
        r"add_port \?\?\?\[2J 1: refused",
        "x{80}: refused",
        "add_port vm3 2: relay 2: relay 2 has vm2 already",
    ):
        running.wait_log("vio_cmd: " + line)
    assert running.relay(1)["interface"] is None
    file.write_bytes(b"#" * 65537)
    running.wait_log("has 65537 bytes: allowed are 65536")
    wait_taken(running)


def test_files_of_others_are_refused(running):
    """What somebody else could have written is not done, and a fresh file takes its place."""
    file = file_of(running)

    def fresh():
        try:
            found = file.lstat()
        except FileNotFoundError:
            return False
        return (found.st_mode, found.st_uid, found.st_size) == (stat.S_IFREG | 0o660, 0, 0)

    def place(make, why):
        start = len(running.log_text())
        other = running.dir / "other"
        other.write_text("add_port vm1 1\n")
        make(other)
        other.rename(file)
        running.wait_log(why, start=start)
        until(fresh, "a fresh one takes its place")

    def symlink(other):
        other.rename(running.dir / "target")
        other.symlink_to(running.dir / "target")

    def fifo(other):
        other.unlink()
        os.mkfifo(other)

    def unix_socket(other):
        other.unlink()
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(other))

    place(lambda other: os.chown(other, 65534, 0), "belongs to user 65534")
    place(lambda other: other.chmod(0o666), r"written by others .*mode 666")
    place(lambda other: (os.chown(other, 0, 65534), other.chmod(0o660)), "group 65534")
    place(lambda other: os.link(other, running.dir / "link"), "hard links")
    place(symlink, "no plain file")
    place(fifo, "no plain file")
    place(unix_socket, "no plain file")
    assert running.relay(1)["interface"] is None
    assert (running.dir / "target").read_text() == "add_port vm1 1\n"
    file.write_text("add_port vm1 1\n")
    wait_port(running, 1, "vm1")
