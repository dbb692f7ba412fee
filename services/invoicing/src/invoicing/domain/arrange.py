"""The order of lines: recurring, prorations, usage, minimum, purchases, one-time items; a promotion
stands behind the line it reduces.

Inside a kind the order is the reader's: recurring by product and commitment, prorations by
effective date, usage by subscription and category. It is a function of the lines alone, so drafts
made from the same facts in any order of arrival are identical.
"""

from __future__ import annotations

import re
from datetime import date

from shared.contracts.invoicing import InvoiceLine
from shared.contracts.rating import ChargeKind, ChargeProduct, ChargeRated

Position = tuple[int, int, tuple[str | int, ...]]

_KINDS = {kind: rank for rank, kind in enumerate(ChargeKind)}
_ONE_TIME = len(_KINDS)

# Provider invoices and cost reports open with compute, then storage; the rest is alphabetical.
_LEADING_CATEGORIES = ("Virtual Machines", "Storage")

_TERM = re.compile(r"P(\d+)([MY])")


def charge_position(charge: ChargeRated, line: InvoiceLine) -> Position:
    """Where a line of a charge stands; corrections follow the plain lines of their kind."""
    is_correction = int(line.corrects is not None and line.kind != ChargeKind.USAGE)
    kind = _shown_as(charge)
    is_promotion = int(charge.kind is ChargeKind.PROMOTION)
    return (
        _KINDS[kind],
        is_correction,
        (*_inside(charge, kind), is_promotion, charge.charge_id),
    )


def item_position(on: date, item_id: str) -> Position:
    """One-time items come last, by date."""
    return (_ONE_TIME, 0, (on.isoformat(), item_id))


def _shown_as(charge: ChargeRated) -> ChargeKind:
    """A promotion stands right behind the recurring charge or the proration that it reduces."""
    if charge.kind is not ChargeKind.PROMOTION:
        return charge.kind
    return ChargeKind.PRORATION if charge.effective_at else ChargeKind.RECURRING


def _inside(charge: ChargeRated, kind: ChargeKind) -> tuple[str | int, ...]:
    subscription = charge.subscription_name or charge.subscription_id or ""
    starts = charge.service_period.start.isoformat()
    product = charge.product
    match kind:
        case ChargeKind.RECURRING:
            return (product.name, -_months(product), subscription, starts)
        case ChargeKind.PRORATION:
            happened = charge.effective_at.isoformat() if charge.effective_at else ""
            return (starts, happened, product.name, -_months(product), subscription)
        case ChargeKind.USAGE:
            return (subscription, _category_rank(product.name), product.name, starts)
        case ChargeKind.MINIMUM | ChargeKind.PURCHASE | ChargeKind.PROMOTION:
            return (subscription, product.name, starts)


def _months(product: ChargeProduct) -> int:
    """Length of the commitment: the longer one is read first; 0 when there is none."""
    found = _TERM.fullmatch(product.term or "")
    if found is None:
        return 0
    return int(found[1]) * (12 if found[2] == "Y" else 1)


def _category_rank(name: str) -> int:
    category = name.removeprefix("Azure ")
    if category in _LEADING_CATEGORIES:
        return _LEADING_CATEGORIES.index(category)
    return len(_LEADING_CATEGORIES)
