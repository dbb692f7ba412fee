"""An explanation that does not add up to its line says so; an older revision says what came."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest
from rich.console import Console

from stack.explaining import Explained, explanation
from stack.player.services import Services

LINE: dict[str, Any] = {
    "number": 1, "description": "E3", "net": "345.00", "charge_id": "c", "charge_revision": 1,
    "tax": None, "quantity": "10", "cost": "289.00",
}  # fmt: skip
BILLED = {"invoice_number": "A-000001", "number": 1, "net": "345.00", "charge_revision": 1}
CHARGE: dict[str, Any] = {
    "charge": {"charge_id": "c", "revision": 1, "proration": None, "usage": None},
    "amount": {"exact": "345.00", "rounded": "345.00", "currency": "USD", "rounding": "once"},
    "latest": {"revision": 1, "amount": "345.00", "withdrawn": False},
    "price": {"rule_id": "r", "rule_version": 1, "rule_text": "fixed 34.50 USD"},
    "arithmetic": "10 × 34.50 = 345.00 USD",
    "cost": {"amount": "289.00", "currency": "USD", "arithmetic": None, "unit_cost": None},
    "sources": [],
    "checks": [],
}  # fmt: skip


class Answers:
    """Services that say what a test wants."""

    def __init__(self, charge: dict[str, Any], *, line: dict[str, Any], billed: list[Any]) -> None:
        self.asked: list[tuple[str, Any]] = []
        self._found = {
            "invoice": {"number": "A-000001", "currency": "USD", "invoice_id": "i"},
            "line": line,
            "charge": {},
            "tax": None,
            "corrects": None,
            "billed_by": billed,
        }
        self._charge = charge

    async def get(self, service: str, path: str, **params: Any) -> Any:
        self.asked.append((path, params))
        return self._found if service == "invoicing" else self._charge


async def told(
    charge: dict[str, Any] | None = None,
    *,
    line: dict[str, Any] | None = None,
    billed: list[Any] | None = None,
) -> tuple[Explained, str]:
    answers = Answers(CHARGE | (charge or {}), line=LINE | (line or {}), billed=billed or [BILLED])
    found = await explanation(cast(Services, answers), "A-000001", 1)
    assert ("/v1/charges/c/explain", {"revision": (LINE | (line or {}))["charge_revision"]}) in (
        answers.asked
    )
    shown = io.StringIO()
    Console(file=shown, width=200).print(found.tree)
    return found, shown.getvalue()


async def test_a_figure_that_adds_up_has_no_problem() -> None:
    """And no word about revisions, or a figure twice."""
    found, tree = await told()

    assert found.problems == []
    assert tree.count("345.00") == 2
    assert "revised" not in tree
    assert "rounded" not in tree


async def test_another_amount_than_that_of_the_line_is_a_problem() -> None:
    """The command ends with exit code 1 then."""
    found, tree = await told({"amount": CHARGE["amount"] | {"rounded": "400.00"}})

    assert found.problems == [
        "the explained amount is not that of the line: 400.00 instead of 345.00"
    ]
    assert "✗ the explained amount" in tree


async def test_a_check_of_rating_that_fails_is_a_problem() -> None:
    """The facts moved, or something is wrong."""
    check = {"name": "lines", "expected": "3", "found": "2", "holds": False}

    found, _ = await told({"checks": [check]})

    assert found.problems == ["lines: 2 instead of 3"]


@pytest.mark.parametrize(
    ("latest", "billed", "sentence"),
    [
        (
            {"revision": 2, "amount": "400.00", "withdrawn": False},
            [BILLED],
            "later revised to 400.00 USD  revision 2, to be settled by the next invoice",
        ),
        (
            {"revision": 3, "amount": "0", "withdrawn": True},
            [BILLED, BILLED | {"invoice_number": "A-000002", "number": 4, "charge_revision": 3}],
            "withdrawn later  revision 3, settled by A-000002 line 4",
        ),
    ],
)
async def test_what_came_after_the_billed_revision_is_told(
    latest: dict[str, Any], billed: list[Any], sentence: str
) -> None:
    """The line stays what it was."""
    found, tree = await told({"latest": latest}, billed=billed)

    assert found.problems == []
    assert sentence in tree


async def test_a_correction_is_the_charge_less_what_was_billed_of_it() -> None:
    """55.00 = 400.00 − 345.00."""
    now = BILLED | {"invoice_number": "A-000002", "net": "55.00", "charge_revision": 2}
    charge = {
        "amount": CHARGE["amount"] | {"rounded": "400.00", "exact": "400.00"},
        "latest": {"revision": 2, "amount": "400.00", "withdrawn": False},
    }

    found, tree = await told(
        charge, line={"net": "55.00", "charge_revision": 2}, billed=[BILLED, now]
    )

    assert found.problems == []
    assert "less 345.00 USD billed by A-000001 line 1" in tree
