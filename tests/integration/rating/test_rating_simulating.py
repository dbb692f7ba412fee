"""Simulations over HTTP: the same figures, nothing kept, and refusals that say why."""

from __future__ import annotations

from decimal import Decimal

import pytest

from support.in_process import InProcess
from support.rating_facts import (
    PREMIUM,
    PREMIUM_MONTHLY,
    alder_changes,
    contract,
    cycle_closed,
    sheet,
)
from support.rating_service import current, tell
from support.simulations import elm


async def test_a_simulation_answers_and_keeps_nothing(rating: InProcess) -> None:
    """Scenario 5's what-if by the API; afterwards there is no charge and no hold."""
    body = elm(instead={"price_protection": False})

    told = await rating.ok("POST", "/v1/simulations/charges", json=body)

    assert [invoice["net"] for invoice in told["invoices"]] == ["1306.68", "1190.18", "1047.74"]
    assert told["instead"]["difference"]["by_customer"] == [
        {"customer_id": "elm", "currency": "AUD", "difference": "5.00"}
    ]
    assert (await rating.ok("GET", "/v1/charges?contract_id=ELM-1"))["data"] == []
    assert (await rating.ok("GET", "/v1/holds"))["data"] == []


async def test_an_unknown_convention_is_answered_with_the_reason(rating: InProcess) -> None:
    """422 and the stable code, as for a real contract."""
    body = elm()
    body["customers"][0]["contract"]["convention"] = "rounded-factor/v1"

    answer = await rating.http.request("POST", "/v1/simulations/charges", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "convention_unknown")
    assert "loses money" in answer.json()["detail"]


async def test_the_providers_side_is_answered_over_http_too(rating: InProcess) -> None:
    """Scenario 6, row 3: 22 of 25 seats, given back on the third day."""
    body = {
        "term": "P1Y",
        "billing_plan": "monthly",
        "unit_price": "18.04",
        "currency": "USD",
        "term_start": "2026-04-01",
        "events": [
            {"at": "2026-04-01T09:00:00Z", "type": "purchase", "qty": 25},
            {"at": "2026-04-03T09:00:00Z", "type": "remove_seats", "qty": 3},
        ],
    }

    told = await rating.ok("POST", "/v1/simulations/provider-lines", json=body)

    amounts = [line["amounts"]["unit"] for line in told["lines"]]
    assert amounts == ["451.00", "-420.75", "370.26"]


@pytest.mark.parametrize(
    ("change", "code"),
    [({"term": "P7Y"}, "case_field_invalid"), ({"unit_price": 18.04}, "request_invalid")],
)
async def test_a_case_that_is_none_is_refused(
    rating: InProcess, change: dict[str, object], code: str
) -> None:
    """Floats never become prices."""
    body = {
        "term": "P1Y", "billing_plan": "monthly", "unit_price": "1", "currency": "USD",
        "term_start": "2026-04-01",
        "events": [{"at": "2026-04-01T09:00:00Z", "type": "purchase", "qty": 1}],
    }  # fmt: skip

    answer = await rating.http.request("POST", "/v1/simulations/provider-lines", json=body | change)

    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_stored_customers_are_simulated_as_they_are_billed(rating: InProcess) -> None:
    """The very charges that were published; and what one dollar more a seat would change."""
    prices = sheet([(PREMIUM, "18.04", "22.55"), (PREMIUM_MONTHLY, "21.65", "27.06")])
    facts = [prices, contract(), *alder_changes(), cycle_closed(contract(), "2026-05-01")]
    await tell(rating, facts)
    dearer = {
        "product": PREMIUM.model_dump(), "currency": "USD",
        "unit_price": "19.00", "erp_price": "23.55",
    }  # fmt: skip
    body = {
        "stored": ["alder-tenant"],
        "through": "2026-05-01",
        "instead": {"prices": {"sheet": [dearer]}},
    }

    told = await rating.ok("POST", "/v1/simulations/charges", json=body)

    published = await current(rating)
    (invoice,) = told["invoices"]
    assert {line["charge_id"]: Decimal(line["amount"]) for line in invoice["lines"]} == {
        name: charge.amount for name, charge in published.items()
    }
    differing = told["instead"]["difference"]["lines"]
    assert {"43.00", "2.84", "-0.87"} <= {line["difference"] for line in differing}
    assert [hold["reason"] for hold in told["instead"]["holds"]] == ["unknown_product"]


async def test_stored_customers_keep_their_promotions(rating: InProcess) -> None:
    """What was published with a promotion is simulated with it; without, it costs more."""
    promotion = {"name": "Spring", "percent": "10", "starts": "2026-01-01"}
    await rating.ok("PUT", "/v1/promotions/SPRING", json=promotion)
    prices = sheet([(PREMIUM, "18.04", "22.55"), (PREMIUM_MONTHLY, "21.65", "27.06")])
    facts = [prices, contract(), *alder_changes(), cycle_closed(contract(), "2026-05-01")]
    await tell(rating, facts)
    body = {
        "stored": ["alder-tenant"],
        "through": "2026-05-01",
        "instead": {"prices": {"promotions": []}},
    }

    told = await rating.ok("POST", "/v1/simulations/charges", json=body)

    published = await current(rating)
    lines = [line for invoice in told["invoices"] for line in invoice["lines"]]
    assert {line["charge_id"]: Decimal(line["amount"]) for line in lines} == {
        name: charge.amount for name, charge in published.items()
    }
    off = sum(Decimal(line["amount"]) for line in lines if line["kind"] == "promotion")
    assert off < 0
    (customer,) = told["instead"]["difference"]["by_customer"]
    assert Decimal(customer["difference"]) == -off


async def test_an_unknown_stored_customer_is_not_found(rating: InProcess) -> None:
    """Rather than an empty answer."""
    body = {"stored": ["nobody"], "through": "2026-05-01"}

    answer = await rating.http.request("POST", "/v1/simulations/charges", json=body)

    assert (answer.status_code, answer.json()["code"]) == (404, "customer_unknown")
