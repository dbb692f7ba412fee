"""Scenario 5 as a simulation document: an upgrade, a renewal with fewer seats, a new price."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from rating.api.simulation_bodies import SimulationBody
from rating.api.simulation_results import simulated_charges

E3: dict[str, Any] = {"product_id": "CFQ7TTC0LFLX", "sku_id": "0001", "name": "E3"}
E5: dict[str, Any] = {"product_id": "CFQ7TTC0LFLZ", "sku_id": "0001", "name": "E5"}
E3_KEY, E5_KEY = "CFQ7TTC0LFLX:0001:P1Y:monthly", "CFQ7TTC0LFLZ:0001:P1Y:monthly"

_RULE = {"valid_from": "2025-01-01", "scope": {"kind": "licence", "product_key": E3_KEY}}

ELM: dict[str, Any] = {
    "customers": [
        {
            "customer_id": "elm",
            "contract": {
                "contract_id": "ELM-1", "currency": "AUD", "timing": "advance", "anchor_day": 12,
                "starts_on": "2026-05-12", "billed_through": "2026-06-12",
            },
            "subscriptions": [
                {
                    "subscription_id": "E3", "product": E3, "quantity": 30,
                    "term_start": "2025-07-12", "term_end": "2026-07-12",
                    "changes": [
                        {"change_id": "e1", "at": "2026-06-09T03:00:00Z", "quantity": 22},
                        {"change_id": "e2", "at": "2026-07-12T00:00:00Z", "quantity": 19,
                         "kind": "renewed", "term_start": "2026-07-12", "term_end": "2027-07-12"},
                        {"change_id": "e3", "at": "2026-07-15T04:00:00Z", "quantity": 17},
                    ],
                },
                {
                    "subscription_id": "E5", "product": E5,
                    "term_start": "2026-06-09", "term_end": "2027-06-09",
                    "changes": [{"at": "2026-06-09T03:00:00Z", "quantity": 8, "kind": "purchased"}],
                },
            ],
        }
    ],
    "prices": {
        "sheet": [
            {"product": E3, "currency": "AUD", "unit_price": "30.20", "erp_price": "36.80",
             "effective_until": "2026-07-01"},
            {"product": E3, "currency": "AUD", "unit_price": "31.71", "erp_price": "38.00",
             "effective_from": "2026-07-01"},
            {"product": E5, "currency": "AUD", "unit_price": "50.00", "erp_price": "59.90"},
        ],
        "rules": [
            {"rule_id": "ELM-E3", "price": {"kind": "fixed", "amount": "36.80", "currency": "AUD"},
             **_RULE},
            {"rule_id": "ELM-E3", "price": {"kind": "cost_plus", "percent": "18"}, **_RULE,
             "valid_from": "2026-07-01"},
        ],
    },
    "through": "2026-08-12",
}  # fmt: skip


def elm(**changes: Any) -> dict[str, Any]:
    """The scenario, with other parts."""
    return deepcopy(ELM) | changes


def printed_year() -> str:
    """A year of charges under every convention, as bytes that must not depend on the host."""
    told = []
    for convention in (
        "days/v1", "seconds/v1", "days/v1;zone=America/New_York", "seconds/v1;zone=Europe/London",
    ):  # fmt: skip
        body = elm(through="2027-05-12", instead={"contract": {"convention": convention}})
        changes = body["customers"][0]["subscriptions"][1]["changes"]
        for number, at in enumerate(("2026-11-01T05:30:00Z", "2027-03-14T07:30:00Z"), 9):
            changes.append({"at": at, "quantity": number})
        told.append(simulated_charges(SimulationBody.model_validate(body)))
    return json.dumps(told, sort_keys=True)
