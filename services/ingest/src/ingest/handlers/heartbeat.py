"""Keeps a lease while work is under way, and ends the work when somebody else holds the lease.

Work may take longer than a lease lasts. Without renewal two workers would take it from each other
in turn, and neither would ever commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class LeaseLost(Exception):
    """The lease went to somebody else, or could not be renewed: the work was cancelled."""


@asynccontextmanager
async def kept(
    what: str, renew: Callable[[], Awaitable[bool]], *, every_s: float
) -> AsyncIterator[None]:
    """Renew every `every_s` seconds while the block runs.

    Raises:
        LeaseLost: a renewal was refused or failed; the block was cancelled.
    """
    work = asyncio.current_task()
    assert work is not None
    lost: list[str] = []

    async def beat() -> None:
        reason = await _until_refused(renew, every_s)
        lost.append(reason)
        work.cancel()

    beating = asyncio.create_task(beat())
    try:
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
    except BaseException as ended:
        # As asyncio.timeout does it: a cancellation from outside is passed on. Also where the
        # clean-up raised an error in its place: a task that stays cancelled ends its loop.
        if lost and work.uncancel() == 0:
            raise LeaseLost(f"{what}: {lost[0]}") from ended
        raise


async def _until_refused(renew: Callable[[], Awaitable[bool]], every_s: float) -> str:
    while True:
        await asyncio.sleep(every_s)
        try:
            if not await renew():
                return "somebody else holds the lease"
        # Whatever stops the renewals has to stop the work: nobody else would notice here.
        except Exception as error:
            return f"the lease could not be renewed: {error!r}"
