# SPDX-License-Identifier: BSD-3-Clause
"""From a VF with hardware vDPA to a VM: made, paired, served by the hardware, moved to software and
back, lost and found again, and given back."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import pytest
from lib.daemon import Daemon
from lib.env import tool
from lib.frames import rarp_request, read_pcap
from lib.libvirt import validate
from lib.qemu import Guest
from lib.stage import Stage
from lib.vhost_user import FrontEnd, Request
from lib.wait import until
from machines import virtio_vf_mac
from outside import Outside
from sriov import Pf
from vdpa import BUS, MAKING, REMOVING
from vf_bench import Bench, Figure, bindings, figure  # noqa: F401
from vms import Vm, Vms, address_of

MACHINE = "virtio-sriov"
HARD, SOFT = 0, 1  # relays, and the VFs of those numbers
KERNEL = "virtio-pci"
TICK = 1 / os.sysconf("SC_CLK_TCK")


class Scene:
    """VF 0 is relay 0 by the configuration; a VM of each relay asks the network outside."""

    def __init__(self, stage: Stage, pf: Pf, hugepages: Path, **config: Any) -> None:
        self.pf = pf
        self.bench = Bench(stage, pf, hugepages)
        self.outside: Outside = self.bench.outside
        for i in (HARD, SOFT):
            self.outside.knows(address_of(i), virtio_vf_mac(i))
        self.daemon: Daemon = self.bench.daemon(
            VIO4WD_VF_OPTIONS=None,
            VIRTIOFWD_STATIC_VFS=[f"{pf.netdev}.vf{HARD}={HARD}"],
            VIO4WD_VDPA_STABLE_SECONDS=1,
            **config,
        )

    def vms(self, *ids: int) -> Vms:
        vms = self.bench.stage.add(
            Vms([Vm(self.daemon.socket(i), i, virtio_vf_mac(i)) for i in ids])
        )
        until(lambda: all(self.daemon.relay(i)["vm"] for i in ids), "the VMs are connected")
        return vms

    def serving(self, relay: int = HARD) -> str:
        return (self.daemon.relay(relay).get("vdpa") or {}).get("mode", "none")

    def wait_serving(self, wanted: str, relay: int = HARD) -> None:
        until(lambda: self.serving(relay) == wanted, f"relay {relay} is served: {wanted}")

    def wait_killed(self) -> None:
        process = self.daemon.process
        assert process
        self.daemon.drop_rpc()
        assert process.wait(30) == -signal.SIGKILL

    def restart(self, ready: bool = True, **env: str) -> None:
        """The manager only: relays and VMs go on. It may not get as far as being ready."""
        assert self.daemon.process
        if self.daemon.process.running():
            self.daemon.kill()
        self.daemon.spawn(**env)
        if ready:
            self.daemon.wait_ready()

    def relay_seconds(self) -> float:
        (pid,) = self.daemon.relay_pids()
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * TICK


@pytest.fixture
def scene(pf: Pf, stage: Stage, hugepages: Path) -> Scene:
    """The stage after the PF: removing a VF waits for whoever has its vDPA device open."""
    return Scene(stage, pf, hugepages)


def face(path: Path) -> Dict[str, Any]:
    """What a VM sees of a socket."""
    with FrontEnd() as vm:
        vm.connect(str(path))
        seen = {
            "features": vm.ask_u64(Request.GET_FEATURES),
            "protocol": vm.ask_u64(Request.GET_PROTOCOL_FEATURES),
            "pairs": vm.ask_u64(Request.GET_QUEUE_NUM),
        }
    st = path.stat()
    return {**seen, "owner": st.st_uid, "group": st.st_gid, "mode": oct(st.st_mode)}


def test_rarp(scene: Scene) -> None:
    """The network is told where a VM is that was migrated, also when the hardware works on the VM's
    rings: shadow rings come between, and with vp-vdpa there is no way back from them."""
    scene.pf.set_vfs(1)
    scene.daemon.wait_state(HARD, "listening")
    vms = scene.vms(HARD)
    scene.wait_serving("direct")
    vms.flow()
    capture = scene.bench.stage.dir / "rarp.pcap"
    argv = [tool("tcpdump"), "-i", scene.outside.nic, "-U", "-w", capture, "rarp"]
    tcpdump = scene.bench.stage.add(
        scene.outside.start(argv, scene.bench.stage.dir / "tcpdump.txt")
    )
    tcpdump.wait_text("listening on")
    mac = virtio_vf_mac(HARD)
    for vm in vms:
        vm.send_rarp(mac)
    until(lambda: mac in map(rarp_request, read_pcap(capture)), "the RARP request is outside")
    scene.wait_serving("shadow")
    vms.flow()
    tcpdump.stop()
    until(
        lambda: "start of a ring" in scene.daemon.relay(HARD)["vdpa"]["mode_reason"],
        "the reason is what keeps it so",
    )


def given_back(scene: Scene) -> None:
    until(lambda: not bindings(scene.daemon), "the VF is given back")
    assert scene.pf.vf(HARD).driver == KERNEL
    assert not (BUS / "devices" / f"vio4wd{HARD}").exists()


def test_from_vf_to_vm(scene: Scene, figure: Figure) -> None:  # noqa: F811
    """Two VFs appear: the first one's hardware serves its VM, without the relay; the second one is relayed
    in software at the same time, and its socket looks the same."""
    scene.pf.set_vfs(2)
    scene.daemon.wait_state(HARD, "listening")
    vf = scene.pf.vf(HARD)
    assert vf.driver == "vp-vdpa"
    shown = scene.daemon.relay(HARD)
    assert shown["vdpa"]["device"] == f"vio4wd{HARD}" and shown["backend"] == "vdpa"
    assert f"pci/{vf.bdf}" in shown["reason"]
    vms = scene.vms(HARD)
    scene.wait_serving("direct")
    vms.flow()
    begin, cpu = time.monotonic(), scene.relay_seconds()
    vms.flow(100)
    share = (scene.relay_seconds() - cpu) / (time.monotonic() - begin)
    figure(f"the relay's share of a CPU while the hardware serves: {share:.3f}")
    # What it does is answering this test; no worker has anything to do with the VM.
    assert not [x for x in scene.daemon.relay(HARD)["lanes"] if x["cpu"] >= 0] and share < 0.25

    device = f"{scene.pf.netdev}.vf{SOFT}"
    scene.daemon.ctl("add", "--id", SOFT, "--device", device, "--backend", "sw")
    scene.daemon.wait_state(SOFT, "listening")
    assert scene.pf.vf(SOFT).driver == "vfio-pci"
    hard, soft = face(scene.daemon.socket(HARD)), face(scene.daemon.socket(SOFT))
    assert hard == soft
    masked = scene.daemon.relay(HARD)["masked"]
    assert masked and masked == scene.daemon.relay(SOFT)["masked"]
    both = scene.vms(SOFT)
    both.flow()
    vms.flow()

    # The next manager learns it from the relay.
    both.close()
    scene.restart()
    scene.daemon.rpc("remove", id=SOFT)
    scene.daemon.ctl("add", "--id", SOFT, "--device", device, "--backend", "sw")
    scene.daemon.wait_state(SOFT, "listening")
    assert face(scene.daemon.socket(SOFT)) == soft
    vms.flow()


def test_backends_of_a_running_vm(scene: Scene) -> None:
    """It keeps its connection, whatever its VF is bound to. vp-vdpa begins at the start of a ring only,
    and the VM's have begun: shadow rings are between them."""
    scene.pf.set_vfs(1)
    scene.daemon.wait_state(HARD, "listening")
    vms = scene.vms(HARD)
    vms.flow()
    for backend, driver, mode in (
        ("sw", "vfio-pci", "none"), ("vdpa", "vp-vdpa", "shadow"), ("sw", "vfio-pci", "none"),
        ("auto", "vp-vdpa", "shadow"),
    ):  # fmt: skip
        print(scene.daemon.ctl("backend", HARD, backend).out)
        until(lambda: scene.pf.vf(HARD).driver == driver, f"the VF is on {driver}")
        scene.daemon.wait_state(HARD, "active")
        scene.wait_serving(mode)
        vms.flow()
    vms.check()


