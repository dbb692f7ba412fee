"""What customers would be charged, by the functions that bill, and what another premise changes.

Nothing is kept. A difference compares two simulations line by line: one subscription's product for
one service period.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from rating.domain.cycles import bill_on, contract_cycle
from rating.domain.desired import Desired, merge
from rating.domain.licences import Terms, licence_charges
from rating.domain.pricing import PriceBook
from rating.domain.promotions import Firsts, FirstTerm, first_terms
from rating.domain.timeline import State, Step, Timeline
from shared.contracts.ingest import ChangeKind, LicenceProduct
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeRated
from shared.kernel import conventions
from shared.kernel.ids import derived_id
from shared.kernel.money import EXACT, Rounding, exponent, round_to


@dataclass(frozen=True, slots=True)
class Subject:
    """One customer's contract, its siblings (itself included), and the histories it may bill.
    `others`: further histories of the customer, where they are known; they decide what was a first
    purchase."""

    contract: ContractChanged
    siblings: tuple[ContractChanged, ...]
    timelines: tuple[Timeline, ...]
    others: tuple[Timeline, ...] = ()


@dataclass(frozen=True, slots=True)
class Premise:
    """What is assumed: whom, at which prices, billed through which day, told in which currency."""

    subjects: tuple[Subject, ...]
    book: PriceBook
    through: date
    price_protection: bool = True
    rates: tuple[Rate, ...] = ()


@dataclass(frozen=True, slots=True)
class Rate:
    """Pinned: one unit of `source_currency` is worth `rate` of `target_currency`."""

    source_currency: str
    target_currency: str
    rate: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One subscription's product for one service period, under both premises."""

    customer_id: str
    contract_id: str
    subscription_id: str | None
    product: str  # product and SKU, without term and plan
    service_period: tuple[date, date]
    currency: str
    before: Decimal
    after: Decimal
    exact: Decimal  # of the difference
    causes: tuple[ChargeRated, ...]  # under the other premise, or what it drops

    @property
    def amount(self) -> Decimal:
        return self.after - self.before


def simulate(premise: Premise) -> Desired:
    """The charges of every invoice up to the last one dated by `through`, and what holds others."""
    firsts = _firsts(premise)
    return merge(
        _of_subject(premise, subject, firsts.get(subject.contract.provider_customer_id, {}))
        for subject in premise.subjects
    )


def _firsts(premise: Premise) -> dict[str, dict[str, FirstTerm]]:
    """By customer, over all contracts; empty where no promotion asks for it."""
    if not any(promotion.first_purchase for promotion in premise.book.promotions):
        return {}
    known: dict[str, list[Timeline]] = {}
    for subject in premise.subjects:
        lines = known.setdefault(subject.contract.provider_customer_id, [])
        lines += (*subject.timelines, *subject.others)
    return {customer: first_terms(lines) for customer, lines in known.items()}


def _of_subject(premise: Premise, subject: Subject, firsts: Firsts) -> Desired:
    contract = subject.contract
    boundary = contract_cycle(contract, premise.through).start
    terms = Terms(contract, subject.siblings, premise.book, boundary, firsts)
    timelines: Iterable[Timeline] = subject.timelines
    if not premise.price_protection:
        days = price_days(premise.book)
        timelines = [without_protection(line, days, contract.convention) for line in timelines]
    found = merge(licence_charges(terms, line) for line in timelines)
    last = bill_on(contract, boundary)
    due = [charge for charge in found.charges if charge.bill_on <= last]
    return replace(found, charges=tuple(sorted(due, key=_position)))


def altered(
    subject: Subject, terms: Mapping[str, object], products: Mapping[str, LicenceProduct]
) -> Subject:
    """The same subject under other terms, having bought other products, terms or plans.

    Raises:
        Invalid: `convention_unknown`.
    """
    siblings = tuple(one.model_copy(update=dict(terms)) for one in subject.siblings)
    contract = subject.contract.model_copy(update=dict(terms))
    conventions.parse(contract.convention)
    lines = tuple(_swapped(line, products) for line in subject.timelines)
    others = tuple(_swapped(line, products) for line in subject.others)
    return Subject(contract, siblings, lines, others)


