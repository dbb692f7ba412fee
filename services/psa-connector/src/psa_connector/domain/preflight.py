"""What must be true in the PSA before the first write of a run (C1, A3).

A PSA that prorates, taxes or re-prices lines of ours would compute money a second time. Better
nothing is pushed, with a reason, than the wrong amount.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from psa_connector.domain.mapping import Block, Reason
from psa_connector.domain.operations import (
    Addition,
    Operation,
    OperationKind,
    ServiceAdjustment,
    kind_of,
    product_of,
)


class BillingCycle(StrEnum):
    MONTHLY = "monthly"
    ONCE = "once"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """An agreement or contract as the PSA has it now."""

    company_id: str
    active: bool = True
    currency: str | None = None  # None: the PSA does not say
    prorates: bool = False
    cycle: BillingCycle = BillingCycle.MONTHLY
    takes_services: bool = True
    starts_on: date | None = None
    ends_on: date | None = None  # last day
    invoiced_before: date | None = None  # earlier periods are on a PSA invoice already


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """A product or service as the PSA has it now."""

    external_id: str
    active: bool = True
    bundle: bool = False
    reprices: bool = False


@dataclass(frozen=True, slots=True)
class Expectation:
    """What we believe about the target, and what the run wants to do there."""

    target_id: str
    company_id: str
    currency: str | None
    operations: tuple[Operation, ...]
    other_cycles_allowed: bool = False


def check(
    expected: Expectation, target: TargetFacts | None, products: Mapping[str, ProductFacts]
) -> tuple[Block, ...]:
    """Every reason not to start, or none."""
    if target is None:
        detail = f"the PSA has no agreement or contract {expected.target_id}"
        return (Block(Reason.UNMAPPED_AGREEMENT, detail),)
    return (
        *_check_target(expected, target),
        *_check_kinds(expected, target),
        *_check_products(expected.operations, products),
    )


def products_needed(operations: Iterable[Operation]) -> frozenset[str]:
    """External ids of the products that the operations name."""
    needed = (product_of(operation) for operation in operations)
    return frozenset(p.external_id for p in needed if p is not None and p.external_id is not None)


def _check_target(expected: Expectation, target: TargetFacts) -> Iterable[Block]:
    name = expected.target_id
    if target.company_id != expected.company_id:
        detail = f"{name} belongs to company {target.company_id}, not {expected.company_id}"
        yield Block(Reason.AGREEMENT_COMPANY_MISMATCH, detail)
    if not target.active:
        yield Block(Reason.AGREEMENT_INACTIVE, f"{name} is not active")
    if expected.currency and target.currency and target.currency != expected.currency:
        detail = f"{name} is in {target.currency}, the invoice in {expected.currency}"
        yield Block(Reason.CURRENCY_MISMATCH, detail)
    if target.prorates:
        detail = f"{name} prorates additions; what we push is prorated already"
        yield Block(Reason.AGREEMENT_PRORATES, detail)
    if target.cycle is BillingCycle.OTHER and not expected.other_cycles_allowed:
        detail = f"{name} bills neither monthly nor once"
        yield Block(Reason.BILLING_CYCLE_UNSUPPORTED, detail)


def _check_kinds(expected: Expectation, target: TargetFacts) -> Iterable[Block]:
    kinds = {kind_of(operation) for operation in expected.operations}
    if OperationKind.SERVICE_ADJUSTMENT in kinds and not target.takes_services:
        detail = f"{expected.target_id} takes no recurring services"
        yield Block(Reason.CONTRACT_NOT_RECURRING, detail)
    for operation in expected.operations:
        match operation:
            case ServiceAdjustment():
                yield from _check_day(operation.effective_on, expected, target)
            case Addition() if _is_invoiced(operation, target):
                detail = f"{expected.target_id} has invoiced {operation.effective_on:%Y-%m} already"
                yield Block(Reason.PERIOD_ALREADY_INVOICED, detail)
                return


def _is_invoiced(addition: Addition, target: TargetFacts) -> bool:
    """A one-cycle line in a period that was invoiced would never be billed."""
    return (
        target.invoiced_before is not None
        and target.cycle is BillingCycle.MONTHLY
        and addition.last_on is not None
        and addition.last_on < target.invoiced_before
    )


def _check_day(day: date, expected: Expectation, target: TargetFacts) -> Iterable[Block]:
    early = target.starts_on is not None and day < target.starts_on
    late = target.ends_on is not None and day > target.ends_on
    if early or late:
        detail = f"{day} is outside {expected.target_id} ({target.starts_on} to {target.ends_on})"
        yield Block(Reason.OUTSIDE_CONTRACT_DATES, detail)


def _check_products(
    operations: Sequence[Operation], products: Mapping[str, ProductFacts]
) -> Iterable[Block]:
    for external_id in sorted(products_needed(operations)):
        found = products.get(external_id)
        if found is None:
            yield Block(Reason.UNMAPPED_PRODUCT, f"the PSA has no product {external_id}")
        elif not found.active:
            yield Block(Reason.PRODUCT_INACTIVE, f"product {external_id} is inactive")
        elif found.bundle:
            yield Block(Reason.PRODUCT_BUNDLE, f"product {external_id} is a bundle")
        elif found.reprices:
            detail = f"product {external_id} re-prices its additions by itself"
            yield Block(Reason.PRODUCT_AUTO_REPRICE, detail)
