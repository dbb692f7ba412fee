"""Service adjustments by comparing units, since an adjustment carries no reference of ours.

Before a write the units on the effective day are read. They equal what the entry ends at: an
earlier request arrived, confirm. They equal what it starts from: post the difference. Anything
else: somebody changed the PSA; stop this service and show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import pairwise

from psa_connector.domain.drafts import Draft
from psa_connector.domain.mapping import Block, Reason, unmapped
from psa_connector.domain.operations import Product, ServiceAdjustment
from psa_connector.domain.outcomes import Done, Drift, Verdict, Write
from psa_connector.domain.push_keys import KeyKind
from shared.contracts.ingest import ChangeKind
from shared.contracts.rating import LicenceChangeRated
from shared.kernel.money import EXACT
from shared.kernel.periods import utc_day


@dataclass(frozen=True, slots=True)
class UnitRow:
    """The units of a service from one day to another, both included, as the PSA tells it."""

    id: int
    starts_on: date
    ends_on: date
    units: int
    price: Decimal | None = None  # per unit or for all units: vendors do not say which


@dataclass(frozen=True, slots=True)
class Units:
    """A service on a contract and its units over time."""

    service: str  # the PSA's id of the service on this contract
    rows: tuple[UnitRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Services:
    """The services of a contract that may be this subscription's."""

    candidates: tuple[Units, ...]
    linked: bool = False  # we know which one it is: the only candidate
    others: int = 0  # services of the same product that belong to other subscriptions


def draft_adjustment(entry: LicenceChangeRated, product: Product) -> Draft | None:
    """The adjustment an entry asks for; None when neither units nor price change (A2)."""
    if entry.quantity_before == entry.quantity_after and not entry.price_changed:
        return None
    same_money = entry.cost_currency == entry.currency
    return Draft(
        source_id=entry.entry_id,
        key_kind=KeyKind.LICENCE_CHANGE,
        subscription_id=entry.subscription_id,
        operation=ServiceAdjustment(
            product=product,
            subscription_id=entry.subscription_id,
            effective_on=entry.effective_on,
            units_before=entry.quantity_before,
            units_after=entry.quantity_after,
            unit_price=entry.unit_price,
            unit_cost=entry.unit_cost if same_money else None,
            restates_price=entry.price_changed,
            opening=entry.kind is ChangeKind.OPENING,
            recorded_on=utc_day(entry.recorded_at),
            corrects=bool(entry.supersedes) or entry.reverses is not None,
        ),
        block=None if product.external_id else unmapped(product),
    )


def within_contract(adjustment: ServiceAdjustment, starts_on: date | None) -> ServiceAdjustment:
    """An opening older than the PSA contract opens with the contract, and so does what corrects it.

    What was served before that day was billed elsewhere. A correction is only about seats, and its
    day is that of the entry it corrects or of the truth: before the contract there is no other day
    on which it could ever be written. Real changes keep their day: preflight blocks those outside
    the contract.
    """
    moves = adjustment.opening or adjustment.corrects
    if not moves or starts_on is None or adjustment.effective_on >= starts_on:
        return adjustment
    return replace(adjustment, effective_on=starts_on)


def judge_services(adjustment: ServiceAdjustment, seen: Services, *, answered: bool) -> Verdict:
    """The compare-units rule (A2). `answered`: the PSA said yes to our write."""
    chosen = choose_service(adjustment, seen)
    match chosen:
        case Block():
            return Drift(chosen)
        case None:
            return _judge_missing_service(adjustment, seen)
        case Units():
            return _judge_units(adjustment, chosen, linked=seen.linked, answered=answered)


def choose_service(adjustment: ServiceAdjustment, seen: Services) -> Units | Block | None:
    """Which service is this subscription's, when no link says so (A1).

    One that shows what the entry says is taken for it: a person prepared it, or our earlier request
    made it. A new subscription beside services with other units gets a service of its own.
    """
    if seen.linked:
        return seen.candidates[0] if seen.candidates else None
    fitting = [units for units in seen.candidates if fits(adjustment, units)]
    if len(fitting) == 1:
        return fitting[0]
    is_new = adjustment.units_before == 0 and not adjustment.opening
    if not seen.candidates or (is_new and not fitting):
        return None
    if len(seen.candidates) == 1:
        return seen.candidates[0]
    ids = ", ".join(units.service for units in seen.candidates)
    detail = f"services {ids} may all be subscription {adjustment.subscription_id}"
    return Block(Reason.SERVICE_AMBIGUOUS, detail)


