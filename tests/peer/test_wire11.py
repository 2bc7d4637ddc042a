# SPDX-License-Identifier: BSD-3-Clause
"""1.1's four ZeroMQ endpoints, as its users' clients speak to them."""

import errno

from lib.env import cpus
from lib.wait import until
from lib.zmq11 import Config, CoreSched, PortControl, Stats, messages

A, B = "0000:00:01.0", "0000:00:02.0"
ALIASES = [f"{A}=vdev:net_ring1", f"{B}=vdev:net_ring2"]


def test_add_and_remove(stage):
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES)
    with PortControl(daemon.endpoint("port_control")) as control:
        control.ok("add", [A], 1)
        assert daemon.wait_state(1, "listening")["origin"] == "port_control"
        control.ok("add", [A], 1)  # conditional, by default
        assert control.refused("add", [A], 1, conditional=False).error_code == errno.EEXIST
        control.refused("add", [B], 1)
        control.refused("add", [A], 2)
        control.refused("remove", [B], 1)
        control.ok("remove", [A], 1)
        control.ok("remove", [A], 1)
        control.refused("remove", [A], 1, conditional=False)
        control.refused("add", ["0000:7f:1f.7"], 1)
        control.ok("add", [A], 63)
        control.refused("add", [B], 64)
        control.refused("add", [B])
        control.refused("add", [], 2)
    daemon.wait_state(63, "listening")


def test_sockets_on_demand(stage):
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES, VIRTIOFWD_DYNAMIC_SOCKETS=True)
    first, second = daemon.sockets / "vm-a", daemon.sockets / "vm-b"
    with PortControl(daemon.endpoint("port_control")) as control:
        control.ok("add_sock", [A], vhost_path=str(first))
        assert first.is_socket()
        assert control.ok("query_pci", vhost_path=str(first)).query_string == A
        control.refused("add_sock", [B], vhost_path=str(first))
        control.ok("add_sock", [B], vhost_path=str(second))
        pmd = stage.testpmd([first, second], mode="io", mbufs=4096)
        pmd.start(1)
        until(lambda: min(p["rx"] for p in pmd.stats()) > 100, "packets go round")
        control.ok("remove_sock", vhost_path=str(first))
        assert not first.exists()
        control.refused("query_pci", vhost_path=str(first))
        control.ok("remove_sock", [B])
        assert not second.exists()
        control.refused("add_sock", [A], vhost_path="")


def test_operations_of_the_other_mode_are_refused(stage):
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES)
    with PortControl(daemon.endpoint("port_control")) as control:
        control.refused("add_sock", [A], vhost_path=str(daemon.sockets / "x"))


def test_statistics(stage):
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES)
    with PortControl(daemon.endpoint("port_control")) as control:
        control.ok("add", [A], 1)
        control.ok("add", [B], 2)
    pmd = stage.testpmd(daemon.socket(1), mode="io")
    pmd.start(1)
    daemon.wait_state(1, "active")
    with Stats(daemon.endpoint("stats")) as stats:
        reply = stats.get(1, 2, delay=200)
        assert reply.status == messages().StatsResponse.OK
        one, two = sorted(reply.relay, key=lambda r: r.id)
        assert one.active and not two.active
        assert one.vf.pci_addr_str == A and two.vf.pci_addr_str == B
        assert one.vhost.vhost_socket_name == str(daemon.socket(1))
        assert one.vf_to_vm.internal_state == "DPDK_READY"
        assert one.vm_to_vf.internal_state == "VIRTIO_READY"
        assert two.vf_to_vm.internal_state == "DPDK_ADDED"
        assert two.vm_to_vf.internal_state == "VIRTIO_UNINIT"
        assert one.vm_to_vf.pkts_tx_to_vf > 0 and one.vf_to_vm.pkts_tx_to_vm > 0
        assert one.vm_to_vf.pkt_rate_tx_to_vf > 0
        assert one.HasField("cpu") and one.cpu.vf_to_vm in cpus()
        # A direction is active when its source is there, and only then has counters.
        assert two.vf_to_vm.active and two.vf_to_vm.HasField("pkts_rx_from_vf")
        assert not two.vm_to_vf.active and not two.vm_to_vf.HasField("pkts_rx_from_vm")
        assert [r.id for r in stats.get(include_inactive=False).relay] == [1]
        assert [r.id for r in stats.get(1, 64, 999).relay] == [1]
        assert stats.get(*range(65)).status == messages().StatsResponse.E2BIG


def test_core_scheduling_moves_lanes(stage):
    count = min(len(cpus()), 2)
    workers = cpus()[-count:]
    daemon = stage.daemon(VIO4WD_ALIASES=ALIASES, VIRTIOFWD_CPU_MASK=",".join(map(str, workers)))
    daemon.add(1, A)
    pmd = stage.testpmd(daemon.socket(1), mode="io")
    pmd.start(1)
    daemon.wait_state(1, "active")
    with CoreSched(daemon.endpoint("core_sched")) as sched:
        assert sorted(sched.cores().eal_cores) == workers
        for pair in [(workers[0], workers[-1]), (workers[-1], workers[0])] * 3:
            assert sched.update((1, *pair)).status == messages().CoreSchedResponse.OK
            until(
                lambda: daemon.relay(1)["cpus"]
                == {"vf_to_vm": [pair[0]], "vm_to_vf": [pair[1]]},
                f"lanes are on {pair}",
            )
            before = pmd.received()
            until(lambda: pmd.received() > before + 100, "packets go round")
        assert sched.update((1, 4000, 4000)).status == messages().CoreSchedResponse.ERROR
        assert sched.update((1, -1, -5)).status == messages().CoreSchedResponse.ERROR


def test_configured_pins(stage):
    cpu = cpus()[-1]
    daemon = stage.daemon(VIRTIOFWD_CPU_PINS=[f"1:{cpu}", f"5:{cpu},{cpu}"])
    with Config(daemon.endpoint("config")) as config:
        reply = config.get()
    pins = {(p.relay_number, p.vf2virtio_cpu, p.virtio2vf_cpu) for p in reply.relay_cpu_map}
    assert pins == {(1, cpu, cpu), (5, cpu, cpu)}