def _swapped(line: Timeline, products: Mapping[str, LicenceProduct]) -> Timeline:
    def other(state: State) -> State:
        return replace(state, product=products.get(state.product.key, state.product))

    steps = [replace(s, before=other(s.before), after=other(s.after)) for s in line.steps]
    return replace(line, origin=other(line.origin), steps=tuple(steps))


def differences(before: Desired, after: Desired) -> list[Difference]:
    """Every line whose amount the other premise moves."""
    lines: dict[tuple[object, ...], tuple[list[ChargeRated], list[ChargeRated]]] = {}
    for side, found in enumerate((before, after)):
        for charge in found.charges:
            lines.setdefault(_line(charge), ([], []))[side].append(charge)
    compared = [_difference(old, new) for old, new in lines.values()]
    return [one for one in compared if one.amount != 0]


def converted(charge: ChargeRated, rates: Sequence[Rate]) -> tuple[Decimal, Rate] | None:
    """The rounded line in the currency that a rate leads to, rounded once more there."""
    for rate in rates:
        if rate.source_currency == charge.currency:
            exact = EXACT.multiply(charge.amount, rate.rate)
            amount = round_to(exact, exponent(rate.target_currency), Rounding.HALF_AWAY)
            return amount, rate
    return None


def price_days(book: PriceBook) -> list[date]:
    """Every day on which some price begins or ends."""
    rows = [row for found in book.rows.values() for row in found]
    days = {row.effective_from for row in rows} | {rule.valid_from for rule in book.rules}
    ends = {row.effective_until for row in rows} | {rule.valid_until for rule in book.rules}
    return sorted(days | {end for end in ends if end is not None})


def without_protection(timeline: Timeline, days: Iterable[date], convention: str) -> Timeline:
    """The same history if a new price also took the terms that run on its day."""
    waiting = sorted(days)
    at = conventions.parse(convention).midnight
    steps: list[Step] = []
    state = timeline.origin
    for real in (*timeline.steps, None):
        while waiting and (real is None or waiting[0] < real.day):
            day = waiting.pop(0)
            if steps and state.quantity > 0 and state.price_day < day < state.term_end:
                steps.append(_repricing(steps[-1], state, day))
                change = steps[-1].change.model_copy(update={"effective_at": at(day)})
                steps[-1] = replace(steps[-1], change=change)
                state = steps[-1].after
        if real is not None:
            known = [day for day in days if real.after.term_start < day <= real.day]
            repriced = max(known, default=None)
            after = replace(real.after, repriced_on=repriced)
            steps.append(replace(real, before=state, after=after))
            state = after
    return replace(timeline, steps=tuple(steps))


def _repricing(last: Step, state: State, day: date) -> Step:
    change = last.change.model_copy(
        update={
            "change_id": derived_id("repriced", last.change.subscription_id, day),
            "kind": ChangeKind.UPDATED,
            "quantity_before": state.quantity,
            "quantity_after": state.quantity,
        }
    )
    return Step(change, day, state, replace(state, repriced_on=day))


def _difference(old: Sequence[ChargeRated], new: Sequence[ChargeRated]) -> Difference:
    charge = (*new, *old)[0]
    before = sum((one.amount for one in old), Decimal(0))
    after = sum((one.amount for one in new), Decimal(0))
    exact = sum((one.amount_exact for one in new), Decimal(0))
    exact = EXACT.subtract(exact, sum((one.amount_exact for one in old), Decimal(0)))
    period = charge.service_period
    return Difference(
        customer_id=charge.customer_id,
        contract_id=charge.contract_id,
        subscription_id=charge.subscription_id,
        product=_product(charge),
        service_period=(period.start, period.end),
        currency=charge.currency,
        before=before,
        after=after,
        exact=exact,
        causes=tuple(new or old),
    )


def _line(charge: ChargeRated) -> tuple[object, ...]:
    period = charge.service_period
    return (
        charge.contract_id,
        charge.subscription_id,
        _product(charge),
        charge.currency,
        period.start,
        period.end,
    )


def _product(charge: ChargeRated) -> str:
    return ":".join(charge.product.key.split(":")[:2])


def _position(charge: ChargeRated) -> tuple[object, ...]:
    period = charge.service_period
    return (charge.contract_id, charge.bill_on, charge.subscription_id or "", period.start,
            charge.charge_id)  # fmt: skip
