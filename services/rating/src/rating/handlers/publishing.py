"""Publishes the difference between what should be charged and what is, with its holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from pydantic import JsonValue

from rating.domain import revisions
from rating.domain.desired import Desired
from rating.store import charges
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeRated
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Transaction

AUDITED_REVISIONS = 100  # the rest is in charge_revision; an audit record has to stay readable


async def publish_difference(
    tx: Transaction,
    contract: ContractChanged,
    desired: Desired,
    published: Mapping[str, ChargeRated],
) -> None:
    """Bring the published charges of `contract` to `desired`. Nothing happens when they agree."""
    news = revisions.revise(desired, published)
    if not news:
        return
    await charges.add_revisions(tx, news)
    for charge in news:
        identity = derived_id("charge-rated", charge.charge_id, charge.revision)
        await tx.publish(charge, id=identity)
    await tx.record(
        "charges.rated",
        f"contract/{contract.contract_id}",
        after=_summary(news, published),
    )


async def log_changes(tx: Transaction, desired: Desired, logged: frozenset[str]) -> None:
    """Publish the log entries that are new, in effective order, once and for ever."""
    for entry in revisions.new_entries(desired, logged):
        if await charges.add_entry(tx, entry):
            await tx.publish(entry, id=derived_id("licence-change-rated", entry.entry_id))
            await tx.record(
                "licence_change.logged",
                f"subscription/{entry.subscription_id}",
                before={"quantity": entry.quantity_before},
                after={
                    "quantity": entry.quantity_after,
                    "unit_price": f"{entry.unit_price:f}",
                    "currency": entry.currency,
                    "effective_on": entry.effective_on.isoformat(),
                    "change_id": entry.change_id,
                },
            )


def _summary(news: Sequence[ChargeRated], published: Mapping[str, ChargeRated]) -> JsonValue:
    changed: list[JsonValue] = [
        {
            "charge_id": charge.charge_id,
            "revision": charge.revision,
            "from": f"{published[charge.charge_id].amount:f}",
            "to": f"{charge.amount:f}",
        }
        for charge in news
        if charge.revision > 1
    ]
    first = [charge for charge in news if charge.revision == 1]
    return {
        "new": len(first),
        "amount": f"{sum((charge.amount for charge in first), Decimal(0)):f}",
        "currency": news[0].currency,
        "changed": len(changed),
        "changes": changed[:AUDITED_REVISIONS],
    }
