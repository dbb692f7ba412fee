"""Invoice numbers follow the order in which invoices are asked for, so a play has an order."""

from __future__ import annotations

from typing import Any

from stack.player.names import Names
from stack.player.timeline import InvoiceStep, steps_of
from stack.story.format import Story


def story(name: str, *, seller: str, contracts: list[str]) -> Names:
    """Contracts of one seller, all with an invoice on one day."""
    given: dict[str, Any] = {
        "story": name,
        "starts": "2026-04-01",
        "sellers": {
            seller: {
                "name": "H", "country": "US", "tax": "per_line", "invoice_prefix": f"{seller}-",
            }
        },
        "customers": {
            f"{name}-customer": {
                "name": "A", "seller": seller, "country": "US", "jurisdiction": "US-WA",
                "currency": "USD",
            }
        },
        "contracts": {
            contract: {
                "customer": f"{name}-customer", "timing": "advance", "starts": "2026-04-01",
                "invoices": ["2026-05-01"],
            }
            for contract in contracts
        },
    }  # fmt: skip
    return Names(Story.model_validate(given))


def test_of_each_seller_one_contract_is_asked_for_at_a_time() -> None:
    """In the order of the stories; different sellers have different counts and need not wait."""
    plays = [
        story("a", seller="us", contracts=["A-1", "A-2", "A-3"]),
        story("b", seller="eu", contracts=["B-1"]),
    ]

    [step] = [step for step in steps_of(plays) if isinstance(step, InvoiceStep)]

    assert step.waves == (("A-1", "B-1"), ("A-2",), ("A-3",))
    assert step.contracts == ("A-1", "B-1", "A-2", "A-3")