def test_vf_goes_and_comes(scene: Scene) -> None:
    """Under traffic; in the end everything is what it was before."""
    scene.pf.set_vfs(1)
    scene.daemon.wait_state(HARD, "listening")
    vms = scene.vms(HARD)
    vms.flow()
    begin = time.monotonic()
    scene.pf.set_vfs(0)
    assert time.monotonic() - begin < 30
    scene.daemon.wait_state(HARD, "absent")
    vms.check()
    scene.pf.set_vfs(1)
    scene.daemon.wait_state(HARD, "active")
    vms.flow()
    scene.wait_serving("shadow")
    scene.daemon.rpc("remove", id=HARD)
    given_back(scene)
    vms.check()


USER = 65534  # nobody
MEMORY, ROOM = 96, 32  # MiB of a VM, and what QEMU may lock beside that


def vhost_vdpa_qemu(scene: Scene, args: List[str]) -> Guest:
    """QEMU with what vio4wdctl has printed, as a user without rights; it does not start its processor."""
    for folder in [scene.bench.stage.dir, *scene.bench.stage.dir.parents]:
        folder.chmod(folder.stat().st_mode | 0o111)  # of pytest they are for one user only
    prefix = [
        tool("prlimit"), f"--memlock={(MEMORY + ROOM) << 20}",
        tool("setpriv"), f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
    ]  # fmt: skip
    # This QEMU comes without ROMs.
    more = [*args[:-1], f"{args[-1]},romfile=", "-S"]
    socket = scene.daemon.socket(HARD)
    return scene.bench.stage.guest(
        socket, ready=False, memory=MEMORY, prefix=prefix, uid=USER, more=more
    )


