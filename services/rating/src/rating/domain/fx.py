"""From the provider's pricing currency to the contract's: whose rate, and of which day.

The provider's own rate where the contract is in its billing currency; no conversion where it is in
the pricing currency; else the latest entered rate on or before the day of the provider's rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from shared.kernel.fx import FxRate, rate_on

PROVIDER = "provider"
SAME_CURRENCY = "same currency"


@dataclass(frozen=True, slots=True)
class ProviderRate:
    """The rate a provider file carries: pricing currency → billing currency."""

    pricing_currency: str
    billing_currency: str
    rate: Decimal
    on: date | None


@dataclass(frozen=True, slots=True)
class Conversion:
    rate: Decimal
    on: date | None
    source: str
    version: int | None = None  # of an entered rate


def conversion(
    provider: ProviderRate, currency: str, rates: Iterable[FxRate], *, month_end: date
) -> Conversion:
    """How an amount in the pricing currency becomes one in `currency`. `month_end` dates files
    that do not date their rate.

    Raises:
        Held: `no_fx_rate`.
    """
    if currency == provider.pricing_currency:
        return Conversion(Decimal(1), None, SAME_CURRENCY)
    if currency == provider.billing_currency:
        return Conversion(provider.rate, provider.on, PROVIDER)
    day = provider.on or month_end
    latest = rate_on(day, rates, source=provider.pricing_currency, target=currency)
    return Conversion(latest.rate, latest.on, latest.source, latest.version)
