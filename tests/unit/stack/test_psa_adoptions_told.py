"""What `tieout psa adopt list` prints."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from stack.psa import adoptions

ROW: dict[str, Any] = {
    "intent_id": "i-1", "source_id": "ALD-0002/1", "connection_id": "cw", "target_id": "7001",
    "kind": "addition", "external_id": "10000", "description": "By hand\nsecond line",
    "adoptable": True, "differences": [],
}  # fmt: skip


def told(*rows: dict[str, Any]) -> str:
    text = StringIO()
    adoptions.tell(Console(width=200, file=text), list(rows))
    return text.getvalue()


def test_a_proposal_names_line_record_and_intent() -> None:
    """The first line of its words is enough to recognise it."""
    text = told(ROW)
    row = next(line for line in text.splitlines() if "ALD-0002/1" in line)
    for cell in ("cw / 7001 / 10000", "By hand", "yes", "i-1"):
        assert cell in row
    assert "second line" not in text


def test_a_line_that_differs_says_in_what() -> None:
    """Instead of yes."""
    other = {"adoptable": False, "differences": ["quantity is 42, not 43", "it is taxable"]}
    assert "no: quantity is 42, not 43; it is taxable" in told(ROW | other)


def test_no_proposal_is_a_sentence() -> None:
    """Not an empty table."""
    assert told() == "Nothing in the PSA looks like what is still to be written.\n"
