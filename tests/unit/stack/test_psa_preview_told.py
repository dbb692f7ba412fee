"""What `tieout psa preview` prints."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from stack.psa import preview

ROW: dict[str, Any] = {
    "source_id": "ALD-0002/1", "contract_id": "ALD-1", "connection_id": "cw", "target_id": "7001",
    "kind": "addition", "operation": {"quantity": "43", "unit_price": "22.55", "last_on": None},
    "action": "create", "reason": "missing", "detail": "the PSA has nothing with its key",
}  # fmt: skip


def told(*rows: dict[str, Any]) -> str:
    text = StringIO()
    preview.tell(Console(width=200, file=text), list(rows))
    return text.getvalue()


def test_a_line_shows_place_values_action_and_reason() -> None:
    """And the end says that nothing was written."""
    text = told(ROW, ROW | {"action": "blocked"})
    row = next(line for line in text.splitlines() if "ALD-0002/1" in line)
    for cell in ("cw / 7001", "quantity 43, unit_price 22.55", "create", "(missing)"):
        assert cell in row
    assert text.splitlines()[-1] == "1 blocked, 1 create; nothing was written."


def test_seats_are_shown_as_a_change() -> None:
    """From how many to how many, from when."""
    seats = {"units_before": 30, "units_after": 22, "effective_on": "2026-06-09"}
    assert "30 → 22 units from 2026-06-09" in told(ROW | {"operation": seats})


def test_a_whole_fact_has_no_values() -> None:
    """A contract that is mapped nowhere."""
    nowhere = {"operation": None, "kind": None, "connection_id": None, "target_id": None}
    row = next(line for line in told(ROW | nowhere).splitlines() if "ALD-0002/1" in line)
    assert row.count("–") == 3


def test_nothing_left_is_a_sentence() -> None:
    """Not an empty table."""
    assert told() == "Nothing is left to push.\n"
