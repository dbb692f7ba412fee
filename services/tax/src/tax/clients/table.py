"""The embedded engine: rows shipped with the release under rows entered by operators.

Shipped rows come from `tax/rates/*.csv`; each file names its source, its licence and its version. A
file rates all categories alike, which is what a standard VAT rate means.
"""

from __future__ import annotations

import csv
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.resources import files

from tax.domain.determination import Determination, Document, determine
from tax.domain.rates import Entered, Origin, Rate, RateTable

NAME = "embedded"
CATEGORIES = ("licence", "usage", "reservation", "service")
_VERSION = "# Version: "

ReadEntered = Callable[[str], Awaitable[Entered]]
"""What operators entered for a jurisdiction."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """The rate files of this release."""

    version: str
    rows: tuple[Rate, ...]


def read_shipped() -> Shipped:
    """All rate files of the package, in the order of their names."""
    versions: list[str] = []
    rows: list[Rate] = []
    found = [entry for entry in files("tax").joinpath("rates").iterdir()]
    for entry in sorted(found, key=lambda e: e.name):
        if entry.name.endswith(".csv"):
            version, of_file = parse(entry.name.removesuffix(".csv"), entry.read_text("utf-8"))
            versions.append(version)
            rows += of_file
    return Shipped("+".join(versions), tuple(rows))


def parse(series: str, text: str) -> tuple[str, list[Rate]]:
    """One rate file: its version and its rows. `series` begins every rate id of the file."""
    lines = text.splitlines()
    version = next(line for line in lines if line.startswith(_VERSION)).removeprefix(_VERSION)
    table = csv.DictReader(line for line in lines if not line.startswith("#"))
    return version, [
        Rate(
            rate_id=f"{series}-{row['jurisdiction'].lower()}-{category}",
            jurisdiction=row["jurisdiction"],
            category=category,
            name=row["name"],
            rate=Decimal(row["percent"]).scaleb(-2),
            valid_from=date.fromisoformat(row["valid_from"]),
            origin=Origin.SHIPPED,
        )
        for row in table
        for category in CATEGORIES
    ]


class TableEngine:
    """Answers from rate tables alone; it needs no network."""

    def __init__(self, shipped: Shipped, read_entered: ReadEntered) -> None:
        self._shipped = shipped
        self._read_entered = read_entered

    async def version(self) -> str:
        return self._version((await self._read_entered("")).version)

    async def determine(self, document: Document) -> Determination:
        places = document.jurisdictions
        entered = [await self._read_entered(place) for place in places]
        here = [row for row in self._shipped.rows if row.jurisdiction in places]
        known = frozenset(row.category for row in self._shipped.rows)
        table = RateTable(
            # A rate entered between two reads makes a hold stale, so the older version is told.
            version=self._version(min(one.version for one in entered)),
            rows=(*here, *(row for one in entered for row in one.rows)),
            categories=known.union(*(one.categories for one in entered)),
        )
        return determine(document, table, engine=NAME)

    def _version(self, entered: int) -> str:
        return f"{self._shipped.version}+{entered}"
