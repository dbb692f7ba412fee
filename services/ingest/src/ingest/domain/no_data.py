"""What to make of "No data available", the provider's answer to an export.

Of an open period it is the answer: nobody used anything yet. Of an invoice it mostly means "not
yet": its lines appear around the day it comes out. Only when they have not appeared long after that
is it taken for an answer, too.
"""

from __future__ import annotations

from datetime import datetime, timedelta

ASK_EVERY = timedelta(hours=6)
PATIENCE = timedelta(days=10)  # from the order on; lines of an invoice come within three days


def asked_again_at(now: datetime, *, ordered_at: datetime, billed: bool) -> datetime | None:
    """When to ask once more; None: this is the answer."""
    if not billed or now - ordered_at >= PATIENCE:
        return None
    return now + ASK_EVERY
