"""How a part of a billing cycle is counted and how a line is rounded: named, versioned settings.

A convention is written as one text, `days/v1` or `days/v1;zone=America/New_York;rounding=down`,
kept in the contract and printed on every line it made. What a version means never changes: another
meaning is another version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.kernel.errors import Invalid
from shared.kernel.money import Rounding

DEFAULT = "days/v1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Schemes on offer, by name and version; docs/conventions.md defends each of them.
OFFERED: Mapping[str, tuple[str, int | None, str]] = {
    "days/v1": ("day", None, "civil days, over the days of the whole cycle"),
    "days-of-30/v1": ("day", 30, "civil days with months of 30 days, over 30 days a month"),
    "seconds/v1": ("second", None, "seconds, over the seconds of the whole cycle"),
}

# What the trade also does and we do not, by the name people ask for.
NOT_OFFERED: Mapping[str, str] = {
    "days-inclusive": "a notation of days/v1: the end is written as the last day, the count is "
    "the same; write half-open dates instead",
    "days-of-28": "days 29 to 31 of a month would count less than nothing",
    "second-early": "a cycle that ends at 23:59:59 leaves its last second to nobody",
    "clipped-denominator": "a share of the clipped span makes the parts of a cycle cost more "
    "than the cycle",
    "rounded-factor": "a factor cut to 4 or 9 digits before it meets the price loses money on "
    "large lines",
    "rounded-unit": "a unit price rounded before it meets the quantity multiplies the rounding "
    "by the seats; it is how the provider bills us, not how we bill",
    "free-decrease": "seats taken away without a refund would bill what the provider gives back",
}

_ROUNDINGS = {
    Rounding.HALF_AWAY: "half away from zero",
    Rounding.HALF_EVEN: "half to even",
    Rounding.DOWN: "toward zero",
}


@dataclass(frozen=True, slots=True)
class Convention:
    """A scheme with its options. Spans are half-open; a line is rounded once, at its end."""

    scheme: str = DEFAULT
    unit: str = "day"
    month_days: int | None = None  # None: as many days as the calendar has
    zone: str = "UTC"
    rounding: Rounding = Rounding.HALF_AWAY

    @property
    def name(self) -> str:
        """The text that `parse` reads back."""
        options = [] if self.zone == "UTC" else [f"zone={self.zone}"]
        if self.rounding is not Rounding.HALF_AWAY:
            options.append(f"rounding={self.rounding.value}")
        return ";".join([self.scheme, *options])

    @property
    def text(self) -> str:
        """What people read beside a figure."""
        counted = OFFERED[self.scheme][2] if self.scheme in OFFERED else self.scheme
        where = "UTC" if self.zone == "UTC" else f"time zone {self.zone}"
        return f"half-open, {counted}, {where}, {self.rounding_text} once per line"

    @property
    def rounding_text(self) -> str:
        return _ROUNDINGS[self.rounding]

    def day_of(self, instant: datetime) -> date:
        """The civil day that an aware instant falls on."""
        if instant.tzinfo is None:
            raise Invalid("instant_naive", f"{instant} has no time zone")
        return instant.astimezone(_zone(self.zone)).date()

    def count(self, start: date, end: date) -> int:
        """Units from `start` to `end`. A date is the midnight at which it begins in the zone.

        Linear: what lies between a and c is what lies between a and b and between b and c.
        """
        return self._position(end) - self._position(start)

    def _position(self, point: date) -> int:
        if self.unit == "second":
            instant = point if isinstance(point, datetime) else self.midnight(point)
            return (instant - _EPOCH) // timedelta(seconds=1)
        day = self.day_of(point) if isinstance(point, datetime) else point
        if self.month_days is None:
            return day.toordinal()
        return self.month_days * (12 * day.year + day.month) + day.day

    def midnight(self, day: date) -> datetime:
        """The instant at which a day begins in the zone."""
        return datetime(day.year, day.month, day.day, tzinfo=_zone(self.zone)).astimezone(UTC)


@lru_cache(maxsize=1024)
def parse(text: str) -> Convention:
    """The convention that a text names.

    Raises:
        Invalid: `convention_unknown`; the detail says why where the trade knows the name.
    """
    scheme, *options = text.split(";")
    if scheme not in OFFERED:
        why = NOT_OFFERED.get(scheme.partition("/")[0])
        offered = f"choose one of {', '.join(OFFERED)}"
        raise Invalid("convention_unknown", f"{scheme!r} is not offered: {why or offered}")
    unit, month_days, _ = OFFERED[scheme]
    given: dict[str, str] = {}
    for option in options:
        name, _, value = option.partition("=")
        if name not in _OPTIONS or name in given:
            raise Invalid("convention_unknown", f"{option!r} is no option of {scheme}")
        given[name] = _OPTIONS[name](value)
    rounding = Rounding(given.get("rounding", Rounding.HALF_AWAY))
    return Convention(scheme, unit, month_days, given.get("zone", "UTC"), rounding)


def _known_zone(name: str) -> str:
    try:
        _zone(name)
    except (ValueError, OSError, KeyError) as error:
        raise Invalid("convention_unknown", f"{name!r} is no time zone") from error
    return name


def _known_rounding(name: str) -> str:
    known = [rounding.value for rounding in Rounding]
    if name not in known:
        raise Invalid("convention_unknown", f"rounding is one of {', '.join(known)}, not {name!r}")
    return name


_OPTIONS: Mapping[str, Callable[[str], str]] = {"zone": _known_zone, "rounding": _known_rounding}


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)
