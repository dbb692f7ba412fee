"""What `tieout renewals` prints: money where it is known, the reason where it is not."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from stack import renewals

PRICE = {"unit_price": "36.80", "unit_cost": "30.20", "cost_currency": "AUD"}
ROW: dict[str, Any] = {
    "on": "2026-07-12", "contract_id": "ELM-1", "product_name": "E3", "seats": 1030,
    "subscription_id": "137671c1-58a6-5d0c-ae1c-60277943f7c2", "customer_id": "tenant-e",
    "auto_renew": "unknown", "currency": "AUD", "now": PRICE,
    "next": PRICE | {"unit_price": "37.42", "per_term": "13471.20"}, "next_seats": 1030,
    "product_key": "E3:1:P1Y:monthly", "next_product_key": "E3:1:P1Y:monthly", "at_term_end": None,
}  # fmt: skip


def told(**lists: Any) -> str:
    text = StringIO()
    answer = {"from": "2026-07-01", "to": "2026-08-01", "data": [], "windows": []}
    renewals.tell(Console(width=200, file=text), answer | {"price_changes": []} | lists)
    return text.getvalue()


def test_a_renewal_has_both_prices_and_the_term() -> None:
    """And says that nobody knows whether it renews by itself."""
    row = next(line for line in told(data=[ROW]).splitlines() if "ELM-1" in line)
    for cell in (
        "2026-07-12",
        "1,030",
        "137671c1",
        "unknown",
        "36.80 AUD",
        "37.42 AUD",
        "13,471.20 AUD",
    ):
        assert cell in row


def test_what_is_scheduled_is_shown_beside_what_is() -> None:
    """Seats and product of both terms, and what ends instead of renewing."""
    changed = ROW | {"next_seats": 19, "next_product_key": "E5:1", "at_term_end": "Cancel"}
    row = next(line for line in told(data=[changed]).splitlines() if "ELM-1" in line)
    for cell in ("1,030 → 19", "E3 → E5:1", "Cancel"):
        assert cell in row


def test_a_price_that_is_not_known_is_its_reason() -> None:
    """No zero, no old price, and no sum of a term."""
    unknown = {"unit_price": None, "reason": "no_price_on_date", "detail": "none"}
    row = next(x for x in told(data=[ROW | {"next": unknown}]).splitlines() if "ELM-1" in x)
    assert "unknown (no_price_on_date)" in row
    assert "13,471.20" not in row


def test_nothing_due_is_a_sentence() -> None:
    """With the period that was looked at."""
    assert told().splitlines() == [
        "From 2026-07-01 to before 2026-08-01",
        "No commitment ends, no window closes, no price changes.",
    ]
