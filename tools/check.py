# SPDX-License-Identifier: BSD-3-Clause
"""Runs all tests, stage by stage, and ends with "N passed, N failed, N skipped".

Every stage runs even when one before it failed. Test cases are counted from the JUnit files that
meson and pytest write, and from the TAP that comes out of the virtual machine."""

import argparse
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

TOP = Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"
CACHE = Path(os.environ.get("VIO4WD_CACHE", "/var/cache/vio4wd"))
NOTHING_SELECTED = 5  # pytest's exit status
VM_BROKE = 125  # that of tests/vm/run
LONG = ("test_vf_churn", "test_vf_faults", "test_vdpa_guest")  # files of tests/vm that take minutes
FORMATTER = "14"  # the clang-format whose output is the house style; others differ in details


@dataclass
class Result:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: List[str] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures

    def line(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def failure(name: str) -> Result:
    return Result(failed=1, failures=[name])


def read_junit(path: Path, stage: str, status: int) -> Result:
    """Counts test cases; a stage that failed without a failed case counts as one."""
    result = Result()
    try:
        cases = list(ET.parse(path).getroot().iter("testcase"))
    except (OSError, ET.ParseError) as e:
        return failure(f"{stage}: no result ({e})")
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            result.failed += 1
            result.failures.append(f"{stage}: {case.get('classname', '')} {case.get('name')}")
        elif case.find("skipped") is not None:
            result.skipped += 1
        else:
            result.passed += 1
    if status != 0 and result.failed == 0:
        result.add(failure(f"{stage}: exit status {status}"))
    if not cases and status == 0:
        result.add(failure(f"{stage}: no test ran"))
    return result


def read_tap(text: str, stage: str, status: int) -> Result:
    """Counts TAP lines; fewer than planned, or a bad end without a failed one, are a failure."""
    result = Result()
    planned: Optional[int] = None
    for line in text.splitlines():
        if line.startswith("1.."):
            planned = int(line[3:].split()[0])
        elif line.startswith(("ok ", "not ok ")):
            name, _, directive = line.partition(" - ")[2].partition(" # ")
            if line.startswith("not ok "):
                result.add(failure(f"{stage}: {name}"))
            elif directive.startswith("SKIP"):
                result.skipped += 1
            else:
                result.passed += 1
    ended = result.passed + result.failed + result.skipped
    if planned is None or ended < planned:
        result.add(failure(f"{stage}: {ended} of {planned or 'unknown'} tests ended"))
    elif status != 0 and result.failed == 0:
        result.add(failure(f"{stage}: exit status {status}"))
    return result


def run(*cmd: str, env: Optional[Dict[str, str]] = None) -> int:
    sys.stdout.flush()
    return subprocess.run(
        cmd, cwd=TOP, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}
    ).returncode


class Build:
    """A build folder, set up and compiled before its first use."""

    def __init__(self, folder: str, *options: str) -> None:
        self.folder = TOP / folder
        self.options = [*options, "-Dunit_tests=enabled", "-Dfault_points=true"]
        if os.environ.get("CI"):
            self.options.append("-Dwerror=true")
        self.status: Optional[int] = None

    def ready(self) -> bool:
        if self.status is None:
            there = (self.folder / "build.ninja").exists()
            verb = ["configure"] if there else ["setup"]
            self.status = run("meson", *verb, str(self.folder), *self.options) or run(
                "meson", "compile", "-C", str(self.folder)
            )
        return self.status == 0


def format_stage() -> Result:
    program = shutil.which(f"clang-format-{FORMATTER}")
    if not program:
        print(f"skipped: no clang-format-{FORMATTER} in this release of Debian")
        return Result(skipped=1)
    wrong = []
    for folder in ("src", "tests", "bench", "docs"):
        for path in sorted((TOP / folder).rglob("*.[ch]")):
            if run(program, "--dry-run", "-Werror", "--ferror-limit=1", str(path)):
                wrong.append(str(path.relative_to(TOP)))
    if wrong:
        print(f"not formatted, run: clang-format -i {' '.join(wrong)}")
        return failure("format: clang-format")
    return Result(passed=1)


def meson_stage(build: Build, name: str, setup: Optional[str] = None) -> Result:
    if not build.ready():
        return failure(f"{name}: the build in {build.folder} failed")
    suffix = f"-{setup}" if setup else ""
    junit = build.folder / "meson-logs" / f"testlog{suffix}.junit.xml"
    junit.unlink(missing_ok=True)
    cmd = ["meson", "test", "-C", str(build.folder), "--no-rebuild", "--suite", "unit"]
    cmd += ["--print-errorlogs"] + (["--setup", setup, "--no-suite", "native"] if setup else [])
    return read_junit(junit, name, run(*cmd))


