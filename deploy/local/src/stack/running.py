"""Clients of the stack that runs in a home; what `play`, `explain` and `audit` talk through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.contracts.topics import SERVICES
from stack import lifecycle
from stack.errors import Mistaken, NotPermitted, StackError
from stack.home import Home
from stack.keyring import Keyring
from stack.player.services import Addresses, CallFailed, Services
from stack.ports import Ports
from stack.state import is_running

MISTAKES = frozenset({400, 404, 405, 410, 413, 422})


def require_running() -> tuple[Home, Ports]:
    """The home and ports of the running stack.

    Raises:
        StackError: when none runs.
    """
    home, ports = lifecycle.here()
    if not is_running(home):
        raise StackError("No stack is running here; start one with `tieout up`.")
    return home, ports


@asynccontextmanager
async def services_of(
    home: Home, ports: Ports, *, person: str | None = None
) -> AsyncIterator[tuple[Services, Addresses]]:
    """Clients with a token of the development issuer, and where everything is. The issuer believes
    whoever has the stack's secret to be the `person` they say."""
    addresses = Addresses(
        http={name: f"http://127.0.0.1:{ports.http(name)}" for name in SERVICES},
        management={name: f"http://127.0.0.1:{ports.management(name)}" for name in SERVICES},
        simulators=f"http://127.0.0.1:{ports.simulators}",
    )
    secret = Keyring(home.keys).get("issuer-client-secret")
    services = Services(addresses, client_id=person or "tieout-cli", client_secret=secret)
    try:
        yield services, addresses
    finally:
        await services.close()


def complaint(error: CallFailed | OSError, otherwise: str) -> StackError:
    """What a person is told of a call that failed: the service's own words if it refused (exit
    code 64 for what it does not know or understand, 77 for what may not be done), and `otherwise`
    if it could not be asked (69)."""
    status = error.status if isinstance(error, CallFailed) else None
    if isinstance(error, CallFailed) and status is not None and 400 <= status < 500:
        if status in MISTAKES:
            code = error.code or str(status)
            return Mistaken(code, error.reason.removesuffix(f" [{code}]"))
        return NotPermitted(error.reason)
    return StackError(f"{otherwise}: {error}")
