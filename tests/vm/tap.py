# SPDX-License-Identifier: BSD-3-Clause
"""pytest's results as TAP 13, each line as soon as the test is over, instead of pytest's own report.

What a failure has to say follows its line, each line behind "# "."""

from typing import Any, List

import pytest


class Tap:
    def __init__(self) -> None:
        self.count = 0
        self.reports: List[Any] = []

    def _say(self, text: str) -> None:
        print(text, flush=True)

    def _diagnostics(self, text: str) -> None:
        for line in text.splitlines():
            self._say(f"# {line}".rstrip())

    def _result(self, name: str, ok: bool, directive: str = "") -> None:
        self.count += 1
        name = name.replace("#", "_")
        self._say(f"{'ok' if ok else 'not ok'} {self.count} - {name}{directive}")

    def pytest_sessionstart(self) -> None:
        self._say("TAP version 13")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._result(f"collection of {report.nodeid}", False)
            self._diagnostics(report.longreprtext)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        # Nothing runs after a file that could not be read.
        self._say(f"1..{self.count or len(session.items)}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reports.append(report)
        if report.when != "teardown":
            return
        reports, self.reports = self.reports, []
        failed = [r for r in reports if r.failed]
        skipped = next((r for r in reports if r.skipped), None)
        took = sum(r.duration for r in reports)
        directive = f" # {took:.1f} s"
        if skipped and not failed:
            directive = f" # SKIP {_reason(skipped)}"
        self._result(report.nodeid.split("/")[-1], not failed, directive)
        for r in failed:
            self._diagnostics(f"{r.when}:\n{r.longreprtext}")
        if failed:
            for title, text in reports[-1].sections:
                self._diagnostics(f"--- {title}\n{text}")

    def pytest_internalerror(self, excrepr: Any) -> None:
        self._say(f"Bail out! pytest: {str(excrepr).splitlines()[-1]}")
        self._diagnostics(str(excrepr))


def _reason(report: pytest.TestReport) -> str:
    where = report.longrepr
    text = where[2] if isinstance(where, tuple) else str(where)
    return " ".join(text.split()).removeprefix("Skipped: ")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal:
        config.pluginmanager.unregister(terminal)
    config.pluginmanager.register(Tap(), "vio4wd-tap")

