# SPDX-License-Identifier: BSD-3-Clause
"""VMs that come and go, cleanly or not, lose nothing of another VM on the same worker."""

import pytest

from lib.daemon import default_rate
from lib.once import once
from lib.wait import until

ROUNDS = 20


@pytest.mark.parametrize(
    "direction,end",
    [("vm_to_vf", "kill"), ("vf_to_vm", "quit"), once("vm_to_vf", "quit"),
     once("vf_to_vm", "kill")],
)  # fmt: skip
def test_front_ends_come_and_go(stage, direction, end):
    net = stage.netns(address=None)
    device = "vdev:net_null9,no-rx=1" if direction == "vm_to_vf" else "vdev:net_null9"
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1", f"{device}=9"])
    (relay,) = daemon.relay_pids()

    # The VM to be left alone sends back what it gets, so its packets cross the worker twice.
    quiet = stage.testpmd(daemon.socket(1), mode="io", ring=1024)
    quiet.start()
    daemon.wait_state(1, "active")
    receiver = stage.receiver(net.peer, net)
    sender = stage.sender(net.peer, net, rate=default_rate() // 2)
    until(lambda: receiver.stream()["received"] > 50, "packets come back")

    mode = "txonly" if direction == "vm_to_vf" else "rxonly"
    for _ in range(ROUNDS):
        other = stage.testpmd(daemon.socket(9), mode=mode, memory=64, mbufs=2048)
        other.start()
        before = daemon.stats(9)[direction]["packets_out"]
        until(lambda: daemon.stats(9)[direction]["packets_out"] > before + 100, "traffic of VM 9")
        other.kill() if end == "kill" else other.quit()
        daemon.wait_state(9, "listening")

    sent = sender.stop()["sent"]
    until(lambda: receiver.stream()["received"] >= sent, f"{sent} packets", 20, interval=0.2)
    seen = receiver.stream()
    assert seen["missing"] == seen["late"] == seen["duplicate"] == seen["damaged"] == 0, seen
    assert daemon.relay_pids() == [relay]
    assert daemon.relay(9)["vm_detail"]["disconnects"] == ROUNDS


def test_one_queue_stops(stage):
    """A VM that disables one of its queue pairs goes on with the others, and so do other VMs."""
    net = stage.netns()
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1", "vdev:net_ring2=2"])
    other = stage.testpmd(daemon.socket(2), mode="io")
    other.start(1)
    guest = stage.guest(daemon.socket(1), queues=2, cpus=2)
    for queues in (2, 1, 2, 1):
        guest.run(f"ethtool -L eth0 combined {queues}")
        guest.wait_ping("10.9.0.1")
        until(lambda: daemon.relay(1)["queues"] == queues, f"{queues} queues are seen")
        before = other.received()
        until(lambda: other.received() > before + 100, "the other VM's packets go round")
