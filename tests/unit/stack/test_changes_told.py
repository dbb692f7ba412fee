"""What `tieout changes` prints: every entry, who did it, and what the PSA has of it."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from stack import changes

WHOLE = "9cd520c8-4308-52a4-93d2-5f6f9466d676"
ENTRY: dict[str, Any] = {
    "entry_id": "e", "contract_id": "ALD-1", "customer_id": "tenant-a", "subscription_id": WHOLE,
    "product": {"name": "Business Premium"}, "kind": "quantity_changed", "quantity_before": 1400,
    "quantity_after": 1450, "unit_price": "22.55", "currency": "USD", "prorated_amount": "1063.89",
    "effective_on": "2026-04-14", "effective_at": "2026-04-14T09:12:00+00:00",
    "source": {"channel": "webhook", "actor": "admin@customer.example", "order_id": None},
}  # fmt: skip


def told(psa: str, *, ids: bool = False, **other: Any) -> str:
    text = StringIO()
    log = changes.Log([ENTRY | other], {"e": psa})
    changes.tell(Console(width=300, file=text), log, ids=ids)
    return text.getvalue()


def test_an_entry_is_a_row() -> None:
    """Its kind, its minute, its seats, and the beginning of the subscription's id."""
    row = next(line for line in told("confirmed 7").splitlines() if "ALD-1" in line)
    for cell in (
        "2026-04-14 09:12", "quantity changed", "1,400 → 1,450", "22.55 USD", "1,063.89",
        "admin@customer.example (webhook)", "confirmed 7", "9cd520c8",
    ):  # fmt: skip
        assert cell in row
    assert WHOLE not in row


def test_whole_ids_are_there_for_the_asking() -> None:
    """Also the customer's, which no other table has."""
    text = told("confirmed 7", ids=True)
    assert WHOLE in text
    assert "ALD-1: customer tenant-a" in text


@pytest.mark.parametrize(
    ("source", "by"),
    [
        ({"channel": "sweep", "actor": None, "order_id": None}, "not told (sweep)"),
        ({"channel": "webhook", "actor": None, "order_id": "o-1"}, "order o-1"),
        ({"channel": "webhook", "actor": "app", "order_id": "o-1"}, "order o-1 (app)"),
        (None, "not told"),
    ],
)
def test_who_did_it_is_readable(source: Any, by: str) -> None:
    """An order of ours is named as such."""
    assert by in told("confirmed 7", source=source)


@pytest.mark.parametrize(
    ("vendor", "words"),
    [("connectwise", "with the invoice"), ("autotask", "not sent"), (None, "no PSA")],
)
def test_what_the_psa_does_not_have_is_explained(vendor: str | None, words: str) -> None:
    """Below the table, and only where it occurs."""
    assert changes.unsent(vendor) == words
    assert f"\n{words}: " in told(words)
    assert f"\n{words}: " not in told("confirmed 7")


def test_nothing_logged_is_a_sentence() -> None:
    """And no empty table."""
    text = StringIO()
    changes.tell(Console(width=300, file=text), changes.Log())
    assert text.getvalue() == "No licence change is logged that fits.\n"
