# SPDX-License-Identifier: BSD-3-Clause
"""64 relays, each with a connected front end, on one machine; every one passes traffic."""

from lib.wait import until
from lib.zmq11 import PortControl, Stats

RELAYS = 64
PORTS = 32  # of one testpmd, and of one relay process
ALIASES = [f"0000:{i // 32:02x}:{i % 32:02x}.1=vdev:net_ring{i}" for i in range(RELAYS)]


def test_64_relays(stage):
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES, VIO4WD_HUGEPAGES=False)
    with PortControl(daemon.endpoint("port_control")) as control:
        for i, alias in enumerate(ALIASES):
            control.ok("add", [alias.split("=")[0]], i)
    assert len(daemon.relay_pids()) == 2, daemon.processes()

    pmds = [
        stage.testpmd(
            [daemon.socket(i) for i in range(first, first + PORTS)],
            ready=False, mode="io", memory=512, mbufs=PORTS * 600, ring=256,
        )  # fmt: skip
        for first in range(0, RELAYS, PORTS)
    ]
    for pmd in pmds:
        pmd.wait_ready(120)
    for i in range(RELAYS):
        daemon.wait_state(i, "active")
    # Each device sends back what it gets, so packets cross every relay in both directions.
    for pmd in pmds:
        pmd.start(1)

    def idle() -> list:
        return [
            entry["id"]
            for entry in daemon.rpc("stats")["relays"]
            if entry["vm_to_vf"]["packets_out"] < 32 or entry["vf_to_vm"]["packets_out"] < 32
        ]

    until(lambda: not idle(), "all relays have passed packets", 60)
    with Stats(daemon.endpoint("stats")) as stats:
        states = stats.get().relay
    assert sorted(s.id for s in states) == list(range(RELAYS))
    assert all(s.active for s in states)
    for pmd in pmds:
        pmd.quit()
    for i in range(RELAYS):
        assert daemon.wait_state(i, "listening")["device"] is not None
