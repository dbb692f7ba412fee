"""Time as this vendor prints it: seven fractional digits here, none there."""

from __future__ import annotations

from datetime import UTC, date, datetime

_DOTNET_EPOCH = datetime(1, 1, 1, tzinfo=UTC)


def precise(instant: datetime) -> str:
    """`2026-04-14T09:12:00.1234560Z`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def precise_offset(instant: datetime) -> str:
    """The form in webhooks: seven digits and a numeric offset."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0+00:00")


def plain(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def last_second(day: date) -> str:
    return f"{day.isoformat()}T23:59:59Z"


def ticks(instant: datetime) -> int:
    """100-nanosecond steps since the year 1, the tail of an audit record's id."""
    delta = instant.astimezone(UTC) - _DOTNET_EPOCH
    return (delta.days * 86_400 + delta.seconds) * 10_000_000 + delta.microseconds * 10


def us_date_time(day: date) -> str:
    """`4/1/2026 12:00:00 AM`, as price sheets print it."""
    return f"{day.month}/{day.day}/{day.year} 12:00:00 AM"
