"""Publishes the difference between what should be charged and what is, with its holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from pydantic import JsonValue

from rating.domain import log_corrections, revisions
from rating.domain.desired import Desired
from rating.store import charges
from shared.contracts.ingest import ChangeKind, SubscriptionChanged
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeRated, LicenceChangeRated
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


async def log_changes(
    tx: Transaction,
    contract: ContractChanged,
    desired: Desired,
    logged: frozenset[str],
    truths: Sequence[SubscriptionChanged],
) -> None:
    """Publish the log entries that are new, in effective order, once and for ever. First what takes
    back entries that are not so any more; `truths`: the changes that supersede a guess."""
    openings = [
        entry
        for entry in desired.entries
        if entry.kind is ChangeKind.OPENING and entry.entry_id in logged
    ]
    guesses = [truth.supersedes for truth in truths if truth.supersedes]
    concerned = [*guesses, *(entry.change_id for entry in openings)]
    known = await charges.entries_of_changes(tx, concerned) if concerned else []
    own = [entry for entry in known if entry.contract_id == contract.contract_id]
    fresh = log_corrections.linked(revisions.new_entries(desired, logged), known, truths)
    for opening in openings:
        history = [entry for entry in own if entry.change_id == opening.change_id]
        fresh = [
            *log_corrections.opening_corrections(opening, history, recorded_at=tx.now),
            *fresh,
        ]
    taken = [e for e in log_corrections.reversals(own, truths) if e.entry_id not in logged]
    await _log(tx, [*taken, *fresh])


async def _log(tx: Transaction, entries: Sequence[LicenceChangeRated]) -> None:
    for entry in entries:
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
