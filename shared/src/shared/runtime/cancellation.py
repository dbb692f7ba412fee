"""A cancellation must not be lost: who goes on after errors would go on for ever.

Whatever cleans up while a cancellation passes (a rollback on a connection that is gone) may raise
an error of its own, and that error takes the cancellation's place.
"""

from __future__ import annotations

import asyncio


def end_if_cancelled() -> None:
    """Call where an error, or an answer, is about to be followed by another try.

    Raises:
        CancelledError: this task was told to end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
