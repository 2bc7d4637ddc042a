# SPDX-License-Identifier: BSD-3-Clause
"""A VM's rings on hardware vDPA: the kernel's simulator, which sends back what is addressed to it."""

import os
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from lib.frames import rarp_request
from lib.net_vm import LOG_PROTOCOL, TX, NetVM, NumberedLoop, log_checked
from lib.process import run
from lib.stage import Stage
from lib.vhost_user import (
    NET_CSUM,
    PROTO_LOG_SHMFD,
    PROTO_MQ,
    PROTO_RARP,
    PROTO_STATUS,
    RING_PACKED,
    FrontEnd,
    Memory,
    Request,
    bits,
)
from lib.wait import until
from relay_alone import RelayAlone
from vdpa import Device
from vf_bench import Figure, figure  # noqa: F401

MACHINE = "igb"
MAC = "02:00:00:00:00:01"  # which NumberedLoop sends to
BDF, OTHER_BDF = "0000:01:10.0", "0000:01:10.2"  # as relays call their devices; there are none here
ID, OTHER = 0, 1
SWITCHES = 50
MODES = ("direct", "shadow", "software")
TICK = 1 / os.sysconf("SC_CLK_TCK")


class Scene:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.make()
        stage.add(self)
        self.relay: RelayAlone = stage.add(
            RelayAlone(stage.writable_dir(), stage.dir / "relay.txt")
        )
        self.relay.add(ID)
        self.attach()

    def make(self) -> None:
        self.vdpa = Device("sim0", "vdpasim_net", mac=MAC)
        self.vdpa.give()

    def close(self) -> None:
        self.vdpa.close()

    def attach(self) -> Dict[str, Any]:
        return self.relay.attach_vdpa(ID, BDF, self.vdpa.node)

    def device(self, relay: int = ID) -> Dict[str, Any]:
        device = self.relay.device(relay)
        assert device
        return device

    def mode(self, wanted: str) -> Dict[str, Any]:
        return self.relay.call("mode", id=ID, mode=wanted)

    def wait_mode(self, wanted: str, relay: int = ID) -> None:
        until(lambda: self.device(relay)["mode"] == wanted, f"the mode is {wanted}")

    def wakeups(self) -> int:
        return sum(w["wakeups"] for w in self.relay.call("stats")["workers"])

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.relay.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * TICK


@pytest.fixture(scope="module")
def module(hugepages: Path) -> Iterator[Scene]:
    run(["modprobe", "-a", "vhost_vdpa", "vdpa_sim_net"])
    folder = Path(tempfile.mkdtemp(prefix="v4s-", dir="/tmp"))
    stage = Stage(folder)
    failed = True
    try:
        yield Scene(stage)
        failed = False
    finally:
        try:
            stage.close(failed)
        finally:
            run(["modprobe", "-r", "vdpa_sim_net", "vhost_vdpa"])
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def scene(module: Scene) -> Iterator[Scene]:
    """The device is attached, no VM is there, and what the relay does is up to it."""
    if not module.vdpa.exists():
        module.make()
    if not module.relay.device(ID):
        module.attach()
    module.mode("auto")
    module.wait_mode("idle")
    start = len(module.relay.log())
    try:
        yield module
    finally:
        print(module.relay.log()[start:])
    module.relay.process.check_running()


@pytest.fixture
def vm(scene: Scene) -> Iterator[NumberedLoop]:
    """Its frames go round through the device. It has one connection all the time."""
    with NumberedLoop(str(scene.relay.socket(ID))) as loop:
        yield loop
        loop.progress(10)
        assert loop.boots == 1


def test_features(scene: Scene) -> None:
    """What the device has not is not offered, and why is said."""
    with FrontEnd() as vm:
        vm.connect(str(scene.relay.socket(ID)))
        offered = vm.ask_u64(Request.GET_FEATURES)
        vm.ask_u64(Request.GET_PROTOCOL_FEATURES)
        assert vm.ask_u64(Request.GET_QUEUE_NUM) == 1
    masked = {m["feature"]: m["by"] for m in scene.device()["masked"]}
    assert not offered & bits(NET_CSUM, RING_PACKED)
    assert masked["CSUM"] == "device" and masked["RING_PACKED"] == "relay"
    assert scene.device()["mac"].lower() == MAC


def test_direct(scene: Scene, vm: NumberedLoop) -> None:
    """The device works on the VM's rings, and the relay does nothing at all."""
    assert scene.device()["mode"] == "direct"
    before = scene.vdpa.counted(TX)
    begin, cpu, woken = time.monotonic(), scene.cpu_seconds(), scene.wakeups()
    vm.progress(2000, 60)
    share = (scene.cpu_seconds() - cpu) / (time.monotonic() - begin)
    assert scene.vdpa.counted(TX) - before >= 2000
    assert vm.lost == 0 and share < 0.25, share
    assert scene.wakeups() - woken < 200, "a worker wakes for packets"
    assert not [x for x in scene.relay.endpoint(ID)["lanes"] if x["cpu"] >= 0]


@pytest.mark.parametrize("mode", ["direct", "shadow", "software"])
def test_mode(scene: Scene, mode: str) -> None:
    """Also when the VM comes later; a VM that was shut down leaves an idle device."""
    scene.mode(mode)
    with NumberedLoop(str(scene.relay.socket(ID))) as vm:
        vm.progress(500, 60)
        assert scene.device()["mode"] == mode
        assert vm.lost == 0 and vm.boots == 1
    scene.wait_mode("idle")


