"""Computes from the facts what a contract owes, and lets the difference be published.

Whoever calls these holds the customer, so the facts do not move meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rating.domain.allocations import sharing
from rating.domain.desired import Desired, Draft, Hold, merge
from rating.domain.licences import Terms, licence_charges
from rating.domain.minimums import minimum_charges
from rating.domain.ownership import covers, is_before_all, owner_of_change, owner_of_cycle
from rating.domain.purchases import is_withdrawn, purchase_charge, purchase_charge_id
from rating.domain.rules import RuleKind
from rating.domain.sites import SharedOut
from rating.domain.timeline import Timeline
from rating.domain.usage_charges import usage_charges
from rating.handlers.allocating import as_site, hold_unallocated, settled, shared_out
from rating.handlers.publishing import log_changes, publish_difference
from rating.handlers.terms import first_purchases, licence_book, rules_for, usage_terms
from rating.store import charges, facts, holds, prices, usage, usage_files
from rating.store.holds import Place
from shared.contracts.ingest import ProviderPurchaseRecorded, SubscriptionChanged
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeKind, ChargeRated
from shared.kernel.errors import Held
from shared.kernel.periods import utc_day
from shared.runtime.postgres import Transaction

LICENCE_KINDS = (ChargeKind.RECURRING, ChargeKind.PRORATION, ChargeKind.PROMOTION)
USAGE_KINDS = (ChargeKind.USAGE, ChargeKind.MINIMUM)


async def settle_customer(tx: Transaction, customer_id: str) -> None:
    """Everything of a customer: each of its contracts, and what no contract covers."""
    contracts = (await facts.contracts_of(tx, [customer_id]))[customer_id]
    timelines = await facts.timelines(tx, customer_id)
    bought = await facts.purchases(tx, customer_id)
    for contract in contracts:
        await _settle(tx, contract, contracts, timelines, bought)
    held = await holds.open_of_customer(tx, customer_id)
    for line in timelines.values():
        await hold_uncovered(tx, contracts, line, held=held)
    await _hold_unowned_usage(tx, customer_id)
    await _hold_unowned_purchases(tx, customer_id, contracts, bought)


async def settle_contract(tx: Transaction, contract: ContractChanged) -> None:
    """Everything that one contract owes."""
    customer_id = contract.provider_customer_id
    contracts = (await facts.contracts_of(tx, [customer_id]))[customer_id]
    timelines = await facts.timelines(tx, customer_id)
    bought = await facts.purchases(tx, customer_id)
    await _settle(tx, contract, contracts, timelines, bought)


async def settle_subscription(tx: Transaction, customer_id: str, subscription_id: str) -> None:
    """What one licence subscription owes under whatever contracts cover it."""
    contracts = (await facts.contracts_of(tx, [customer_id]))[customer_id]
    timelines = await facts.timelines(tx, customer_id, subscription_id)
    for contract in contracts:
        shares = subscription_id in contract.shared_subscription_ids
        if shares or covers(contract, subscription_id):
            await _licences(tx, contract, contracts, timelines, subscription_id)
    await hold_uncovered(tx, contracts, timelines[subscription_id])


async def hold_uncovered(
    tx: Transaction,
    contracts: Sequence[ContractChanged],
    line: Timeline,
    *,
    held: Collection[str] | None = None,
) -> None:
    """Somebody has seats and nobody is billed for them: say so. `held`: the scopes of the customer
    that have open holds, where the caller knows them."""
    if sites := sharing(contracts, line.subscription_id):
        await hold_unallocated(tx, sites, line)
        return
    last = line.steps[-1]
    on = max(utc_day(tx.now), last.day)
    name = line.subscription_id
    owned = owner_of_change(contracts, name, on) or owner_of_cycle(contracts, name, on)
    uncovered = last.after.quantity > 0 and not owned and not is_before_all(contracts, name, on)
    detail = f"{last.after.quantity} × {last.after.product_name} under no contract"
    hold = Hold("no_contract", f"subscription/{name}", line.customer_id, detail)
    place = Place(f"subscription/{name}", customer_id=line.customer_id)
    if uncovered or held is None or place.scope in held:
        await holds.replace_holds(tx, place, [hold] if uncovered else [])


async def _settle(
    tx: Transaction,
    contract: ContractChanged,
    siblings: Sequence[ContractChanged],
    timelines: Mapping[str, Timeline],
    bought: Sequence[ProviderPurchaseRecorded],
) -> None:
    known = await charges.published(tx, contract.contract_id, tuple(ChargeKind))
    await _licences(tx, contract, siblings, timelines, known=known)
    await _usage(tx, contract, known)
    await _purchases(tx, contract, siblings, bought, known=known)


async def _licences(
    tx: Transaction,
    contract: ContractChanged,
    siblings: Sequence[ContractChanged],
    timelines: Mapping[str, Timeline],
    subscription_id: str | None = None,
    *,
    known: Mapping[str, ChargeRated] | None = None,
) -> None:
    """All licence subscriptions, or one. `known`: the contract's charges, if they were read."""
    shared = await shared_out(tx, siblings, timelines)
    covered = covered_by(contract, timelines, shared)
    book = await licence_book(tx, contract, covered.values())
    terms = Terms(
        contract,
        siblings,
        book,
        await facts.closed_through(tx, contract.contract_id),
        await first_purchases(tx, contract, book),
    )
    found = {name: _concluded(terms, covered[name], shared.get(name)) for name in sorted(covered)}
    if known is None:
        known = await charges.published(tx, contract.contract_id, LICENCE_KINDS, subscription_id)
    published = _of(known, LICENCE_KINDS)
    desired = merge(found.values())
    await publish_difference(tx, contract, desired, published)
    logged = await charges.logged(tx, contract.contract_id, subscription_id)
    await log_changes(tx, contract, desired, logged, _truths(timelines))
    prefix = f"contract/{contract.contract_id}/subscription/{subscription_id or ''}"
    stale = await holds.open_scopes(tx, prefix) if subscription_id is None else {prefix}
    for name, conclusion in found.items():
        scope = f"contract/{contract.contract_id}/subscription/{name}"
        if conclusion.holds or scope in stale:
            await holds.replace_holds(tx, _place(contract, scope), conclusion.holds)
        stale.discard(scope)
    for scope in sorted(stale):
        await holds.replace_holds(tx, _place(contract, scope), [])


