"""Simulated charges are the billed ones; a what-if tells every line it would move."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from rating.api.simulation_bodies import SimulationBody
from rating.api.simulation_results import simulated_charges
from shared.kernel.errors import Invalid
from support.simulations import E3, E3_KEY, E5_KEY, elm


def simulated(**changes: Any) -> dict[str, Any]:
    return simulated_charges(SimulationBody.model_validate(elm(**changes)))


def nets(answer: dict[str, Any]) -> dict[str, list[str]]:
    return {
        invoice["invoice_date"]: sorted(
            (line["amount"] for line in invoice["lines"]), key=Decimal, reverse=True
        )
        for invoice in answer["invoices"]
    }


def test_scenario_5_comes_out_invoice_by_invoice() -> None:
    """Every line of the three invoices, to the cent; what was refused is nowhere."""
    assert nets(simulated()) == {
        "2026-06-12": ["809.60", "479.20", "46.37", "-28.49"],
        "2026-07-12": ["710.98", "479.20"],
        "2026-08-12": ["636.14", "479.20", "-67.60"],
    }


def test_a_line_shows_its_arithmetic_and_its_convention() -> None:
    """The same text that explain prints."""
    lines = [line for invoice in simulated()["invoices"] for line in invoice["lines"]]

    upgraded = next(line for line in lines if line["amount"] == "-28.49")

    assert upgraded["arithmetic"] == "-8 × 36.80 × 3/31 = -28.490322580645161290 → -28.49 AUD"
    assert upgraded["proration"]["convention"] == "days/v1"
    assert upgraded["source_ids"] == ["e1"]


def test_without_price_protection_july_would_cost_five_more_and_is_not_billable() -> None:
    """22 seats at the new price for the eleven days before the renewal: 5.00, and why not."""
    told = simulated(instead={"price_protection": False})["instead"]["difference"]

    (line,) = told["lines"]

    assert (line["difference"], line["subscription_id"]) == ("5.00", "E3")
    assert line["service_period"] == {"start": "2026-07-01", "end": "2026-07-12"}
    assert line["difference_exact"].startswith("5.00133333333333333")
    assert (line["billable"], line["reason"]) == (
        False,
        "price_protection: the term keeps its price until it ends",
    )
    assert told["by_customer"] == [{"customer_id": "elm", "currency": "AUD", "difference": "5.00"}]


def test_another_price_sheet_moves_the_lines_it_prices() -> None:
    """One dollar more a seat, on every recurring line and every proration of E3."""
    prices = elm()["prices"]
    prices["rules"] = [
        rule | {"price": {"kind": "fixed", "amount": "37.80", "currency": "AUD"}}
        for rule in prices["rules"][:1]
    ]

    told = simulated(instead={"prices": prices})["instead"]["difference"]

    moved = [line["difference"] for line in told["lines"]]
    assert moved == ["-0.77", "22.00", "7.22", "-0.68", "6.46"]
    assert all(line["billable"] for line in told["lines"])
    assert told["by_customer"][0]["difference"] == "34.23"


def test_another_convention_moves_prorations_only() -> None:
    """Days of 30: 3/30 instead of 3/31, 27/30 instead of 28/31."""
    told = simulated(instead={"contract": {"convention": "days-of-30/v1"}})["instead"]

    moved = {tuple(line["service_period"].values()) for line in told["difference"]["lines"]}

    assert moved == {("2026-06-09", "2026-06-12"), ("2026-07-15", "2026-08-12")}


def test_another_term_is_priced_by_its_own_key() -> None:
    """Monthly commitment instead of annual: where the sheet has no price for it, a hold says so."""
    monthly = E3 | {"term": "P1M"}

    told = simulated(instead={"products": [{"instead_of": E3, "product": monthly}]})["instead"]

    assert {hold["reason"] for hold in told["holds"]} == {"unknown_product"}
    assert all(hold["key"] == E3_KEY.replace("P1Y", "P1M") for hold in told["holds"])


def test_another_term_that_has_a_price_is_compared_line_by_line() -> None:
    """The monthly term costs 42.00: 22 × 5.20 more in June."""
    monthly = E3 | {"term": "P1M"}
    prices = elm()["prices"]
    prices["sheet"].append(
        {"product": monthly, "currency": "AUD", "unit_price": "36.00", "erp_price": "42.00"}
    )
    swap = [{"instead_of": E3, "product": monthly}]

    told = simulated(instead={"products": swap, "prices": prices})["instead"]["difference"]

    june = next(x for x in told["lines"] if x["service_period"]["start"] == "2026-06-12")
    assert (june["before"], june["after"], june["difference"]) == ("809.60", "924.00", "114.40")


def test_another_rate_shows_the_difference_in_its_currency() -> None:
    """Each rounded line converted and rounded once more, then added."""

    def rate(value: str) -> dict[str, str]:
        return {"source_currency": "AUD", "target_currency": "EUR", "rate": value}

    told = simulated(rates=[rate("0.60")], instead={"rates": [rate("0.61")]})

    first = told["invoices"][0]["lines"][0]["converted"]
    assert (first["currency"], first["source"]) == ("EUR", "simulation")
    (whole,) = told["instead"]["conversion"]
    assert Decimal(whole["difference"]) == Decimal(whole["after"]) - Decimal(whole["before"])
    assert told["instead"]["difference"]["lines"] == []


@pytest.mark.parametrize(
    "instead", [{"contract": {"colour": "red"}}, {"contract": {"anchor_day": 40}}, {"why": 1}]
)
def test_what_cannot_be_assumed_is_refused(instead: dict[str, Any]) -> None:
    """A misspelt premise is no premise."""
    with pytest.raises(ValidationError):
        simulated(instead=instead)


def test_an_unknown_convention_is_refused() -> None:
    """As it is for a real contract."""
    with pytest.raises(Invalid):
        simulated(instead={"contract": {"convention": "days-inclusive/v1"}})


SPRING = {
    "promotion_id": "SPRING", "name": "Spring", "percent": "10", "starts": "2026-06-01",
    "ends": "2026-07-01", "scope": {"product_key": E5_KEY},
}  # fmt: skip


def promoted(*promotions: dict[str, Any]) -> dict[str, Any]:
    return elm()["prices"] | {"promotions": list(promotions)}


def test_a_promotion_is_a_line_of_its_own_on_every_charge_it_takes_from() -> None:
    """10 % off 8 × 59.90 from the term's first day on, the part of June included."""
    answer = simulated(prices=promoted(SPRING))
    lines = [line for invoice in answer["invoices"] for line in invoice["lines"]]

    off = [line for line in lines if line["kind"] == "promotion"]

    assert [(line["service_period"]["start"], line["amount"]) for line in off] == [
        ("2026-06-09", "-4.64"),
        ("2026-06-12", "-47.92"),
        ("2026-07-12", "-47.92"),
        ("2026-08-12", "-47.92"),
    ]
    assert off[0]["arithmetic"] == "-8 × 5.99 × 3/31 = -4.637419354838709677 → -4.64 AUD"
    assert off[0]["product"]["key"] == "promotion:SPRING"


