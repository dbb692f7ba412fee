"""When a charge is billed, and how long the cycle is that a licence is charged for.

A contract has monthly cycles; their first days are its boundaries, and an invoice is dated a
boundary plus the contract's offset. A licence that is paid upfront has charge cycles of its own,
counted from the first day of its term.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from shared.contracts.ingest import LicenceProduct
from shared.contracts.invoicing import ContractChanged, Timing
from shared.kernel.errors import Held
from shared.kernel.periods import (
    Period,
    anchored_cycle,
    boundary_on_or_after,
    cycles_between,
    monthly_cycle,
)

MONTHLY = "monthly"
ONE_TIME = "one_time"
UPFRONT_MONTHS = {"annual": 12, "triennial": 36}


@dataclass(frozen=True, slots=True)
class ChargeCycle:
    """What one price pays for. `whole` is the denominator of every share of it; `charged` is
    shorter only where a term ends early (aligned end dates)."""

    whole: Period
    charged: Period


def contract_cycle(contract: ContractChanged, day: date) -> Period:
    """The contract's monthly cycle that contains `day`."""
    return monthly_cycle(contract.anchor_day, day)


def boundary_for(contract: ContractChanged, day: date) -> date:
    """The boundary at which something that takes effect on `day` is billed.

    In advance, what begins on a boundary is billed there; all else waits for the end of its cycle.
    """
    if contract.timing is Timing.ADVANCE and begins_on_boundary(contract, day):
        return day
    return contract_cycle(contract, day).end


def begins_on_boundary(contract: ContractChanged, day: date) -> bool:
    return contract_cycle(contract, day).start == day


def usage_boundary(contract: ContractChanged, month: Period) -> date:
    """The first boundary on or after the end of a month of usage."""
    return boundary_on_or_after(month.end, contract.anchor_day)


def bill_on(contract: ContractChanged, boundary: date) -> date:
    """The date of the invoice of a boundary."""
    return boundary + timedelta(days=contract.invoice_offset_days)


def charge_cycle(
    contract: ContractChanged, product: LicenceProduct, *, term: tuple[date, date], day: date
) -> ChargeCycle:
    """The charge cycle of a licence that contains `day`. `term` is half-open.

    Raises:
        Held: `unknown_billing_plan`.
    """
    plan = product.billing_plan
    if plan == MONTHLY:
        cycle = contract_cycle(contract, day)
        return ChargeCycle(cycle, cycle)
    if plan == ONE_TIME:
        return ChargeCycle(Period(*term), Period(*term))
    whole = _anniversary_cycle(plan, term[0], day)
    charged = whole.intersect(Period(*term)) if day < term[1] else None
    return ChargeCycle(whole, charged or whole)


def begins_cycle(
    contract: ContractChanged, product: LicenceProduct, *, term: tuple[date, date], day: date
) -> bool:
    """Whether a charge cycle of a licence begins on `day`.

    Raises:
        Held: `unknown_billing_plan`.
    """
    plan = product.billing_plan
    if plan == MONTHLY:
        return begins_on_boundary(contract, day)
    if plan == ONE_TIME:
        return day == term[0]
    return term[0] <= day < term[1] and _anniversary_cycle(plan, term[0], day).start == day


def charge_starts(
    contract: ContractChanged, product: LicenceProduct, *, term: tuple[date, date], through: date
) -> Iterator[date]:
    """The days on which recurring charges of a term begin, first to last.

    Only cycles whose boundary is on or before `through`, and none that was billed elsewhere: what
    begins on a boundary is ours from `billed_through` on; what begins inside a cycle (a licence
    paid upfront) is billed with the changes of that cycle, so it is ours from `starts_on` on.

    Raises:
        Held: `unknown_billing_plan`.
    """
    for start in _starts(contract, product, term=term, through=through):
        on_boundary = begins_on_boundary(contract, start)
        since = contract.billed_through if on_boundary else contract.starts_on
        if start >= since and boundary_for(contract, start) <= through:
            yield start


def _starts(
    contract: ContractChanged, product: LicenceProduct, *, term: tuple[date, date], through: date
) -> Iterator[date]:
    plan = product.billing_plan
    if plan == MONTHLY:
        after = through + timedelta(days=1)
        for cycle in cycles_between(contract.anchor_day, contract.billed_through, after):
            yield cycle.start
    elif plan == ONE_TIME:
        yield term[0]
    else:
        start = term[0]
        while start < term[1] and start <= through:
            yield start
            start = _anniversary_cycle(plan, term[0], start).end


def _anniversary_cycle(plan: str, term_start: date, day: date) -> Period:
    months = UPFRONT_MONTHS.get(plan)
    if months is None:
        raise Held("unknown_billing_plan", f"billing plan {plan!r} has no known charge cycle")
    return anchored_cycle(term_start, months, day)


def charge_cycles(
    service: Period, anchor_day: int, months: int = 1, *, stop: date | None = None
) -> Iterator[ChargeCycle]:
    """What a service is charged for, cycle by cycle: a stub up to the first boundary, then whole
    cycles, the last one cut where the service ends. Each with the whole cycle it is a share of.

    `stop`: no cycle that begins on or after it, for a service without an end.
    """
    aligned = boundary_on_or_after(service.start, anchor_day, months)
    day = service.start
    while day < service.end and (stop is None or day < stop):
        whole = anchored_cycle(aligned, months, day, anchor_day)
        charged = whole.intersect(service)
        assert charged is not None
        yield ChargeCycle(whole, charged)
        day = whole.end