def trixie_stage(folder: str) -> Result:
    """In a Debian 13, with its compiler and DPDK: everything is built, the unit tests run."""
    build = TOP / folder
    junit = build / "meson-logs/testlog.junit.xml"
    junit.unlink(missing_ok=True)
    verb = "configure" if (build / "build.ninja").exists() else "setup"
    # Not much optimized: it is done sooner.
    options = ["-Dunit_tests=enabled", "-Dfault_points=true", "-Dwerror=true"]
    options += ["-Doptimization=1", "-Ddebug=false"]
    inside = str(TOP / "tools/in-trixie")
    if run(inside, "meson", verb, folder, *options) or run(inside, "ninja", "-C", folder):
        return failure("trixie: the build failed")
    cmd = ["meson", "test", "-C", folder, "--no-rebuild", "--suite", "unit", "--print-errorlogs"]
    return read_junit(junit, "trixie", run(inside, *cmd))


def pytest_stage(build: Build, name: str, folder: str, *args: str) -> Result:
    if not build.ready():
        return failure(f"{name}: the build in {build.folder} failed")
    junit = build.folder / f"{folder}.junit.xml"
    junit.unlink(missing_ok=True)
    status = run(
        PYTHON, "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={junit}", *args,
        "--rootdir", str(TOP / "tests" / folder), str(TOP / "tests" / folder),
        env={"VIO4WD_BUILD": str(build.folder), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    return read_junit(junit, name, status)


def vm_file(build: Build, name: str, path: Path, args: Tuple[str, ...]) -> Tuple[str, Result]:
    """Boots the machine that a test file names; returns what came out of it, too."""
    results = build.folder / "vm" / path.stem
    (results / "output.txt").unlink(missing_ok=True)
    start = time.monotonic()
    done = subprocess.run(
        [str(TOP / "tests/vm/run"), "--build", str(build.folder), "--results", str(results),
         "--test", str(path), "--", *args],
        cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        text = (results / "output.txt").read_text(errors="replace")
    except OSError:
        text = ""
    status = done.returncode
    if args and status == NOTHING_SELECTED and "\n1..0" in text:
        status = 0
    total = Result()
    if status == VM_BROKE:
        total.add(failure(f"{name}: {path.stem}: the virtual machine, see {results}"))
        status = 0
    total.add(read_tap(text, f"{name}: {path.stem}", status))
    text += done.stderr.decode(errors="replace")
    return f"-- {path.stem}: {time.monotonic() - start:.0f} s\n{text}", total


def vm_stage(build: Build, name: str, *args: str) -> Result:
    """Each file in a boot of its own, as its results are kept: in build/vm/FILE. Most of what the
    machines do is waiting: there are as many at a time as processors, two at most, longest first."""
    if not build.ready():
        return failure(f"{name}: the build in {build.folder} failed")
    if not ((CACHE / "vm/stamp").exists() and (CACHE / "bin/qemu-vm").exists()):
        return failure(f"{name}: no virtual machine in {CACHE}: run make setup")
    files = sorted((TOP / "tests/vm").glob("test_*.py"), key=lambda p: (p.stem not in LONG, p.stem))
    total = Result()
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for done in as_completed([pool.submit(vm_file, build, name, path, args) for path in files]):
            text, result = done.result()
            print(text, end="", flush=True)
            total.add(result)
    return total


def main() -> int:
    parser = argparse.ArgumentParser(prog="make check")
    parser.add_argument("--build", default="build")
    parser.add_argument("--asan", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("pytest", nargs="*")
    args = parser.parse_args()

    normal = Build(args.build)
    sanitized = Build(
        args.build + "-asan", "-Db_sanitize=address,undefined", "-Db_lundef=false",
        "-Doptimization=1",
    )  # fmt: skip
    stages: Dict[str, Callable[[], Result]] = {
        "format": format_stage,
        "unit": lambda: meson_stage(normal, "unit"),
        "valgrind": lambda: meson_stage(normal, "valgrind", "valgrind"),
        "peer": lambda: pytest_stage(normal, "peer", "peer", *args.pytest),
        "package": lambda: pytest_stage(normal, "package", "package"),
        "trixie": lambda: trixie_stage(args.build + "-trixie"),
        "vm": lambda: vm_stage(normal, "vm", *args.pytest),
        "asan-unit": lambda: meson_stage(sanitized, "asan-unit"),
        "asan-peer": lambda: pytest_stage(sanitized, "asan-peer", "peer", *args.pytest),
    }
    wanted = args.only.split(",") if args.only else list(stages)
    unknown = [s for s in wanted if s not in stages]
    if unknown:
        print(f"error: no stage {unknown[0]}; there are {', '.join(stages)}", file=sys.stderr)
        return 2
    if args.asan:
        wanted = [s for s in wanted if s.startswith("asan")]

    total = Result()
    for name in wanted:
        print(f"== {name}")
        start = time.monotonic()
        result = stages[name]()
        print(f"== {name}: {result.line()} ({time.monotonic() - start:.0f} s)")
        total.add(result)
    for text in total.failures:
        print(f"failed: {text}")
    print(total.line(), flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
