"""What other billing systems got wrong with periods and prorations, one test for each."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from rating.domain import revisions, timeline
from rating.domain.desired import Desired
from rating.domain.licences import Terms, licence_charges
from rating.domain.pricing import PriceBook
from shared.contracts.ingest import SubscriptionChanged
from shared.contracts.rating import ChargeKind, ChargeRated
from shared.kernel.periods import cycles_between
from support.rating_facts import E3, change, contract, day, fixed, opening, sheet_row

TERM = {"product": E3, "term_start": day("2020-01-01"), "term_end": day("2040-01-01")}
NEW_YORK = "days/v1;zone=America/New_York"
LOS_ANGELES = "days/v1;zone=America/Los_Angeles"


def rated(*changes: SubscriptionChanged, price: str = "30.00", **terms: Any) -> Desired:
    """Of an advance contract since 2024 with every cycle closed to the end of 2027."""
    given = {"starts_on": day("2024-01-01"), "billed_through": day("2024-01-01")} | terms
    agreed = contract(**given)
    currency = agreed.currency
    book = PriceBook.of(
        [fixed(E3, price, currency=currency)],
        [sheet_row(E3, price, price, currency=currency)],
    )
    through = day("2027-12-31")
    return licence_charges(Terms(agreed, [agreed], book, through), timeline.build(changes))


def had(seats: int) -> SubscriptionChanged:
    return opening("o", seats, **TERM)


def moved(name: str, seats: tuple[int, int], at: str, *, version: int = 2) -> SubscriptionChanged:
    return change(name, seats, at, version=version, **TERM)


def prorations(found: Desired) -> list[ChargeRated]:
    return [charge for charge in found.charges if charge.kind is ChargeKind.PRORATION]


def shares(found: Desired) -> list[tuple[int, int]]:
    bases = [charge.proration for charge in prorations(found)]
    return [(basis.days, basis.cycle_days) for basis in bases if basis is not None]


@pytest.mark.parametrize("anchor", [28, 29, 30, 31])
def test_month_end_anchor_returns(anchor: int) -> None:
    """Four years of cycles on a day that February lacks: back on the anchor in March, and no day
    is billed twice or never."""
    cycles = list(cycles_between(anchor, date(2024, 1, anchor), date(2028, 1, anchor)))

    assert len(cycles) == 48
    assert all(a.end == b.start for a, b in pairwise(cycles))
    starts = {(c.start.year, c.start.month): c.start.day for c in cycles}
    assert (starts[2024, 2], starts[2025, 2]) == (min(anchor, 29), min(anchor, 28))
    assert {starts[year, 3] for year in range(2024, 2028)} == {anchor}
    recurring = rated(had(1), anchor_day=anchor).charges
    billed = [c.service_period.start + timedelta(days=n) for c in recurring
              for n in range(c.service_period.period().days)]  # fmt: skip
    assert len(billed) == len(set(billed)) == (max(billed) - min(billed)).days + 1


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-08T15:00:00", (24, 31)),  # the day of 23 hours
        ("2026-11-01T15:00:00", None),  # the day of 25 hours is the first of a cycle
        ("2026-11-02T15:00:00", (29, 30)),
    ],
)
def test_dst_days_are_days(at: str, expected: tuple[int, int] | None) -> None:
    """A change in the month in which New York changes its clocks is charged by whole days."""
    found = rated(had(5), moved("m", (5, 6), at), convention=NEW_YORK)

    assert shares(found) == ([expected] if expected else [])


def test_local_date_decides() -> None:
    """00:30 UTC is yesterday eight hours west: one day more to pay, in the cycle before."""
    at = "2026-05-01T00:30:00"

    utc = rated(had(5), moved("m", (5, 6), at))
    west = rated(had(5), moved("m", (5, 6), at), convention=LOS_ANGELES)

    assert shares(utc) == []
    assert shares(west) == [(1, 30)]
    (line,) = prorations(west)
    assert line.service_period.start == day("2026-04-30")
    entry = next(entry for entry in west.entries if entry.change_id == "m")
    assert entry.effective_on == day("2026-04-30")


@pytest.mark.parametrize(
    ("convention", "at", "sold", "cost"),
    [
        ("days/v1", "2026-04-30T18:00:00", (1, 30), "1.00"),
        (LOS_ANGELES, "2026-05-01T00:30:00", (1, 30), "0.00"),  # in UTC it is May
        (LOS_ANGELES, "2026-04-21T03:00:00", (11, 30), "10.00"),  # the 20th there, the 21st here
        ("days/v1;zone=Asia/Tokyo", "2026-04-20T18:00:00", (10, 30), "11.00"),  # the 21st there
        ("days-of-30/v1", "2026-03-31T10:00:00", (0, 30), "0.96"),  # a 31st costs
        ("seconds/v1", "2026-04-16T12:00:00", (1_252_800, 2_592_000), "15.00"),
    ],
)  # fmt: skip
def test_cost_is_counted_in_utc_days(
    convention: str, at: str, sold: tuple[int, int], cost: str
) -> None:
    """What a seat at 30.00 is sold for is the contract's convention; what it costs is not."""
    found = rated(had(5), moved("m", (5, 6), at), convention=convention)

    assert shares(found) == [sold]
    assert [charge.cost for charge in prorations(found)] == [Decimal(cost)]


