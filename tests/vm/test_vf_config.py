# SPDX-License-Identifier: BSD-3-Clause
"""What the configuration and vio4wdctl ask for: VFs bound, left alone, made, removed, set up, and each as
it was before in the end."""

import errno
import subprocess
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Optional

import pytest
from lib.daemon import Daemon
from lib.env import MANAGER
from lib.ovsdb import Ovsdb
from lib.process import run
from lib.rpc import RpcError
from lib.wait import until
from sriov import Function, Pf
from vf_bench import (
    ALL_AUTO,
    Bench,
    bench_of_module,
    bindings,
    fixed_macs,
    settings,
    wait_states,
)
from vms import mac_of

MACHINE = "igb"
VF0, VF1, VF2 = "0000:01:10.0", "0000:01:10.2", "0000:01:10.4"
VFIO, KERNEL = "vfio-pci", "igbvf"
PLAIN: Dict[str, Any] = {
    "VIRTIOFWD_BIND_VFIO_PCI": None,
    "VIRTIOFWD_STATIC_VFS": None,
    "VIO4WD_AUTO_VFS": None,
    "VIO4WD_EXCLUDE": None,
    "VIO4WD_NUM_VFS": None,
    "VIO4WD_VF_OPTIONS": fixed_macs(),
}


@pytest.fixture(scope="module")
def bench(hugepages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench_of_module(hugepages, tmp_path_factory.mktemp("config")) as made:
        yield made


@pytest.fixture(scope="module")
def running(bench: Bench) -> Daemon:
    return bench.daemon()


@pytest.fixture
def daemon(running: Daemon) -> Iterator[Daemon]:
    """Its configuration names no VF at first, and it holds none in the end."""
    configure(running)
    yield running
    configure(running)
    for relay in running.rpc("status")["relays"]:
        running.rpc("remove", id=relay["id"], conditional=True)
    until(lambda: not bindings(running), "nothing is held")


@pytest.fixture
def pf(bench: Bench, daemon: Daemon) -> Iterator[Pf]:
    """Without VFs."""
    bench.pf.set_vfs(0)
    yield bench.pf
    bench.pf.set_vfs(0)
    assert (bench.pf.path / "sriov_drivers_autoprobe").read_text() == "1\n"


def configure(daemon: Daemon, **changes: Any) -> None:
    """The file has these changes and nothing of former tests; it is read again."""
    daemon.write_config(**{**PLAIN, **changes})
    daemon.rpc("reload")


def drivers(pf: Pf) -> List[Optional[str]]:
    return [vf.driver for vf in pf.vfs()]


def wait_drivers(pf: Pf, *names: Optional[str]) -> None:
    until(lambda: drivers(pf) == list(names), f"the VFs are on {names}")


def wait_unpaired(daemon: Daemon) -> None:
    until(lambda: not any(r["device"] for r in daemon.rpc("status")["relays"]), "no pairing")


# Bound by the configuration


@pytest.mark.parametrize(
    "notation, bound",
    [(VF1, {1}), ("enp1s0", {0, 1, 2}), ("enp1s0:2", {0, 1}), (f"enp1s0:1 {VF2}", {0, 2})],
)
def test_bind_vfio_pci(daemon: Daemon, pf: Pf, notation: str, bound: set) -> None:
    """Those that are there, and those that come; back on their own driver when it no longer says so."""
    names = [VFIO if i in bound else KERNEL for i in range(3)]
    pf.set_vfs(3)
    wait_drivers(pf, KERNEL, KERNEL, KERNEL)
    configure(daemon, VIRTIOFWD_BIND_VFIO_PCI=notation.split())
    wait_drivers(pf, *names)
    held = {v["index"]: v["held_by"] for v in daemon.rpc("vf-list")["pfs"][0]["vfs"]}
    assert held == {i: "VIRTIOFWD_BIND_VFIO_PCI" if i in bound else None for i in range(3)}
    pf.set_vfs(0)
    pf.set_vfs(3)
    wait_drivers(pf, *names)
    configure(daemon)
    wait_drivers(pf, KERNEL, KERNEL, KERNEL)
    assert [vf.override for vf in pf.vfs()] == [None] * 3


def test_bound_and_paired(daemon: Daemon, pf: Pf) -> None:
    """A pairing takes what was bound already, and leaves it bound."""
    pf.set_vfs(1)
    configure(daemon, VIRTIOFWD_BIND_VFIO_PCI=["enp1s0"])
    wait_drivers(pf, VFIO)
    daemon.add(4, VF0)
    daemon.rpc("remove", id=4)
    assert drivers(pf) == [VFIO]
    configure(daemon)
    wait_drivers(pf, KERNEL)


def test_replaced_while_the_manager_is_away(daemon: Daemon, pf: Pf) -> None:
    """What the state file says of a VF is not true of another one with its address."""
    pf.set_vfs(2)
    configure(daemon, VIRTIOFWD_BIND_VFIO_PCI=[VF0])
    daemon.add(4, VF1)
    wait_drivers(pf, VFIO, VFIO)
    daemon.kill()
    pf.set_vfs(0)
    pf.set_vfs(2)
    wait_drivers(pf, KERNEL, KERNEL)
    daemon.start()
    wait_drivers(pf, VFIO, VFIO)
    daemon.wait_state(4, "listening")


# Left alone


def test_excluded_vf(daemon: Daemon, pf: Pf) -> None:
    pf.set_vfs(2)
    configure(daemon, VIO4WD_EXCLUDE=["enp1s0.vf0"], VIRTIOFWD_BIND_VFIO_PCI=["enp1s0"])
    wait_drivers(pf, KERNEL, VFIO)
    with pytest.raises(RpcError, match="VIO4WD_EXCLUDE"):
        daemon.add(4, VF0)
    assert drivers(pf) == [KERNEL, VFIO]


def test_excluded_pf(daemon: Daemon, pf: Pf) -> None:
    pf.set_vfs(2)
    configure(
        daemon, VIO4WD_EXCLUDE=["netdev:enp1s0"], VIRTIOFWD_BIND_VFIO_PCI=["enp1s0"], **ALL_AUTO
    )
    with pytest.raises(RpcError, match="VIO4WD_EXCLUDE"):
        daemon.add(4, VF1)
    with pytest.raises(RpcError, match="VIO4WD_EXCLUDE"):
        daemon.rpc("vf-create", pf="enp1s0", count=3)
    daemon.rpc("vf-list")  # goes the way of all that waits for the kernel
    assert drivers(pf) == [KERNEL, KERNEL] and not bindings(daemon)


def test_vf_of_the_host(daemon: Daemon, pf: Pf) -> None:
    """Its interface is up with an address: refused, and tried again when that has ended."""
    pf.set_vfs(1)
    vf = pf.vf(0)
    vf.wait_udev()
    run(["ip", "addr", "add", "10.11.0.1/24", "dev", vf.netdev])
    run(["ip", "link", "set", vf.netdev, "up"])
    with pytest.raises(RpcError, match="10.11.0.1"):
        daemon.add(4, VF0)
    assert vf.driver == KERNEL
    configure(daemon, VIRTIOFWD_STATIC_VFS=[f"{VF0}=4"])
    assert "10.11.0.1" in daemon.wait_state(4, "failed")["reason"]
    assert vf.driver == KERNEL
    run(["ip", "addr", "flush", "dev", vf.netdev])
    daemon.wait_state(4, "listening")


# What vio4wdctl doctor says of it


def complaints(daemon: Daemon, *areas: str) -> Dict[str, str]:
    report = daemon.ctl("--json", "doctor", *areas, status=None).json
    return {f["check"]: f["found"] for f in report["findings"] if f["severity"] != "ok"}


def opened(path: Path) -> Optional[IO[bytes]]:
    """None while another program has it open."""
    try:
        return path.open("rb", buffering=0)
    except OSError as e:
        if e.errno != errno.EBUSY:
            raise
        return None


def test_doctor(daemon: Daemon, pf: Pf) -> None:
    """This machine has what VFs need; what keeps a VF from vio4wd is told with its name."""
    pf.set_vfs(2)
    vf = pf.vf(0)
    vf.wait_udev()
    assert not complaints(daemon, "iommu", "vf")
    run(["ip", "addr", "add", "10.11.0.1/24", "dev", vf.netdev])
    run(["ip", "link", "set", vf.netdev, "up"])
    configure(daemon, **ALL_AUTO)
    daemon.wait_state(1, "listening")
    assert "10.11.0.1" in complaints(daemon, "vf")["driver"]
    run(["ip", "addr", "flush", "dev", vf.netdev])
    daemon.wait_state(0, "listening")
    # The relay has both open, which is as it should be.
    assert not complaints(daemon, "iommu", "vf", "daemon")
    configure(daemon, VIRTIOFWD_BIND_VFIO_PCI=["enp1s0"])
    wait_unpaired(daemon)
    group = Path("/dev/vfio") / (vf.path / "iommu_group").resolve().name
    with until(lambda: opened(group), "the relay has closed the VF"):
        assert f"which has {group} open" in complaints(daemon, "vf")["holder"]
    assert not complaints(daemon, "vf")


# As it was before


def test_driver_and_override_come_back(daemon: Daemon, pf: Pf) -> None:
    """One VF is on its driver, one has an override for it, one is on none."""
    pf.set_vfs(3)
    vfs = pf.vfs()
    wait_drivers(pf, KERNEL, KERNEL, KERNEL)
    (vfs[1].path / "driver_override").write_text(KERNEL)
    vfs[2].unbind()
    for i in range(3):
        daemon.add(i, vfs[i].bdf)
    assert drivers(pf) == [VFIO] * 3 and len(bindings(daemon)) == 3
    assert [vf.override for vf in vfs] == [VFIO] * 3
    for i in range(3):
        daemon.rpc("remove", id=i)
    assert drivers(pf) == [KERNEL, KERNEL, None]
    assert [vf.override for vf in vfs] == [None, KERNEL, None]
    assert not bindings(daemon)


def test_settings_come_back(daemon: Daemon, pf: Pf) -> None:
    """What the PF says of a VF is changed before its driver starts: that has the MAC address."""
    pf.set_vfs(1)
    assert pf.netdev
    vf = ["ip", "link", "set", pf.netdev, "vf", "0"]
    run([*vf, "mac", "52:54:00:0b:00:01"])
    run([*vf, "vlan", "5", "qos", "2"])
    run([*vf, "spoofchk", "on", "trust", "off"])
    before = settings(pf, 0)
    configure(
        daemon,
        VIO4WD_VF_OPTIONS=[f"enp1s0.vf0:mac={mac_of(0)},vlan=7,qos=3,trust=on,spoofchk=off"],
    )
    daemon.add(4, "enp1s0.vf0")
    assert daemon.relay(4)["device_detail"]["mac"].lower() == mac_of(0)
    during = settings(pf, 0)
    assert during == {"mac": mac_of(0), "vlan": 7, "qos": 3, "trust": True, "spoofchk": False}
    assert before != during
    daemon.rpc("remove", id=4)
    assert settings(pf, 0) == before
    assert drivers(pf) == [KERNEL]


# The number of VFs


def test_vf_create_and_destroy(daemon: Daemon, pf: Pf) -> None:
    configure(daemon, **ALL_AUTO)
    made = daemon.ctl("vf", "create", "enp1s0", 2)
    assert pf.count == 2, made.out
    wait_states(daemon, 2, "listening")
    listed = daemon.rpc("vf-list", pf="enp1s0")["pfs"][0]
    assert (listed["total"], listed["made"], listed["made_by"]) == (7, 2, "vio4wd")
    assert [v["relay"] for v in listed["vfs"]] == [0, 1]
    assert "7" in daemon.ctl("vf", "create", "enp1s0", 8, status=1).err
    assert "relay 0, 1" in daemon.ctl("vf", "create", "enp1s0", 3, status=1).err
    assert "relay 0, 1" in daemon.ctl("vf", "destroy", "enp1s0", status=1).err
    assert pf.count == 2
    daemon.ctl("vf", "destroy", "enp1s0", "--force")
    assert pf.count == 0
    wait_states(daemon, 2, "absent")
    configure(daemon)
    wait_unpaired(daemon)


def test_vfs_of_others(daemon: Daemon, pf: Pf) -> None:
    """Neither their number nor they themselves are ours to change, even when we made some before."""
    daemon.rpc("vf-create", pf="enp1s0", count=2)
    daemon.rpc("vf-destroy", pf="enp1s0")
    daemon.rpc("vf-create", pf="enp1s0", count=2)
    pf.set_vfs(0)
    pf.set_vfs(2)
    until(
        lambda: daemon.rpc("vf-list")["pfs"][0]["made_by"] == "other",
        "it is seen who made the VFs",
    )
    for method, params in (("vf-create", {"count": 3}), ("vf-destroy", {})):
        with pytest.raises(RpcError, match="not made by vio4wd"):
            daemon.rpc(method, pf="enp1s0", force=True, **params)
    assert pf.count == 2


def test_force_under_traffic(bench: Bench, daemon: Daemon, pf: Pf) -> None:
    configure(daemon, **ALL_AUTO)
    vms = bench.vms(daemon, 2)
    daemon.rpc("vf-create", pf="enp1s0", count=2)
    vms.flow()
    daemon.rpc("vf-destroy", pf="enp1s0", force=True)
    wait_states(daemon, 2, "absent")
    vms.silent()
    daemon.rpc("vf-create", pf="enp1s0", count=3)
    vms.flow()
    daemon.rpc("vf-create", pf="enp1s0", count=2, force=True)
    assert pf.count == 2
    vms.flow()
    wait_states(daemon, 2, "active")
    vms.close()


def test_interface_that_goes_with_the_driver(
    bench: Bench, daemon: Daemon, pf: Pf, tmp_path: Path
) -> None:
    """Port control names a VF by it, the VF loses it when it is taken, and the name goes on meaning
    the VF, for the next manager too."""
    endpoint = daemon.config["VIRTIOFWD_ZMQ_PORT_CONTROL_EP"]
    ovsdb = bench.stage.add(Ovsdb(tmp_path / "ovsdb"))
    pf.set_vfs(2)
    pf.vf(1).wait_udev()
    name = pf.vf(1).netdev or ""
    daemon.kill()
    daemon.write_config(
        VIRTIOFWD_ZMQ_PORT_CONTROL_EP="", VIRTIOFWD_IPC_PORT_CONTROL=True,
        VIRTIOFWD_OVSDB_SOCK_PATH=ovsdb.path,
    )  # fmt: skip
    daemon.start()
    commands = daemon.runtime / "vio_cmd"
    commands.write_text(f"add_port {name}\nadd_port {pf.netdev} 3\n")
    assert daemon.wait_state(1, "listening")["address"] == VF1
    daemon.wait_log(f"add_port {pf.netdev} 3: refused: .*neither a VF's interface")
    assert pf.vf(1).netdev is None
    commands.write_text(f"del_port {name}\n")
    wait_drivers(pf, KERNEL, KERNEL)
    until(lambda: pf.vf(1).netdev == name, "it is back")

    daemon.kill()
    daemon.write_config(VIRTIOFWD_IPC_PORT_CONTROL=False)
    daemon.start()
    ovsdb.vsctl(*ovsdb.ask(name, 5))
    assert daemon.wait_state(5, "listening")["address"] == VF1
    daemon.kill()
    ovsdb.kill()
    ovsdb.start()
    daemon.start()
    until(lambda: daemon.rpc("status")["port_control"]["state"] == "connected", "OVSDB is there")
    ovsdb.vsctl("set", "Interface", name, "external_ids:more=1")
    state = daemon.wait_state(5, "listening")
    assert (state["address"], state["interface"], state["origin"]) == (VF1, name, "ovsdb")
    ovsdb.vsctl("remove", "Interface", name, "external_ids", "virtio_forwarder")
    wait_unpaired(daemon)
    wait_drivers(pf, KERNEL, KERNEL)
    # In force when the manager is started the next time.
    daemon.write_config(VIRTIOFWD_ZMQ_PORT_CONTROL_EP=endpoint, VIRTIOFWD_IPC_PORT_CONTROL=None)


def test_num_vfs(bench: Bench, daemon: Daemon, pf: Pf) -> None:
    """Made at the start, and each time that the PF's driver comes; without a driver in between."""
    assert daemon.stop() == 0
    daemon.write_config(VIO4WD_NUM_VFS=["enp1s0=2"], **ALL_AUTO)
    daemon.start()
    vms = bench.vms(daemon, 2)
    vms.flow()
    assert not [r for r in bindings(daemon).values() if r["driver"]]
    pf.unbind()
    wait_states(daemon, 2, "absent")
    Path("/sys/bus/pci/drivers/igb/bind").write_text(pf.bdf)
    pf.up()
    until(lambda: pf.count == 2, "the VFs are made again")
    vms.flow()
    vms.close()
    configure(daemon)
    wait_unpaired(daemon)
    daemon.rpc("vf-destroy", pf="enp1s0")


# After the last stop


def test_release_devices(bench: Bench, daemon: Daemon, pf: Pf) -> None:
    pf.set_vfs(2)
    configure(daemon, VIRTIOFWD_BIND_VFIO_PCI=[VF1], VIRTIOFWD_STATIC_VFS=[f"{VF0}=4"])
    daemon.wait_state(4, "listening")
    wait_drivers(pf, VFIO, VFIO)
    release = [MANAGER, "--config", daemon.config_file, "--release-devices"]
    done = subprocess.run(release, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 1 and "stop it first" in done.stdout
    assert daemon.stop() == 0
    assert drivers(pf) == [VFIO, VFIO]
    out = run(release)
    assert VF0 in out and VF1 in out
    assert drivers(pf) == [KERNEL, KERNEL]
    assert [Function(v).override for v in (VF0, VF1)] == [None, None]
    assert not bindings(daemon)
    assert "no VF" in run(release)
    daemon.start()
