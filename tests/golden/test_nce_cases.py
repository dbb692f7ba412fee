"""Every row of the provider's case table through the engine, line by line and key by key."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rating.offline import answer

OURS = Path(__file__).parent / "nce-cases.csv"
MORE = Path(__file__).parent / "nce-more.csv"  # rules and combinations that the table has not
BY_ROUNDING = {"none": "line"}  # all modes agree


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "row" in metafunc.fixturenames:
        given = metafunc.config.getoption("nce_cases")
        found = rows(Path(given)) if given else rows(OURS) + rows(MORE)
        metafunc.parametrize("row", found, ids=[row["case_id"] for row in found])


def test_a_case_comes_out_as_the_provider_bills_it(row: dict[str, str]) -> None:
    """Charge type, dates, quantities, days, unit price, and the amount in the row's rounding."""
    expected = json.loads(row["expected_lines"], parse_float=Decimal)

    found = answer(row)

    lines = found.get("lines", [])
    differences = [found["error"]] if "error" in found else []
    differences += [
        f"line {number}, {name}: expected {wanted!r}, found {got!r}"
        for number, (line, theirs) in enumerate(zip(lines, expected, strict=False), start=1)
        for name, wanted, got in differing(theirs, line)
    ]
    if len(lines) != len(expected):
        differences.append(f"expected {len(expected)} lines, found {len(lines)}")
    assert differences == [], row["rule_source"]


def differing(expected: Mapping[str, Any], line: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What a line says otherwise than its row; which rounding is shown is the row's choice."""
    shown = dict(line)
    if "amounts" in line:
        mode = str(expected.get("rounding", "none"))
        shown["amount"] = line["amounts"].get(BY_ROUNDING.get(mode, mode))
        shown["rounding"] = mode
        shown["amount_line_rounding"] = line["amounts"]["line"]
    return [(k, v, shown.get(k)) for k, v in expected.items() if shown.get(k) != v]


def test_our_table_is_whole() -> None:
    """A row that gets lost would pass for ever."""
    assert len({row["case_id"] for row in rows(OURS)}) == 94
    assert len({row["case_id"] for row in rows(MORE)}) == 45


def test_a_wrong_figure_is_seen() -> None:
    """The comparison itself: one cent, one key, one line."""
    row = rows(OURS)[0]
    (line,) = answer(row)["lines"]
    (expected,) = json.loads(row["expected_lines"])

    assert differing(expected, line) == []
    assert differing(expected | {"amount": "100.81"}, line) == [("amount", "100.81", "100.80")]
    assert differing(expected | {"end": "2021-07-18"}, line) == [
        ("end", "2021-07-18", "2021-07-17")
    ]
