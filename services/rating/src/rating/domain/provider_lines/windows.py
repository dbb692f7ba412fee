"""When the provider refuses: cancellation and seat windows, dates, terms, plans (R-WIN … R-PLAN).

A function returns the refusal's code and note, or None for "allowed". Codes are the provider's;
where its documentation names none, the code is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from rating.domain.provider_lines.cycles import TERM_MONTHS, Term
from shared.kernel.periods import days_in_month

WINDOW = timedelta(hours=168)
FULL_REFUND = timedelta(hours=24)
PERPETUAL_DAYS = 30
MARKETPLACE = {"P1M": timedelta(hours=24), "P1Y": timedelta(days=14), "P3Y": timedelta(days=14)}

SEATS_FIXED, CANCEL_CLOSED = "800090", "900213"
SUSPENDED, OUT_OF_RANGE = "2001|800091", "2002|900275"
TERM_SHORTER, PLAN_TOO_LONG = "800122", "900270"
END_NOT_ALLOWED, END_NOT_FOR_MONTHS = "900242", "900245"
ADD_ON_WITHOUT_BASE = "400041"

# What a code says where nothing more particular is said.
MEANING = {
    SEATS_FIXED: "seats are given back within 168 hours of their purchase or renewal",
    CANCEL_CLOSED: "the cancellation window is closed",
    SUSPENDED: "the subscription is suspended, or not active",
    OUT_OF_RANGE: "the quantity is out of range",
    TERM_SHORTER: "the new term is not longer",
    PLAN_TOO_LONG: "the billing plan is longer than the term",
    END_NOT_ALLOWED: "the chosen end date is not one of those allowed",
    END_NOT_FOR_MONTHS: "the end of a one-month term cannot be chosen on that day",
    ADD_ON_WITHOUT_BASE: "the add-on lacks its base",
}


class No(NamedTuple):
    """A refusal."""

    code: str | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Seats that came together, and when: each has a window of its own (R-WIN-SEATS)."""

    quantity: int
    since: datetime

    def is_open(self, at: datetime) -> bool:
        return at - self.since <= WINDOW


def removable(batches: Sequence[Batch], at: datetime) -> int:
    """refundableQuantity.totalQuantity."""
    return sum(batch.quantity for batch in batches if batch.is_open(at))


def without(batches: Sequence[Batch], seats: int, at: datetime) -> tuple[Batch, ...]:
    """Seats taken out of the open batches. Which one is used up first is not documented: the one
    that closes first."""
    left, kept = seats, []
    for batch in sorted(batches, key=lambda one: one.since):
        taken = min(batch.quantity, left) if batch.is_open(at) else 0
        left -= taken
        if batch.quantity > taken:
            kept.append(Batch(batch.quantity - taken, batch.since))
    return tuple(kept)


def no_longer_removable(batches: Sequence[Batch], seats: int, at: datetime) -> No | None:
    total, open_seats = sum(batch.quantity for batch in batches), removable(batches, at)
    if seats > total or (seats == total and open_seats == total):
        return No(OUT_OF_RANGE, f"{total} seats; to give all of them back, cancel")
    if seats <= open_seats:
        return None
    note = f"only {open_seats} of {total} seats are refundable" if open_seats else None
    return No(SEATS_FIXED, note)


def no_longer_cancellable(since: datetime, at: datetime) -> No | None:
    return None if at - since <= WINDOW else No(CANCEL_CLOSED)


def end_not_allowed(term: Term, end: date, existing: Sequence[date] | None) -> No | None:
    """R-COTERM. Which subscriptions end when is only checked where it is told."""
    last_of_month = end.day == days_in_month(end.year, end.month)
    if not term.start <= end <= term.full_end:
        return No(END_NOT_ALLOWED, "a chosen end date lies within the first term")
    if existing is not None and end not in existing and not last_of_month:
        return No(END_NOT_ALLOWED)
    return month_not_alignable(term.length, end)


def month_not_alignable(length: str, end: date) -> No | None:
    last_of_month = end.day == days_in_month(end.year, end.month)
    if length == "P1M" and end.day >= 28 and not last_of_month:
        return No(END_NOT_FOR_MONTHS)
    return None


def term_not_longer(current: str, wanted: str) -> No | None:
    return None if TERM_MONTHS[wanted] > TERM_MONTHS[current] else No(TERM_SHORTER)


def plan_not_changeable(term: Term, wanted: str) -> No | None:
    """R-PLAN: three-year terms may swap monthly and annual, nothing else may."""
    if term.length != "P3Y":
        words = {"P1M": "monthly", "P1Y": "annual"}[term.length]
        return No(
            None,
            f"{words} term: billing plan cannot change mid-term without changing the term",
        )
    if wanted == term.plan:
        return No(None, f"the billing plan is {wanted} already")
    if {wanted, term.plan} != {"monthly", "annual"}:
        return No(None, "a plan paid for the whole term begins with a term")
    return None


def target_not_eligible(
    *, status: str | None, bought_at: datetime | None, term: str | None, ends: date | None,
    source: Term, at: datetime,
) -> No | None:  # fmt: skip
    """R-UPG into an existing subscription: the four errors of transition eligibility, in order."""
    if status not in {None, "active"}:
        return No("SubscriptionNotActive")
    if bought_at is not None and at - bought_at <= WINDOW:
        return No("SubscriptionInCancellationWindow")
    if term is not None and TERM_MONTHS[term] < TERM_MONTHS[source.length]:
        return No("SubscriptionTermShorter")
    if ends is not None and ends < source.end:
        return No("SubscriptionEndsEarlier")
    return None
