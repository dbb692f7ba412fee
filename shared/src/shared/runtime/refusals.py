"""Refused callers on the audit trail, without letting anybody fill the disk with them.

Up to `BURST` refusals are recorded one by one, then one more each `EVERY_S` seconds; those between
are counted, and the next record and a metric tell how many they were.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from shared.runtime.telemetry import REFUSALS_UNRECORDED

BURST = 60
EVERY_S = 1.0


class Refusals:
    """How many refusals may still be recorded; one for each kind of caller of a process."""

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._allowed = float(BURST)
        self._counted_at = seconds()
        self._unrecorded = 0

    def admit(self) -> int | None:
        """Whether to record this one: how many went unrecorded before it, or None for not."""
        now = self._seconds()
        regained = (now - self._counted_at) / EVERY_S
        self._allowed = min(float(BURST), self._allowed + regained)
        self._counted_at = now
        if self._allowed < 1:
            self._unrecorded += 1
            REFUSALS_UNRECORDED.inc()
            return None
        self._allowed -= 1
        before, self._unrecorded = self._unrecorded, 0
        return before
