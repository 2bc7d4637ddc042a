# SPDX-License-Identifier: BSD-3-Clause
"""Rows of figures, the one table they are printed in, and what machine it was.

A row has: what (the case), unit, n, min, median, max; and where it applies peer, size (bytes),
distance (near, far), ratio (to, n, min, median, max: of paired windows), limit (who could not go
faster) and busy (share of the worker's time).
"""

import os
import pathlib
import platform
import statistics

HEAD = (f"{'peer':9} {'case':76} {'size':>5} {'cpus':4} {'n':>3} {'min':>9} {'median':>9} {'max':>9} "
        f"{'unit':15} {'ratio (min-max)':21} {'limit':9}")


def machine() -> dict:
    model = ""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory_kb = int(pathlib.Path("/proc/meminfo").read_text().split()[1])
    return {"cpu": model, "cpus": os.cpu_count(), "memory_gib": round(memory_kb / 2**20),
            "kernel": platform.release()}


def spread(values, factor=1) -> dict:
    scaled = [v * factor for v in values]
    return {"n": len(scaled), "min": min(scaled), "median": statistics.median(scaled),
            "max": max(scaled)}


def complete(row: dict) -> dict:
    """The same row with everything in it that a row can have."""
    return {"peer": "vio4wd", "size": None, "distance": None, "ratio": None, "limit": None,
            "busy": None, **row}


def ratio_text(ratio) -> str:
    if not ratio:
        return "-"
    return f"{ratio['median']:.2f} ({ratio['min']:.2f}-{ratio['max']:.2f})"


def print_row(row: dict):
    to = f" of {row['ratio']['to']}" if row["ratio"] else ""
    print(f"{row['peer']:9} {row['what']:76} {row['size'] or '-':>5} {row['distance'] or '-':4} "
          f"{row['n']:3} {row['min']:9.2f} {row['median']:9.2f} {row['max']:9.2f} {row['unit']:15} "
          f"{ratio_text(row['ratio']) + to:21} {row['limit'] or '-':9}", flush=True)
