# SPDX-License-Identifier: BSD-3-Clause
"""Child processes that are talked to, and what /proc says of them."""

import os
import pathlib
import re
import select
import signal
import subprocess
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Child:
    """A program with its output in a file, and optionally commands on its stdin."""

    def __init__(self, argv, log: pathlib.Path, env=None, nice=0):
        self.argv = [str(a) for a in argv]
        self.log = log
        if nice:
            self.argv = ["nice", "-n", str(nice)] + self.argv
        with open(log, "wb") as out:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})})
        self.pid = self.popen.pid

    def text(self, offset=0) -> str:
        with open(self.log, "rb") as f:
            f.seek(offset)
            return f.read().decode("latin1")

    def send(self, line: str):
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def expect(self, pattern: str, timeout: float, offset=0) -> re.Match:
        """Waits until the output from offset on matches; the child's end or the deadline raises."""
        deadline = time.monotonic() + timeout
        while True:
            match = re.search(pattern, self.text(offset))
            if match:
                return match
            if self.popen.poll() is not None:
                raise RuntimeError(f"{self.argv[0]} ended with {self.popen.returncode}:\n"
                                   f"{self.text()[-2000:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"no {pattern!r} within {timeout} s from {' '.join(self.argv)}:\n"
                                   f"{self.text()[-2000:]}")
            select.select([], [], [], 0.002)

    def ask(self, line: str, pattern: str, timeout=5.0) -> re.Match:
        offset = self.log.stat().st_size
        self.send(line)
        return self.expect(pattern, timeout, offset)

    def stop(self):
        """Until go_on(); when it returns, no thread runs any more (or the process has ended)."""
        self.popen.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def go_on(self):
        self.popen.send_signal(signal.SIGCONT)

    def end(self, command=None, timeout=10.0):
        """By the command on its stdin, or by SIGTERM."""
        if self.popen.poll() is None:
            self.go_on()
            if command:
                self.send(command)
            else:
                self.popen.terminate()
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        self.popen.stdin.close()


def threads(pid: int) -> dict:
    """tid -> name"""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            found[int(task.name)] = (task / "comm").read_text().strip()
        except OSError:
            pass  # ended meanwhile
    return found


def thread_named(pid: int, prefix: str) -> int:
    for tid, name in threads(pid).items():
        if name.startswith(prefix):
            return tid
    raise RuntimeError(f"process {pid} has no thread {prefix}*: {threads(pid)}")


def cpu_seconds(pid: int, tid=None) -> float:
    path = f"/proc/{pid}/task/{tid}/stat" if tid else f"/proc/{pid}/stat"
    fields = pathlib.Path(path).read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def thread_run_seconds(pid: int, tid: int) -> float:
    """CPU time, with the resolution of the scheduler rather than of ticks."""
    return int(pathlib.Path(f"/proc/{pid}/task/{tid}/schedstat").read_text().split()[0]) / 1e9


def awake_seconds(pid: int, tid: int) -> float:
    """For how long the thread ran or wanted to."""
    run, waited = pathlib.Path(f"/proc/{pid}/task/{tid}/schedstat").read_text().split()[:2]
    return (int(run) + int(waited)) / 1e9


def run_seconds(pid: int) -> float:
    """CPU time of all threads."""
    return sum(thread_run_seconds(pid, tid) for tid in threads(pid))


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def status_kb(pid: int) -> dict:
    """The sizes of /proc/PID/status in KiB: VmRSS, HugetlbPages, ..."""
    sizes = {}
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if value.strip().endswith(" kB"):
            sizes[name] = int(value.split()[0])
    return sizes