def test_handed_out(pf: Pf, stage: Stage, hugepages: Path) -> None:
    """The vDPA device of a VF is QEMU's own: it has it open, with the VF's address, as the owner of the
    sockets; as long as it has, the device is not taken from it."""
    scene = Scene(stage, pf, hugepages, VIRTIOFWD_SOCKET_OWNER="nobody")
    pf.set_vfs(2)
    scene.daemon.wait_state(HARD, "listening")
    device, vf = f"{pf.netdev}.vf{SOFT}", pf.vf(SOFT)
    scene.daemon.ctl("add", "--id", SOFT, "--device", device, "--as", "vhost-vdpa")
    path = scene.daemon.wait_state(SOFT, "listening")["vdpa"]["path"]
    assert os.stat(path).st_uid == USER
    out = scene.daemon.ctl("--json", "qemu-args", SOFT, "--memory", f"{MEMORY}M").out
    guest = vhost_vdpa_qemu(scene, json.loads(out)["args"])
    xml = scene.daemon.ctl("--json", "libvirt-xml", SOFT, "--queues", 2).json
    assert path in xml["interface"] and virtio_vf_mac(SOFT) in xml["interface"]
    validate(stage.dir / "domain.xml", **xml)
    macs = [nic["main-mac"] for nic in guest.qmp("query-rx-filter")["return"]]
    assert virtio_vf_mac(SOFT) in macs
    opened = [os.readlink(fd) for fd in Path(f"/proc/{guest.process.pid}/fd").iterdir()]
    assert path in opened

    said = scene.daemon.ctl("remove", SOFT, status=1).err
    for word in (f"vio4wd{SOFT} is used by a program", f"`fuser {path}` finds it"):
        assert word in said, said
    assert vf.driver == "vp-vdpa" and guest.process.running()
    guest.kill()
    until(lambda: vf.driver == KERNEL, "the VF is given back when QEMU has ended")
    assert not (BUS / "devices" / f"vio4wd{SOFT}").exists()


def wait_stand_in(scene: Scene, spare: Optional[str]) -> None:
    def as_wanted() -> bool:
        relay = scene.daemon.relay(HARD)
        return relay["stand_in"] == spare and relay["state"] == "active"

    until(as_wanted, f"relay {HARD} is served by {spare or 'its own VF'}")


def pause_of(vms: Vms, begin: float) -> float:
    """The longest time without an answer since then, in milliseconds."""
    times = sorted(t for vm in vms for t in list(vm.answered.values()) if t > begin)
    return max(b - a for a, b in zip([begin, *times], times)) * 1000


def paired_with_spare(scene: Scene, own: int, spare: int) -> str:
    """Relay 0 has VF own, and VF spare is kept aside; its name."""
    name = f"{scene.pf.netdev}.vf{spare}"
    scene.daemon.write_config(
        VIRTIOFWD_STATIC_VFS=[f"{scene.pf.netdev}.vf{own}={HARD}"], VIO4WD_SPARE_VFS=[name]
    )
    scene.daemon.ctl("reload")
    scene.pf.set_vfs(2)
    scene.daemon.wait_state(HARD, "listening")
    refused = scene.daemon.ctl("add", "--id", SOFT, "--device", scene.pf.vf(spare).bdf, status=None)
    assert refused.status and "VIO4WD_SPARE_VFS" in refused.err
    return name


