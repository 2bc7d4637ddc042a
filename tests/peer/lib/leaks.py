# SPDX-License-Identifier: BSD-3-Clause
"""What is there before and after: processes, sockets, hugepages, interfaces, namespaces."""

import os
import signal
from pathlib import Path
from typing import Dict, List, Set

HUGEPAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")


def processes(marker: str) -> Dict[int, str]:
    """Processes that have marker in their command line or environment (zombies have neither)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            if marker.encode() in command or marker.encode() in (entry / "environ").read_bytes():
                found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


def kill(pids: Dict[int, str]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def sockets(folder: Path) -> List[str]:
    """Socket files left below folder."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_socket())


def namespaces() -> Set[str]:
    folder = Path("/run/netns")
    return {p.name for p in folder.iterdir()} if folder.exists() else set()



def open_files(pid: int) -> List[str]:
    """What the descriptors of a process are; not DPDK's memory, a file for each page that it has."""
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(os.readlink(entry))
        except OSError:
            continue
    return sorted(link for link in links if not link.startswith("/memfd:seg"))


def descriptors(pid: int) -> int:
    return len(open_files(pid))
