"""A subscription as the provider sees it between two events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any

from rating.domain.provider_lines.cycles import Cycle, Term
from rating.domain.provider_lines.reading import Event
from rating.domain.provider_lines.windows import Batch
from shared.kernel.money import Rounding, exponent, round_to

# Products that need another one; the file says so beside them.
_MARKETPLACE = re.compile(r"\b(isv|saas|marketplace)\b")
_SOFTWARE = re.compile(r"\b(software subscription|subscription software)\b")
_LINUX = re.compile(r"\b(red ?hat|rhel|suse|sles)\b")
_ADD_ONS = ("phone system", "audio conferencing", "calling plan", "add-on", "addon")


class Family(StrEnum):
    """Which cancellation rules hold (R-WIN's table)."""

    LICENCE = "licence"
    MARKETPLACE = "marketplace"  # software of others, sold as a service
    PERPETUAL = "perpetual"
    SOFTWARE = "software"  # subscriptions to server software and the like


@dataclass(frozen=True, slots=True)
class Promotion:
    """Percent off the partner price for the term (R-PROMO)."""

    percent: Decimal  # 0.10 is ten percent
    ends_on: date | None = None  # last day on which a renewal keeps it
    max_seats: int | None = None

    def at_renewal(self, day: date) -> Promotion | None:
        return self if self.ends_on is None or day <= self.ends_on else None

    def holds_for(self, seats: int) -> bool:
        return self.max_seats is None or seats <= self.max_seats


@dataclass(frozen=True, slots=True)
class Subscription:
    """What decides the next line."""

    name: str  # S1, S2 …
    family: Family
    term: Term
    committed_at: datetime  # purchase or completed renewal: the window's beginning
    price: Decimal  # fixed for the term (R-LOCK)
    list_price: Decimal  # what a renewal would take
    quantity: int
    batches: tuple[Batch, ...]
    charged_until: date  # inclusive
    title: str | None = None  # where it is not the one that was bought
    promotion: Promotion | None = None
    trial: bool = False
    extended: bool = False  # in an extended service term (R-EST)
    add_on: bool = False
    status: str = "active"
    auto_renew: bool = True
    at_term_end: str | None = None  # Cancel, RenewToExtendedServiceTerm …
    scheduled: Mapping[str, Any] = field(default_factory=dict)  # for the renewal (R-SCHED)
    next_plan: Event | None = None  # asked for, begins with the next cycle (R-PLAN)
    telecom: Fraction | None = None  # the part of the price that is a line of its own

    @property
    def discount(self) -> Decimal:
        return self.promotion.percent if self.promotion else Decimal(0)

    def telecom_price(self, currency: str) -> Decimal | None:
        """Its telecom part; no rule tells how a new price is split, so in the same proportion."""
        if self.telecom is None:
            return None
        return round_to(Fraction(self.price) * self.telecom, exponent(currency), Rounding.HALF_AWAY)

    @property
    def cycle(self) -> Cycle:
        """The charge cycle that was charged last."""
        return self.term.cycle_on(self.charged_until)

    @property
    def qualifiers(self) -> tuple[str, ...]:
        if self.family not in {Family.LICENCE, Family.SOFTWARE}:
            return ()
        return (("AddOn",) if self.add_on else ()) + (("Trial",) if self.trial else ())


def family_of(term: str, title: str | None) -> Family:
    """By what is known of a product: its term, and the title under which it is sold."""
    words = (title or "").casefold()
    if term == "none" or "perpetual" in words:
        return Family.PERPETUAL
    if _MARKETPLACE.search(words):
        return Family.MARKETPLACE
    if _SOFTWARE.search(words) or is_linux(title):
        return Family.SOFTWARE
    return Family.LICENCE


def is_linux(title: str | None) -> bool:
    """RedHat and SUSE plans cannot be cancelled."""
    return _LINUX.search((title or "").casefold()) is not None


def needs_a_base(title: str | None) -> bool:
    words = (title or "").casefold()
    return any(name in words for name in _ADD_ONS)
