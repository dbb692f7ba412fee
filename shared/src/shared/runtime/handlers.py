"""What a service does with a message: one async function per event class, in one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from shared.contracts.envelope import Event
from shared.runtime.postgres import Transaction

Handler = Callable[[Any, Transaction], Awaitable[None]]
Handlers = Mapping[type[Event], Handler]


def topics_of(handlers: Handlers) -> tuple[str, ...]:
    """The topics a service must read to see its events."""
    return tuple(sorted({event.TOPIC for event in handlers}))


async def dispatch(handlers: Handlers, event: Event, tx: Transaction) -> bool:
    """Call the handler of this event; False when this service has no use for it."""
    handler = handlers.get(type(event))
    if handler is None:
        return False
    await handler(event, tx)
    return True
