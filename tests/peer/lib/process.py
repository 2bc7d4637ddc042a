# SPDX-License-Identifier: BSD-3-Clause
"""A program that a test starts: its output in a file, its end certain."""

import ctypes
import os
import subprocess
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGTERM
from typing import Dict, Iterable, List, Optional, Union

from .wait import until

Arg = Union[str, Path, int]
PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


def die_with_parent(sig: int = SIGKILL) -> None:
    """For a new process: gets the signal when the thread that started it is gone."""
    _prctl(PR_SET_PDEATHSIG, sig)


# False: what is started from now on outlives this process.
dies_with_us = True


class Process:
    """argv[0] runs with its output in log; stdin is a pipe that stays open."""

    def __init__(
        self,
        argv: Iterable[Arg],
        log: Path,
        env: Optional[Dict[str, str]] = None,
        death_signal: int = SIGKILL,
    ) -> None:
        self.argv = [str(a) for a in argv]
        self.log = log
        self.name = Path(self.argv[0]).name
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                # A Ctrl-C is for us, who end the others in order.
                start_new_session=True,
                preexec_fn=(lambda: die_with_parent(death_signal)) if dies_with_us else None,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def lines(self) -> List[str]:
        return self.text().splitlines()

    def running(self) -> bool:
        return self.popen.poll() is None

    def check_running(self) -> None:
        if not self.running():
            tail = "\n".join(self.lines()[-20:])
            raise AssertionError(f"{self.name} ended with {self.popen.returncode}:\n{tail}")

    def wait_text(self, text: str, timeout: float = 20, start: int = 0) -> None:
        until(
            lambda: text in self.text()[start:],
            f"{self.name} says {text!r}",
            timeout,
            self.check_running,
        )

    def send(self, line: str) -> None:
        assert self.popen.stdin
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def signal(self, sig: int) -> None:
        if self.running():
            self.popen.send_signal(sig)

    def wait(self, timeout: float = 20) -> int:
        until(lambda: not self.running(), f"{self.name} ends", timeout)
        if self.popen.stdin:
            try:
                self.popen.stdin.close()
            except BrokenPipeError:
                pass
        return self.popen.returncode

    def kill(self) -> None:
        self.signal(SIGKILL)
        self.wait()

    def close(self) -> None:
        if self.running():
            self.kill()

    def stop(self, sig: int = SIGTERM, timeout: float = 20) -> int:
        """Ends it the polite way; a program that does not end is killed, and an error."""
        self.signal(SIGCONT)
        self.signal(sig)
        try:
            return self.wait(timeout)
        except AssertionError:
            self.kill()
            raise


def run(argv: Iterable[Arg], check: bool = True, timeout: float = 60, **kwargs) -> str:
    """Runs a command to its end and returns what it printed."""
    done = subprocess.run(
        [str(a) for a in argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        **kwargs,
    )
    text = done.stdout.decode(errors="replace")
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, argv))}: status {done.returncode}\n{text}")
    return text
