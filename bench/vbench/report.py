# SPDX-License-Identifier: BSD-3-Clause
"""Tables for people, and what machine it was."""

import os
import pathlib
import platform


def machine() -> dict:
    model = ""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release()}


def print_rate(row: dict, first: bool):
    if first:
        print(f"{'case':6} {'size':>5} {'class':5} {'program':8} {'n':>3} "
              f"{'min':>7} {'median':>7} {'max':>7}  Mpps   ratio to testpmd")
    ratio = f"{row['ratio']:.2f} ({row['pairs']} pairs)" if row["ratio"] else "-"
    print(f"{row['case']:6} {row['size']:5} {row['class']:5} {row['program']:8} {row['n']:3} "
          f"{row['min']:7.2f} {row['median']:7.2f} {row['max']:7.2f}         {ratio}", flush=True)


def print_operations(rows: list):
    print(f"\n{'operation':68} {'unit':12} {'n':>3} {'min':>9} {'median':>9} {'max':>9}")
    for row in rows:
        print(f"{row['what']:68} {row['unit']:12} {row['n']:3} {row['min']:9.2f} "
              f"{row['median']:9.2f} {row['max']:9.2f}")
