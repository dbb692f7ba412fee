"""Which rate applies to a category in a jurisdiction on a day.

Rows are effective-dated and never change: a correction is a higher `version` of the same row. What
an operator entered outranks what this release ships for the same jurisdiction and category.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from shared.kernel.errors import Conflict, Held, Invalid

# A top-up to a minimum commitment is taxed as the usage it stands for, unless it has its own row.
TAXED_AS = {"minimum": "usage"}


class Origin(StrEnum):
    SHIPPED = "shipped"  # comes with the release
    ENTERED = "entered"  # an operator's decision


@dataclass(frozen=True, slots=True)
class Rate:
    """One row of the rate table; `rate` is a fraction: 0.21 is 21 %."""

    rate_id: str
    jurisdiction: str
    category: str
    name: str
    rate: Decimal
    valid_from: date
    version: int = 1
    origin: Origin = Origin.ENTERED

    def __post_init__(self) -> None:
        if not self.rate.is_finite() or not 0 <= self.rate <= 1:
            raise Invalid("rate_out_of_range", "a rate is a fraction from 0 to 1: 0.21 is 21 %")

    @property
    def place(self) -> tuple[str, str]:
        """What the row is for."""
        return self.jurisdiction, self.category


@dataclass(frozen=True, slots=True)
class Entered:
    """What operators entered for one jurisdiction; `version` counts every change anywhere."""

    version: int
    rows: tuple[Rate, ...]
    categories: frozenset[str]


@dataclass(frozen=True, slots=True)
class RateTable:
    """The rows that may decide a document, and the version that names the whole table.

    `categories` are all the table knows anywhere; it tells a category that nobody rates from a
    jurisdiction that lacks one.
    """

    version: str
    rows: tuple[Rate, ...]
    categories: frozenset[str]

    def find(self, jurisdiction: str, category: str, on: date) -> Rate:
        """The row in force on a day.

        Raises:
            Held: `tax_code_missing` when the line has no category the table knows anywhere,
                `no_rate_for_jurisdiction` when the category has no row here on that day.
        """
        for name in _names(category):
            valid = [r for r in self.rows if r.place == (jurisdiction, name) and r.valid_from <= on]
            if valid:
                return max(valid, key=_precedence)
        if self.categories.isdisjoint(_names(category)):
            raise Held("tax_code_missing", f"no rate is known for the tax category {category!r}")
        raise Held("no_rate_for_jurisdiction", f"{jurisdiction!r} has no {category} rate on {on}")


def versioned(rows: Iterable[Rate], entered: Rate) -> Rate:
    """The row to keep for an entry: one of `rows` if it says nothing new, else the next version.

    `rows` are the entered rows so far.

    Raises:
        Conflict: `rate_id_taken` when the id already names another jurisdiction or category,
            `rate_overlaps` when another id decides the same place from the same day.
    """
    versions: list[Rate] = []
    for row in rows:
        same_place, same_day = row.place == entered.place, row.valid_from == entered.valid_from
        if row.rate_id == entered.rate_id and not same_place:
            raise Conflict("rate_id_taken", f"{row.rate_id} is {' '.join(row.place)}")
        if row.rate_id != entered.rate_id and same_place and same_day:
            raise Conflict(
                "rate_overlaps", f"{row.rate_id} already decides this from {row.valid_from}"
            )
        if row.rate_id == entered.rate_id and same_day:
            versions.append(row)
    if not versions:
        return entered
    latest = max(versions, key=_precedence)
    unchanged = (latest.name, latest.rate) == (entered.name, entered.rate)
    return latest if unchanged else replace(entered, version=latest.version + 1)


def _names(category: str) -> tuple[str, ...]:
    alias = TAXED_AS.get(category)
    return (category,) if alias is None else (category, alias)


def _precedence(row: Rate) -> tuple[bool, date, int]:
    return row.origin is Origin.ENTERED, row.valid_from, row.version
