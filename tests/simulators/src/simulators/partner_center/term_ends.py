"""Which end dates a first term may have instead of its own: month ends and those of neighbours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from shared.kernel.periods import days_in_month
from simulators.partner_center.records import Kind, Subscription
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.terms import last_day_of_term


@dataclass(frozen=True, slots=True)
class AllowedEnd:
    """An inclusive last day. `with_ids` are the subscriptions that end then; none: a month end."""

    day: date
    with_ids: tuple[str, ...] = ()


def allowed_ends(subscriptions: Iterable[Subscription], start: date, term: str) -> list[AllowedEnd]:
    """R-COTERM: inside the first term, at a month's end or with an active paid subscription."""
    last = last_day_of_term(start, term)
    found = [AllowedEnd(day) for day in _month_ends(start, last)]
    neighbours: dict[date, list[str]] = {}
    for subscription in subscriptions:
        if _aligns(subscription, term) and start <= subscription.commitment_end <= last:
            neighbours.setdefault(subscription.commitment_end, []).append(subscription.id)
    found += [AllowedEnd(day, tuple(ids)) for day, ids in neighbours.items()]
    return sorted(found, key=lambda end: (end.day, bool(end.with_ids)))


def require_allowed(
    subscriptions: Iterable[Subscription], start: date, term: str, end: date
) -> None:
    """
    Raises:
        Refusal: no such end date is on offer.
    """
    if end == last_day_of_term(start, term):
        return
    if end not in {allowed.day for allowed in allowed_ends(subscriptions, start, term)}:
        raise Refusal(900242)


def _month_ends(start: date, last: date) -> Iterable[date]:
    year, month = start.year, start.month
    while (end := date(year, month, days_in_month(year, month))) <= last:
        yield end
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)


def _aligns(subscription: Subscription, term: str) -> bool:
    live = subscription.status == "active" and not subscription.is_trial
    if not live or subscription.kind is not Kind.LICENCE:
        return False
    if term != "P1M":
        return subscription.term != "P1M"
    end = subscription.commitment_end
    return end.day < 28 or end.day == days_in_month(end.year, end.month)
