"""What tests ask of a running rating service: enter prices, tell facts, read what it published."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from rating.domain.rules import Rule
from rating.store import usage_files
from rating.store.price_json import price_to_json
from shared.contracts.envelope import Event
from shared.contracts.rating import ChargeRated, CycleRated
from shared.runtime.consumer import Outcome
from support.in_process import InProcess


async def enter(rating: InProcess, rule: Rule) -> Any:
    """A rule by the API."""
    scope = rule.scope
    parts = {
        "contract_id": scope.contract_id,
        "customer_id": scope.customer_id,
        "product_key": scope.product_key,
        "meter_category": scope.meter_category,
        "azure_subscription_id": scope.azure_subscription_id,
    }
    body = {
        "valid_from": rule.valid_from.isoformat(),
        "valid_until": rule.valid_until.isoformat() if rule.valid_until else None,
        "priority": rule.priority,
        "scope": {"kind": scope.kind.value} | {k: v for k, v in parts.items() if v is not None},
        "price": price_to_json(rule.price),
    }
    return await rating.ok("PUT", f"/v1/price-rules/{rule.rule_id}", json=body)


async def tell(rating: InProcess, events: Iterable[Event]) -> None:
    """Deliver events that must be handled, then let the jobs come to rest."""
    for event in events:
        outcome = await rating.harness.deliver(event)
        assert outcome in (Outcome.HANDLED, Outcome.DUPLICATE), outcome
    await rating.work()


async def current(rating: InProcess) -> dict[str, ChargeRated]:
    """What a reader of the charges topic knows: the latest revision of each charge."""
    known: dict[str, ChargeRated] = {}
    for charge in await rating.harness.published(ChargeRated):
        before = known.get(charge.charge_id)
        assert charge.revision == (before.revision + 1 if before else 1)
        known[charge.charge_id] = charge
    return known


async def amounts(rating: InProcess, bill_on: str | None = None) -> list[Decimal]:
    """The current amounts of one invoice date (or all), largest first; withdrawn ones left out."""
    found = [
        charge.amount
        for charge in (await current(rating)).values()
        if bill_on in (None, charge.bill_on.isoformat()) and charge.quantity != 0
    ]
    return sorted(found, reverse=True)


async def last_answer(rating: InProcess) -> CycleRated:
    return (await rating.harness.published(CycleRated))[-1]


async def holds(rating: InProcess) -> set[tuple[str, str]]:
    """(reason, object) of everything that waits."""
    found = await rating.ok("GET", "/v1/holds")
    return {(hold["reason"], hold["object"]) for hold in found["data"]}


async def expect_consistent(rating: InProcess) -> None:
    """What must hold at any time: usage accounted for, totals told equal to totals kept."""
    async with rating.service.database.read() as reader:
        assert await usage_files.unaccounted(reader) == []
    for charge in (await current(rating)).values():
        kept = await rating.ok("GET", f"/v1/charges/{charge.charge_id}")
        assert ChargeRated.model_validate(kept) == charge


def total(charges: Iterable[ChargeRated], through: date) -> tuple[int, Decimal]:
    """The control total that a reader of the topic computes."""
    due = [charge for charge in charges if charge.bill_on <= through]
    return len(due), sum((charge.amount for charge in due), Decimal(0))
