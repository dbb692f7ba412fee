"""Scenarios 1 and 5 in every order of their provider facts, each told twice: the same cents."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from rating.domain.rules import CostPlus
from shared.contracts.ingest import ChangeKind, SubscriptionChanged
from shared.contracts.invoicing import ContractChanged
from support.in_process import InProcess
from support.rating_facts import (
    E3,
    E5,
    PREMIUM,
    PREMIUM_MONTHLY,
    alder_changes,
    change,
    contract,
    cycle_closed,
    day,
    fixed,
    opening,
    rule,
    sheet,
)
from support.rating_service import current, enter, holds, tell

SCENARIO_1 = {"2026-05-01": ["-19.54", "63.89", "162.36", "969.65"]}
SCENARIO_5 = {
    "2026-06-12": ["-28.49", "46.37", "479.20", "809.60"],
    "2026-07-12": ["479.20", "710.98"],
    "2026-08-12": ["-67.60", "479.20", "636.14"],
}
ALDER_SHEET = sheet([(PREMIUM, "18.04", "22.00"), (PREMIUM_MONTHLY, "21.65", "26.40")])
ELM_SHEETS = (
    sheet([(E3, "30.20", "40.00"), (E5, "49.10", "62.00")], market="AU", currency="AUD"),
    sheet(
        [(E3, "31.71", "41.00")], market="AU", currency="AUD", sheet_id="sheet-2",
        effective_from="2026-07-01", fetched="2026-06-30",
    ),
)  # fmt: skip


def renamed(name: str, facts: list[SubscriptionChanged]) -> list[SubscriptionChanged]:
    """The same facts about a tenant of its own, so that many fit into one database."""
    return [
        fact.model_copy(
            update={
                "change_id": f"{name}-{fact.change_id}",
                "subscription_id": f"{name}-{fact.subscription_id}",
                "customer_id": f"{name}-tenant",
            }
        )
        for fact in facts
    ]


def elm_changes() -> list[SubscriptionChanged]:
    """A partial upgrade is two subscriptions; the renewal takes three seats away."""
    old: dict[str, Any] = {"term_start": day("2025-07-12"), "term_end": day("2026-07-12")}
    new: dict[str, Any] = {"term_start": day("2026-07-12"), "term_end": day("2027-07-12")}
    e3: dict[str, Any] = {"product": E3, "subscription_id": "E3"}
    e5: dict[str, Any] = {"product": E5, "subscription_id": "E5"}
    return [
        opening("o", 30, **e3, **old),
        change("e1-from", (30, 22), "2026-06-09T10:00:00", version=2, **e3, **old),
        change(
            "e1-to", (0, 8), "2026-06-09T10:00:00", kind=ChangeKind.PURCHASED,
            term_start=day("2026-06-09"), term_end=day("2027-06-09"), **e5,
        ),
        change("e2", (22, 19), "2026-07-12", version=3, kind=ChangeKind.RENEWED, **e3, **new),
        change("e3", (19, 17), "2026-07-15T09:00:00", version=4, **e3, **new),
    ]  # fmt: skip


async def figures(rating: InProcess, name: str) -> dict[str, list[str]]:
    found: dict[str, list[Decimal]] = {}
    for charge in (await current(rating)).values():
        if charge.contract_id == name and charge.quantity:
            found.setdefault(charge.bill_on.isoformat(), []).append(charge.amount)
    return {on: [f"{amount:f}" for amount in sorted(found[on])] for on in sorted(found)}


async def told(
    rating: InProcess,
    own: ContractChanged,
    facts: list[SubscriptionChanged],
    boundaries: list[str],
) -> None:
    """Half of the facts, the runs, and then the late half: closed cycles are corrected."""
    early, late = facts[: len(facts) // 2], facts[len(facts) // 2 :]
    for fact in early:
        await tell(rating, [fact, fact])
    await tell(rating, [own, *(cycle_closed(own, boundary) for boundary in boundaries)])
    for fact in late:
        await tell(rating, [fact, fact])


async def test_scenario_1_in_all_24_orders(rating: InProcess) -> None:
    """Two openings and two changes."""
    await tell(rating, [ALDER_SHEET])
    await enter(rating, fixed(PREMIUM, "22.55"))
    await enter(rating, fixed(PREMIUM_MONTHLY, "27.06"))
    for number, order in enumerate(permutations(range(4))):
        name = f"ALD-{number}"
        own = contract(name, provider_customer_id=f"{name}-tenant")
        facts = renamed(name, alder_changes())
        await told(rating, own, [facts[i] for i in order], ["2026-05-01"])
        assert await figures(rating, name) == SCENARIO_1, order
    assert await holds(rating) == set()


@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3))])
async def test_scenario_5_in_all_120_orders(rating: InProcess, part: int) -> None:
    """Upgrade, renewal and reduction, thirty orders a part: three invoices, to the cent."""
    await tell(rating, ELM_SHEETS)
    await enter(rating, fixed(E3, "36.80", currency="AUD", rule_id="e3"))
    await enter(rating, fixed(E5, "59.90", currency="AUD", rule_id="e5"))
    dearer = rule("e3", CostPlus(Decimal(18)), product_key=E3.key, valid_from=day("2026-07-01"))
    await enter(rating, dearer)
    for number, order in enumerate(list(permutations(range(5)))[part::4]):
        name = f"ELM-{number}"
        own = contract(
            name,
            currency="AUD",
            anchor_day=12,
            starts_on=day("2026-05-12"),
            billed_through=day("2026-06-12"),
            provider_customer_id=f"{name}-tenant",
        )
        facts = renamed(name, elm_changes())
        await told(rating, own, [facts[i] for i in order], list(SCENARIO_5))
        assert await figures(rating, name) == SCENARIO_5, order
    assert await holds(rating) == set()