@pytest.mark.parametrize(
    ("at", "prorated"),
    [
        ("2026-04-30T23:59:59.999999", [(1, 30)]),
        ("2026-05-01T00:00:00", []),
        ("2026-05-01T00:00:00.000001", []),
    ],
)
def test_boundary_event_once(at: str, prorated: list[tuple[int, int]]) -> None:
    """A change at the end of a cycle, a microsecond before and after: in one cycle each, and the
    new cycle has the new seats in every case."""
    found = rated(had(5), moved("m", (5, 7), at))

    assert shares(found) == prorated
    may = next(c for c in found.charges if c.service_period.start == day("2026-05-01"))
    assert (may.kind, may.quantity) == (ChargeKind.RECURRING, 7)


def test_two_changes_same_instant() -> None:
    """+20 and +35 seats at one instant are two lines with two sources; a replay adds none."""
    at = "2026-04-10T10:00:00"
    first, second = moved("twenty", (5, 25), at), moved("more", (25, 60), at, version=3)

    found = rated(had(5), first, second)

    lines = prorations(found)
    assert {line.source_ids: line.quantity for line in lines} == {("twenty",): 20, ("more",): 35}
    again = rated(had(5), second, first, second, first)
    known = {charge.charge_id: charge for charge in found.charges}
    assert revisions.revise(again, known) == []
    assert revisions.new_entries(again, [entry.entry_id for entry in found.entries]) == []


def test_full_period_denominator() -> None:
    """Begun, raised and cancelled inside one cycle: every share is of the whole cycle, and the
    parts cost less than the whole."""
    begun = moved("begun", (0, 10), "2026-04-05T09:00:00", version=1)
    raised = moved("raised", (10, 12), "2026-04-12T09:00:00")
    gone = moved("gone", (12, 0), "2026-04-20T09:00:00", version=3)

    found = rated(begun, raised, gone)

    assert shares(found) == [(26, 30), (19, 30), (11, 30)]
    april = sum(c.amount for c in found.charges if c.service_period.start < day("2026-05-01"))
    assert Decimal(0) < april <= 12 * Decimal("30.00")
    assert april == Decimal("166.00")  # 10 × 26 + 2 × 19 − 12 × 11 seat-days of 1.00


def test_credit_never_exceeds_paid() -> None:
    """Three downgrades and a cancellation give back no more than the cycle cost."""
    steps = [(9, 6, "02"), (6, 4, "05"), (4, 1, "09"), (1, 0, "10")]
    changes = [
        moved(f"m{n}", (a, b), f"2026-04-{d}T08:00:00", version=n)
        for n, (a, b, d) in enumerate(steps, 2)
    ]

    found = rated(had(9), *changes)

    april = [
        c for c in found.charges if day("2026-04-01") <= c.service_period.start < day("2026-05-01")
    ]
    paid = sum(c.amount for c in april if c.kind is ChargeKind.RECURRING)
    credited = -sum(c.amount for c in april if c.kind is ChargeKind.PRORATION)
    assert paid == Decimal("270.00")
    assert Decimal(0) < credited <= paid


@pytest.mark.parametrize(
    ("currency", "price", "recurring", "prorated"),
    [
        ("JPY", "5125", "107625", "5638"),  # 3 × 5125 × 11/30 = 5637.5
        ("CLP", "21990", "461790", "24189"),
        ("KWD", "4.815", "101.115", "5.297"),  # 5.2965
        ("EUR", "31.40", "659.40", "34.54"),
    ],
)
def test_zero_decimal_and_three_decimal(
    currency: str, price: str, recurring: str, prorated: str
) -> None:
    """Lines have the digits of their currency, and a tie goes away from zero in each of them."""
    found = rated(
        had(18), moved("m", (18, 21), "2026-09-20T03:00:00"), price=price, currency=currency
    )

    october = next(c for c in found.charges if c.service_period.start == day("2026-10-01"))
    (line,) = prorations(found)
    assert (Decimal(recurring), Decimal(prorated)) == (october.amount, line.amount)
    digits = {"JPY": 0, "CLP": 0, "KWD": -3, "EUR": -2}[currency]
    assert all(c.amount.as_tuple().exponent == digits for c in found.charges)


@pytest.mark.parametrize("hour", range(0, 24, 3))
@pytest.mark.parametrize(
    ("before", "after"), [("days/v1", NEW_YORK), (NEW_YORK, "days/v1"), (NEW_YORK, LOS_ANGELES)]
)
def test_every_hour_has_one_payer_whatever_their_zones(before: str, after: str, hour: int) -> None:
    """Two contracts that meet at the midnights of different zones: each change is billed once."""
    seam = day("2026-05-15")
    old = contract("OLD", convention=before, starts_on=day("2026-01-01"), ends_on=seam)
    new = contract("NEW", convention=after, starts_on=seam)
    book = PriceBook.of([fixed(E3, "30.00")], [sheet_row(E3, "30.00", "30.00")])
    more = moved("m", (5, 6), f"2026-05-15T{hour:02}:00:00")
    history = timeline.build([had(5), more])

    found = [licence_charges(Terms(one, [old, new], book, None), history) for one in (old, new)]

    assert sum(len(prorations(one)) for one in found) == 1


def test_seconds_are_counted_from_the_instant() -> None:
    """Half of the first day after it: 6 days and a half of 30, to the second."""
    found = rated(had(5), moved("m", (5, 6), "2026-04-24T12:00:00"), convention="seconds/v1")

    (line,) = prorations(found)

    assert shares(found) == [(561_600, 30 * 86_400)]
    assert line.proration is not None
    assert (line.proration.unit, line.proration.convention) == ("second", "seconds/v1")
    assert (line.amount, line.cost) == (Decimal("6.50"), Decimal("7.00"))  # the provider: days
