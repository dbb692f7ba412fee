"""Rows of the table, their conventions as ours, and what counts as the same answer."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rating.domain.proration import Coefficient, Span, coefficient
from shared.kernel.conventions import Convention, parse
from shared.kernel.money import Rounding, exponent, round_to

CENTS = 0  # amounts in cents have no digits after the point
ANY_DAY = date(2023, 1, 1)  # where a row gives a number of days and no dates


@dataclass(frozen=True, slots=True)
class Row:
    case_id: str
    topic: str
    inputs: dict[str, Any]
    expected: dict[str, Any]

    @property
    def calc(self) -> str:
        return str(self.inputs["calc"])

    @property
    def convention(self) -> Convention:
        """The one of ours that the row's prose describes."""
        told = {key: str(value) for key, value in self.inputs["convention"].items()}
        if re.search(r"second|duration", told.get("unit", "")):
            return parse("seconds/v1")
        fixed = re.search(r"fixed (\d+) days per month", told.get("denominator", ""))
        if fixed:
            days = int(fixed.group(1))
            return Convention(scheme=f"days-of-{days}", month_days=days)
        zone = self.inputs.get("time_zone", "UTC")
        return parse("days/v1" if zone == "UTC" else f"days/v1;zone={zone}")

    def share(self, part: Span, whole: Span) -> Coefficient:
        return coefficient(part, whole, self.convention, reason=self.case_id)

    def day(self, name: str) -> date:
        return date.fromisoformat(self.inputs[name])

    def instant(self, name: str) -> datetime:
        return instant(self.inputs[name])

    def number(self, name: str) -> Decimal:
        return Decimal(str(self.inputs[name]))


Adapter = Callable[[Row], dict[str, object]]


def read(path: Path) -> list[Row]:
    """Every row of a table with the columns of `peer-cases.csv`."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                row["case_id"], row["topic"],
                json.loads(row["inputs"], parse_float=Decimal),
                json.loads(row["expected"], parse_float=Decimal),
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def wall(text: str, zone: str) -> datetime:
    """What a clock on a wall of the zone shows, as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def inclusive(first: date, last: date) -> Span:
    """From dates that are both part of it."""
    return Span(first, last + timedelta(days=1))


def days(count: int, *, until: date = ANY_DAY) -> Span:
    """So many days, wherever they lie."""
    return Span(until - timedelta(days=count), until)


def span(pair: list[str]) -> Span:
    if "T" in pair[0]:
        return Span(instant(pair[0]), instant(pair[1]))
    return Span(date.fromisoformat(pair[0]), date.fromisoformat(pair[1]))


def closed(exact: Decimal | Fraction, currency: str = "USD") -> Decimal:
    """A line of money."""
    return round_to(exact, exponent(currency), Rounding.HALF_AWAY)


def cents(exact: Decimal | Fraction) -> Decimal:
    """A line of money in cents."""
    return round_to(exact, CENTS, Rounding.HALF_AWAY)


def same(expected: object, found: object) -> bool:
    """Equal as numbers, dates and lists; a peer's map of answers may name some of ours only."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(key in found and same(value, found[key]) for key, value in expected.items())
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(same, expected, found))
    if isinstance(found, int | Decimal | Fraction):
        try:
            return Fraction(str(expected)) == Fraction(found)
        except (ValueError, InvalidOperation):
            return False
    return str(expected) == str(found)
