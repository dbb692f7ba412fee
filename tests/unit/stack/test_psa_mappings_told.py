"""What `tieout psa mappings` prints."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

from rich.console import Console

from stack.psa import mappings

ROW: dict[str, Any] = {
    "id": "x", "kind": "contract", "key": "ALD-1", "name": "Alder Dental", "company_id": "250",
    "company_name": "Alder", "target_id": "7001", "target_name": "Cloud", "external_id": None,
    "external_name": None, "confidence": 91, "ambiguous": True, "because": "names",
}  # fmt: skip


def said(tell: Callable[[Console], None]) -> str:
    text = StringIO()
    tell(Console(width=200, file=text))
    return text.getvalue()


def report(*, dry_run: bool = False, **parts: Any) -> str:
    told = {"applied": True, "lines": 2, "changes": [], "errors": []} | parts
    return said(lambda console: mappings.tell_report(console, told, dry_run=dry_run))


def test_a_suggestion_shows_names_ids_and_doubt() -> None:
    """91 percent, and another one nearly as good."""
    found = {"data": [ROW], "without": ["OAK-1"]}
    text = said(lambda console: mappings.tell_suggestions(console, found))
    row = next(line for line in text.splitlines() if "ALD-1" in line)
    for cell in ("Alder / Cloud", "250 / 7001", "91 %, not alone"):
        assert cell in row
    assert "nothing looks like OAK-1" in text


def test_nothing_to_map_is_a_sentence() -> None:
    """Not an empty table."""
    found: dict[str, Any] = {"data": [], "without": []}
    text = said(lambda console: mappings.tell_suggestions(console, found))
    assert text == "Nothing waits for a mapping.\n"


def test_a_dry_run_says_would() -> None:
    """Before and after of each line."""
    change = {"line": 2, "kind": "product", "key": "BP", "before": None, "after": "501"}
    assert report(dry_run=True, changes=[change]).splitlines() == [
        "line 2: BP: not mapped → 501",
        "1 of 2 mappings would change.",
    ]


def test_wrong_lines_are_told_with_their_numbers() -> None:
    """And that nothing was changed."""
    error = {"line": 3, "code": "id_invalid", "detail": "7/1 is no id of a PSA"}
    assert report(applied=False, errors=[error]).splitlines() == [
        "line 3: 7/1 is no id of a PSA [id_invalid]",
        "1 of 2 lines are wrong.",
        "Nothing was changed.",
    ]
