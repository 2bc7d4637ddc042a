# SPDX-License-Identifier: BSD-3-Clause
"""Senders and receivers of numbered packets (numbered.c) on the host."""

import json
import signal
from pathlib import Path
from typing import Any, Dict, Sequence

from .env import NUMBERED
from .process import Process
from .wait import until

Stream = Dict[str, Any]
NOTHING: Stream = {
    "received": 0, "missing": 0, "duplicate": 0, "late": 0, "damaged": 0, "flows": 0,
    "silence_ms": 0.0, "quiet_ms": 0.0,
}  # fmt: skip


class _Numbered:
    def __init__(self, prefix: Sequence[str], args: Sequence[object], log: Path) -> None:
        self.process = Process([*prefix, NUMBERED, *map(str, args)], log)

    def _reports(self) -> list:
        return [json.loads(x) for x in self.process.lines() if x.startswith("{") and x[-1] == "}"]

    def report(self) -> Dict[str, Any]:
        before = len(self._reports())
        self.process.check_running()
        self.process.signal(signal.SIGUSR1)
        until(lambda: len(self._reports()) > before, "numbered reports", 10)
        return self._reports()[-1]

    def stop(self) -> Dict[str, Any]:
        self.process.stop()
        return self._reports()[-1]

    def close(self) -> None:
        if self.process.running():
            self.process.kill()

    def __exit__(self, *exc: object) -> None:
        self.close()


class Receiver(_Numbered):
    """Counts what arrives on iface; prefix is the command that enters a namespace."""

    def __init__(self, iface: str, log: Path, prefix: Sequence[str] = ()) -> None:
        super().__init__(prefix, ["recv", iface], log)
        self.process.wait_text("receiving on")

    def __enter__(self) -> "Receiver":
        return self

    def stream(self, number: int = 0) -> Stream:
        return self.report()["streams"].get(str(number), NOTHING)


class Sender(_Numbered):
    def __init__(
        self,
        iface: str,
        log: Path,
        prefix: Sequence[str] = (),
        **options: object,
    ) -> None:
        args = ["send", iface]
        for name, value in options.items():
            args += [f"--{name}", str(value)]
        super().__init__(prefix, args, log)

    def __enter__(self) -> "Sender":
        return self

    def finish(self, timeout: float = 60) -> int:
        """Waits until --count packets are sent."""
        assert self.process.wait(timeout) == 0, self.process.text()
        return self._reports()[-1]["sent"]
