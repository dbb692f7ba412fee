"""The one place that says which part of a charge cycle is charged.

Half-open UTC days, the whole cycle as the denominator. Every prorated figure keeps the coefficient
it was made with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from rating.domain.cycles import ChargeCycle
from shared.contracts.envelope import PeriodField
from shared.contracts.rating import ProrationBasis
from shared.kernel.periods import Period


@dataclass(frozen=True, slots=True)
class Coefficient:
    """`days` of `cycle_days`, and why. `period` is what the customer gets for it."""

    days: int
    cycle_days: int
    cycle: Period
    period: Period
    reason: str

    @property
    def share(self) -> Fraction:
        return Fraction(self.days, self.cycle_days)

    @property
    def is_whole(self) -> bool:
        return self.days == self.cycle_days

    def basis(self) -> ProrationBasis:
        return ProrationBasis(
            days=self.days, cycle_days=self.cycle_days, cycle=PeriodField.of(self.cycle)
        )


def whole_cycle(cycle: ChargeCycle) -> Coefficient:
    """A full charge cycle; less only where the term ends inside it."""
    reason = "whole cycle" if cycle.charged == cycle.whole else "the term ends inside the cycle"
    return Coefficient(cycle.charged.days, cycle.whole.days, cycle.whole, cycle.charged, reason)


def rest_of_cycle(cycle: ChargeCycle, day: date) -> Coefficient | None:
    """From `day` to the end of its cycle. None on the first day (the recurring charge has it) and
    where the term has no day left."""
    if day <= cycle.charged.start or day >= cycle.charged.end:
        return None
    rest = cycle.charged.from_day(day)
    return Coefficient(
        rest.days, cycle.whole.days, cycle.whole, rest, f"change on {day}, rest of its cycle"
    )
