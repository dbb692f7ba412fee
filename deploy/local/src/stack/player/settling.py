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

Activities = dict[str, dict[str, Any] | None]
Counters = dict[str, tuple[int, ...] | None]


class NotSettled(Exception):
    """Something stayed under way longer than a story may wait; the text says what and where."""


async def settle(services: Services, *, patience_s: float = 60.0, within_s: float = 900.0) -> float:
    """Wait for rest; returns the seconds it took.

    Raises:
        NotSettled: when no counter moved for `patience_s`, or some still move after `within_s`;
            with what is still pending, by service.
    """
    started = moved = monotonic()
    at_rest: Counters | None = None
    seen: Counters | None = None
    while True:
        now = await all_activity(services)
        counters = _counters(now)
        if not _pending(now) and counters == at_rest:
            return monotonic() - started
        at_rest = None if _pending(now) else counters
        if counters != seen:
            seen, moved = counters, monotonic()
        if monotonic() - moved > patience_s or monotonic() - started > within_s:
            raise NotSettled(_what_is_pending(now))
        await asyncio.sleep(LOOK_EVERY_S)


def _counters(now: Activities) -> Counters:
    """What every service has done so far; None for one that does not answer."""
    return {
        service: None if activity is None else tuple(int(activity[n]) for n in _COUNTERS)
        for service, activity in now.items()
    }


def _pending(now: Activities) -> bool:
    return any(
        activity is None or any(activity[name] for name in _PENDING) for activity in now.values()
    )


def _what_is_pending(now: Activities) -> str:
    parts = []
    for service, activity in now.items():
        if activity is None:
            parts.append(f"{service} does not answer")
            continue
        pending = {name: activity[name] for name in _PENDING if activity[name]}
        if pending:
            parts.append(f"{service}: " + ", ".join(f"{k} {v}" for k, v in pending.items()))
    return "; ".join(parts) or "the counters keep moving"
