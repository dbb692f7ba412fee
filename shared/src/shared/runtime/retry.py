"""One retry policy: exponential, full jitter, `Retry-After` honoured, attempts and time capped."""

from __future__ import annotations

from dataclasses import dataclass

from tenacity import RetryCallState, wait_random_exponential
from tenacity.stop import stop_base


@dataclass(frozen=True, slots=True)
class Backoff:
    """From `first_s` doubling to `longest_s`, each wait drawn from [0, bound]."""

    first_s: float = 0.2
    longest_s: float = 30.0
    total_s: float = 600.0
    attempts: int | None = None

    def wait(self) -> wait_random_exponential:
        return wait_random_exponential(multiplier=self.first_s, max=self.longest_s)


class StopWhen(stop_base):
    """Stop after the attempts of a `Backoff`, or when the next wait would pass its total time.

    So a `Retry-After` of an hour is the caller's to deal with, and not slept through here.
    """

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff

    def __call__(self, retry_state: RetryCallState) -> bool:
        attempts = self._backoff.attempts
        if attempts is not None and retry_state.attempt_number >= attempts:
            return True
        waited = retry_state.seconds_since_start or 0.0
        return waited + retry_state.upcoming_sleep >= self._backoff.total_s
