"""Rating's price API: that of the stack that runs here, or any other by its address and a token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from shared.runtime.http import READ_RETRY, HttpClient
from stack.player.services import CallFailed, Services, refused
from stack.running import complaint, require_running, services_of


class Books(Protocol):
    """What the commands ask of rating."""

    async def get(self, path: str) -> Any: ...

    async def post(self, path: str, body: object) -> Any: ...

    async def pages(self, path: str, **params: str | int | None) -> list[Any]: ...

    async def unknown(self, contracts: set[str]) -> list[str]:
        """Those that invoicing does not have; none where it cannot be asked."""
        ...


class LocalBooks:
    """Rating of the stack of this environment."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def get(self, path: str) -> Any:
        return await self._services.get("rating", path)

    async def post(self, path: str, body: object) -> Any:
        return await self._services.post("rating", path, body)

    async def pages(self, path: str, **params: str | int | None) -> list[Any]:
        return await self._services.pages("rating", path, **params)

    async def unknown(self, contracts: set[str]) -> list[str]:
        if not contracts:
            return []
        rows = await self._services.pages("invoicing", "/v1/contracts")
        return sorted(contracts - {row["contract_id"] for row in rows})


class RemoteBooks:
    """Rating at an address, with a token that its owner got from the issuer."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def get(self, path: str, **params: str | int | None) -> Any:
        return await self._ask("GET", path, params=params)

    async def post(self, path: str, body: object) -> Any:
        return await self._ask("POST", path, json=body)

    async def pages(self, path: str, **params: str | int | None) -> list[Any]:
        rows: list[Any] = []
        cursor: str | None = None
        while True:
            answer = await self.get(path, limit=500, cursor=cursor, **params)
            rows += answer["data"]
            cursor = answer.get("next_cursor")
            if cursor is None:
                return rows

    async def unknown(self, contracts: set[str]) -> list[str]:
        return []

    async def _ask(self, method: str, path: str, **given: Any) -> Any:
        answer = await self._client.request(method, path, retry=READ_RETRY, **given)
        if not answer.ok:
            raise refused("rating", f"{method} {path}", answer)
        return answer.json()


@asynccontextmanager
async def books(url: str | None, token: str | None, person: str | None) -> AsyncIterator[Books]:
    """The books of `url`, or of the local stack as `person`.

    Raises:
        StackError: when there are none, or they refuse.
    """
    try:
        if url is not None:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            client = HttpClient(url, name="rating", timeout_s=600, headers=headers)
            try:
                yield RemoteBooks(client)
            finally:
                await client.close()
        else:
            home, ports = require_running()
            async with services_of(home, ports, person=person) as (services, _):
                yield LocalBooks(services)
    except (CallFailed, OSError) as error:
        raise complaint(error, "The prices cannot be reached") from error
