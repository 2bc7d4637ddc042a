# SPDX-License-Identifier: BSD-3-Clause
"""vDPA devices, made with iproute2's program and looked at through their character devices."""

import ctypes
import fcntl
import json
import mmap
import os
import re
import struct
import subprocess
from pathlib import Path
from typing import Any, Dict, NamedTuple

from lib.process import run
from lib.wait import until
from relay_alone import uid
from sriov import Function

BUS = Path("/sys/bus/vdpa")
# Where test_vdpa_vf.py has the manager killed.
MAKING, REMOVING = ["vdpa.made", "vdpa.vhost"], ["vdpa.unmade"]
# linux/vhost.h
GET_FEATURES = 0x8008AF00
GET_BACKEND_FEATURES = 0x8008AF26
GET_DEVICE_ID = 0x8004AF70
GET_VRING_NUM = 0x8002AF76
GET_VQS_COUNT = 0x8004AF80
# linux/virtio_net.h, linux/virtio_config.h
F_CSUM, F_MAC, F_CTRL_VQ, F_MQ = (1 << bit for bit in (0, 5, 17, 22))
F_VERSION_1, F_ACCESS_PLATFORM, F_RING_PACKED = (1 << bit for bit in (32, 33, 34))


class Facts(NamedTuple):
    kind: int  # 1: a network device
    features: int
    backend_features: int
    vqs: int
    vq_size: int


def management() -> Dict[str, Any]:
    """The management devices by their names, with what each can."""
    return json.loads(run(["vdpa", "-j", "mgmtdev", "show"]))["mgmtdev"]


def parent(vf: Function) -> str:
    """The management device that vp-vdpa makes of a VF."""
    return f"pci/{vf.bdf}"


def take(vf: Function, multiqueue: bool = False) -> str:
    """Gives a virtio VF to vp-vdpa and returns the name of its management device."""
    run(["modprobe", "vp_vdpa"])
    vf.unbind()
    if multiqueue:
        let_queue_pairs_be_seen(vf)
    vf.bind("vp-vdpa")
    assert parent(vf) in management()
    return parent(vf)


def let_queue_pairs_be_seen(vf: Function) -> None:
    """Accepts MQ in the name of the driver that comes next. QEMU's virtio-net has 3 queues until that
    is done, and vp-vdpa asks how many there are before it does anything. A reset makes it 3 again, which
    vp-vdpa does not notice; whoever drives the device has to accept MQ to have the others."""
    (vf.path / "enable").write_text("1")
    with open(vf.path / "resource4", "r+b", buffering=0) as bar:
        # QEMU has struct virtio_pci_common_cfg at the start of BAR 4.
        common = mmap.mmap(bar.fileno(), mmap.PAGESIZE)
    status = ctypes.c_uint8.from_buffer(common, 20)
    for value in (0, 1, 3):
        status.value = value
    for select, bits in enumerate((F_MQ | F_CTRL_VQ, (F_VERSION_1 | F_ACCESS_PLATFORM) >> 32)):
        ctypes.c_uint32.from_buffer(common, 8).value = select
        ctypes.c_uint32.from_buffer(common, 12).value = bits
    (vf.path / "enable").write_text("0")


class Device:
    """A device on the vDPA bus, driven by vhost_vdpa; attributes as of `vdpa dev add`."""

    def __init__(self, name: str, mgmtdev: str, **attributes: object) -> None:
        run(["modprobe", "vhost_vdpa"])
        self.name = name
        self.path = BUS / "devices" / name
        words = [str(word) for pair in attributes.items() for word in pair]
        run(["vdpa", "dev", "add", "name", name, "mgmtdev", mgmtdev, *words])
        try:
            assert self.driver == "vhost_vdpa", f"{name} has the driver {self.driver}"
            until(self.node.is_char_device, f"{self.node} appears")
        except BaseException:
            self.close()
            raise

    @property
    def driver(self) -> str:
        return (self.path / "driver").readlink().name

    @property
    def node(self) -> Path:
        """Its character device; the numbers of others say nothing of it."""
        return Path("/dev") / next(self.path.glob("vhost-vdpa-*")).name

    def exists(self) -> bool:
        return self.path.exists()

    def shown(self) -> Dict[str, Any]:
        return json.loads(run(["vdpa", "-j", "dev", "show", self.name]))["dev"][self.name]

    def config(self) -> Dict[str, Any]:
        text = run(["vdpa", "-j", "dev", "config", "show", self.name])
        # Some of iproute2's names end with a space.
        return {k.strip(): v for k, v in json.loads(text)["config"][self.name].items()}

    def facts(self) -> Facts:
        fd = os.open(self.node, os.O_RDWR)
        try:
            return Facts(
                _get(fd, GET_DEVICE_ID, "I"),
                _get(fd, GET_FEATURES, "Q"),
                _get(fd, GET_BACKEND_FEATURES, "Q"),
                _get(fd, GET_VQS_COUNT, "I"),
                _get(fd, GET_VRING_NUM, "H"),
            )
        finally:
            os.close(fd)

    def give(self) -> None:
        """As the manager does: the relay's user may open it."""
        os.chown(self.node, uid(), -1)

    def counted(self, virtqueue: int) -> int:
        """Packets that it has moved, as far as it counts."""
        text = run(["vdpa", "dev", "vstats", "show", self.name, "qidx", virtqueue])
        found = re.search(r"packets (\d+)", text)
        assert found, text
        return int(found.group(1))

    def remove(self) -> "subprocess.Popen[bytes]":
        """Without waiting: the kernel waits until nobody has the character device open."""
        return subprocess.Popen(["vdpa", "dev", "del", self.name])

    def close(self) -> None:
        """It may have gone with what it was made of."""
        if self.exists():
            run(["vdpa", "dev", "del", self.name])


def _get(fd: int, request: int, kind: str) -> int:
    return struct.unpack(kind, fcntl.ioctl(fd, request, bytes(struct.calcsize(kind))))[0]
