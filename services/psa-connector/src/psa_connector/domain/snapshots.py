"""What a PSA holds on one agreement or contract, read back by a sweep, and what we want it to hold.

Fields are compared in the words of the vendor (`Words`), so that a difference is shown as a person
sees it there. Nothing of this is ever turned into an amount of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TypeAlias

from psa_connector.domain.adjustments import UnitRow
from psa_connector.domain.operations import Addition, ContractCharge, ServiceAdjustment
from psa_connector.domain.preflight import TargetFacts
from shared.kernel.periods import month_of

Words: TypeAlias = Mapping[str, str]
Record: TypeAlias = Addition | ContractCharge
InWords: TypeAlias = Callable[[Record], Words]


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """An addition or a charge as the PSA shows it. `key`: ours, when it carries one."""

    external_id: str
    key: str | None
    words: Words
    amount: Decimal
    billed: bool
    edited_by: str | None = None
    edited_at: str | None = None


@dataclass(frozen=True, slots=True)
class HeldService:
    """A service on a contract, its unit rows of the compared days, and how far it is posted."""

    service: str
    rows: tuple[UnitRow, ...]
    posted_through: date | None = None


@dataclass(frozen=True, slots=True)
class TargetSnapshot:
    """Everything of ours on one target. `facts` None: the PSA has no such target."""

    target_id: str
    facts: TargetFacts | None
    records: tuple[HeldRecord, ...] = ()
    services: tuple[HeldService, ...] = ()
    invoiced: frozenset[date] = frozenset()  # first days of the months on PSA invoices


@dataclass(frozen=True, slots=True)
class WantedRecord:
    """A record that we have seen in the PSA and that should be there still.

    `ends`: the last days it may show, more than one while a close is under way.
    """

    intent_id: str
    key: str
    source_id: str
    contract_id: str
    operation: Record
    external_id: str | None
    ends: frozenset[date | None] = frozenset({None})
    last_seen: Words | None = None  # None: as wanted


@dataclass(frozen=True, slots=True)
class WantedService:
    """The confirmed adjustments of one subscription's service, in the order they were planned."""

    target: str
    service: str
    intent_id: str  # the last of them
    source_id: str
    contract_id: str
    steps: tuple[ServiceAdjustment, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one target should hold, and every key of ours that may be on it."""

    target_id: str
    company_id: str
    currency: str | None
    records: tuple[WantedRecord, ...] = ()
    services: tuple[WantedService, ...] = ()
    keys: frozenset[str] = field(default_factory=frozenset)


def is_billed(addition: Addition, invoiced: frozenset[date]) -> bool:
    """Whether a PSA invoice stands for a month in which the addition is billed (C9)."""
    first = month_of(addition.effective_on).start
    return any(
        first <= month and (addition.last_on is None or month <= addition.last_on)
        for month in invoiced
    )
