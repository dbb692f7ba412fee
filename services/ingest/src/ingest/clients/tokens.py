"""Access tokens of the partner tenant: one per scope, cached until shortly before they expire.

Token lifetimes are real time, never the business clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from ingest.clients.errors import error_of
from shared.runtime.http import READ_RETRY, HttpClient

EARLY_S = 300.0
SHORTEST_S = 5.0


@dataclass(frozen=True, slots=True)
class Application:
    """Who signs in. With a refresh token the tokens are those of a user, otherwise app-only."""

    tenant_id: str
    client_id: str
    client_secret: str
    refresh_token: str | None = None

    def form(self, scope: str) -> dict[str, str]:
        form = {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "scope": scope,
            "grant_type": "client_credentials",
        }
        if self.refresh_token:
            form |= {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        return form


class Tokens:
    """The token of one application for one scope."""

    def __init__(self, login: HttpClient, application: Application, scope: str) -> None:
        self._login = login
        self._application = application
        self._scope = scope
        self._lock = asyncio.Lock()
        self._token = ""
        self._good_until = 0.0

    async def headers(self) -> Mapping[str, str]:
        """The header of the next request.

        Raises:
            ProviderError: the sign-in was refused or is busy.
            OSError: the sign-in cannot be reached.
        """
        async with self._lock:
            if asyncio.get_running_loop().time() >= self._good_until:
                await self._sign_in()
            return {"Authorization": f"Bearer {self._token}"}

    def forget(self) -> None:
        """The token was not accepted: get another one next time."""
        self._good_until = 0.0

    async def _sign_in(self) -> None:
        path = f"/{self._application.tenant_id}/oauth2/v2.0/token"
        form = self._application.form(self._scope)
        response = await self._login.request("POST", path, data=form, retry=READ_RETRY)
        if not response.ok:
            raise error_of("sign-in", response)
        body = response.json()
        lifetime = float(body.get("expires_in", 0))
        self._token = str(body["access_token"])
        early = min(EARLY_S, lifetime / 2)
        self._good_until = asyncio.get_running_loop().time() + max(SHORTEST_S, lifetime - early)
