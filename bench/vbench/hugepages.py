# SPDX-License-Identifier: BSD-3-Clause
"""2 MiB hugepages for the time of a run."""

import pathlib

POOL = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


class Hugepages:
    def __init__(self, pages: int):
        self.pages = pages

    def __enter__(self):
        self.before = int(POOL.read_text())
        if self.before < self.pages:
            POOL.write_text(str(self.pages))
        have = int(POOL.read_text())
        if have < self.pages:
            POOL.write_text(str(self.before))
            raise SystemExit(f"{self.pages} hugepages of 2 MiB are needed, the kernel gave {have}: "
                             "free memory, or reserve them at boot with hugepages=N")
        return self

    def __exit__(self, *exc):
        if self.before < self.pages:
            POOL.write_text(str(self.before))
