"""Seats of one subscription that several contracts (sites) share: who has how many since when.

Allocations are facts: one is never changed, a mistake is corrected by another one. A move says that
seats change hands and nothing happens at the provider; a change says who asked for seats that the
provider added or took away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from shared.contracts.invoicing import ContractChanged
from shared.kernel.errors import Invalid

SOURCE_PREFIX = "allocation/"


class AllocationKind(StrEnum):
    OPENING = "opening"  # what each site has before any change of that day
    MOVE = "move"  # from some sites to others; sums to nothing
    CHANGE = "change"  # whose seats the provider's change of that day, id or order is
    DEFAULT = "default"  # the one site that takes changes nobody claims, from that day on


@dataclass(frozen=True, slots=True)
class SiteSeats:
    """How many seats a contract gains, or loses if negative."""

    contract_id: str
    seats: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """One fact. A change may name the provider's change or our order; else its day decides."""

    allocation_id: str
    subscription_id: str
    kind: AllocationKind
    effective_on: date
    sites: tuple[SiteSeats, ...]
    cause: str
    recorded_at: datetime
    change_id: str | None = None
    order_id: str | None = None

    @property
    def seats(self) -> int:
        return sum(site.seats for site in self.sites)

    @property
    def source(self) -> str:
        """How charges and log entries name it among the ids of provider changes."""
        return f"{SOURCE_PREFIX}{self.allocation_id}"


def require_sound(allocation: Allocation) -> None:
    """Refuse what could never become true by any other fact.

    Raises:
        Invalid: `allocation_without_sites`, `site_named_twice`, `move_not_balanced`,
            `opening_below_zero`, `default_is_one_site`, `reference_not_allowed`.
    """
    kind, names = allocation.kind, [site.contract_id for site in allocation.sites]
    if not names:
        raise Invalid("allocation_without_sites", "an allocation names at least one contract")
    if len(set(names)) < len(names):
        raise Invalid("site_named_twice", "each contract is named once, with all of its seats")
    if kind is AllocationKind.MOVE and allocation.seats != 0:
        raise Invalid(
            "move_not_balanced", f"a move sums to no seats; this one to {allocation.seats:+d}"
        )
    if kind is AllocationKind.OPENING and any(site.seats < 0 for site in allocation.sites):
        raise Invalid("opening_below_zero", "no site begins with less than no seats")
    if kind is AllocationKind.DEFAULT and (len(names) > 1 or allocation.seats):
        raise Invalid("default_is_one_site", "a default names one contract and no seats")
    references = [x for x in (allocation.change_id, allocation.order_id) if x is not None]
    if len(references) > (1 if kind is AllocationKind.CHANGE else 0):
        raise Invalid(
            "reference_not_allowed", "only a change names a provider change or an order, not both"
        )


def sharing(contracts: Iterable[ContractChanged], subscription_id: str) -> list[ContractChanged]:
    """The contracts that share this subscription; where there are any, nobody bills it whole."""
    return [c for c in contracts if subscription_id in c.shared_subscription_ids]
