"""Every row of the peer table through our engine, or with the reason why it is not offered."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from golden.peer_cases import ADAPTERS, NOT_OFFERED, Uncovered, computed
from golden.peer_cases.rows import Row, read, same
from support.case_tables import not_offered

OURS = Path(__file__).parent / "peer-cases.csv"
REQUIRED = {"proration", "advance_arrears"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "row" in metafunc.fixturenames:
        table = metafunc.config.getoption("peer_cases") or OURS
        rows = read(Path(table))
        metafunc.parametrize("row", rows, ids=[row.case_id for row in rows])


def test_a_peer_case_comes_out_the_same(row: Row) -> None:
    """The engine's answer is the peer's, to the last digit that the peer gives."""
    if row.calc in NOT_OFFERED:
        not_offered(row.case_id, NOT_OFFERED[row.calc])

    found = computed(row)

    assert same(row.expected, found), f"expected {row.expected}, found {found}"


def test_what_nobody_covers_fails_loudly() -> None:
    """A new `calc` is not skipped: somebody has to decide."""
    with pytest.raises(Uncovered, match="surprise"):
        computed(Row("x-1", "proration", {"calc": "surprise", "convention": {}}, {}))


def test_nothing_is_both_computed_and_refused() -> None:
    """A reason that is no longer true has to go."""
    assert not set(ADAPTERS) & set(NOT_OFFERED)


def test_our_table_is_whole_and_nearly_all_of_it_is_offered() -> None:
    """What is refused is a choice, and a rare one."""
    rows = read(OURS)

    refused = {row.calc for row in rows if row.calc in NOT_OFFERED}

    assert (len(rows), len(refused)) == (210, 1)
    assert {row.topic for row in rows} >= REQUIRED


@pytest.mark.parametrize(
    ("expected", "found", "verdict"),
    [
        ({"a": "1.50"}, {"a": Decimal("1.5")}, True),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"b": 1}, False),
        ({"a": ["1", "2"]}, {"a": [1]}, False),
        ({"a": "1.50"}, {"a": Decimal("1.51")}, False),
        ({"a": "x"}, {"a": 1}, False),
    ],
)
def test_answers_are_compared_as_numbers(
    expected: dict[str, object], found: dict[str, object], verdict: bool
) -> None:
    """1.50 is 1.5; a missing answer is a wrong one."""
    assert same(expected, found) is verdict