def test_spare_stands_in(scene: Scene, figure: Figure) -> None:  # noqa: F811
    """The driver of VF 0 is taken away under traffic, and it may not be bound: VF 1 takes over, and lets
    go when VF 0 can be had again. The VM keeps its connection."""
    scene.daemon.write_config(VIO4WD_VDPA_STABLE_SECONDS=4)  # tried again after twice that
    spare = paired_with_spare(scene, HARD, SOFT)
    own, other = scene.pf.vf(HARD), scene.pf.vf(SOFT)
    assert "spare" in scene.daemon.ctl("vf", "list").out
    before = other.driver
    vms = scene.vms(HARD)
    scene.wait_serving("direct")
    vms.flow()
    scene.daemon.write_config(VIO4WD_EXCLUDE=[own.bdf])
    scene.daemon.ctl("reload")
    begin = time.monotonic()
    own.bind(KERNEL)
    wait_stand_in(scene, spare)
    vms.flow()
    figure(f"until the spare serves: {pause_of(vms, begin):.0f} ms without an answer")
    relay = scene.daemon.relay(HARD)
    assert relay["backend"] == "software" and relay["address"] == other.bdf
    assert f"{spare} stands in for" in relay["reason"]
    assert f"stands in for relay {HARD}" in scene.daemon.ctl("vf", "list").out

    begin = time.monotonic()
    scene.daemon.write_config(VIO4WD_EXCLUDE=None)
    scene.daemon.ctl("reload")
    wait_stand_in(scene, None)
    vms.flow()
    figure(f"until the VF serves again: {pause_of(vms, begin):.0f} ms without an answer")
    scene.wait_serving("shadow")
    until(lambda: other.driver == before, "the spare is given back")
    vms.check()


def test_spare_stands_in_for_a_vf_that_is_gone(
    scene: Scene, figure: Figure  # noqa: F811
) -> None:
    """The PF gets fewer VFs. A restarted manager finds the spare serving. The spare goes, too, when the PF
    gets no VFs."""
    spare = paired_with_spare(scene, own=SOFT, spare=HARD)
    vms = scene.vms(HARD)
    vms.flow()
    scene.pf.set_vfs(0)
    scene.daemon.wait_state(HARD, "absent")
    scene.pf.set_vfs(1)
    wait_stand_in(scene, spare)
    assert "is gone" in scene.daemon.relay(HARD)["reason"]
    vms.flow()
    begin = time.monotonic()
    scene.restart()
    wait_stand_in(scene, spare)
    vms.flow()
    figure(f"a restart of the manager: {pause_of(vms, begin):.0f} ms without an answer")
    assert pause_of(vms, begin) < 500
    scene.pf.set_vfs(0)
    scene.daemon.wait_state(HARD, "absent")
    scene.pf.set_vfs(2)
    wait_stand_in(scene, None)
    vms.flow()
    vms.check()


@pytest.mark.parametrize("point", MAKING)
def test_killed_while_it_is_made(scene: Scene, point: str) -> None:
    """The next manager goes on with what it finds."""
    pids = scene.daemon.relay_pids()
    scene.restart(VIO4WD_FAULT=point)
    scene.pf.set_vfs(1)
    scene.wait_killed()
    scene.restart()
    scene.daemon.wait_state(HARD, "listening")
    vms = scene.vms(HARD)
    scene.wait_serving("direct")
    vms.flow()
    assert scene.daemon.relay_pids() == pids
    scene.daemon.rpc("remove", id=HARD)
    given_back(scene)


@pytest.mark.parametrize("point", REMOVING)
def test_killed_while_it_is_removed(scene: Scene, point: str) -> None:
    """It is on disk that nobody wishes for it."""
    scene.pf.set_vfs(1)
    scene.daemon.wait_state(HARD, "listening")
    vms = scene.vms(HARD)
    vms.flow()
    scene.daemon.write_config(VIRTIOFWD_STATIC_VFS=None)
    scene.restart(ready=False, VIO4WD_FAULT=point)
    scene.wait_killed()
    scene.restart()
    given_back(scene)
    vms.check()
