"""What is printed red is a difference, and every check is counted."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from stack.player.collecting import Findings
from stack.player.judging import judge
from stack.player.names import Names
from stack.player.printing import print_findings, print_verdict
from stack.player.sources import Sources
from stack.player.tying import tie
from stack.story.format import Story

INTACT = {"intact": True, "links": 7, "broken_at": None, "reason": None}
BASE: dict[str, Any] = {
    "story": "s",
    "starts": "2026-04-01",
    "sellers": {
        "us": {"name": "H", "country": "US", "tax": "per_group", "invoice_prefix": "X-"}
    },
    "customers": {
        "a": {
            "name": "A", "seller": "us", "country": "US", "jurisdiction": "US-WA",
            "currency": "USD",
        }
    },
    "contracts": {"C-1": {"customer": "a", "timing": "advance", "starts": "2026-04-01"}},
}  # fmt: skip
LINE = {
    "number": 1, "kind": "usage", "description": "AZ-1 Storage", "quantity": "1", "net": "10.00",
    "tax": None, "tax_rate": "0.21", "service_period": {"start": "2026-04-01", "end": "2026-05-01"},
}  # fmt: skip
INVOICE = {
    "story": "s", "contract": "C-1", "contract_id": "C-1", "invoice_id": "i1", "number": "X-000001",
    "invoice_date": "2026-05-01", "currency": "USD", "state": "finalised", "net": "10.00",
    "tax": "2.10", "total": "12.10", "lines": [LINE],
    "taxes": [{"name": "VAT", "rate": "0.21", "taxable": "10.00", "tax": "2.10"}],
}  # fmt: skip


def place(unit_price: str, **changes: Any) -> dict[str, Any]:
    """An Autotask contract with one charge."""
    charge = {"invoice": "X-000001", "line": 1, "quantity": "1", "unit_price": unit_price}
    return {
        "story": "s", "contract": "C-1", "vendor": "autotask", "charges": [charge],
        "adjustments": [], "services": [], "licences": "0", "cycles": [], **changes,
    }  # fmt: skip


def findings(**changes: Any) -> Findings:
    given: dict[str, Any] = {
        "invoices": [INVOICE],
        "psa": [place("10.00")],
        "audit": {"rating": INTACT},
        "audit_before": {"rating": INTACT | {"links": 5}},
    }
    return Findings(**given | changes)


async def verdict(found: Findings, **story: Any) -> tuple[int, list[str]]:
    names = Names(Story.model_validate(BASE | story))
    sources: Any = Sources.__new__(Sources)
    checked, differences = await judge([names], found, tie(found, [names]), sources)
    return checked, [str(difference) for difference in differences]


def printed(found: Findings, width: int = 100) -> str:
    shown = io.StringIO()
    names = Names(Story.model_validate(BASE))
    print_findings(Console(file=shown, width=width), found, tie(found, [names]), {})
    return shown.getvalue()


async def test_a_red_cross_in_the_psa_table_is_a_difference() -> None:
    """Though the story expects nothing at all."""
    checked, differences = await verdict(findings(psa=[place("9.99")]))

    assert differences == [
        "s: C-1, autotask for X-000001: expected 10.00 as invoiced, found 9.99 in the PSA"
    ]
    assert checked == 4  # the PSA, holds, dead letters, one audit trail
    assert "✗" in printed(findings(psa=[place("9.99")]))
    assert (await verdict(findings()))[1] == []
    assert "✓" in printed(findings())


async def test_a_record_of_no_invoice_is_a_difference() -> None:
    """A trace of a request sent twice."""
    stray = {"invoice": None, "line": None, "quantity": "1", "unit_price": "10.00"}
    found = findings(psa=[place("10.00", charges=[*place("10.00")["charges"], stray])])

    _, differences = await verdict(found)

    assert differences == [
        "s: C-1, autotask for none: expected 0 as invoiced, found 10.00 in the PSA"
    ]


@pytest.mark.parametrize(
    "found",
    [
        findings(holds=[{"reason": "no_contract", "detail": "d", "object": "o"}]),
        findings(dead_letters=[{"service": "rating", "error": "bad"}]),
        findings(audit={"rating": {**INTACT, "intact": False, "reason": "row 3"}}),
        findings(invoices=[], psa=[place("10.00", charges=[], licences="5.00")]),
    ],
)
async def test_there_are_never_more_differences_than_checks(found: Findings) -> None:
    """`2 of 0 checks` said nothing."""
    expected = {"invoices": [{"contract": "C-1", "date": "2026-06-01", "net": "1"}]}

    checked, differences = await verdict(found, expect=expected)

    assert 0 < len(differences) <= checked
    shown = io.StringIO()
    print_verdict(Console(file=shown, width=100), checked, [])
    assert f"{checked} figures" in shown.getvalue()


def test_a_tax_by_group_is_told_by_group() -> None:
    """No empty column, and the arithmetic of the amount."""
    told = printed(findings())

    assert "VAT: 21 % of 10.00" in told
    assert "2.10" in told
    assert "┃ tax" not in told


def test_a_draft_says_why_it_has_no_tax_and_no_number_is_none() -> None:
    """`None` is no figure."""
    draft: dict[str, Any] = INVOICE | {
        "number": None, "state": "tax_held", "tax": None, "total": None, "taxes": [],
        "hold": {"reason": "no_rate", "detail": "there is no rate for US-CO"},
    }  # fmt: skip

    told = printed(findings(invoices=[draft], psa=[place("0", charges=[])]))

    assert "draft, tax_held" in told
    assert "there is no rate for US-CO" in told
    assert "None" not in told


def test_the_audit_trail_of_the_play_stands_apart_from_that_of_the_stack() -> None:
    """Seven records, of which two are new."""
    assert "2 records of this play; all 7 on this stack intact" in printed(findings())


def test_a_failed_payment_tells_its_reason() -> None:
    """Whatever the provider calls it."""
    payment = {
        "invoice_id": "i1", "account_id": "a", "state": "failed", "reason": "declined",
        "provider_payment_id": "pi_92958a6e641cd9df4e278454", "decline_code": "insufficient_funds",
        "amount": "12.10", "currency": "USD",
    }  # fmt: skip

    told = printed(findings(payments=[payment]), width=160)

    assert "pi_92958a6e641cd9df4e278454, insufficient_funds" in told


def test_no_figure_is_cut_at_eighty_columns() -> None:
    """Text folds, figures and ids stay whole."""
    wide = LINE | {"description": "A very long name of a service " * 6, "net": "1234567890123.45"}
    found = findings(invoices=[INVOICE | {"lines": [wide], "net": "1234567890123.45"}])

    told = printed(found, width=80)

    assert "1,234,567,890,123.45" in told
    assert "…" not in told
