# SPDX-License-Identifier: BSD-3-Clause
"""OVS-DPDK as a program under test: a dpdkvhostuserclient port and the device, joined by two flows.

Database, sockets, logs and process IDs are in the run's folder, the bridge's interface in a network
namespace; nothing of the system's own Open vSwitch is used or touched.
"""

import os
import pathlib
import re
import shutil
import subprocess

from .process import Child, thread_named
from .programs import DEVICES, GENERATOR_CPU, NICE, START_TIMEOUT, WORKER_CPU, Work

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
VF, VM = 1, 2  # the ports' OpenFlow numbers
CYCLES = re.compile(r"(idle|processing) cycles: (\d+)")


class Ovs:
    name = "ovs-dpdk"
    client = True

    def __init__(self, run: pathlib.Path, build: pathlib.Path, case: str, size: int):
        self.run = run
        self.env = {f"OVS_{what}DIR": str(run) for what in ("RUN", "LOG", "DB", "SYSCONF")}
        self.child = self.server = None
        try:
            self._start_server()
            self._start_switch()
            self._add_ports(case, size)
            self.worker = thread_named(self.pid, "pmd-")
        except BaseException:
            self.end()
            raise

    @staticmethod
    def missing():
        """Why it cannot be measured here, or None."""
        if pathlib.Path(VSWITCHD).exists() and shutil.which("ovsdb-server"):
            return None
        return "OVS-DPDK is not installed (openvswitch-switch-dpdk)"

    def _tool(self, *argv) -> str:
        # Threads that poll leave nothing to those with less of a priority.
        done = subprocess.run(["nice", "-n", str(NICE), *map(str, argv)], text=True, timeout=40,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, **self.env})
        if done.returncode:
            raise RuntimeError(f"{' '.join(done.args)}: {done.stdout}")
        return done.stdout

    def _vsctl(self, *argv) -> str:
        return self._tool("ovs-vsctl", f"--db=unix:{self.run}/db.sock", "--timeout=30", *argv)

    def _daemon(self, name: str, *argv, nice=0) -> Child:
        """Its threads run where nothing polls, except for those that it pins itself."""
        return Child(["taskset", "-c", GENERATOR_CPU, "unshare", "--net", *argv,
                      f"--pidfile={self.run}/{name}.pid", f"--unixctl={self.run}/{name}.ctl"],
                     self.run / f"{name}.log", env=self.env, nice=nice)

    def _start_server(self):
        self._tool("ovsdb-tool", "create", self.run / "conf.db", SCHEMA)
        self.server = self._daemon("ovsdb", "ovsdb-server", self.run / "conf.db",
                                   f"--remote=punix:{self.run}/db.sock", "-vconsole:info")
        self.server.expect("ovsdb-server \\(Open vSwitch\\)", START_TIMEOUT)

    def _start_switch(self):
        extra = "--no-pci --in-memory --no-telemetry"
        self._vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".",
                    "other_config:dpdk-init=true",
                    f"other_config:dpdk-lcore-mask={1 << GENERATOR_CPU:#x}",
                    f"other_config:pmd-cpu-mask={1 << WORKER_CPU:#x}",
                    f'other_config:dpdk-extra="{extra}"',
                    "other_config:n-handler-threads=1", "other_config:n-revalidator-threads=1")
        self.child = self._daemon("vswitchd", VSWITCHD, f"unix:{self.run}/db.sock",
                                  "-vconsole:info", nice=NICE)
        self.pid = self.child.pid
        self.child.expect("DPDK Enabled - initialized", START_TIMEOUT)

    def _add_ports(self, case: str, size: int):
        # What the ring loops back comes by the queue on which the polling thread sends: the second.
        queues = 2 if case == "both" else 1
        self._vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
                    "fail-mode=secure")
        self._vsctl("add-port", "br0", "vf", "--", "set", "Interface", "vf", "type=dpdk",
                    f"ofport_request={VF}", f"options:n_rxq={queues}",
                    f'options:dpdk-devargs="{DEVICES[case].format(i=0, size=size)}"',
                    "--", "add-port", "br0", "vm", "--", "set", "Interface", "vm",
                    "type=dpdkvhostuserclient", f"ofport_request={VM}",
                    f"options:vhost-server-path={self.socket()}")
        for a, b in ((VF, VM), (VM, VF)):
            self._tool("ovs-ofctl", "add-flow", f"unix:{self.run}/br0.mgmt",
                       f"in_port={a},actions=output:{b}")

    def socket(self, i=0) -> pathlib.Path:
        return self.run / f"vm{i}.sock"

    def wait_connected(self):
        """The switch tries once a second."""
        self._vsctl("wait-until", "Interface", "vm", "link_state=up")

    def work(self) -> Work:
        text = self._tool("ovs-appctl", "-t", self.run / "vswitchd.ctl",
                          "dpif-netdev/pmd-stats-show")
        cycles = {kind: int(n) for kind, n in CYCLES.findall(text)}
        return Work(sum(cycles.values()), cycles.get("processing", 0))

    def end(self):
        for child in (self.child, self.server):
            if child:
                child.end()
