"""The renewal desk: what a commitment's end costs, when windows close, when prices change."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from rating.domain import timeline
from rating.domain.licences import Terms
from rating.domain.pricing import PriceBook
from rating.domain.renewals import Renewal, Stake, Unknown, price_changes, renewal, windows
from rating.domain.rules import CostPlus
from shared.contracts.ingest import ChangeKind, NextTerm, RenewalScheduled, SubscriptionChanged
from shared.kernel.periods import Period
from support.rating_facts import E3, at, change, contract, day, fixed, opening, rule, sheet_row

ELM = contract("ELM-1", currency="AUD", anchor_day=12, starts_on=day("2026-05-12"))
AUD = {"currency": "AUD", "market": "AU"}
BOOK = PriceBook.of(
    [
        fixed(E3, "36.80", currency="AUD", rule_id="e3"),
        rule(
            "e3", CostPlus(Decimal(18)), product_key=E3.key, version=2,
            valid_from=day("2026-07-01"),
        ),
    ],
    [
        sheet_row(E3, "30.20", "40.00", effective_until=day("2026-07-01"), **AUD),
        sheet_row(E3, "31.71", "41.00", effective_from=day("2026-07-01"), **AUD),
    ],
)  # fmt: skip
TERMS = Terms(ELM, [ELM], BOOK)
TERM = {"product": E3, "term_start": day("2025-07-12"), "term_end": day("2026-07-12")}
NEXT = {"product": E3, "term_start": day("2026-07-12"), "term_end": day("2027-07-12")}
JULY = Period(day("2026-07-01"), day("2026-08-01"))


def line(*changes: SubscriptionChanged) -> timeline.Timeline:
    return timeline.build([opening("o", 30, **TERM), *changes])


def due(known: timeline.Timeline, within: Period = JULY, terms: Terms | None = TERMS) -> Renewal:
    found = renewal(known, within, now=terms, following=terms)
    assert found is not None
    return found


def test_renewal_of_scenario_5() -> None:
    """30 seats at 36.80 renew at 31.71 + 18 % = 37.42: 0.62 more a seat, on both sides."""
    found = due(line())
    assert (found.on, found.price_change) == (day("2026-07-12"), Decimal("0.62"))
    assert isinstance(found.now, Stake)
    assert isinstance(found.next, Stake)
    assert (found.now.price.price, found.now.per_cycle) == (Decimal("36.80"), Decimal("1104.00"))
    assert (found.next.price.price, found.next.per_cycle) == (
        Decimal("37.42"),
        Decimal("1122.60"),
    )
    assert (found.next.per_term, found.next.cost_per_term) == (
        Decimal("13471.20"),
        Decimal("11415.60"),
    )
    assert found.window_closes == at("2026-07-19T00:00:00")


@pytest.mark.parametrize(
    ("seats", "within", "is_due"),
    [
        (30, ("2026-07-12", "2026-07-13"), True),
        (30, ("2026-07-01", "2026-07-12"), False),
        (30, ("2026-07-13", "2026-08-01"), False),
        (0, ("2026-07-01", "2026-08-01"), False),
    ],
)
def test_the_day_and_the_seats_decide(seats: int, within: tuple[str, str], is_due: bool) -> None:
    """The first day of the next term is in the period, the period's end is not; no seats, no
    renewal."""
    known = line(change("e", (30, seats), "2026-06-01", version=2, **TERM))
    period = Period(day(within[0]), day(within[1]))
    assert (renewal(known, period, now=TERMS, following=TERMS) is not None) is is_due


@pytest.mark.parametrize(
    ("told", "expected"), [((None,), None), ((True, None), True), ((True, False), False)]
)
def test_auto_renew_is_what_was_told_last(told: tuple[bool | None, ...], expected: Any) -> None:
    """A change that says nothing about it changes nothing; nobody guesses."""
    changes = [
        change(
            f"e{n}", (30, 30), f"2026-06-0{n}", version=n + 1, kind=ChangeKind.UPDATED,
            auto_renew=flag, **TERM,
        )
        for n, flag in enumerate(told, 1)
    ]  # fmt: skip
    assert due(line(*changes)).auto_renew is expected


def scheduled(**said: Any) -> RenewalScheduled:
    facts: dict[str, Any] = {
        "customer_id": "alder-tenant", "subscription_id": "A", "term_end": day("2026-07-12"),
        "next_term": None, "at_term_end": None, "observed_at": at("2026-06-20"), "snapshot": 7,
    }  # fmt: skip
    return RenewalScheduled(**facts | said)


def due_as(schedule: RenewalScheduled, terms: Terms = TERMS) -> Renewal:
    found = renewal(line(), JULY, now=terms, following=terms, schedule=schedule)
    assert found is not None
    return found


def test_scheduled_seats_are_those_of_the_next_term() -> None:
    """Scenario 5: 30 seats now, 19 from the renewal on, at the new price."""
    found = due_as(scheduled(next_term=NextTerm(quantity=19)))

    assert (found.state.quantity, found.following.quantity, found.is_scheduled) == (30, 19, True)
    assert isinstance(found.next, Stake)
    assert (found.next.per_cycle, found.price_change) == (Decimal("710.98"), Decimal("0.62"))
    assert found.change_per_cycle == Decimal("710.98") - Decimal("1104.00")


def test_a_scheduled_plan_has_the_price_of_its_own() -> None:
    """Annual upfront instead of monthly: another row of the sheet, and no cycle to compare."""
    upfront = E3.model_copy(update={"billing_plan": "annual"})
    rows = [row for rows in BOOK.rows.values() for row in rows]
    rows.append(sheet_row(upfront, "362.00", "456.00", **AUD))
    terms = Terms(ELM, [ELM], PriceBook.of(BOOK.rules, rows))

    found = due_as(scheduled(next_term=NextTerm(product=upfront)), terms)

    assert isinstance(found.next, Stake)
    assert (found.next.price.price, found.next.per_term) == (Decimal("456.00"), Decimal("13680.00"))
    assert (found.price_change, found.change_per_cycle) == (None, None)


@pytest.mark.parametrize(
    ("action", "reason"),
    [("Cancel", "ends_with_its_term"), ("RenewToExtendedServiceTerm", "extended_service_term")],
)
def test_what_does_not_renew_has_no_next_price(action: str, reason: str) -> None:
    """Neither an end nor an extended service term is a renewal at the list price."""
    found = due_as(scheduled(at_term_end=action))

    assert isinstance(found.next, Unknown)
    assert (found.next.reason, found.at_term_end) == (reason, action)


def test_what_was_said_of_another_term_counts_no_more() -> None:
    """It was about the end of the term before."""
    stale = scheduled(term_end=day("2025-07-12"), next_term=NextTerm(quantity=19))

    assert (due_as(stale).following.quantity, due_as(stale).is_scheduled) == (30, False)


def test_a_renewed_term_is_no_longer_due() -> None:
    """After the renewal the next end counts, a year later."""
    renewed = line(change("r", (30, 19), "2026-07-12", version=2, kind=ChangeKind.RENEWED, **NEXT))
    assert renewal(renewed, JULY, now=TERMS, following=TERMS) is None
    assert due(renewed, Period(day("2027-07-01"), day("2027-08-01"))).state.quantity == 19


def test_a_missing_price_is_unknown_with_its_reason() -> None:
    """Neither nothing nor the old price: the reason a charge would be held for."""
    bare = Terms(ELM, [ELM], PriceBook.of([], []))
    found = due(line(), terms=bare)
    assert isinstance(found.next, Unknown)
    assert (found.next.reason, found.price_change) == ("unknown_product", None)
    assert isinstance(due(line(), terms=None).next, Unknown)


def test_each_batch_of_seats_has_its_window() -> None:
    """168 hours from purchase, renewal and every increase; a decrease opens none and takes from
    the first."""
    known = line(
        change("r", (30, 19), "2026-07-12T01:30:00", version=2, kind=ChangeKind.RENEWED, **NEXT),
        change("a", (19, 24), "2026-07-15T09:00:00", version=3, **NEXT),
        change("b", (24, 22), "2026-07-16T09:00:00", version=4, **NEXT),
        change("c", (22, 23), "2026-07-28T09:00:00", version=5, **NEXT),
    )
    found = windows(known, JULY)
    assert [(one.seats, one.closes) for one in found] == [
        (17, at("2026-07-19T01:30:00")),
        (5, at("2026-07-22T09:00:00")),
    ]
    assert found[0].closes - found[0].opened == timedelta(hours=168)


def test_a_renewal_that_is_off_has_no_next_price() -> None:
    """Also where nobody chose what shall happen, as after a suspension."""
    off = change("a", (30, 30), "2026-06-01T00:00:00", version=2, auto_renew=False, **TERM)

    found = due(line(off))

    assert isinstance(found.next, Unknown)
    assert (found.next.reason, found.price_change) == ("renewal_is_off", None)


@pytest.mark.parametrize(
    ("given_back", "on", "left"),
    [
        (1, "2026-07-16T09:00:00", [4, 2]),  # the window that closes first gives first
        (5, "2026-07-16T09:00:00", [2]),
        (6, "2026-07-16T09:00:00", [1]),
        (1, "2026-07-20T09:00:00", [5, 1]),  # the first one is closed by then
    ],
)
def test_seats_that_went_are_in_no_window(given_back: int, on: str, left: list[int]) -> None:
    """What the desk offers is what the provider would take back."""
    known = line(
        change("a", (30, 35), "2026-07-13T00:00:00", version=2, **TERM),
        change("b", (35, 37), "2026-07-15T00:00:00", version=3, **TERM),
        change("c", (37, 37 - given_back), on, version=4, **TERM),
    )

    assert left == [one.seats for one in windows(known, JULY)]


def test_a_price_change_is_told_once_for_all_seats() -> None:
    """The sheet and the rule move on the same day: one row, with the seats that are in use."""
    other = timeline.build([opening("p", 5, subscription_id="B", **TERM)])
    gone = timeline.build([opening("q", 0, subscription_id="C", **TERM)])
    (found,) = price_changes(TERMS, [line(), other, gone], JULY)
    assert (found.on, found.seats) == (day("2026-07-01"), 35)
    assert not isinstance(found.before, Unknown)
    assert not isinstance(found.after, Unknown)
    assert (found.before.price, found.after.price) == (Decimal("36.80"), Decimal("37.42"))
    august = Period(day("2026-07-02"), day("2026-08-01"))
    assert price_changes(TERMS, [line()], august) == []
