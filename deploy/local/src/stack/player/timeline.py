"""What a play does and when: the steps of all its stories in one order.

An invoice run for a date is executed after that UTC day has ended (convention C15), so changes
effective on that day are known. After each day on which something happened at the provider, the
daily audit pull runs, as a scheduler would run it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum
from itertools import zip_longest

from shared.kernel.periods import start_of, utc_day
from stack.player.names import Names
from stack.story.format import Event, Usage

SYNC_AT = timedelta(days=1, minutes=10)
INVOICE_AT = timedelta(days=1, minutes=30)


class Order(IntEnum):
    """What comes first when two steps have the same instant."""

    EVENT = 1
    USAGE = 2
    SYNC = 3
    INVOICES = 4


@dataclass(frozen=True, slots=True)
class EventStep:
    at: datetime
    names: Names
    event: Event


@dataclass(frozen=True, slots=True)
class UsageStep:
    at: datetime
    names: Names
    usage: Usage


@dataclass(frozen=True, slots=True)
class SyncStep:
    at: datetime


@dataclass(frozen=True, slots=True)
class InvoiceStep:
    """Run the invoices of one date for the contracts that ask for it.

    Numbers follow the order of requests, not the order of whoever is ready first: of each seller
    one contract is asked for at a time.
    """

    at: datetime
    invoice_date: date
    waves: tuple[tuple[str, ...], ...]  # each without two contracts of one seller

    @property
    def contracts(self) -> tuple[str, ...]:
        return tuple(contract for wave in self.waves for contract in wave)


Step = EventStep | UsageStep | SyncStep | InvoiceStep


def steps_of(plays: Sequence[Names]) -> list[Step]:
    """Every step of all stories, in order."""
    steps: list[Step] = []
    for names in plays:
        steps += [EventStep(event.at, names, event) for event in names.story.events]
        steps += [UsageStep(usage.published, names, usage) for usage in names.story.usage]
    steps += _invoice_steps(plays)
    steps += _sync_steps(steps)
    return sorted(steps, key=lambda step: (step.at, _order(step)))


def _invoice_steps(plays: Sequence[Names]) -> list[InvoiceStep]:
    wanted: dict[date, dict[str, list[str]]] = {}  # contracts by date and seller
    for names in plays:
        for name, contract in names.story.contracts.items():
            seller = names.own(names.story.customers[contract.customer].seller)
            for day in contract.invoices:
                wanted.setdefault(day, {}).setdefault(seller, []).append(names.own(name))
    return [
        InvoiceStep(start_of(day) + INVOICE_AT, day, _waves(by_seller.values()))
        for day, by_seller in sorted(wanted.items())
    ]


def _waves(lists: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """The first of every list, then the second of every list …"""
    return tuple(tuple(name for name in row if name is not None) for row in zip_longest(*lists))


def _sync_steps(steps: Iterable[Step]) -> list[SyncStep]:
    days = {utc_day(s.at) for s in steps if isinstance(s, EventStep)}
    days |= {s.invoice_date for s in steps if isinstance(s, InvoiceStep)}
    return [SyncStep(start_of(day) + SYNC_AT) for day in sorted(days)]


def _order(step: Step) -> Order:
    match step:
        case EventStep():
            return Order.EVENT
        case UsageStep():
            return Order.USAGE
        case SyncStep():
            return Order.SYNC
        case InvoiceStep():
            return Order.INVOICES
