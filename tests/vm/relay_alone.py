# SPDX-License-Identifier: BSD-3-Clause
"""A relay without a manager: started by hand, asked over its own socket."""

import json
import os
import pwd
import socket
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

from lib import leaks
from lib.env import RELAY, patience
from lib.process import Arg, Process
from lib.rpc import RpcError
from lib.wait import until
from sriov import Function

USER = "vio4wd"


def uid() -> int:
    return pwd.getpwnam(USER).pw_uid


def group_node(vf: Function) -> Path:
    return Path(f"/dev/vfio/{vf.group}")


def give(vf: Function) -> None:
    """What the manager does with a VF before it hands it to a relay."""
    vf.bind("vfio-pci")
    node = group_node(vf)
    until(node.exists, f"{node} appears")
    os.chown(node, uid(), -1)


class RelayAlone:
    """folder: where it makes its sockets. prefix: the command that starts it."""

    def __init__(self, folder: Path, log: Path, prefix: Sequence[Arg] = (), **options: Any) -> None:
        self.folder = folder
        self.path = folder / "relay"
        self.notes: List[Dict[str, Any]] = []  # what it told by itself
        self._answers: Dict[int, Dict[str, Any]] = {}
        self._number = 0
        argv: List[Arg] = [*prefix, RELAY, "--relay", 0, "--socket", self.path, "--user", USER]
        for name, value in {"cpus": 1, "control-cpu": 0, **options}.items():
            argv += [f"--{name}", value]
        self.process = Process(argv, log)
        until(self._connect, "the relay serves its socket", 30, self.process.check_running)

    def _connect(self) -> bool:
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.connect(str(self.path))
        except OSError:
            self.sock.close()
            return False
        self.stream = self.sock.makefile("rwb")
        return True

    # Requests; answers come in any order

    def ask(self, method: str, **params: Any) -> int:
        """Sends a request and returns its number, for answer()."""
        self._number += 1
        request = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        self.stream.write(json.dumps(request).encode() + b"\n")
        self.stream.flush()
        return self._number

    def _read(self, timeout: float) -> int:
        """Reads one message; the number of the answer, 0 for a notification."""
        self.sock.settimeout(patience(timeout))
        line = self.stream.readline()
        assert line, f"the relay is gone:\n{self.log()[-3000:]}"
        message = json.loads(line)
        if "method" in message:
            self.notes.append(message)
            return 0
        self._answers[message["id"]] = message
        return message["id"]

    def answer(self, number: int, timeout: float = 30) -> Any:
        while number not in self._answers:
            self._read(timeout)
        message = self._answers.pop(number)
        if "error" in message:
            raise RpcError(message["error"])
        return message["result"]

    def order(self, numbers: Sequence[int], timeout: float = 30) -> List[int]:
        """Waits for the answers to requests nobody has waited for, and says how they came."""
        came: List[int] = []
        while set(came) != set(numbers):
            number = self._read(timeout)
            if number in numbers:
                came.append(number)
        return came

    def call(self, method: str, **params: Any) -> Any:
        return self.answer(self.ask(method, **params))

    def wait_note(self, relay: int, wanted: Callable[[Dict], bool], timeout: float = 20) -> Dict:
        """The first notification of the relay's device since forget() that is wanted."""
        seen = 0
        while True:
            for note in self.notes[seen:]:
                params = note["params"]
                if note["method"] == "device" and params["id"] == relay and wanted(params):
                    return params
            seen = len(self.notes)
            self._read(timeout)

    def forget(self) -> None:
        self.call("hello")  # what was on its way is here
        self.notes.clear()

    # What tests ask for

    def socket(self, relay: int) -> Path:
        return self.folder / f"v{relay}"

    def add(self, relay: int, **options: Any) -> Path:
        params = {"mode": "server", "queues": 1, "mtu": 0, "mrg_rxbuf": True, "tso": False}
        path = self.socket(relay)
        self.call("endpoint_add", id=relay, socket=str(path), **{**params, **options})
        return path

    def ask_attach(self, relay: int, bdf: str, mtu: int = 1500) -> int:
        return self.ask("attach", id=relay, device=bdf, kind="pci", pci=bdf, mtu=mtu)

    def attach_vdpa(self, relay: int, bdf: str, node: Path) -> Dict[str, Any]:
        """Hardware vDPA of the function, by its character device."""
        params = {"device": bdf, "kind": "vdpa", "path": str(node), "mtu": 1500}
        return self.call("attach", id=relay, **params)

    def attach(self, relay: int, bdf: str, mtu: int = 1500) -> Dict[str, Any]:
        return self.answer(self.ask_attach(relay, bdf, mtu))

    def refusal(self, relay: int, bdf: str) -> str:
        """Why it does not attach the device."""
        try:
            self.attach(relay, bdf)
        except RpcError as e:
            return str(e)
        raise AssertionError(f"{bdf} was attached")

    def detach(self, relay: int) -> None:
        self.call("detach", id=relay)

    def endpoint(self, relay: int) -> Dict[str, Any]:
        (found,) = [e for e in self.call("stats")["endpoints"] if e["id"] == relay]
        return found

    def device(self, relay: int) -> Optional[Dict[str, Any]]:
        return self.endpoint(relay)["device"]

    def resources(self) -> Dict[str, int]:
        return self.call("stats")["resources"]

    def open_files(self) -> List[str]:
        return leaks.open_files(self.process.pid)

    def wait_files(self, files: List[str], devices: int) -> None:
        """Nothing is open that was not. A device whose receive interrupts turn out not to work has an
        eventfd for them, until its PF resets it and it is set up without."""
        room = Counter({"anon_inode:[eventfd]": devices})

        def grown() -> Counter:
            return Counter(self.open_files()) - Counter(files) - room

        try:
            until(lambda: not grown(), "what was opened is closed")
        except AssertionError:
            assert not grown()
            raise

    def vfio_files(self) -> List[str]:
        """Those of devices and groups."""
        return [f for f in self.open_files() if "vfio" in f and f != "/dev/vfio/vfio"]

    def wait_closed(self) -> None:
        """The last device is let go of."""
        until(lambda: not self.resources()["ports"], "the relay has no device any more")
        assert self.vfio_files() == []

    def status(self, name: str) -> str:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return dict(line.split(":", 1) for line in text.splitlines())[name].strip()

    def log(self) -> str:
        return self.process.text()

    def close(self) -> None:
        self.stream.close()
        self.sock.close()
        if self.process.running():
            assert self.process.stop() == 0, self.log()[-3000:]
