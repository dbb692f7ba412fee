"""What a story leaves waiting goes on by itself once the missing fact is entered."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.theatre import Theatre
from stack.play import Played

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack"), pytest.mark.timeout(600)]

ADD_ON = {
    "product_id": "CFQ7TTC0FERN",
    "sku_id": "0001",
    "product_title": "Preview add-on",
    "term": "P1Y",
    "billing_plan": "monthly",
    "unit_price": "4.00",
    "erp_price": "5.00",
    "effective_from": "2020-01-01",
    "market": "US",
    "currency": "USD",
}


async def test_entering_the_tax_rate_finalises_and_collects_the_invoice(
    stage: Theatre, further: Played
) -> None:
    """The draft is determined again; 103.50 × 8.81 % = 9.11835."""
    assert further.checked > 0
    waiting = await stage.found_invoice("LAR-1", "2026-05-01")
    rate = {
        "jurisdiction": "US-CO-DENVER",
        "category": "licence",
        "name": "Denver sales tax",
        "rate": "0.0881",
        "valid_from": "2026-01-01",
    }

    await stage.services.put("tax", "/v1/rates/US-CO-DENVER-licence", rate)
    await stage.rest()

    invoice = await stage.found_invoice("LAR-1", "2026-05-01")
    [attempt] = await stage.services.pages("payments", "/v1/attempts", account_id="larch")
    assert (waiting["state"], waiting["number"]) == ("tax_held", None)
    assert figures(invoice) == ("LAR-000001", "paid", "103.50", "9.12", "112.62")
    assert (attempt["state"], attempt["amount"]) == ("succeeded", "112.62")
    assert "no_rate_for_jurisdiction" not in await stage.hold_reasons("tax")
    assert "no_rate_for_jurisdiction" not in await stage.hold_reasons("invoicing")


async def test_entering_the_exchange_rate_bills_the_usage_on_the_next_invoice(
    stage: Theatre, further: Played
) -> None:
    """240 × 0.10 USD × 1.10 × 0.7521 = 19.85544 GBP; the closed invoice stays as it is."""
    assert further.checked > 0
    closed = await stage.found_invoice("HAZ-1", "2026-05-15")
    stage.at("2026-06-16T00:30:00Z")

    rate = {"rate": "0.7521", "source": "Bank of England"}
    await stage.services.put("rating", "/v1/fx-rates/USD-GBP/2026-04-30", rate)
    await stage.rest()
    invoice = await stage.invoice("HAZ-1", "2026-06-15")

    assert "no_fx_rate" not in await stage.hold_reasons("rating")
    assert await stage.found_invoice("HAZ-1", "2026-05-15") == closed
    assert lines(invoice) == [
        ("recurring", "CFQ7TTC0LF8R:0001:P1Y:monthly", "10", "197.00"),
        ("usage", "azure:Storage", "1", "19.86"),
    ]
    assert (invoice["net"], invoice["tax"], invoice["total"]) == ("216.86", "43.37", "260.23")


async def test_a_price_sheet_with_the_product_bills_what_was_held(
    stage: Theatre, further: Played
) -> None:
    """Every cycle and the proration follow: 2 × 5.00 × 21/30 = 7.00, 6 × 5.00 for May and June."""
    assert further.checked > 0
    stage.at("2026-06-02T00:30:00Z")
    sheet = {"market": "US", "currency": "USD"}

    await stage.services.simulator(
        "POST", "/partner-center/_control/additions", {"price_sheet": [ADD_ON]}
    )
    await stage.services.post("ingest", "/v1/price-sheets:import", sheet, key="with the add-on")
    await stage.rest()
    invoice = await stage.invoice("FER-1", "2026-06-01")

    assert "unknown_product" not in await stage.hold_reasons("rating")
    assert lines(invoice) == [
        ("recurring", "CFQ7TTC0LF8R:0001:P1Y:monthly", "12", "414.00"),
        ("recurring", "CFQ7TTC0FERN:0001:P1Y:monthly", "6", "30.00"),
        ("recurring", "CFQ7TTC0FERN:0001:P1Y:monthly", "6", "30.00"),
        ("proration", "CFQ7TTC0FERN:0001:P1Y:monthly", "2", "7.00"),
    ]
    assert invoice["net"] == "481.00"


async def test_saying_that_a_contract_goes_to_no_psa_releases_its_records(
    stage: Theatre, further: Played
) -> None:
    """`none` is a decision like any other; until it is made, nothing is guessed."""
    assert further.checked > 0
    before = await stage.hold_reasons("psa-connector")

    await stage.services.put(
        "psa-connector", "/v1/mappings/contracts/MYR-1", {"connection_id": None}
    )
    await stage.rest()

    assert "unmapped_company" in before
    assert "unmapped_company" not in await stage.hold_reasons("psa-connector")


def figures(invoice: dict[str, Any]) -> tuple[str | None, ...]:
    return tuple(invoice[name] for name in ("number", "state", "net", "tax", "total"))


def lines(invoice: dict[str, Any]) -> list[tuple[str, ...]]:
    fields = ("kind", "product_key", "quantity", "net")
    return [tuple(line[name] for name in fields) for line in invoice["lines"]]
