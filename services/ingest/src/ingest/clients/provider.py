"""One way to call the provider: tracing headers, token renewal, and a pause when it says so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from secrets import randbits
from uuid import UUID

from ingest.clients.errors import error_of
from ingest.clients.tokens import Tokens
from shared.runtime.http import NO_RETRY, HttpClient, Query, Response, Sleep

UNAUTHORISED, THROTTLED = 401, 429
LONGEST_PAUSE_S = 120.0  # every request waits meanwhile; who is too early is told so again


class Provider:
    """Signed-in requests to one of the provider's interfaces.

    A 429 holds back every request of this client until its `Retry-After` is over, because every
    request counts, refused ones too.
    """

    def __init__(
        self, http: HttpClient, tokens: Tokens, *, name: str, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._http = http
        self._sleep = sleep
        self._tokens = tokens
        self._name = name
        self._free_at = 0.0

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Query | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (),
    ) -> Response:
        """The answer when it is a success or one of `accept`.

        Raises:
            ProviderError: any other answer.
            OSError: no answer.
        """
        await self._wait()
        response = await self._send(method, path, params, json, headers)
        if response.status == UNAUTHORISED and UNAUTHORISED not in accept:
            self._tokens.forget()
            response = await self._send(method, path, params, json, headers)
        if response.status == THROTTLED:
            pause = min(response.retry_after_s or 1.0, LONGEST_PAUSE_S)
            self._free_at = max(self._free_at, asyncio.get_running_loop().time() + pause)
        if response.ok or response.status in accept:
            return response
        raise error_of(f"{self._name} {method} {path}", response)

    async def _wait(self) -> None:
        left = self._free_at - asyncio.get_running_loop().time()
        if left > 0:
            await self._sleep(left)

    async def _send(
        self,
        method: str,
        path: str,
        params: Query | None,
        json: object,
        headers: Mapping[str, str] | None,
    ) -> Response:
        sent = {
            **(await self._tokens.headers()),
            "Accept": "application/json",
            "MS-RequestId": _guid(),
            "MS-CorrelationId": _guid(),
            "MS-Contract-Version": "v1",
            "MS-PartnerCenter-Application": "Tieout",
            **(headers or {}),
        }
        return await self._http.request(
            method, path, params=params, json=json, headers=sent, retry=NO_RETRY
        )


def _guid() -> str:
    """A request id: it has no cause and orders nothing, it is only unlike any other."""
    return str(UUID(int=randbits(128), version=4))
