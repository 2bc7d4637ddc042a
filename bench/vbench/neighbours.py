# SPDX-License-Identifier: BSD-3-Clause
"""What connected VMs that move nothing cost the one that does.

One relay process for each number of idle neighbours, in rotation; the reference has none. The
neighbours' devices are Linux interfaces, which interrupt as VFs do, so that all are in one process.
"""

import pathlib
import socket

from .operations import VethPairs
from .programs import Relay, idle_generators
from .rotation import STARTS, Pair, rotate, summarize, why_none_counts

NEIGHBOURS = (0, 32, 64)
SIZE = 64

# Of linux/if_packet.h, linux/if_ether.h: what Python's socket module does not have.
ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23


def packet_socket(netdev: str) -> socket.socket:
    """With the options that the relay relies on: src/common/packet_socket.h."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    for option in (PACKET_VNET_HDR, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING):
        packets.setsockopt(SOL_PACKET, option, 1)
    packets.bind((netdev, ETH_P_ALL))
    return packets


class Neighbourhood:
    """A relay with n endpoints besides the first, each on an interface and with an idle VM."""

    def __init__(self, run: pathlib.Path, build: pathlib.Path, n: int):
        self.veth = VethPairs(n) if n else None
        self.relay = self.pair = None
        idle = []
        try:
            self.relay = Relay(run, build, "vm2vf", SIZE)
            for i, name in enumerate(self.veth.names if n else [], 1):
                with packet_socket(name) as packets:
                    self.relay.add_netdev(i, name, [packets.fileno()])
            idle = idle_generators(run, [self.relay.socket(i) for i in range(1, n + 1)])
            self.pair = Pair(self.relay, run, "vm2vf", SIZE, others=idle)
        except BaseException:
            self.end()
            raise

    def end(self):
        if self.pair:
            self.pair.end()
        elif self.relay:
            self.relay.end()
        if self.veth:
            self.veth.end()


def name_of(n: int) -> str:
    return "alone" if n == 0 else f"with {n} idle VMs"


def one_start(run: pathlib.Path, build: pathlib.Path, rounds: int, seconds: float) -> list:
    homes = {}
    try:
        for n in NEIGHBOURS:
            folder = run / str(n)
            folder.mkdir(parents=True)
            folder.chmod(0o777)  # the relay is unprivileged
            homes[name_of(n)] = Neighbourhood(folder, build, n)
        return rotate({name: home.pair for name, home in homes.items()}, rounds, build, 4 * rounds,
                      lambda pair, ping: pair.window(seconds, ping))
    finally:
        for home in homes.values():
            home.end()


def measure(run: pathlib.Path, build: pathlib.Path, quick: bool) -> list:
    done = []
    for start in range(1 if quick else STARTS):
        done += one_start(run / str(start), build, 3 if quick else 10, 0.3 if quick else 0.5)
    rows = summarize(done, name_of(0))
    if not rows:
        print(f"VM to VF, {SIZE} bytes, with idle VMs: {why_none_counts(done)}", flush=True)
    return [{**row, "what": f"VM to VF, {row['peer']}", "peer": Relay.name, "size": SIZE,
             "unit": "Mpps"} for row in rows]
