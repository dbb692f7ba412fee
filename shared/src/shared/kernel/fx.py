"""Entered exchange rates, and which of them counts on a day: one rule for whoever converts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from shared.kernel.errors import Held

NO_FX_RATE = "no_fx_rate"


@dataclass(frozen=True, slots=True)
class FxRate:
    """One entered rate: one unit of `source_currency` is `rate` units of `target_currency`."""

    source_currency: str
    target_currency: str
    on: date
    version: int
    rate: Decimal
    source: str


def rate_on(day: date, rates: Iterable[FxRate], *, source: str, target: str) -> FxRate:
    """The newest version of the latest rate of a pair on or before a day; never a guess.

    Raises:
        Held: `no_fx_rate`.
    """
    pair = (source, target)
    known = [r for r in rates if (r.source_currency, r.target_currency) == pair and r.on <= day]
    if not known:
        raise Held(NO_FX_RATE, f"no rate {source} to {target} on or before {day}")
    return max(known, key=lambda rate: (rate.on, rate.version))
