# SPDX-License-Identifier: BSD-3-Clause
"""Hugepages of 2 MiB for the time of a run, and a hugetlbfs of its own."""

from pathlib import Path

from .process import run

POOL = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


class Hugepages:
    def __init__(self, mount: Path, pages: int = 384) -> None:
        self.mount, self.pages = mount, pages
        self.before = -1

    def __enter__(self) -> "Hugepages":
        if not POOL.exists():
            raise RuntimeError("this kernel has no hugepages of 2 MiB: boot one with hugetlbfs")
        self.before = int(POOL.read_text())
        if self.before < self.pages:
            POOL.write_text(str(self.pages))
        have = int(POOL.read_text())
        if have < self.pages:
            POOL.write_text(str(self.before))
            raise RuntimeError(
                f"{self.pages} hugepages of 2 MiB are needed, the kernel gives {have}: "
                "free memory, or reserve them at boot with hugepages=N"
            )
        self.mount.mkdir(parents=True, exist_ok=True)
        run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", self.mount])
        return self

    def __exit__(self, *exc: object) -> None:
        run(["umount", "-l", self.mount], check=False)
        if self.before < self.pages:
            POOL.write_text(str(self.before))