def test_switching(scene: Scene, vm: NumberedLoop, figure: Figure) -> None:  # noqa: F811
    """Under traffic, from anything to anything else: nothing is lost, reordered or doubled, and the VM's
    connection stays. What is in the rings of the port reaches the device, and the VM, before it ends."""
    seed = int(os.environ.get("VIO4WD_SEED", time.time_ns() % 100000))
    choose = random.Random(seed)
    modes: List[str] = ["direct"]
    pauses: Dict[str, List[int]] = {}
    for _ in range(SWITCHES):
        mode = choose.choice([m for m in MODES if m != modes[-1]])
        before = vm.lost
        device = scene.mode(mode)
        assert device["mode"] == mode
        vm.progress(100, 60)
        name = f"{modes[-1]} to {mode}"
        pauses.setdefault(name, []).append(device["last_switch_us"])
        assert vm.lost == before, f"{name}: {vm.lost - before} frames lost (seed {seed})"
        modes.append(mode)
    figure(f"seed {seed} (VIO4WD_SEED)")
    for name, times in sorted(pauses.items()):
        times.sort()
        figure(
            f"{name}: {len(times)} times, pause {times[0] / 1e3:.1f} to {times[-1] / 1e3:.1f} ms, "
            f"median {times[len(times) // 2] / 1e3:.1f} ms"
        )


def test_removed_under_traffic(scene: Scene, vm: NumberedLoop) -> None:
    """The kernel waits for the relay, which lets go by itself; the VM keeps its connection."""
    removal = scene.vdpa.remove()
    note = scene.relay.wait_note(ID, lambda n: bool(n["error"]))
    assert note["error"] == "the vDPA device was removed"
    until(lambda: not scene.relay.device(ID), "the device is detached")
    assert removal.wait(20) == 0
    assert scene.relay.endpoint(ID)["vm"]["connected"]
    scene.make()
    scene.attach()
    vm.progress(500)
    assert scene.device()["mode"] == "direct"


@pytest.mark.parametrize("mode", ["direct", "shadow"])
def test_memory_added(scene: Scene, vm: NumberedLoop, mode: str) -> None:
    """While the hardware runs: it reaches the new memory, and goes on with the old one."""
    scene.mode(mode)
    extra = Memory(1 << 20, guest=0x8000_0000, user=0x7100_0000_0000)

    def plug(net: NetVM) -> None:
        assert net.memory
        net.mem_table([net.memory.region(), extra.region()], [net.memory.fd, extra.fd])
        net.sync()
        frame = bytes(net.header_size) + bytes.fromhex(MAC.replace(":", "")) + bytes(100)
        extra.map[: len(frame)] = frame
        ident = net.rings[TX].add([(extra.guest, len(frame), False)])
        net.filled[TX][ident] = net.spare.popleft()
        net.kick(TX)

    vm.progress(100)
    vm.within(plug)
    vm.progress(500)
    assert vm.lost == 0 and scene.device()["mode"] == mode
    extra.close()


def test_logging(scene: Scene) -> None:
    """While the VM is migrated the pages that the device writes are marked, and no others; afterwards
    the device works on the VM's rings again."""
    log = Memory(64 << 10)
    with NumberedLoop(str(scene.relay.socket(ID)), protocol=LOG_PROTOCOL) as vm:
        vm.progress(100)
        with log_checked(vm, log):
            scene.wait_mode("shadow")
            assert "migrated" in scene.device()["mode_reason"]
        scene.wait_mode("direct")
        vm.progress(100)
        assert vm.lost == 0 and vm.boots == 1
    log.close()


def wait_rarp(vm: NumberedLoop) -> None:
    until(lambda: any(rarp_request(f) == MAC for f in vm.others), "the RARP request has come round")


@pytest.mark.parametrize("mode", ["direct", "shadow", "software"])
def test_rarp(scene: Scene, vm: NumberedLoop, mode: str) -> None:
    """What a VM that was migrated asks for reaches the network, whoever serves it."""
    scene.mode(mode)
    vm.progress(100)
    switches, lost = scene.device()["switches"], vm.lost
    for _ in range(3):
        vm.within(lambda net: net.send_rarp(MAC))
        vm.progress(50)
    wait_rarp(vm)
    scene.wait_mode(mode)
    vm.progress(100)
    # The device works on the VM's rings again, and was set up twice for all of the requests.
    assert scene.device()["switches"] - switches == (2 if mode == "direct" else 0)
    assert vm.lost == lost


def test_migration(scene: Scene) -> None:
    """From relay to relay and from device to device: the first one records what it writes and says how
    far it is, the second one goes on there and tells the network. Nothing is lost or doubled."""
    device = scene.stage.add(Device("sim1", "vdpasim_net", mac=MAC))
    device.give()
    scene.relay.add(OTHER)
    scene.relay.attach_vdpa(OTHER, OTHER_BDF, device.node)
    log = Memory(64 << 10)
    protocol = bits(PROTO_MQ, PROTO_STATUS, PROTO_LOG_SHMFD, PROTO_RARP)
    with NumberedLoop(str(scene.relay.socket(ID)), protocol=protocol) as vm:
        vm.progress(300)
        vm.within(lambda net: net.begin_log(log))
        scene.wait_mode("shadow")
        vm.progress(300)
        assert any(log.map[:])
        vm.within(lambda net: net.migrate(str(scene.relay.socket(OTHER))))
        scene.wait_mode("idle")
        vm.within(lambda net: net.send_rarp(MAC))
        wait_rarp(vm)
        vm.progress(300)
        scene.wait_mode("direct", OTHER)
        vm.progress(300)
        assert vm.lost == 0 and vm.boots == 1
    log.close()
    scene.relay.call("endpoint_remove", id=OTHER)
