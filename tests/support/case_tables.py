"""Tables of worked cases from elsewhere: where they are read from, and what we refuse to compute.

A row that is not offered is skipped with its reason; the end of the run lists every one of them.
"""

from __future__ import annotations

from typing import NoReturn

import pytest

PREFIX = "not offered: "


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("case tables")
    group.addoption("--nce-cases", metavar="FILE", help="instead of tests/golden/nce-cases.csv")
    group.addoption("--peer-cases", metavar="FILE", help="instead of tests/golden/peer-cases.csv")


def not_offered(case: str, reason: str) -> NoReturn:
    """End the test: this is a choice, and it will be told."""
    pytest.skip(f"{PREFIX}{case}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Every row that was not computed, with the reason."""
    told = []
    for report in terminalreporter.getreports("skipped"):
        if isinstance(report.longrepr, tuple):
            _, _, text = report.longrepr
            _, found, reason = text.partition(PREFIX)
            told += [reason] if found else []
    if told:
        terminalreporter.section("cases not offered", "-")
        for line in sorted(told):
            terminalreporter.line(line)
