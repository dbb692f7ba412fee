"""One question to psa-connector of the running stack."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stack.errors import StackError
from stack.player.services import CallFailed, Services
from stack.running import require_running, services_of

PSA = "psa-connector"
T = TypeVar("T")


def ask(question: Callable[[Services], Awaitable[T]]) -> T:
    """The answer.

    Raises:
        StackError: no stack runs, or the service or the PSA behind it says no.
    """

    async def asked() -> T:
        home, ports = require_running()
        async with services_of(home, ports) as (services, _):
            return await question(services)

    try:
        return asyncio.run(asked())
    except (CallFailed, OSError) as error:
        raise StackError(str(error)) from error
