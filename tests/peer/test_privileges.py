# SPDX-License-Identifier: BSD-3-Clause
"""The relay, which alone reads what a guest wrote, has no rights; its socket belongs to whom the
configuration says."""

import grp
import pwd
import stat
from pathlib import Path


def status_of(pid: int) -> dict:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {k: v.strip() for k, v in (line.split(":", 1) for line in lines)}


def test_relay_has_no_rights(stage):
    daemon = stage.daemon(
        VIRTIOFWD_STATIC_VFS=["vdev:net_null1,no-rx=1=1"], VIRTIOFWD_SOCKET_GROUP="mail"
    )
    daemon.wait_state(1, "listening")
    (pid,) = daemon.relay_pids()
    status = status_of(pid)
    assert "0" not in status["Uid"].split() and "0" not in status["Gid"].split()
    assert "0" not in status["Groups"].split()
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["Seccomp"] == "2"
    assert status["NoNewPrivs"] == "1"


def test_socket_belongs_to_whom_is_configured(stage):
    owner, group = pwd.getpwnam("daemon"), grp.getgrnam("mail")
    daemon = stage.daemon(
        VIRTIOFWD_SOCKET_OWNER=owner.pw_name,
        VIRTIOFWD_SOCKET_GROUP=group.gr_name,
        VIRTIOFWD_STATIC_VFS=["vdev:net_null1,no-rx=1=1"],
    )
    daemon.wait_state(1, "listening")
    found = daemon.socket(1).stat()
    assert (found.st_uid, found.st_gid) == (owner.pw_uid, group.gr_gid)
    assert stat.S_IMODE(found.st_mode) == 0o660


def test_control_socket_is_not_for_everybody(stage):
    daemon = stage.daemon()
    assert stat.S_IMODE((daemon.runtime / "control").stat().st_mode) == 0o660
