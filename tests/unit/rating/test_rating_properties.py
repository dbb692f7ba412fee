"""What must hold for any history, contract, convention and price of a licence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.domain import timeline
from rating.domain.desired import Desired
from rating.domain.licences import Terms, licence_charges
from rating.domain.pricing import PriceBook
from rating.domain.proration import Span, coefficient
from shared.contracts.ingest import SubscriptionChanged
from shared.contracts.invoicing import ContractChanged, Timing
from shared.contracts.rating import ChargeKind, ChargeRated
from shared.kernel import conventions
from shared.kernel.money import Money, allocate, exponent, total
from shared.kernel.periods import Period, monthly_cycle
from support.rating_facts import E3, change, contract, fixed, opening, sheet_row

CONVENTIONS = (
    "days/v1", "days-of-30/v1", "seconds/v1", "days/v1;zone=America/New_York;rounding=half_even",
    "seconds/v1;zone=Asia/Tokyo;rounding=down",
)  # fmt: skip
FIRST, LAST = date(2023, 12, 1), date(2024, 12, 1)  # a leap year
LONG = {"term_start": date(2020, 1, 1), "term_end": date(2040, 1, 1), "product": E3}


@dataclass(frozen=True)
class Case:
    """A contract, a price and a history of seats that never falls below zero."""

    contract: ContractChanged
    price: str
    changes: tuple[SubscriptionChanged, ...]

    def rated(self, changes: Sequence[SubscriptionChanged] | None = None) -> Desired:
        currency = self.contract.currency
        book = PriceBook.of(
            [fixed(E3, self.price, currency=currency)],
            [sheet_row(E3, self.price, self.price, currency=currency)],
        )
        terms = Terms(self.contract, [self.contract], book, LAST)
        return licence_charges(terms, timeline.build(changes or self.changes))


@st.composite
def contracts(draw: st.DrawFn, names: Sequence[str] = CONVENTIONS) -> ContractChanged:
    convention = draw(st.sampled_from(names))
    last = 28 if "30" in convention else 31
    return contract(
        convention=convention,
        anchor_day=draw(st.integers(1, last)),
        timing=draw(st.sampled_from(Timing)),
        currency=draw(st.sampled_from(("EUR", "JPY", "KWD"))),
        starts_on=FIRST,
        billed_through=FIRST,
    )


@st.composite
def cases(draw: st.DrawFn, names: Sequence[str] = CONVENTIONS) -> Case:
    terms = draw(contracts(names))
    price = draw(st.decimals("0.01", "5000", places=2))
    seconds = draw(st.lists(st.integers(0, 300 * 86_400), max_size=6, unique=True))
    quantities = draw(st.lists(st.integers(0, 60), min_size=len(seconds), max_size=len(seconds)))
    seats = draw(st.integers(1, 60))
    found = [opening("o", seats, **LONG)]
    start = datetime(2024, 1, 2, tzinfo=UTC)
    for number, (second, after) in enumerate(zip(sorted(seconds), quantities, strict=True), 2):
        at = (start + timedelta(seconds=second)).isoformat()
        found.append(change(f"c{number}", (seats, after), at, version=number, **LONG))
        seats = after
    return Case(terms, f"{price:f}", tuple(found))


def cycles(charges: Sequence[ChargeRated], terms: ContractChanged) -> dict[Period, Fraction]:
    """What each cycle costs in all, before rounding."""
    found: dict[Period, Fraction] = {}
    for charge in charges:
        cycle = monthly_cycle(terms.anchor_day, charge.service_period.start)
        found[cycle] = found.get(cycle, Fraction(0)) + _exact(charge)
    return found


def _exact(charge: ChargeRated) -> Fraction:
    basis = charge.proration
    share = Fraction(basis.days, basis.cycle_days) if basis else Fraction(1)
    assert charge.price.unit_price is not None
    return Fraction(charge.quantity) * Fraction(charge.price.unit_price) * share


SPLITS = st.lists(st.dates(FIRST, LAST), min_size=4, max_size=4, unique=True).map(sorted)
AMOUNTS = st.decimals(0, 9999, places=2)
WEIGHTS = st.lists(st.decimals(0, 1000, places=3), min_size=1, max_size=9).filter(any)


@pytest.mark.parametrize("name", CONVENTIONS)
@given(days=SPLITS, amount=AMOUNTS)
def test_split_lines_sum(name: str, days: list[date], amount: Decimal) -> None:
    """Any whole, split into first, middle and last: the parts are the whole, exactly; and its
    rounded amount can be handed out to them without losing or finding a minor unit."""
    convention = conventions.parse(name)
    whole = Span(days[0], days[-1])
    parts = [
        coefficient(Span(a, b), whole, convention, reason="split").share for a, b in pairwise(days)
    ]

    assert sum(parts) == 1
    shares = allocate(Money(amount, "EUR"), [Decimal(p.numerator) / p.denominator for p in parts])
    assert total(shares, "EUR") == Money(amount, "EUR")


@given(case=cases(), extra=st.integers(1, 50), second=st.integers(0, 300 * 86_400))
def test_add_then_remove_at_once_cancels(case: Case, extra: int, second: int) -> None:
    """Seats that come and go in one instant leave two lines that are worth nothing together."""
    at = (datetime(2024, 1, 2, tzinfo=UTC) + timedelta(seconds=second)).isoformat()
    pair = (
        change("in", (5, 5 + extra), at, version=90, **LONG),
        change("out", (5 + extra, 5), at, version=91, **LONG),
    )

    before, after = case.rated(), case.rated((*case.changes, *pair))

    known = {charge.charge_id for charge in before.charges}
    new = [charge for charge in after.charges if charge.charge_id not in known]
    assert sum((charge.amount for charge in new), Decimal(0)) == 0
    assert len(new) in (0, 2)
    assert known <= {charge.charge_id for charge in after.charges}


@given(case=cases(), data=st.data())
def test_order_and_repeats_do_not_matter(case: Case, data: st.DataObject) -> None:
    """Events arrive in any order, some of them twice."""
    shuffled = data.draw(st.permutations([*case.changes, *case.changes[:2]]))

    expected, found = case.rated(), case.rated(shuffled)

    assert {c.charge_id: c for c in found.charges} == {c.charge_id: c for c in expected.charges}


@given(case=cases())
def test_a_cycle_costs_at_most_its_dearest_day(case: Case) -> None:
    """Recurring and prorations of a cycle together: no less than its smallest number of seats for
    the whole cycle, no more than its largest."""
    history = timeline.build(case.changes).counted_by(conventions.parse(case.contract.convention))

    for cycle, cost in cycles(case.rated().charges, case.contract).items():
        seats = [history.on(cycle.start + timedelta(days=n)).quantity for n in range(cycle.days)]
        inside = [s.after.quantity for s in history.steps if cycle.start < s.day < cycle.end]
        price = Fraction(case.price)
        assert min([*seats, *inside]) * price <= cost <= max([*seats, *inside]) * price


@given(case=cases(["days/v1", "days/v1;zone=America/New_York"]))
def test_a_cycle_costs_the_seats_of_its_days(case: Case) -> None:
    """By days, a cycle is worth the price of a seat-day times the seat-days in it."""
    history = timeline.build(case.changes).counted_by(conventions.parse(case.contract.convention))

    for cycle, cost in cycles(case.rated().charges, case.contract).items():
        seats = sum(history.on(cycle.start + timedelta(days=n)).quantity for n in range(cycle.days))
        assert cost == Fraction(seats, cycle.days) * Fraction(case.price)


@given(case=cases())
def test_credits_of_a_cycle_never_exceed_what_was_paid_for_it(case: Case) -> None:
    """However often seats are taken away: what is given back was charged before."""
    for cost in cycles(case.rated().charges, case.contract).values():
        assert cost >= 0


@given(case=cases())
def test_a_line_never_costs_more_than_its_whole_cycle(case: Case) -> None:
    """A proration lies between nothing and the full price of its seats, to the minor unit."""
    for charge in case.rated().charges:
        full = abs(charge.quantity) * Decimal(case.price)
        unit = Decimal(1).scaleb(-exponent(charge.currency))
        assert abs(charge.amount) < full + unit
        assert (charge.amount * charge.quantity >= 0) or charge.amount == 0
        assert charge.kind is ChargeKind.PRORATION or charge.proration is None


@given(
    currency=st.sampled_from(("EUR", "JPY", "KWD")),
    amount=st.integers(-10_000_000, 10_000_000),
    weights=WEIGHTS,
)
def test_allocation_loses_no_cent(currency: str, amount: int, weights: list[Decimal]) -> None:
    """Whatever is split by whatever weights, in currencies of 0, 2 and 3 digits."""
    whole = Money(Decimal(amount).scaleb(-exponent(currency)), currency)

    parts = allocate(whole, weights)

    assert total(parts, currency) == whole
    assert all(part.rounded() == part for part in parts)
    assert all(part.amount == 0 for part, w in zip(parts, weights, strict=True) if w == 0)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Europe/London"])
def test_db_and_host_tz_irrelevant(zone: str, tmp_path: Path) -> None:
    """A host in another zone, with other days of 23 hours, gives the same bytes."""
    script = "from support.simulations import printed_year; print(printed_year(), end='')"

    def told(tz: str) -> bytes:
        where = os.environ | {"TZ": tz, "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run(
            [sys.executable, "-c", script], env=where, check=True, capture_output=True, cwd=tmp_path
        ).stdout

    assert told("UTC") == told(zone) != b""
