# SPDX-License-Identifier: BSD-3-Clause
"""Under systemd, with real hardware: a relay that has no rights from its start on, in its sandbox of
devices, users and limits, opens its VF. All else of the units is in the peer tests."""

from lib.process import run
from lib.systemd import SERVICE, Systemd
from lib.wait import until
from sriov import Pf

MACHINE = "igb"


def test_relay_unit_opens_its_vf(pf: Pf) -> None:
    run(["modprobe", "vfio"])  # the folder of its devices is handed in
    pf.set_vfs(1)
    vf = pf.vf(0)
    vf.wait_udev()
    with Systemd(hardware=True) as bed:
        bed.write_config(
            VIRTIOFWD_STATIC_VFS=[f"{vf.bdf}=1"], VIO4WD_HUGEPAGES=True, VIO4WD_NR_HUGEPAGES=256
        )
        bed.systemctl("start", SERVICE)
        try:
            assert "igb_vf" in bed.wait_state(1, "listening")["device_detail"]["driver"]
            relay = bed.relay_pid()
            status = bed.status_of(relay)
            assert status["Uid"].split() == [bed.run("id", "-u", "vio4wd").strip()] * 4
            assert int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
            limits = bed.run("cat", f"/proc/{relay}/limits")
            assert limits.split("Max locked memory")[1].split()[:2] == ["unlimited"] * 2
            assert limits.split("Max open files")[1].split()[1] == "65536"
            bed.run("kill", "-KILL", relay)
            until(lambda: bed.relay_pid() not in (0, relay), "it is started again")
            bed.wait_state(1, "listening")
            bed.systemctl("stop", SERVICE)
            assert not bed.processes()
        except BaseException:
            print(bed.run("journalctl", "--no-pager", "-o", "short-monotonic", check=False))
            raise
    assert vf.driver == "vfio-pci", "it is kept for the next start"
