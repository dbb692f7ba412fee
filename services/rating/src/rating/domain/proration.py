"""The one place that says which part of a charge cycle is charged.

One function counts, for every proration of whatever kind, and says how: numerator, denominator,
convention and reason. The denominator is always the whole cycle. Every prorated figure keeps the
coefficient it was made with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

from rating.domain.cycles import ChargeCycle
from shared.contracts.envelope import PeriodField
from shared.contracts.rating import ProrationBasis
from shared.kernel.conventions import Convention
from shared.kernel.errors import Invalid
from shared.kernel.periods import Period, utc_day


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open, from a date (its midnight in the convention's zone) or an instant to another."""

    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Coefficient:
    """`numerator` of `denominator` units of the convention, and why."""

    numerator: int
    denominator: int
    convention: Convention
    reason: str

    @property
    def share(self) -> Fraction:
        return Fraction(self.numerator, self.denominator)

    @property
    def is_whole(self) -> bool:
        return self.numerator == self.denominator


def coefficient(part: Span, whole: Span, convention: Convention, *, reason: str) -> Coefficient:
    """How much of `whole` lies in `part`, as the convention counts: never less than nothing, never
    more than all of it.

    Raises:
        Invalid: `period_empty` when the whole has nothing to share.
    """
    denominator = convention.count(whole.start, whole.end)
    if denominator <= 0:
        raise Invalid("period_empty", f"[{whole.start}, {whole.end}) holds no {convention.unit}")
    numerator = convention.count(part.start, part.end)
    return Coefficient(max(0, min(numerator, denominator)), denominator, convention, reason)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a charge cycle with its coefficient. `period` is what the customer gets for it."""

    cycle: Period
    period: Period
    coefficient: Coefficient

    @property
    def share(self) -> Fraction:
        return self.coefficient.share

    @property
    def is_whole(self) -> bool:
        return self.coefficient.is_whole

    def basis(self) -> ProrationBasis:
        counted = self.coefficient
        return ProrationBasis(
            days=counted.numerator,
            cycle_days=counted.denominator,
            cycle=PeriodField.of(self.cycle),
            unit=counted.convention.unit,
            convention=counted.convention.name,
            reason=counted.reason,
        )


def provider_share(period: Period, cycle: Period, since: datetime | None) -> Fraction:
    """How much of a cycle the provider charges, whatever our convention: whole UTC days, the day of
    the change with them (R-UTC, R-EUP). `since`: when a change took effect; None for what has no
    change, which is its whole period."""
    days = period.days if since is None else (period.end - utc_day(since)).days
    return Fraction(max(0, min(days, cycle.days)), cycle.days)


def whole_cycle(cycle: ChargeCycle, convention: Convention) -> Part:
    """A full charge cycle; less only where the term ends inside it."""
    reason = "whole cycle" if cycle.charged == cycle.whole else "the term ends inside the cycle"
    return _part(cycle, cycle.charged, cycle.charged.start, convention, reason=reason)


def rest_of_cycle(
    cycle: ChargeCycle, day: date, convention: Convention, *, since: date | None = None
) -> Part | None:
    """From `day` to the end of its cycle. None on the first day (the recurring charge has it) and
    where the term has no day left. `since`: the instant on that day, for conventions that count
    more finely than days."""
    if day <= cycle.charged.start or day >= cycle.charged.end:
        return None
    rest = cycle.charged.from_day(day)
    return _part(
        cycle, rest, since or day, convention, reason=f"change on {day}, rest of its cycle"
    )


def _part(
    cycle: ChargeCycle, period: Period, since: date, convention: Convention, *, reason: str
) -> Part:
    whole = Span(cycle.whole.start, cycle.whole.end)
    counted = coefficient(Span(since, period.end), whole, convention, reason=reason)
    return Part(cycle.whole, period, counted)
