# SPDX-License-Identifier: BSD-3-Clause
"""Open vSwitch's database server with a database of its own, and ovs-vsctl. No switch runs."""

import json
import socket
from pathlib import Path
from typing import Any, List, Optional

from .env import tool
from .process import Arg, Process, run
from .wait import until

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
BRIDGE = "br0"


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(str(path)) == 0


class Ovsdb:
    """Runs after start(); the database outlives stop() and kill()."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.dir = folder
        self.path = folder / "db.sock"
        self.db = folder / "conf.db"
        self.process: Optional[Process] = None
        server = tool("ovsdb-server")  # names the package when it is missing
        self.server: List[Arg] = [server, "--no-chdir", f"--unixctl={folder / 'ctl'}"]
        run([tool("ovsdb-tool"), "create", self.db, SCHEMA])
        self.start()
        self.vsctl("init", "--", "add-br", BRIDGE)

    def start(self, path: Optional[Path] = None) -> None:
        path = path or self.path
        log = self.dir / "server.txt"
        self.process = Process([*self.server, f"--remote=punix:{path}", self.db], log)
        until(lambda: listens(path), "ovsdb-server listens", 20, self.process.check_running)

    def stop(self) -> None:
        if self.process and self.process.running():
            self.process.stop()

    def kill(self) -> None:
        assert self.process
        self.process.kill()

    def close(self) -> None:
        self.stop()

    def vsctl(self, *args: Arg, path: Optional[Path] = None) -> str:
        db = f"--db=unix:{path or self.path}"
        return run([tool("ovs-vsctl"), db, "--no-wait", "--timeout=20", *args])

    def ask(self, name: str, relay: object, key: str = "virtio_forwarder") -> List[Arg]:
        """Arguments of vsctl: a port whose interface asks for a relay."""
        port: List[Arg] = ["--", "--may-exist", "add-port", BRIDGE, name]
        return [*port, "--", "set", "Interface", name, f'external_ids:{key}="{relay}"']

    def insert(self, name: str, external_ids: dict, **columns: Any) -> None:
        """What ovs-vsctl would not do: any texts, as large as they may be."""
        row = {"name": name, "external_ids": ["map", list(external_ids.items())], **columns}
        port = {"name": f"port-{abs(hash(name))}", "interfaces": ["named-uuid", "interface"]}
        mutation = ["ports", "insert", ["set", [["named-uuid", "port"]]]]
        self._transact(
            {"op": "insert", "table": "Interface", "row": row, "uuid-name": "interface"},
            {"op": "insert", "table": "Port", "row": port, "uuid-name": "port"},
            {"op": "mutate", "table": "Bridge", "where": [], "mutations": [mutation]},
        )

    def _transact(self, *operations: dict) -> None:
        request = {"method": "transact", "params": ["Open_vSwitch", *operations], "id": 1}
        answer = b""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(self.path))
            s.sendall(json.dumps(request).encode())
            while True:
                answer += s.recv(65536)
                try:
                    reply = json.loads(answer)
                    break
                except ValueError:
                    continue
        assert not reply["error"] and all("error" not in r for r in reply["result"]), reply