def test_a_what_if_tells_what_a_promotion_would_cost() -> None:
    """Sheet and rules stay as they are; only the promotion's lines are news."""
    told = simulated(instead={"prices": {"promotions": [SPRING]}})["instead"]["difference"]

    assert {line["product"] for line in told["lines"]} == {"promotion:SPRING"}
    assert told["by_customer"][0]["difference"] == "-148.40"


@pytest.mark.parametrize(
    ("prices", "difference"),
    [
        ({"promotions": []}, "148.40"),  # taken away
        ({"rules": elm()["prices"]["rules"]}, None),  # kept
        ({"promotions": [SPRING, SPRING | {"percent": "20"}]}, "-148.39"),  # a later version
        ({"promotions": [SPRING | {"seat_cap": 4}]}, "74.20"),  # the first four seats
        ({"promotions": [SPRING | {"first_purchase": True}]}, None),  # it is one
    ],
)
def test_promotions_of_a_what_if_replace_those_of_the_premise(
    prices: dict[str, Any], difference: str | None
) -> None:
    """What is left out is kept; an empty list is none."""
    told = simulated(prices=promoted(SPRING), instead={"prices": prices})["instead"]["difference"]

    moved = [one["difference"] for one in told["by_customer"]]
    assert moved == ([] if difference is None else [difference])


def test_a_first_purchase_is_the_customers_and_not_the_contracts() -> None:
    """The same product under another contract of the customer came first: nothing is taken off."""
    earlier = elm()["customers"][0]
    earlier["contract"] = earlier["contract"] | {"contract_id": "ELM-0"}
    earlier["subscriptions"] = [
        {"subscription_id": "E5-old", "product": earlier["subscriptions"][1]["product"],
         "quantity": 1, "term_start": "2026-01-09", "term_end": "2027-01-09"},
    ]  # fmt: skip
    customers = [elm()["customers"][0], earlier]

    answer = simulated(customers=customers, prices=promoted(SPRING | {"first_purchase": True}))

    kinds = {line["kind"] for invoice in answer["invoices"] for line in invoice["lines"]}
    assert kinds == {"recurring", "proration"}
