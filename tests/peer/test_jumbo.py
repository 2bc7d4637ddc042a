# SPDX-License-Identifier: BSD-3-Clause
"""MTU 9000 with VIRTIOFWD_JUMBO."""

from test_guest_network import exchange

PEER = "10.9.0.1"


def test_guest_with_mtu_9000(stage):
    net = stage.netns(mtu=9000)
    daemon = stage.daemon(
        VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"], VIRTIOFWD_JUMBO=True, VIRTIOFWD_MRGBUF=True
    )
    guest = stage.guest(daemon.socket(1), mtu=9000)
    assert guest.run("cat /sys/class/net/eth0/mtu") == "9000"
    guest.wait_ping(PEER)
    assert guest.pings(PEER, size=8972)
    exchange(stage, net, guest, count=500, size=9014)


def test_long_packets_without_jumbo_are_dropped_and_counted(stage):
    net = stage.netns(mtu=9000)
    daemon = stage.daemon(VIRTIOFWD_STATIC_VFS=[f"netdev:{net.host}=1"], VIRTIOFWD_MRGBUF=False)
    guest = stage.guest(daemon.socket(1))
    guest.wait_ping(PEER)
    stage.sender(net.peer, net, rate=1000, count=50, size=9014).finish()
    # Ordinary packets go on behind them.
    guest.wait_ping(PEER)
    drops = daemon.stats(1)["vf_to_vm"]["drops"]
    assert drops["too_long"]["packets"] == 50, drops
