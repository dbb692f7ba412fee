"""When to look again for the outcome of an attempt, and by which way.

The first look at an unknown outcome follows at once: repeating the same idempotency key is right
whether or not the first request arrived. Later looks are spread, and after the last a person looks.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from payments.domain.attempt import Attempt, State

# Stripe may forget an idempotency key after 24 hours; after this a repeat could charge twice.
KEY_LIFE = timedelta(hours=23)
# What the provider does not list this long after the last send never reached it.
ABSENT_AFTER = timedelta(hours=24)

_UNKNOWN = (timedelta(0), timedelta(minutes=5), timedelta(hours=1), *[timedelta(days=1)] * 5)
_PENDING = (timedelta(hours=1), *[timedelta(days=1)] * 30)


class Way(StrEnum):
    """How to learn what became of an attempt."""

    READ = "read"  # we know its id at the provider
    REPEAT = "repeat"  # send the same request under the same key
    SEARCH = "search"  # go through the customer's payments for our metadata


def next_check(state: State, checks: int, *, confirm_after: timedelta) -> timedelta | None:
    """How long to wait before look number `checks` + 1; None when there is no further one."""
    if state is State.UNKNOWN:
        delays = _UNKNOWN
    elif state in (State.PENDING, State.REQUIRES_ACTION):
        delays = (confirm_after, *_PENDING)
    else:
        return None
    return delays[checks] if checks < len(delays) else None


def way_to_learn(attempt: Attempt, now: datetime) -> Way:
    """The safest way to the outcome of an attempt that was sent."""
    if attempt.provider_payment_id is not None:
        return Way.READ
    if attempt.sent_at is None or now - attempt.sent_at < KEY_LIFE:
        return Way.REPEAT
    return Way.SEARCH


def is_proven_absent(attempt: Attempt, now: datetime) -> bool:
    """Whether a complete search that found nothing proves that nothing was charged."""
    return attempt.last_sent_at is not None and now - attempt.last_sent_at >= ABSENT_AFTER
