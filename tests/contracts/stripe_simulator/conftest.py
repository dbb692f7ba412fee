"""A simulated Stripe in this process, and a receiver that keeps the webhooks it gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from shared.kernel.clock import FrozenClock
from simulators.app import create_app
from simulators.exact_json import dumps, loads
from simulators.frame import Switchboard, World
from simulators.stripe import Stripe

SEED: dict[str, Any] = {
    "webhook_secret": "whsec_test",
    "customers": [
        {
            "id": "cus_alder",
            "name": "Alder Dental",
            "payment_methods": [
                {"id": "pm_alder", "token": "pm_card_visa"},
                {"id": "pm_poor", "token": "pm_card_visa_chargeDeclinedInsufficientFunds"},
                {"id": "pm_sepa", "token": "pm_sepaDebit"},
            ],
        },
        {"id": "cus_birch", "payment_methods": [{"id": "pm_birch"}]},
    ],
    "webhook_url": "http://payments/webhooks/stripe/main",
}


@dataclass(slots=True)
class Receiver:
    """What arrived, in order; `statuses` are answered first, then 200."""

    requests: list[httpx.Request] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self.statuses.pop(0) if self.statuses else 200)

    @property
    def types(self) -> list[str]:
        return [loads(r.content)["type"] for r in self.requests]


class Client:
    """The vendor's API, form-encoded, and its levers."""

    def __init__(self, http: httpx.AsyncClient, stripe: Stripe) -> None:
        self.http = http
        self.stripe = stripe

    async def api(self, method: str, path: str, **given: Any) -> httpx.Response:
        headers = {
            "authorization": "Bearer sk_test_x",
            "stripe-version": "2026-10-28.endive",
            **given.pop("headers", {}),
        }
        key = given.pop("key", None)
        if key is not None:
            headers["idempotency-key"] = key
        data = given.pop("data", given)
        kind = "params" if method == "GET" else "data"
        return await self.http.request(method, f"/stripe/v1{path}", headers=headers, **{kind: data})

    async def ok(self, method: str, path: str, **given: Any) -> Any:
        answer = await self.api(method, path, **given)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def pay(self, key: str | None = None, **changes: Any) -> httpx.Response:
        """An off-session charge of a stored method, as a payments service makes it."""
        given = {
            "amount": "143077",
            "currency": "usd",
            "customer": "cus_alder",
            "payment_method": "pm_alder",
            "confirm": "true",
            "off_session": "true",
            "error_on_requires_action": "true",
            "metadata[attempt_id]": "a-1",
            **changes,
        }
        data = {k: v for k, v in given.items() if v is not None}
        return await self.api("POST", "/payment_intents", key=key, data=data)

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else dumps(body)
        answer = await self.http.request(method, f"/stripe/_control{path}", content=content)
        assert answer.status_code < 300, answer.text
        return loads(answer.content)

    async def violations(self) -> list[str]:
        found = (await self.control("GET", "/violations"))["violations"]
        return [f"{v['side']}: {v['detail']}" for v in found]


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(datetime(2026, 5, 1, 9, tzinfo=UTC))


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def client(clock: FrozenClock, receiver: Receiver) -> AsyncIterator[Client]:
    outside = httpx.AsyncClient(transport=httpx.MockTransport(receiver))
    world = World(clock=clock, base_url="http://sim", http=outside)
    board: Switchboard = create_app(world, names=["stripe"])
    stripe = next(s for s in board.simulators if isinstance(s, Stripe))
    transport = httpx.ASGITransport(app=board)
    async with httpx.AsyncClient(transport=transport, base_url="http://sim") as http:
        client = Client(http, stripe)
        await client.control("PUT", "/state", SEED)
        yield client
        breaches = await client.violations()
        assert [b for b in breaches if b.startswith("simulator")] == []
    await board.aclose()
