# SPDX-License-Identifier: BSD-3-Clause
"""QEMU with a real kernel at a socket that a VF's hardware vDPA serves. Its processor is emulated in an
emulated machine, which makes the boot a matter of minutes: what needs no real driver is elsewhere."""

from machines import virtio_vf_mac
from outside import ADDRESS
from test_vdpa_vf import HARD, Scene, scene  # noqa: F401
from vms import address_of

MACHINE = "virtio-sriov"
MEMORY = 96  # MiB, all of it pinned


def test_guest(scene: Scene) -> None:  # noqa: F811
    """It and the network outside reach each other, with all that QEMU's front end agrees on."""
    scene.pf.set_vfs(1)
    scene.daemon.wait_state(HARD, "listening")
    guest = scene.bench.stage.guest(
        scene.daemon.socket(HARD),
        memory=MEMORY,
        mac=virtio_vf_mac(HARD),
        address=f"{address_of(HARD)}/16",
    )
    scene.wait_serving("direct")
    guest.wait_ping(ADDRESS)
    assert " 5 received" in scene.outside.run("ping", "-nqc5", "-W10", address_of(HARD))
    assert guest.pings(ADDRESS, size=1400)
    assert scene.serving() == "direct"