def fits(adjustment: ServiceAdjustment, units: Units) -> bool:
    """Whether a service shows what the entry says, before or after it."""
    if adjustment.opening:
        return _units_at_opening(adjustment, units) == adjustment.units_after
    wanted = {adjustment.units_after}
    if adjustment.units_before:
        wanted.add(adjustment.units_before)
    return units_on(units.rows, adjustment.effective_on) in wanted


def _judge_units(
    adjustment: ServiceAdjustment, seen: Units, *, linked: bool, answered: bool
) -> Verdict:
    target = adjustment.units_after
    if adjustment.opening and _units_at_opening(adjustment, seen) == target:
        return Done(seen.service)
    units = units_on(seen.rows, adjustment.effective_on)
    if units == target and _price_stands(adjustment, seen, answered=answered):
        return Done(seen.service)
    if units in {adjustment.units_before, target}:
        first = not linked and adjustment.units_before == 0
        restate = adjustment.restates_price or first
        return Write(seen.service, target - units, restate_price=restate)
    detail = (
        f"service {seen.service} has {units} units on {adjustment.effective_on}; the change goes "
        f"from {adjustment.units_before} to {target}"
    )
    return Drift(Block(Reason.UNITS_DRIFTED, detail))


def _judge_missing_service(adjustment: ServiceAdjustment, seen: Services) -> Verdict:
    if adjustment.units_before:
        detail = (
            f"the contract does not have the service that should have "
            f"{adjustment.units_before} units"
        )
        return Drift(Block(Reason.UNITS_DRIFTED, detail))
    repeats = seen.others + len(seen.candidates) > 0
    return Write(None, adjustment.units_after, restate_price=True, repeats_service=repeats)


def _units_at_opening(adjustment: ServiceAdjustment, seen: Units) -> int:
    """An opening asks what the PSA holds today, not on a day long before we looked."""
    return units_on(seen.rows, max(adjustment.effective_on, adjustment.recorded_on))


def _price_stands(adjustment: ServiceAdjustment, seen: Units, *, answered: bool) -> bool:
    """Whether a price that has to be restated is there already.

    Rows show the price of one unit or of all of them, depending on the tenant; both are accepted.
    A tenant that shows none is believed when it said yes to our write.
    """
    if not adjustment.restates_price or adjustment.units_after == 0:
        return True
    row = priced_row(seen.rows, adjustment.effective_on)
    return answered if row is None else price_shows(row, adjustment.unit_price)


def priced_row(rows: Sequence[UnitRow], day: date) -> UnitRow | None:
    """The row that shows the price in force: the one that began last, not the one it took over
    from on that very day."""
    shown = [row for row in _covering(rows, day) if row.price is not None]
    return max(shown, key=lambda row: (row.starts_on, row.id), default=None)


def price_shows(row: UnitRow, price: Decimal) -> bool:
    """Whether a row shows this price, of one unit or of all of them."""
    return row.price in {price, EXACT.multiply(price, Decimal(row.units))}


def units_on(rows: Sequence[UnitRow], day: date) -> int:
    """The units in force on a day, in either of the two ways tenants keep their rows.

    Total rows hand over: a row ends where its successor starts, and the successor counts. Delta
    rows run side by side, and their sum counts. A day that no row covers has no units.
    """
    covering = _covering(rows, day)
    if not covering:
        return 0
    if rows_are_deltas(rows):
        return sum(row.units for row in covering)
    return max(covering, key=lambda row: (row.starts_on, row.id)).units


def rows_are_deltas(rows: Sequence[UnitRow]) -> bool:
    """Whether two rows run side by side for more than the day of a hand-over.

    A row that ends on the day it starts was handed over at once (two changes on one day).
    """
    lasting = sorted(
        (row for row in rows if row.starts_on < row.ends_on), key=lambda row: row.starts_on
    )
    return any(later.starts_on < earlier.ends_on for earlier, later in pairwise(lasting))


def _covering(rows: Sequence[UnitRow], day: date) -> list[UnitRow]:
    return [row for row in rows if row.starts_on <= day <= row.ends_on]
