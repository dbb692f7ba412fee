"""Calendar days on the wire: both PSA vendors carry them as midnight UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime


def midnight(day: date) -> str:
    """`2026-05-01T00:00:00Z`"""
    return f"{day.isoformat()}T00:00:00Z"


def day_of(text: str) -> date:
    """The calendar day of a wire instant; its time of day is dropped, not converted."""
    return date.fromisoformat(text[:10])


def second_of(instant: datetime) -> str:
    """An instant with whole seconds, as both vendors print it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
