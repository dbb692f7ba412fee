"""FOCUS cost rows as daily rated usage lines and purchases, so a story can use real cost files.

Usage rows become usage lines: `PricingQuantity` at `ContractedUnitPrice`, billed at `BilledCost`.
Purchase rows (commitments, reservations) become purchases. Tax rows become usage lines of charge
type `tax`, which rating counts as not billable: the customer's tax is ours to determine.
Adjustments are usage lines with their own sign. Nulls are empty or the text `NULL`; times without a
zone are UTC.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path

from shared.kernel.money import Rounding, round_to

COMMITTED = "Committed"
ZERO = Decimal(0)


class FocusError(Exception):
    """A row that cannot be read; the text names file, row and column."""


@dataclass(frozen=True, slots=True)
class FocusRow:
    """What a story needs of one row."""

    number: int  # in the file, from 1
    row_id: str
    sub_account: str
    day: date
    category: str  # usage, purchase, tax, adjustment …
    service: str
    sku: str
    description: str
    resource: str
    unit: str
    quantity: Decimal
    unit_price: Decimal
    effective_unit_price: Decimal  # what the bill implies: BilledCost ÷ PricingQuantity
    list_cost: Decimal
    billed: Decimal
    currency: str


def read_focus(path: Path) -> Iterator[FocusRow]:
    """The rows of a FOCUS 1.0–1.3 CSV file.

    Raises:
        FocusError: for a row without the columns or digits it needs.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=1):
            try:
                yield _row(number, row)
            except (KeyError, InvalidOperation, ValueError) as error:
                raise FocusError(f"{path.name}, row {number}: {error!r}") from error


def _row(number: int, row: dict[str, str]) -> FocusRow:
    billed = _decimal(row["BilledCost"])
    quantity = _decimal(row["PricingQuantity"]) or _decimal(row.get("ConsumedQuantity", ""))
    price = _decimal(row["ContractedUnitPrice"]) or _decimal(row["ListUnitPrice"])
    if not quantity and billed:  # an amount without a quantity, such as an adjustment
        quantity, price = Decimal(1), billed
    covered = row["PricingCategory"] == COMMITTED and billed == ZERO
    return FocusRow(
        number=number,
        row_id=_text(row.get("Id", "")) or f"row-{number}",
        sub_account=_text(row["SubAccountId"]) or _text(row["BillingAccountId"]),
        day=date.fromisoformat(row["ChargePeriodStart"][:10]),
        category=_text(row["ChargeCategory"]).casefold(),
        service=_text(row["ServiceName"]) or "Other",
        sku=_text(row.get("SkuId", "")) or "unknown",
        description=_text(row["ChargeDescription"]),
        resource=_text(row["ResourceId"]),
        unit=_text(row["PricingUnit"]) or _text(row.get("ConsumedUnit", "")) or "1 Unit",
        quantity=quantity,
        unit_price=ZERO if covered else price,  # the commitment was billed as a purchase
        effective_unit_price=_implied(billed, quantity),
        list_cost=_decimal(row["ListCost"]) or billed,
        billed=billed,
        currency=_text(row["BillingCurrency"]),
    )


def _implied(billed: Decimal, quantity: Decimal) -> Decimal:
    """Quantities and unit prices of real rows are rounded at their origin; the bill is not."""
    exact = Fraction(billed) / Fraction(quantity) if quantity else Fraction(0)
    return round_to(exact, 18, Rounding.HALF_EVEN)


def _text(value: str) -> str:
    return "" if value == "NULL" else value.strip()


def _decimal(value: str) -> Decimal:
    text = _text(value)
    return Decimal(text) if text else ZERO
