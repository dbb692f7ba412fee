"""Waits until nothing is under way anywhere: no lag, no unsent event, no open work, still counters.

Two looks must agree: between two equal readings of every counter with nothing pending, no message
can have been on its way, because sending or handling one would have moved a counter.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from stack.player.services import Services, all_activity

_PENDING = ("outbox_unsent", "consumer_lag", "work_pending", "retrying")
_COUNTERS = ("handled", "published")
LOOK_EVERY_S = 0.04


class NotSettled(Exception):
    """Something stayed under way longer than a story may wait; the text says what and where."""


async def settle(services: Services, *, timeout_s: float = 120.0) -> float:
    """Wait for rest; returns the seconds it took.

    Raises:
        NotSettled: with what is still pending, by service.
    """
    started = monotonic()
    before: dict[str, tuple[int, ...]] | None = None
    while True:
        now = await all_activity(services)
        counters = _counters_at_rest(now)
        if counters is not None and counters == before:
            return monotonic() - started
        before = counters
        if monotonic() - started > timeout_s:
            raise NotSettled(_what_is_pending(now))
        await asyncio.sleep(LOOK_EVERY_S)


def _counters_at_rest(now: dict[str, dict[str, Any] | None]) -> dict[str, tuple[int, ...]] | None:
    """Every counter, or None while something is pending or a service does not answer."""
    result = {}
    for service, activity in now.items():
        if activity is None or any(activity[name] for name in _PENDING):
            return None
        result[service] = tuple(int(activity[name]) for name in _COUNTERS)
    return result


def _what_is_pending(now: dict[str, dict[str, Any] | None]) -> str:
    parts = []
    for service, activity in now.items():
        if activity is None:
            parts.append(f"{service} does not answer")
            continue
        pending = {name: activity[name] for name in _PENDING if activity[name]}
        if pending:
            parts.append(f"{service}: " + ", ".join(f"{k} {v}" for k, v in pending.items()))
    return "; ".join(parts) or "the counters keep moving"