def _concluded(terms: Terms, line: Timeline, shared: SharedOut | None) -> Desired:
    if shared is None:
        return licence_charges(terms, line)
    return settled(licence_charges(as_site(terms), line), shared)


def _truths(timelines: Mapping[str, Timeline]) -> list[SubscriptionChanged]:
    """The changes that supersede a guess, the first told first."""
    steps = (step.change for line in timelines.values() for step in line.steps)
    found = [change for change in steps if change.supersedes]
    return sorted(found, key=lambda change: (change.version, change.change_id))


def covered_by(
    contract: ContractChanged, timelines: Mapping[str, Timeline], shared: Mapping[str, SharedOut]
) -> dict[str, Timeline]:
    """What a contract bills: whole subscriptions, and its part of shared ones."""
    found = {}
    for name, line in timelines.items():
        if name not in shared:
            if covers(contract, name):
                found[name] = line
        elif name in contract.shared_subscription_ids:
            part = shared[name].timelines.get(contract.contract_id)
            if part is not None:
                found[name] = part
    return found


async def _usage(
    tx: Transaction, contract: ContractChanged, known: Mapping[str, ChargeRated]
) -> None:
    """Usage and the top-ups that follow from it."""
    terms = await usage_terms(tx, contract)
    used = usage_charges(terms, await usage.sums(tx, contract.contract_id))
    top_ups = minimum_charges(
        terms,
        used,
        minimums=await rules_for(tx, contract, RuleKind.MINIMUM),
        known_months=await usage_files.known_months(tx),
    )
    desired = merge([used, top_ups])
    await publish_difference(tx, contract, desired, _of(known, USAGE_KINDS))
    place = _place(contract, f"contract/{contract.contract_id}/usage")
    await holds.replace_holds(tx, place, desired.holds)


async def _purchases(
    tx: Transaction,
    contract: ContractChanged,
    siblings: Sequence[ContractChanged],
    bought: Sequence[ProviderPurchaseRecorded],
    *,
    known: Mapping[str, ChargeRated],
) -> None:
    rules = await rules_for(tx, contract, RuleKind.PURCHASE)
    rates = await prices.rates(tx, [contract.currency])
    draft = Draft()
    for purchase in bought:
        if is_withdrawn(purchase):
            continue  # not charged: needs no rate either, and what was charged is taken back
        owner = owner_of_change(
            siblings, purchase.azure_subscription_id, purchase.charge_period.start
        )
        if owner is None or owner.contract_id != contract.contract_id:
            continue
        try:
            draft.charges.append(purchase_charge(contract, purchase, rules, rates))
        except Held as held:
            object, key = f"purchase/{purchase.purchase_id}", purchase.pricing_currency
            identity = purchase_charge_id(contract, purchase)
            draft.hold(Hold.of(held, object=object, key=key), identity)
    desired = draft.done()
    await publish_difference(tx, contract, desired, _of(known, (ChargeKind.PURCHASE,)))
    place = _place(contract, f"contract/{contract.contract_id}/purchases")
    await holds.replace_holds(tx, place, desired.holds)


async def _hold_unowned_usage(tx: Transaction, customer_id: str) -> None:
    found = [
        Hold(
            "no_contract",
            f"azure-subscription/{x.azure_subscription_id}",
            customer_id,
            f"{x.lines} usage lines since {x.since:%Y-%m} under no contract",
        )
        for x in await usage.unowned(tx, customer_id)
    ]
    place = Place(f"customer/{customer_id}/usage", customer_id=customer_id)
    await holds.replace_holds(tx, place, found)


async def _hold_unowned_purchases(
    tx: Transaction,
    customer_id: str,
    contracts: Sequence[ContractChanged],
    bought: Sequence[ProviderPurchaseRecorded],
) -> None:
    found = []
    for purchase in bought:
        if is_withdrawn(purchase):
            continue
        azure, on = purchase.azure_subscription_id, purchase.charge_period.start
        if owner_of_change(contracts, azure, on) or is_before_all(contracts, azure, on):
            continue
        detail = f"{purchase.description} of {on} under no contract"
        found.append(Hold("no_contract", f"purchase/{purchase.purchase_id}", customer_id, detail))
    place = Place(f"customer/{customer_id}/purchases", customer_id=customer_id)
    await holds.replace_holds(tx, place, found)


def _of(known: Mapping[str, ChargeRated], kinds: Collection[ChargeKind]) -> dict[str, ChargeRated]:
    return {name: charge for name, charge in known.items() if charge.kind in kinds}


def _place(contract: ContractChanged, scope: str) -> Place:
    return Place(scope, contract.contract_id, contract.provider_customer_id)
