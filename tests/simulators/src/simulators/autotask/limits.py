"""The two limits of Autotask: three calls at a time per endpoint, and a shared hourly quota.

Nothing about them is told by a status code that a client would expect: too many threads is an HTTP
500 with a text, and half way to the quota every call just becomes slow.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=60)


@dataclass(slots=True)
class Limits:
    """`threads` 0 and `hourly` 0 switch a limit off."""

    threads: int = 3
    hourly: int = 10_000
    slow_ms: int = 500  # added to each call from half of the hourly quota on
    latency_ms: int = 1  # what every call takes, so that calls can overlap at all


class TooManyThreads(Exception):
    """A fourth call to one endpoint while three are running."""


class Usage:
    """Calls under way per (integration, endpoint), and all calls of the last hour."""

    def __init__(self) -> None:
        self._running: Counter[tuple[str, str]] = Counter()
        self._calls: deque[datetime] = deque()
        self.most_running = 0

    @contextmanager
    def thread(self, integration: str, endpoint: str, limit: int) -> Iterator[None]:
        key = (integration, endpoint)
        if limit and self._running[key] >= limit:
            raise TooManyThreads
        self._running[key] += 1
        self.most_running = max(self.most_running, self._running[key])
        try:
            yield
        finally:
            self._running[key] -= 1

    def count(self, now: datetime) -> int:
        """Calls within the last 60 minutes of business time."""
        while self._calls and self._calls[0] <= now - WINDOW:
            self._calls.popleft()
        return len(self._calls)

    def add(self, now: datetime) -> int:
        self._calls.append(now)
        return self.count(now)

    def pretend(self, now: datetime, calls: int) -> None:
        """As if other integrations of the tenant had made so many calls just now."""
        self._calls = deque([now] * calls)
