"""Payments with a simulated Stripe account: one object that drives both sides of the wire."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from payments.clients.stripe import VERSION, Stripe
from payments.main import assemble
from payments.settings import PaymentsSettings
from shared.contracts.invoicing import InvoiceFinalised
from shared.kernel.clock import FrozenClock
from shared.runtime.http import HttpClient
from simulators.app import create_app
from simulators.frame import World
from simulators.journal import Search
from simulators.stripe import Stripe as StripeSimulator
from support.harness import opened
from support.in_process import InProcess, in_process

SECRET = "whsec_of_the_tests"
FORMER_SECRET = "whsec_before"
API_KEY = "sk_test_tests"
HURRY_ATTEMPTS = """
UPDATE attempt SET send_after = now() - interval '1 second',
                   lease_until = CASE WHEN lease_until IS NOT NULL
                                      THEN now() - interval '1 second' END
"""
OPEN_EVENTS = """
SELECT count(*) FROM provider_event WHERE state = 'pending' AND retry_at <= clock_timestamp()
"""
HURRY_EVENTS = "UPDATE provider_event SET retry_at = now() - interval '1 second'"
WEBHOOKS = "http://payments/webhooks/stripe"
SEED: dict[str, Any] = {
    "api_keys": [API_KEY],
    "webhook_secret": SECRET,
    "webhook_url": WEBHOOKS,
    "customers": [
        {
            "id": "cus_alder",
            "payment_methods": [
                {"id": "pm_alder", "token": "pm_card_visa"},
                {"id": "pm_other", "token": "pm_card_mastercard"},
                {"id": "pm_debit", "token": "pm_usBankAccount_success"},
            ],
        }
    ],
}


@dataclass
class Collection:
    """Both sides of the wire."""

    ours: InProcess
    account: Stripe
    stripe: StripeSimulator
    clock: FrozenClock
    control: httpx.AsyncClient

    async def settle(self) -> None:
        """Until our jobs find nothing to do and no webhook is on its way."""
        for _ in range(100):
            await self.stripe.deliveries.settle()
            await self.ours.work()
            if self.stripe.deliveries.idle and not await self._open_events():
                return
        raise AssertionError("webhooks and jobs never come to rest")

    async def _open_events(self) -> int:
        """Webhooks that came in while our jobs were at work on something else."""
        async with self.ours.service.database.read() as reader:
            return int(await reader.fetchval(OPEN_EVENTS))

    async def lever(self, method: str, path: str, **given: Any) -> Any:
        answer = await self.control.request(method, f"/stripe/_control/{path}", **given)
        assert answer.is_success, answer.text
        return answer.json()

    async def fault(self, kind: str, path: str = "payment_intents$", **given: Any) -> None:
        match = {"method": given.pop("method", "POST"), "path": path}
        await self.lever("POST", "faults", json={"match": match, "kind": kind, "times": 1, **given})

    async def outcomes(self, *outcomes: str, method: str = "pm_alder") -> None:
        await self.lever("PATCH", f"payment-methods/{method}", json={"outcomes": outcomes})

    async def webhooks(self, **switches: Any) -> None:
        await self.lever("PUT", "webhooks", json=switches)

    async def release(self, **how: Any) -> None:
        await self.lever("POST", "webhooks/release", json=how)
        await self.settle()

    def intents(self) -> list[dict[str, Any]]:
        """Every payment that exists at the provider."""
        return list(self.stripe.state.rows("payment_intents").values())

    def charges(self) -> list[dict[str, Any]]:
        """Every time money was asked for, collected or not."""
        return list(self.stripe.state.rows("charges").values())

    async def attempts(self, **query: str) -> list[dict[str, Any]]:
        answer = await self.ours.ok("GET", "/v1/attempts", params=query)
        rows: list[dict[str, Any]] = answer["data"]
        return rows

    async def profile(self, method: str = "pm_alder", **changes: str) -> None:
        body = {
            "provider": "stripe",
            "provider_customer_id": "cus_alder",
            "provider_method_id": method,
        }
        await self.ours.ok("PUT", "/v1/profiles/alder", json=body | changes)

    async def holds(self) -> list[str]:
        """Reasons of everything a person has to look at."""
        return [hold["reason"] for hold in (await self.ours.ok("GET", "/v1/holds"))["data"]]

    async def charge_again(self, key: str, invoice_id: str = "inv-1") -> httpx.Response:
        return await self.ours.http.post(
            "/v1/attempts", json={"invoice_id": invoice_id}, headers={"Idempotency-Key": key}
        )

    async def hurry(self) -> None:
        """End pauses and leases that run on the database's own clock."""
        async with self.ours.service.database.transaction() as tx:
            await tx.execute(HURRY_ATTEMPTS)
            await tx.execute(HURRY_EVENTS)

    def posts(self) -> int:
        """How many requests to charge reached the provider's door."""
        found = self.stripe.journal.find(Search(method="POST", path=r"payment_intents\?$"))
        return len(found)

    def advance(self, **delta: int) -> None:
        self.clock.advance(timedelta(**delta))


def invoice(total: str = "1430.77", **changes: Any) -> InvoiceFinalised:
    """A final invoice of Alder Dental."""
    facts: dict[str, Any] = {
        "invoice_id": "inv-1",
        "number": "HC-US-000001",
        "account_id": "alder",
        "contract_id": "ALD-1",
        "selling_entity_id": "hc-us",
        "currency": "USD",
        "invoice_date": date(2026, 5, 1),
        "due_on": date(2026, 5, 15),
        "lines": (),
        "taxes": (),
        "net": Decimal(total),
        "tax": Decimal(0),
        "total": Decimal(total),
    }
    return InvoiceFinalised(**facts | changes)


def signed(
    event: dict[str, Any] | bytes, at: datetime, *, secret: str = SECRET
) -> tuple[bytes, dict[str, str]]:
    """The body and headers of a webhook, signed as Stripe does."""
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    stamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {"stripe-signature": f"t={stamp},v1={digest}"}


@asynccontextmanager
async def collection(dsn: str) -> AsyncIterator[Collection]:
    """The service on a migrated database, with its own Stripe account; both sides must have kept
    to the vendor's contract in the end."""
    clock = FrozenClock(datetime(2026, 5, 2, 1, tzinfo=UTC))
    settings = PaymentsSettings.model_validate(
        {
            "DATABASE_URL": dsn,
            "KAFKA_BOOTSTRAP_SERVERS": "unused",
            "payments_stripe_api_key": API_KEY,
            "payments_stripe_webhook_secret": f"{SECRET}, {FORMER_SECRET}",
        }
    )
    outside = World(clock=clock, base_url="http://simulators")
    board = create_app(outside, names=("stripe",))
    (simulator,) = board.simulators
    assert isinstance(simulator, StripeSimulator)
    simulator.load(SEED)
    account = Stripe(
        HttpClient(
            "http://simulators/stripe",
            name="stripe",
            auth=_bearer(API_KEY),
            headers={"Stripe-Version": VERSION},
            transport=httpx.ASGITransport(app=board),
        )
    )
    async with (
        opened(dsn, "payments", clock=clock) as database,
        in_process(assemble(settings, database, clock, account), clock) as ours,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=ours.app), base_url="http://payments"
        ) as to_us,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=board), base_url="http://simulators"
        ) as control,
    ):
        outside.http = to_us
        yield Collection(ours, account, simulator, clock, control)
        assert simulator.violations == [], "one side broke the vendor's contract"
        await board.aclose()


def _bearer(key: str) -> Callable[[], Awaitable[dict[str, str]]]:
    async def headers() -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"}

    return headers
