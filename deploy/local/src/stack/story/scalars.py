"""The scalar types of a story file: percentages, shares, amounts with a currency, instants."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
)

from shared.kernel.errors import Invalid
from shared.kernel.money import exponent


def _text(pattern: str, otherwise: str) -> AfterValidator:
    """Text of a shape; anything else is answered with a sentence instead of the pattern."""

    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(otherwise)
        return value

    return AfterValidator(check)


Name = Annotated[
    str,
    _text(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}",
        "a name has letters, digits, . _ and -, and begins with a letter or digit",
    ),
]
Country = Annotated[str, _text(r"[A-Z]{2}", "write a country as two capital letters such as US")]
Prefix = Annotated[
    str,
    _text(
        r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,16}[A-Za-z_-])?(?<![0-9])",
        "a prefix has up to 18 letters, digits, - and _, and does not end with a digit, "
        "such as ACME-",
    ),
]


def _percent(value: object) -> object:
    """`8.875 %` → 0.08875."""
    match = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*%\s*", str(value))
    if match is None:
        raise ValueError("write a percentage such as 8.875 %")
    return Decimal(match[1]) / 100


def _known_currency(value: str) -> str:
    try:
        exponent(value)
    except Invalid as error:
        raise ValueError(f"{value} is no currency; write an ISO 4217 code such as USD") from error
    return value


def _share(value: object) -> object:
    """`1/3` or `0.5` → Fraction, between 0 and 1."""
    try:
        share = Fraction(str(value))
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError("write a share such as 1/3 or 0.5") from error
    if not 0 <= share <= 1:
        raise ValueError("a share lies between 0 and 1")
    return share


def _days(value: object) -> object:
    match = re.fullmatch(r"(\d+)/(\d+)", str(value))
    if match is None:
        raise ValueError("write the days of the cycle as 17/30")
    return (int(match[1]), int(match[2]))


def _priced(value: object) -> object:
    """`18.04 USD` → (amount, currency)."""
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?) ([A-Z]{3})", str(value))
    if match is None:
        raise ValueError("write an amount with its currency such as 18.04 USD")
    return (Decimal(match[1]), match[2])


def _yes(value: object) -> object:
    if str(value).lower() != "true":
        raise ValueError("write true, or leave it out")
    return True


def _many(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("write the time zone, for example 2026-04-14T09:12Z")
    return value


Currency = Annotated[str, AfterValidator(_known_currency)]
Yes = Annotated[Literal[True], BeforeValidator(_yes)]
Percent = Annotated[Decimal, BeforeValidator(_percent)]
Share = Annotated[Fraction, BeforeValidator(_share)]
DaysOfCycle = Annotated[tuple[int, int], BeforeValidator(_days)]
Priced = Annotated[tuple[Decimal, Currency], BeforeValidator(_priced)]
Instant = Annotated[datetime, AfterValidator(_utc)]
Names = Annotated[list[str], BeforeValidator(_many)]


class Written(BaseModel):
    """Base of everything a person writes: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
