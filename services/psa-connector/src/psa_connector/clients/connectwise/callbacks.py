"""The secrets that ConnectWise signs callbacks with, fetched from the tenant's own hosts.

A stranger may name any address on that host, so fetches are few: what is not known yet waits its
turn, and ConnectWise repeats what is answered 429.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic

from psa_connector.clients.connectwise.transport import without_api_prefix
from psa_connector.clients.psa import Timing, Unavailable
from psa_connector.domain.callbacks import require_own_host
from psa_connector.domain.connection import Connection
from shared.runtime.http import NO_RETRY, HttpClient, OutcomeUnknown, Response, Unreachable

KEPT = 32
KEPT_S = 3600.0
BETWEEN_FETCHES_S = 1.0


@dataclass(slots=True)
class _Known:
    """The secrets of one connection; strangers who name its hosts use up its turns only."""

    keys: OrderedDict[str, tuple[float, str]] = field(default_factory=OrderedDict)
    next_fetch: float = 0.0


class SigningKeys:
    """Secrets by connection and address, kept for an hour."""

    def __init__(self, timing: Timing, *, between_fetches_s: float = BETWEEN_FETCHES_S) -> None:
        self._http = HttpClient("", name="connectwise callbacks", timeout_s=timing.timeout_s)
        self._between_fetches_s = between_fetches_s
        self._known: dict[str, _Known] = {}

    async def close(self) -> None:
        await self._http.close()

    async def of(self, connection: Connection, key_url: str) -> str:
        """The secret at an address of the connection's hosts.

        Raises:
            Invalid: `key_url_not_allowed`.
            Unavailable: it cannot be fetched now.
        """
        require_own_host(key_url, _hosts(connection))
        known = self._known.setdefault(connection.id, _Known())
        until, secret = known.keys.get(key_url, (0.0, ""))
        if monotonic() < until:
            return secret
        if monotonic() < known.next_fetch:
            raise Unavailable("another secret was fetched a moment ago")
        known.next_fetch = monotonic() + self._between_fetches_s
        secret = await self._fetch(key_url)
        known.keys[key_url] = (monotonic() + KEPT_S, secret)
        while len(known.keys) > KEPT:
            known.keys.popitem(last=False)
        return secret

    async def _fetch(self, key_url: str) -> str:
        try:
            answer = await self._http.request("GET", key_url, retry=NO_RETRY)
        except (Unreachable, OutcomeUnknown) as error:
            raise Unavailable(str(error)) from error
        secret = _secret(answer) if answer.ok else ""
        if not secret:
            raise Unavailable(f"the secret's address answered HTTP {answer.status} without one")
        return secret


def _secret(answer: Response) -> str:
    """JSON with a `signing_key`, nothing else: any page of the host can be read by strangers."""
    try:
        told = answer.json()
    except ValueError:
        return ""
    found = told.get("signing_key") if isinstance(told, dict) else None
    return found if isinstance(found, str) else ""


def _hosts(connection: Connection) -> Iterator[str]:
    yield connection.base_url
    yield without_api_prefix(connection.base_url)
    ui_base_url = connection.settings.get("ui_base_url")
    if ui_base_url:
        yield str(ui_base_url)
