"""Talks to the services' internal APIs and to the levers of the simulators, as any client would."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from shared.contracts.topics import SERVICES
from shared.kernel.ids import derived_id
from shared.runtime.http import READ_RETRY, HttpClient, OutcomeUnknown, Response, Unreachable

Row = dict[str, Any]

WEBHOOKS_WITHIN_S = 300.0
SCOPES = "billing:read billing:operate pricing:admin platform:admin"


class CallFailed(Exception):
    """A service did not accept what the player asked; the text says what it answered. A refusal
    has its status, its code and its own words."""

    def __init__(self, text: str, *, answer: Response | None = None) -> None:
        super().__init__(text)
        self.status = answer.status if answer else None
        self.reason = reason_of(answer) if answer else text
        self.code = code_of(answer) if answer else None


def refused(who: str, asked: str, answer: Response) -> CallFailed:
    """What `who` answered, when it was no yes."""
    return CallFailed(f"{who} answered {asked}: {reason_of(answer)}", answer=answer)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything listens."""

    http: Mapping[str, str]  # service → base URL
    management: Mapping[str, str]
    simulators: str


class Services:
    """One client per service; writes carry an idempotency key derived from what they say."""

    def __init__(self, addresses: Addresses, *, client_id: str, client_secret: str) -> None:
        self._addresses = addresses
        self._credentials = {"client_id": client_id, "client_secret": client_secret}
        self._token: str | None = None
        self._clients = {
            name: HttpClient(url, name=name, timeout_s=60, auth=self._authorise)
            for name, url in addresses.http.items()
        }
        self._management = {
            name: HttpClient(url, name=f"{name} management", timeout_s=10)
            for name, url in addresses.management.items()
        }
        self._simulators = HttpClient(addresses.simulators, name="simulators", timeout_s=60)

    async def close(self) -> None:
        for client in (*self._clients.values(), *self._management.values(), self._simulators):
            await client.close()

    async def get(self, service: str, path: str, **params: str | int | None) -> Any:
        return await self._ask(service, "GET", path, params=params)

    async def put(self, service: str, path: str, body: object) -> Any:
        return await self._ask(service, "PUT", path, body=body)

    async def post(self, service: str, path: str, body: object, *, key: str | None = None) -> Any:
        return await self._ask(service, "POST", path, body=body, key=key)

    async def get_text(self, service: str, path: str) -> str:
        """An answer that is no JSON, such as a sheet."""
        answer = await self._clients[service].request("GET", path, retry=READ_RETRY)
        if not answer.ok:
            raise refused(service, f"GET {path}", answer)
        return answer.text

    async def post_text(
        self, service: str, path: str, text: str, *, media: str, params: Mapping[str, str]
    ) -> Any:
        """Send a sheet. Repeating it changes nothing more."""
        answer = await self._clients[service].request(
            "POST", path, data=text.encode(), params=params, headers={"Content-Type": media},
            retry=READ_RETRY,
        )  # fmt: skip
        if not answer.ok:
            raise refused(service, f"POST {path}", answer)
        return answer.json()

    async def pages(self, service: str, path: str, **params: str | int | None) -> list[Any]:
        """Every row of a list, whatever its number of pages."""
        rows: list[Any] = []
        cursor: str | None = None
        while True:
            answer = await self.get(service, path, limit=500, cursor=cursor, **params)
            rows += answer["data"]
            cursor = answer.get("next_cursor")
            if cursor is None:
                return rows

    async def activity(self, service: str) -> dict[str, Any] | None:
        """What the service still has to do; None while it does not answer."""
        try:
            answer = await self._management[service].request("GET", "/activity")
        except (Unreachable, OutcomeUnknown):
            return None
        return dict(answer.json()) if answer.ok else None

    async def simulator(self, method: str, path: str, body: object = None) -> Any:
        """Pull a lever of a simulator. 4xx answers of story changes are the caller's to read."""
        answer = await self._simulators.request(method, path, json=body)
        if not answer.ok:
            raise CallFailed(f"the simulator answered {method} {path}: {reason_of(answer)}")
        return answer.json() if answer.content else None

    async def put_webhooks(self, *, copies: int, hold: bool) -> None:
        """How the provider's notifications travel from now on; without copies they are lost."""
        mode = "drop" if copies == 0 else "hold" if hold else "deliver"
        body = {"mode": mode, "copies": max(1, copies)}
        await self.simulator("PUT", "/partner-center/_control/webhooks", body)

    async def release_webhooks(self, *, seed: int, copies: int) -> None:
        """Let held notifications go in a shuffled order, and hold no more."""
        await self.put_webhooks(copies=copies, hold=False)
        body = {"order": "shuffled", "seed": seed}
        await self.simulator("POST", "/partner-center/_control/webhooks/release", body)

    async def webhooks_out(self) -> None:
        """Wait until no notification of a vendor is on its way to us.

        Raises:
            CallFailed: when some still are after `WEBHOOKS_WITHIN_S`.
        """
        for vendor in ("partner-center", "stripe"):
            path = f"/{vendor}/_control/webhooks?state=queued"
            deadline = monotonic() + WEBHOOKS_WITHIN_S
            while not (await self.simulator("GET", path))["idle"]:
                if monotonic() > deadline:
                    raise CallFailed(f"notifications of {vendor} do not get through to us")
                await asyncio.sleep(0.02)

    async def simulator_answer(self, method: str, path: str, body: object = None) -> Response:
        return await self._simulators.request(method, path, json=body)

    async def _ask(
        self,
        service: str,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, str | int | None] | None = None,
        key: str | None = None,
    ) -> Any:
        headers = {"Idempotency-Key": key or derived_id(method, path, repr(body))}
        answer = await self._clients[service].request(
            method, path, json=body, params=params, headers=headers, retry=READ_RETRY
        )
        if not answer.ok:
            raise refused(service, f"{method} {path}", answer)
        return answer.json() if answer.content else None

    async def _authorise(self) -> Mapping[str, str]:
        if self._token is None:
            form = {"grant_type": "client_credentials", "scope": SCOPES, **self._credentials}
            answer = await self._simulators.request("POST", "/issuer/token", data=form)
            if not answer.ok:
                raise CallFailed(f"the issuer refused a token: {answer.text[:300]}")
            self._token = str(answer.json()["access_token"])
        return {"Authorization": f"Bearer {self._token}"}


def reason_of(answer: Response) -> str:
    """What the answer says to a person."""
    try:
        told = answer.json()
    except ValueError:
        return f"{answer.status} {answer.text[:300]}"
    if not isinstance(told, dict) or "detail" not in told:
        return f"{answer.status} {answer.text[:300]}"
    errors = "; ".join(
        f"{error.get('pointer')}: {error.get('message')}"
        for error in told.get("errors", ())
        if isinstance(error, dict)
    )
    return f"{told['detail']}{f' ({errors})' if errors else ''} [{told.get('code')}]"


def code_of(answer: Response) -> str | None:
    """The stable code of a refusal that has one."""
    try:
        told = answer.json()
    except ValueError:
        return None
    code = told.get("code") if isinstance(told, dict) else None
    return code if isinstance(code, str) else None


async def all_activity(services: Services) -> dict[str, dict[str, Any] | None]:
    found = await asyncio.gather(*(services.activity(name) for name in SERVICES))
    return dict(zip(SERVICES, found, strict=True))
