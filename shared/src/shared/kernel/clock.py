"""Business time is a parameter. Back-off and time-outs use the event loop's own clock instead."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What day and instant the business believes it is."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        ...


class FrozenClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, instant: datetime) -> None:
        if instant.tzinfo is None:
            raise ValueError("a clock needs an aware instant")
        self._now = instant.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def set(self, instant: datetime) -> None:
        self._now = instant.astimezone(UTC)

    def advance(self, delta: timedelta) -> None:
        self._now += delta


def today(clock: Clock) -> date:
    return clock.now().astimezone(UTC).date()
