# SPDX-License-Identifier: BSD-3-Clause
"""vio4wd with a folder, a configuration and relays of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from . import leaks
from .env import CTL, MANAGER, RELAY, TOP, cpus, patience, sanitized
from .notify import Notify
from .process import Process
from .rpc import Rpc
from .wait import until

Value = object  # text, number, bool or a list of texts


def assignment(name: str, value: Value) -> str:
    if isinstance(value, bool):
        return f"{name}={'true' if value else 'false'}"
    if isinstance(value, (list, tuple)):
        return f"{name}=({' '.join(chr(34) + str(v) + chr(34) for v in value)})"
    return f'{name}="{value}"'


class Ctl:
    """What vio4wdctl said."""

    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.status = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Daemon:
    """Not started before start(); variables of config go into its configuration file.

    A sanitizer's report of the manager or a relay fails close().
    """

    def __init__(self, folder: Optional[Path] = None, **config: Value) -> None:
        # A socket path has 107 characters: the folder's must be short.
        self.dir = folder or Path(tempfile.mkdtemp(prefix="v4-", dir="/tmp"))
        self.log = self.dir / "log.txt"
        self.runtime = self.dir / "run"
        self.sockets = self.dir / "sock"
        self.reports = self.dir / "reports"
        # Relays run as a user without rights: to it the socket folder is like /tmp.
        self.dir.chmod(0o755)
        self.runtime.mkdir(exist_ok=True)
        for path in (self.sockets, self.reports):
            path.mkdir(exist_ok=True)
            path.chmod(0o1777)
        self.config_file = self.dir / "config"
        self.config: Dict[str, Value] = {
            "VIO4WD_RUNTIME_DIR": self.runtime,
            "VIRTIOFWD_SOCKET_DIR": self.sockets,
            "VIRTIOFWD_SOCKET_FNAME_PATTERN": "v%u",
            "VIRTIOFWD_PID_DIR": self.runtime,
            "VIRTIOFWD_SOCKET_OWNER": "root",
            "VIRTIOFWD_SOCKET_GROUP": "root",
            "VIRTIOFWD_CPU_MASK": ",".join(str(c) for c in cpus()[-1:]),
            "VIRTIOFWD_MASTER_LCORE": cpus()[0],
            "VIRTIOFWD_OVSDB_SOCK_PATH": self.dir / "no-ovsdb",
            "VIRTIOFWD_ZMQ_PORT_CONTROL_EP": f"ipc://{self.runtime}/port_control",
            "VIRTIOFWD_ZMQ_STATS_EP": f"ipc://{self.runtime}/stats",
            "VIRTIOFWD_ZMQ_CORE_SCHED_EP": f"ipc://{self.runtime}/core_sched",
            "VIRTIOFWD_ZMQ_CONFIG_EP": f"ipc://{self.runtime}/config",
            "VIO4WD_CORE_SCHED_ENABLE": True,
            "VIO4WD_HUGEPAGES": False,
            "VIRTIOFWD_LOG_LEVEL": 6,
        }
        self.config.update(config)
        self.process: Optional[Process] = None
        self.ready_after = 0.0
        self._rpc: Optional[Rpc] = None
        self._notify: Optional[Notify] = None
        self._notified = 0

    # Configuration

    def write_config(self, **changes: Value) -> None:
        self.config.update(changes)
        lines = [assignment(n, v) for n, v in self.config.items() if v is not None]
        self.config_file.write_text("\n".join(lines) + "\n")

    def socket(self, relay: int) -> Path:
        return self.sockets / f"v{relay}"

    def endpoint(self, name: str) -> str:
        return str(self.config[f"VIRTIOFWD_ZMQ_{name.upper()}_EP"])

    # Life

    def _environment(self) -> Dict[str, str]:
        reports = f"log_path={self.reports}/report"
        return {
            "NOTIFY_SOCKET": str(self.dir / "notify"),
            "VIO4WD_TEST": str(self.dir),
            "ASAN_OPTIONS": f"{reports}:detect_leaks=1",
            "UBSAN_OPTIONS": f"{reports}:print_stacktrace=1",
            "LSAN_OPTIONS": f"suppressions={TOP}/tests/peer/lsan.supp:print_suppressions=0",
        }

    def spawn(self, **env: str) -> "Daemon":
        """Starts the manager without waiting for it."""
        if not self.config_file.exists():
            self.write_config()
        if self._notify is None:
            self._notify = Notify(self.dir / "notify")
        self._notified = len(self._notify.messages)
        self.process = Process(
            [MANAGER, "--config", self.config_file, "--relay-program", RELAY],
            self.log,
            {**self._environment(), **env},
            signal.SIGTERM,
        )
        return self

    def start(self) -> "Daemon":
        """Starts the manager and waits until it says it is ready."""
        begin = time.monotonic()
        self.spawn()
        self.wait_ready()
        self.ready_after = time.monotonic() - begin
        return self

    def wait_ready(self, timeout: float = 30) -> None:
        self.wait_notify("READY=1", timeout)

    def wait_notify(self, text: str, timeout: float = 30, again: bool = False) -> None:
        """Waits for a message to the service manager since the last start, resp. from now on."""
        assert self._notify and self.process
        if again:
            self._notified = len(self._notify.messages)
        self._notify.wait(text, self.process.check_running, timeout, self._notified)

    def reload(self) -> None:
        assert self.process
        self.process.signal(signal.SIGHUP)

    def stop(self) -> int:
        assert self.process
        self.drop_rpc()
        return self.process.stop()

    def kill(self) -> None:
        """kill -9 of the manager alone: its relays stay."""
        assert self.process
        self.drop_rpc()
        self.process.kill()

    def close(self) -> None:
        """Ends everything; asserts that nothing is left and no sanitizer had to complain.
        Nothing happens the second time."""
        if not self.dir.exists():
            return
        status: object = 0
        if self.process and self.process.running():
            try:
                status = self.stop()
            except AssertionError as e:
                status = e
        self.drop_rpc()
        if self._notify:
            self._notify.close()
            self._notify = None
        left = leaks.processes(str(self.dir))
        leaks.kill(left)
        reports = self.sanitizer_reports()
        if left or reports or status:
            return self.keep(f"left {left}, status {status}, sanitizer {reports[:4000]}")
        shutil.rmtree(self.dir, ignore_errors=True)

    def keep(self, why: str) -> None:
        text = "\n".join(self.log_text().splitlines()[-60:])
        shutil.rmtree(self.dir, ignore_errors=True)
        raise AssertionError(f"vio4wd: {why}\n{text}")

    def sanitizer_reports(self) -> str:
        return "\n".join(p.read_text(errors="replace") for p in self.reports.iterdir())

    def __enter__(self) -> "Daemon":
        return self.start()

    def __exit__(self, kind: object, *exc: object) -> None:
        if kind is None:
            return self.close()
        try:
            print(f"--- log of vio4wd\n{self.log_text()[-20000:]}")
            self.close()
        except AssertionError as e:
            print(e)

    # Talking to it

    def rpc(self, method: str, **params: Any) -> Any:
        if self._rpc is None:
            self._rpc = Rpc(self.runtime / "control")
        return self._rpc.call(method, **params)

    def drop_rpc(self) -> None:
        if self._rpc:
            self._rpc.close()
            self._rpc = None

    def ctl(self, *args: object, status: Optional[int] = 0) -> Ctl:
        """Runs vio4wdctl; status None takes any exit status."""
        argv = [str(CTL), "--config", str(self.config_file), *map(str, args)]
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, timeout=patience(60), env={**os.environ, **self._environment()},
        )  # fmt: skip
        assert status is None or done.returncode == status, (
            f"{' '.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return Ctl(done)

    def add(self, relay: int, device: str, **params: Any) -> Any:
        return self.rpc("add", id=relay, device=device, **params)

    def relay(self, relay: int) -> Dict[str, Any]:
        return self.rpc("show", id=relay)

    def wait_state(self, relay: int, state: str, timeout: float = 30) -> Dict[str, Any]:
        seen: Dict[str, Any] = {}

        def reached() -> bool:
            seen.update(self.relay(relay))
            return seen["state"] == state

        try:
            until(reached, f"relay {relay} is {state}", timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}: {seen}") from None
        return seen

    def processes(self) -> List[Dict[str, Any]]:
        return self.rpc("relays")["processes"]

    def relay_pids(self) -> List[int]:
        return [p["pid"] for p in self.processes() if p["state"] == "running"]

    def stats(self, relay: int, window_ms: int = 0) -> Dict[str, Any]:
        for entry in self.rpc("stats", id=relay, window_ms=window_ms)["relays"]:
            if entry["id"] == relay:
                return entry
        raise AssertionError(f"no statistics of relay {relay}")

    # Its log

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_log(self, pattern: str, timeout: float = 20, start: int = 0) -> str:
        """Waits for a line that matches the pattern and returns it."""

        def find() -> str:
            for line in self.log_text()[start:].splitlines():
                if re.search(pattern, line):
                    return line
            return ""

        return until(find, f"the log has {pattern!r}", timeout)


def default_rate() -> int:
    """Packets per second that everything here forwards without loss, whatever machine it is."""
    return 500 if sanitized() else 2000
