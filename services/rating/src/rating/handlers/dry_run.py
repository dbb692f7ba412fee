"""What a price change would do, found by doing it: each customer is concluded about by the code
that rates, in a transaction that is rolled back. Nothing stays but the difference."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from rating.domain.licences import Terms
from rating.domain.monthly import monthly_revenue
from rating.domain.price_changes import Item, Monthly, Moved, Proposed, at_stake, moved
from rating.domain.promotions import Promotion
from rating.domain.rules import Rule, RuleKind
from rating.domain.timeline import Timeline
from rating.handlers.allocating import shared_out
from rating.handlers.price_book import concerned, keep
from rating.handlers.rating_usage import rerate
from rating.handlers.settling import covered_by, settle_customer
from rating.handlers.terms import first_purchases, licence_book
from rating.store import charges, due, facts, locks
from rating.store.due import DueKind
from rating.store.prices import Note
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeKind, ChargeRated
from shared.kernel.errors import Held
from shared.kernel.fx import FxRate
from shared.kernel.periods import utc_day
from shared.runtime.postgres import Database, Transaction

KINDS = tuple(ChargeKind)
DRY_RUN = Note("dry-run")


@dataclass(frozen=True, slots=True)
class Effect:
    """What would change: charges as they stand, and what a month brings from now on."""

    charges: tuple[Moved, ...]
    monthly: tuple[Monthly, ...]
    past_month: tuple[Moved, ...]
    customers: int
    today: date

    @property
    def billed(self) -> tuple[Moved, ...]:
        """Charges whose invoice date has come: the difference goes to the next invoice."""
        return tuple(pair for pair in self.charges if pair.known.bill_on <= self.today)

    @property
    def at_stake(self) -> dict[str, Decimal]:
        return at_stake(self.charges, self.monthly, self.past_month)


class _Undone(Exception):
    """Rolls a dry run back; never leaves this module."""


async def dry_run(database: Database, proposed: Sequence[Proposed]) -> Effect:
    """The effect of entering these versions now. Waits for nobody but the customer at hand."""
    async with database.read() as reader:
        found = await concerned(reader, [one.item for one in proposed])
    rerated = found[DueKind.RERATE]
    customers = sorted(rerated | found[DueKind.SETTLE])
    effects = [
        await _of_customer(database, customer, proposed, rerates=customer in rerated)
        for customer in customers
    ]
    return Effect(
        tuple(pair for one in effects for pair in one.charges),
        tuple(row for one in effects for row in one.monthly),
        tuple(pair for one in effects for pair in one.past_month),
        len(customers),
        utc_day(database.clock.now()),
    )


async def _of_customer(
    database: Database, customer_id: str, proposed: Sequence[Proposed], *, rerates: bool
) -> Effect:
    found: list[Effect] = []
    with suppress(_Undone):
        async with database.transaction(actor="dry-run") as tx:
            await locks.hold_customers(tx, [customer_id])
            found.append(await _tried(tx, customer_id, proposed, rerates=rerates))
            raise _Undone
    return found[0]


async def _tried(
    tx: Transaction, customer_id: str, proposed: Sequence[Proposed], *, rerates: bool
) -> Effect:
    """Conclude, enter, conclude again. What waits to be concluded already is no effect of ours."""
    day = max([utc_day(tx.now), *(_begins(one.item) for one in proposed)])
    pending = await due.take_due(tx, DueKind.RERATE, customer_id)
    before = await _charges(tx, customer_id, rerates=pending)
    monthly_before = await _monthly(tx, customer_id, day)
    for one in proposed:
        await keep(tx, one, DRY_RUN)
    after = await _charges(tx, customer_id, rerates=rerates)
    monthly = _compared(monthly_before, await _monthly(tx, customer_id, day))
    past: list[Moved] = []
    if backdated := _backdated(proposed, utc_day(tx.now)):
        for one in backdated:
            await keep(tx, one, DRY_RUN)
        past = moved(before, await _charges(tx, customer_id, rerates=rerates))
    return Effect(tuple(moved(before, after)), tuple(monthly), tuple(past), 1, utc_day(tx.now))


async def _charges(tx: Transaction, customer_id: str, *, rerates: bool) -> dict[str, ChargeRated]:
    """Everything that the customer's contracts owe, concluded now."""
    if rerates:
        await rerate(tx, customer_id)
    await settle_customer(tx, customer_id)
    found: dict[str, ChargeRated] = {}
    for contract in (await facts.contracts_of(tx, [customer_id]))[customer_id]:
        found |= await charges.published(tx, contract.contract_id, KINDS)
    return found


async def _monthly(tx: Transaction, customer_id: str, day: date) -> list[Monthly]:
    """What each licence subscription brings in a month at the prices of `day`."""
    contracts = (await facts.contracts_of(tx, [customer_id]))[customer_id]
    timelines = await facts.timelines(tx, customer_id)
    found = []
    for contract in contracts:
        if contract.ends_on is not None and contract.ends_on <= day:
            continue
        shared = await shared_out(tx, contracts, timelines)
        own = covered_by(contract, timelines, shared)
        book = await licence_book(tx, contract, own.values())
        firsts = await first_purchases(tx, contract, book)
        terms = Terms(contract, contracts, book, None, firsts)
        found += [_row(terms, contract, line, day) for _, line in sorted(own.items())]
    return [row for row in found if row is not None]


def _row(terms: Terms, contract: ContractChanged, line: Timeline, day: date) -> Monthly | None:
    state = line.on(day)
    if state.quantity <= 0:
        return None
    amount, held = Decimal(0), None
    try:
        amount = monthly_revenue(terms, line, day)
    except Held as error:
        held = f"{error.code}: {error.detail}"
    return Monthly(
        contract.contract_id,
        line.subscription_id,
        state.product_name,
        contract.currency,
        state.quantity,
        amount,
        amount,
        held,
    )


def _compared(before: list[Monthly], after: list[Monthly]) -> list[Monthly]:
    """The rows that differ; where no price is known, nothing is charged."""
    known = {(row.contract_id, row.subscription_id): row.before for row in before}
    rows = [
        replace(row, before=known.get((row.contract_id, row.subscription_id), Decimal(0)))
        for row in after
    ]
    return [row for row in rows if row.difference]


def _begins(item: Item) -> date:
    match item:
        case Rule():
            return item.valid_from
        case Promotion():
            return item.starts
        case FxRate():
            return item.on


def _backdated(proposed: Sequence[Proposed], today: date) -> list[Proposed]:
    """Rules for what is priced by its own day, as if they had begun with the last month."""
    last_month = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    return [
        Proposed(replace(one.item, version=one.item.version + 1, valid_from=last_month), one.base)
        for one in proposed
        if isinstance(one.item, Rule)
        and one.item.scope.kind is not RuleKind.LICENCE
        and one.item.valid_from > last_month
    ]
