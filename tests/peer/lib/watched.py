# SPDX-License-Identifier: BSD-3-Clause
"""A manager with one relay that carries traffic, and what must still be true after an abuse."""

from contextlib import contextmanager
from typing import Iterator

from . import leaks
from .daemon import Daemon
from .net_vm import NumberedLoop
from .wait import until
from .zmq11 import Config, CoreSched, PortControl, Stats, messages

ALIASES = [f"0000:00:00.{n}=vdev:net_ring1{n}" for n in range(1, 4)]


class Watched:
    def __init__(self, daemon: Daemon, traffic: NumberedLoop):
        self.daemon, self.traffic = daemon, traffic
        self.pids = daemon.relay_pids()
        self.descriptors = leaks.descriptors(daemon.process.pid)
        self.config = daemon.rpc("config")

    def check(self) -> None:
        d = self.daemon
        d.process.check_running()
        d.drop_rpc()  # a new connection: is it still accepted?
        assert [r["id"] for r in d.rpc("status")["relays"] if r["device"]] == [1]
        assert d.relay(1)["state"] == "active"
        assert d.rpc("config") == self.config
        pb = messages()
        with PortControl(d.endpoint("port_control"), 10000) as port:
            port.refused("REMOVE", ["0000:00:00.1"], 2, conditional=False)
        with Stats(d.endpoint("stats"), 10000) as stats:
            reply = stats.get(1)
            assert reply.status == pb.StatsResponse.OK and [r.id for r in reply.relay] == [1]
            assert reply.relay[0].active
        with CoreSched(d.endpoint("core_sched"), 10000) as sched:
            assert list(sched.cores().eal_cores)
        with Config(d.endpoint("config"), 10000) as config:
            assert config.get().status == pb.ConfigResponse.OK
        self.traffic.progress(50)
        assert (self.traffic.lost, self.traffic.boots) == (0, 1)
        assert d.relay_pids() == self.pids
        assert all(p["restarts"] == 0 for p in d.processes())
        d.drop_rpc()
        until(
            lambda: leaks.descriptors(d.process.pid) <= self.descriptors,
            f"the manager has {self.descriptors} descriptors again",
        )


@contextmanager
def watched() -> Iterator[Watched]:
    with Daemon(VIRTIOFWD_STATIC_VFS=["vdev:net_ring1=1"], VIO4WD_ALIASES=ALIASES) as daemon:
        with NumberedLoop(str(daemon.socket(1))) as traffic:
            daemon.wait_state(1, "active")
            with Stats(daemon.endpoint("stats"), 10000) as stats:
                stats.get(1)  # the first one may open what later ones find open
            yield Watched(daemon, traffic)
