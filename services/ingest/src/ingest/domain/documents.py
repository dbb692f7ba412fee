"""Reading what a provider sends: names in any casing, dates in any of its formats, exact numbers.

Microsoft prints one field as `skuId`, `SkuId`, `SKU Id`; times with seven fractional digits; money
as a JSON number here and as text there. Everything here is total: what cannot be read raises
`Invalid` with a stable code, never a bare ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from shared.kernel.errors import Invalid

FRACTION_DIGITS = 18
WHOLE_DIGITS = 20

_NOT_A_LETTER_OR_DIGIT = re.compile(r"[^a-z0-9]")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Short enough to be inside the bounds whatever its digits are: nearly every number of a file.
_SHORT_NUMBER = re.compile(r"-?\d{1,19}(\.\d{1,18})?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_US_TIME = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4})"
    r"(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?: ?([AaPp])[Mm])?)?"
)


@lru_cache(maxsize=4_096)
def plain_name(name: str) -> str:
    """`SubscriptionId`, `subscription_id` and `ERP Price` as one spelling: letters and digits.

    The same few names come millions of times, hence the cache.
    """
    return _NOT_A_LETTER_OR_DIGIT.sub("", name.casefold())


def fold(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with plain names; the first of two spellings of one name wins."""
    folded: dict[str, Any] = {}
    for name, value in document.items():
        folded.setdefault(plain_name(name), value)
    return folded


class Fields:
    """A document read by name, whatever the casing. The first name that has a value wins."""

    __slots__ = ("_folded",)

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._folded = fold(document)

    def has(self, *names: str) -> bool:
        """Whether one of these is present and not null."""
        return self.value(*names) is not None

    def value(self, *names: str) -> Any:
        for name in names:
            found = self._folded.get(plain_name(name))
            if found is not None:
                return found
        return None

    def text(self, *names: str) -> str:
        """The value as text without surrounding blanks; empty when absent."""
        found = self.value(*names)
        return "" if found is None else str(found).strip()

    def ident(self, *names: str) -> str:
        """An identifier: GUIDs in lower case, everything else as printed."""
        return identifier(self.text(*names))

    def flag(self, *names: str) -> bool | None:
        found = self.value(*names)
        if isinstance(found, bool) or found is None:
            return found
        return str(found).strip().casefold() == "true"

    def integer(self, *names: str) -> int | None:
        """A whole number, from 12, "12" or 12.0."""
        found = self.value(*names)
        if found is None or found == "":
            return None
        number = exact(found)
        if number != number.to_integral_value():
            raise Invalid("number_not_whole", f"{names[0]} is {found}")
        return int(number)

    def decimal(self, *names: str) -> Decimal | None:
        found = self.value(*names)
        return None if found is None or found == "" else exact(found)

    def instant(self, *names: str) -> datetime | None:
        text = self.text(*names)
        return instant_of(text) if text else None

    def day(self, *names: str) -> date | None:
        found = self.instant(*names)
        return found.date() if found else None

    def mapping(self, *names: str) -> Mapping[str, Any]:
        found = self.value(*names)
        return found if isinstance(found, Mapping) else {}

    def sequence(self, *names: str) -> list[Any]:
        found = self.value(*names)
        return list(found) if isinstance(found, list | tuple) else []


def identifier(text: str) -> str:
    """GUIDs in lower case, because the provider prints one id in both; all else unchanged."""
    return text.lower() if _GUID.fullmatch(text) else text


def guids_in(text: str) -> list[str]:
    """Every GUID of a text, in order, in lower case."""
    return [m.group().lower() for m in _GUID.finditer(text)]


def exact(value: object) -> Decimal:
    """The decimal that the text says, digit by digit.

    Raises:
        Invalid: `number_malformed`, `number_not_finite`, `number_from_float`, or `number_digits`
            for more than 18 digits after the point or 20 before it (an absurd exponent, too).
    """
    if isinstance(value, float | bool):
        raise Invalid("number_from_float", f"{value!r} has already lost digits")
    text = str(value).strip().lstrip("'")
    if _SHORT_NUMBER.fullmatch(text):
        return Decimal(text) or Decimal(0)
    if text.lstrip("+-").casefold() in ("nan", "snan", "infinity", "inf"):
        raise Invalid("number_not_finite", f"{text} is not a number")
    if not _NUMBER.fullmatch(text):
        raise Invalid("number_malformed", f"{text[:60]!r} is not a number")
    try:
        return _bounded(Decimal(text), text)
    except InvalidOperation as error:
        raise Invalid("number_malformed", f"{text[:60]!r} is not a number") from error


def _bounded(number: Decimal, text: str) -> Decimal:
    if not number:
        return Decimal(0)
    if number.adjusted() >= WHOLE_DIGITS:
        raise Invalid("number_digits", f"{text[:60]} has more than {WHOLE_DIGITS} digits")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -FRACTION_DIGITS:
        number = _without_trailing_zeros(number, text)
    return number


def _without_trailing_zeros(number: Decimal, text: str) -> Decimal:
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise Invalid("number_not_finite", f"{text} is not a number")
    kept = len(digits)
    while kept > 1 and digits[kept - 1] == 0 and exponent < -FRACTION_DIGITS:
        kept, exponent = kept - 1, exponent + 1
    if exponent < -FRACTION_DIGITS:
        raise Invalid(
            "number_digits", f"{text[:60]} has more than {FRACTION_DIGITS} digits after the point"
        )
    return Decimal((sign, digits[:kept], exponent))


def instant_of(text: str) -> datetime:
    """An instant in UTC from ISO 8601 (any number of fractional digits) or the US format of CSVs.

    A time without a zone is UTC, as all times of the provider are.

    Raises:
        Invalid: `time_malformed`.
    """
    us = _US_TIME.fullmatch(text.strip())
    try:
        # Some published resources print `08: 00: 00`.
        iso = text.strip().replace(": ", ":")
        found = _from_us(us) if us else datetime.fromisoformat(iso)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid("time_malformed", f"{text[:60]!r} is not a time") from error


def day_of(text: str) -> date:
    """The UTC day of what `instant_of` reads."""
    return instant_of(text).date()


def _from_us(match: re.Match[str]) -> datetime:
    month, day, year, hour, minute, second, half = match.groups()
    hours = int(hour or 0)
    if half:
        hours = hours % 12 + (12 if half in "Pp" else 0)
    return datetime(
        int(year), int(month), int(day), hours, int(minute or 0), int(second or 0), tzinfo=UTC
    )
