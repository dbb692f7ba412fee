"""Computes what the Azure stories must come to, from the CSV files and from nothing of ours.

Exact fractions, one rounding per invoice line, half away from zero. The figures stand in the story
files; `test_focus_stories.py` holds them against this.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

Lines = dict[tuple[str, ...], Fraction]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def cents(value: Fraction) -> Decimal:
    """Half away from zero, to two places."""
    units, rest = divmod(abs(value) * 100, 1)
    rounded = Decimal(units + (rest >= Fraction(1, 2))) / 100
    return -rounded if value < 0 else rounded


def number(text: str) -> Fraction:
    return Fraction(0) if text in {"", "NULL"} else Fraction(text)


def azure_month(
    path: Path, accounts: set[str], usage_factor: Fraction, purchase_factor: Fraction
) -> tuple[int, Decimal]:
    """Invoice lines and net: usage by sub-account × service at contracted price, each purchase."""
    usage: Lines = defaultdict(Fraction)
    purchases = []
    for row in rows(path):
        if row["SubAccountId"] not in accounts:
            continue
        if row["ChargeCategory"] == "Usage":
            covered = row["PricingCategory"] == "Committed" and not number(row["BilledCost"])
            price = Fraction(0) if covered else number(row["ContractedUnitPrice"])
            key = (row["SubAccountId"], row["ServiceName"])
            usage[key] += number(row["PricingQuantity"]) * price
        elif row["ChargeCategory"] == "Purchase":
            purchases.append(cents(number(row["ListCost"]) * purchase_factor))
    lines = [cents(exact * usage_factor) for exact in usage.values()] + purchases
    lines = [line for line in lines if line]
    return len(lines), sum(lines, Decimal(0))


def billed_month(path: Path, factor: Fraction) -> tuple[int, Decimal]:
    """Invoice lines and net: mark-up on what the provider billed, by sub-account × service."""
    usage: Lines = defaultdict(Fraction)
    for row in rows(path):
        usage[(row["SubAccountId"], row["ServiceName"])] += number(row["BilledCost"])
    lines = [line for line in (cents(exact * factor) for exact in usage.values()) if line]
    return len(lines), sum(lines, Decimal(0))


def billed_total(path: Path) -> Decimal:
    return sum((Decimal(row["BilledCost"]) for row in rows(path)), Decimal(0))
