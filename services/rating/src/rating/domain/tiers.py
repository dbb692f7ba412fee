"""Prices that depend on how much was used: graduated, volume, packages, percentages, commitments.

A tier has an upper bound only; it begins where the one before ends, so no unit falls between two.
All figures are exact; whoever closes a line rounds it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from shared.kernel.errors import Invalid

Number = int | Decimal | Fraction


class Bound(StrEnum):
    """To which tier a quantity belongs that equals an upper bound."""

    INCLUSIVE = "inclusive"  # up to and including: to the tier below
    EXCLUSIVE = "exclusive"  # less than: to the tier above


@dataclass(frozen=True, slots=True)
class Tier:
    """Units up to `up_to` (None: all the rest) at `unit_price` each.

    `flat_fee` is due once the tier is reached. `block`: a price is for a started block of that many
    units. `cap`: the tier never costs more, its flat fee included.
    """

    up_to: Decimal | None
    unit_price: Fraction = Fraction(0)
    flat_fee: Fraction = Fraction(0)
    block: Decimal | None = None
    cap: Fraction | None = None

    def cost(self, units: Number) -> Fraction:
        """Of so many units in this tier, its flat fee included."""
        counted = Fraction(units) if self.block is None else blocks(units, self.block)
        amount = counted * self.unit_price + self.flat_fee
        return amount if self.cap is None else min(amount, self.cap)


@dataclass(frozen=True, slots=True)
class Tiers:
    """Tiers in ascending order, the last one usually open.

    Raises:
        Invalid: `tiers_unordered`, `tiers_empty`.
    """

    rows: tuple[Tier, ...]
    bound: Bound = Bound.INCLUSIVE
    flat_fee_at_zero: bool = False  # whether the first tier's flat fee is due without any use

    def __post_init__(self) -> None:
        if not self.rows:
            raise Invalid("tiers_empty", "a tiered price needs a tier")
        bounds = [tier.up_to for tier in self.rows[:-1]]
        bounds += [self.rows[-1].up_to] if self.rows[-1].up_to is not None else []
        known = [bound for bound in bounds if bound is not None]
        if len(known) < len(bounds) or known != sorted(set(known)) or min(known, default=1) <= 0:
            detail = "upper bounds ascend from above 0, and only the last tier is open"
            raise Invalid("tiers_unordered", detail)

    def reached(self, units: Number) -> Tier:
        """The tier that a quantity is in; above the last bound, the last tier."""
        for tier in self.rows:
            if tier.up_to is None or units < tier.up_to:
                return tier
            if units == tier.up_to and self.bound is Bound.INCLUSIVE:
                return tier
        return self.rows[-1]

    def spread(self, units: Number) -> list[tuple[Tier, Fraction]]:
        """The units that lie in each tier that is reached, lowest first. What exceeds the last
        bound is in the last tier."""
        found: list[tuple[Tier, Fraction]] = []
        below = Fraction(0)
        last = self.reached(units)
        for tier in self.rows:
            top = Fraction(units)
            if tier is not last and tier.up_to is not None:
                top = Fraction(tier.up_to)
            found.append((tier, top - below))
            below = top
            if tier is last:
                break
        return found


def graduated(tiers: Tiers, units: Number) -> Fraction:
    """Each unit at the price of the tier it lies in."""
    if units <= 0:
        return _nothing(tiers)
    return sum((tier.cost(inside) for tier, inside in tiers.spread(units)), Fraction(0))


def volume(tiers: Tiers, units: Number, *, charged: Number | None = None) -> Fraction:
    """All units at the price of the tier reached. `charged`: the units to pay for, where those that
    decide the tier are others (full seats and prorated seats)."""
    if units <= 0 and charged is None:
        return _nothing(tiers)
    return tiers.reached(units).cost(units if charged is None else charged)


def graduated_changes(tiers: Tiers, changes: Iterable[tuple[Number, Number]]) -> Fraction:
    """Quantity changes placed in tiers by the running full quantity, each charged for its prorated
    units. `changes`: (full change, prorated change); a change over a bound is split in proportion.
    A flat fee is due whole once its tier was ever reached."""
    amount, running, highest = Fraction(0), Fraction(0), Fraction(0)
    for full, prorated in changes:
        before, running = running, running + Fraction(full)
        if full == 0:
            continue
        highest = max(highest, running)
        factor = Fraction(prorated) / Fraction(full)
        amount += (_priced(tiers, running) - _priced(tiers, before)) * factor
    if highest <= 0:
        return amount + _nothing(tiers)
    return amount + sum((tier.flat_fee for tier, _ in tiers.spread(highest)), Fraction(0))


def blocks(units: Number, size: Number, *, started: bool = True) -> int:
    """Whole blocks of `size` in a quantity; a started one counts, unless only full ones do."""
    full, rest = divmod(Fraction(units), Fraction(size))
    return max(0, full + int(started and rest > 0))


def percentage(
    amount: Number,
    percent: Number,
    *,
    fixed: Number = 0,
    at_least: Number | None = None,
    at_most: Number | None = None,
) -> Fraction:
    """A percentage of a transaction and a fixed part, within bounds."""
    fee = Fraction(amount) * Fraction(percent) / 100 + Fraction(fixed)
    if at_least is not None:
        fee = max(fee, Fraction(at_least))
    return fee if at_most is None else min(fee, Fraction(at_most))


def committed(
    cost: Number, commitment: Number, *, overage: Number = 1, true_up: bool = True
) -> Fraction:
    """What a window with a commitment costs: use beyond it times the overage factor, and at least
    the commitment where it is topped up."""
    used, promised = Fraction(cost), Fraction(commitment)
    if used >= promised:
        return promised + (used - promised) * Fraction(overage)
    return promised if true_up else used


def top_up(billed: Number, minimum: Number) -> Fraction:
    """What is missing to a minimum; billed once, with the last invoice of a period."""
    return max(Fraction(0), Fraction(minimum) - Fraction(billed))


def within_maximum(billed_before: Number, amount: Number, maximum: Number) -> Fraction:
    """How much of an amount may still be billed in a period that has a maximum."""
    left = max(Fraction(0), Fraction(maximum) - Fraction(billed_before))
    return min(Fraction(amount), left)


def further(price: Callable[[Fraction], Fraction], totals: Sequence[Number]) -> list[Fraction]:
    """What each new running total of a period adds to what was billed before it: the whole is rated
    again and the difference booked, so a correction may be negative."""
    booked, before = [], Fraction(0)
    for total in totals:
        whole = price(Fraction(total))
        booked.append(whole - before)
        before = whole
    return booked


def _priced(tiers: Tiers, units: Fraction) -> Fraction:
    """Without flat fees."""
    if units <= 0:
        return Fraction(0)
    parts = tiers.spread(units)
    return sum((tier.cost(inside) - tier.flat_fee for tier, inside in parts), Fraction(0))


def _nothing(tiers: Tiers) -> Fraction:
    return tiers.rows[0].flat_fee if tiers.flat_fee_at_zero else Fraction(0)
