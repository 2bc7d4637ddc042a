# SPDX-License-Identifier: BSD-3-Clause
"""A client of virtio-forwarder 1.1's ZeroMQ endpoints, as its users have them."""

import importlib
import sys
import tempfile
from functools import lru_cache
from types import ModuleType
from typing import Any, Optional, Sequence

import zmq

from .env import TOP, patience, tool
from .process import run

PROTO = TOP / "src/wire/virtioforwarder.proto"


@lru_cache(maxsize=None)
def messages() -> ModuleType:
    """The classes of the protocol, made by protoc from the tree's .proto file."""
    with tempfile.TemporaryDirectory(prefix="v4proto-") as folder:
        run([tool("protoc"), f"-I{PROTO.parent}", f"--python_out={folder}", PROTO])
        sys.path.insert(0, folder)
        try:
            return importlib.import_module("virtioforwarder_pb2")
        finally:
            sys.path.remove(folder)


def parse_pci(text: str) -> Any:
    domain, bus, rest = text.split(":")
    slot, function = rest.split(".")
    return messages().PortControlRequest.PciAddress(
        domain=int(domain, 16), bus=int(bus, 16), slot=int(slot, 16), function=int(function, 16)
    )


class Endpoint:
    """A REQ socket that does not wait for ever."""

    def __init__(self, address: str, timeout_ms: int = 2000) -> None:
        self.address = address
        self.socket = zmq.Context.instance().socket(zmq.REQ)
        self.socket.linger = 0
        self.socket.rcvtimeo = int(patience(timeout_ms))
        self.socket.sndtimeo = int(patience(timeout_ms))
        self.socket.connect(address)

    def raw(self, data: bytes) -> bytes:
        self.socket.send(data)
        return self.socket.recv()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class PortControl(Endpoint):
    def request(self, message: Any) -> Any:
        reply = messages().PortControlResponse()
        reply.ParseFromString(self.raw(message.SerializePartialToString()))
        return reply

    def call(
        self,
        op: str,
        pci: Sequence[str] = (),
        virtio_id: Optional[int] = None,
        **fields: Any,
    ) -> Any:
        pb = messages()
        message = pb.PortControlRequest(op=pb.PortControlRequest.Op.Value(op.upper()), **fields)
        message.pci_addrs.extend(parse_pci(p) for p in pci)
        if virtio_id is not None:
            message.virtio_id = virtio_id
        return self.request(message)

    def ok(self, op: str, *args: Any, **fields: Any) -> Any:
        reply = self.call(op, *args, **fields)
        assert reply.status == messages().PortControlResponse.OK, reply
        return reply

    def refused(self, op: str, *args: Any, **fields: Any) -> Any:
        reply = self.call(op, *args, **fields)
        assert reply.status == messages().PortControlResponse.ERROR, reply
        assert reply.error_code > 0 and reply.error_code_source, reply
        return reply


class Stats(Endpoint):
    def get(self, *relays: int, **fields: Any) -> Any:
        message = messages().StatsRequest(relay=relays, **fields)
        reply = messages().StatsResponse()
        reply.ParseFromString(self.raw(message.SerializeToString()))
        return reply


class CoreSched(Endpoint):
    def call(self, message: Any) -> Any:
        reply = messages().CoreSchedResponse()
        reply.ParseFromString(self.raw(message.SerializeToString()))
        return reply

    def cores(self) -> Any:
        pb = messages()
        return self.call(pb.CoreSchedRequest(op=pb.CoreSchedRequest.GET_EAL_CORES))

    def update(self, *pins: Sequence[int]) -> Any:
        """Each pin: relay, CPU of VF to VM, CPU of VM to VF."""
        pb = messages()
        message = pb.CoreSchedRequest(op=pb.CoreSchedRequest.UPDATE)
        for relay, vf_to_vm, vm_to_vf in pins:
            message.relay_cpu_map.add(
                relay_number=relay, vf2virtio_cpu=vf_to_vm, virtio2vf_cpu=vm_to_vf
            )
        return self.call(message)


class Config(Endpoint):
    def get(self) -> Any:
        reply = messages().ConfigResponse()
        reply.ParseFromString(self.raw(messages().ConfigRequest().SerializeToString()))
        return reply
