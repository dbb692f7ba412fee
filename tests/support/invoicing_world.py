"""The invoicing service with rating and tax played by hand: what they would answer, on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from invoicing.main import assemble
from invoicing.settings import InvoicingSettings
from shared.contracts.invoicing import CycleClosed, InvoiceDrafted, InvoiceFinalised
from shared.contracts.payments import PaymentSucceeded
from shared.contracts.rating import ChargeRated
from shared.contracts.tax import TaxDetermined
from shared.kernel.clock import FrozenClock
from shared.runtime.consumer import Outcome
from shared.runtime.postgres import Database
from support.billing_facts import cycle_rated, tax_of
from support.harness import Harness, opened
from support.in_process import InProcess, in_process

RATES = {"licence": "0.08875", "service": "0", "usage": "0.21", "reservation": "0.21"}

SELLER = {
    "name": "Harbor Cloud Inc.",
    "country": "US",
    "tax_mode": "per_line",
    "invoice_prefix": "HUS-",
    "payment_terms_days": 15,
}
ACCOUNT = {
    "name": "Alder Dental",
    "selling_entity_id": "harbor-us",
    "country": "US",
    "tax_jurisdiction": "US-NY",
    "currency": "USD",
}
CONTRACT = {
    "account_id": "alder",
    "currency": "USD",
    "timing": "advance",
    "anchor_day": 1,
    "invoice_offset_days": 0,
    "starts_on": "2026-04-01",
    "billed_through": "2026-05-01",
    "provider_customer_id": "tenant-alder",
}
ONBOARDING = {
    "item_id": "o1",
    "product_key": "onboarding",
    "name": "Onboarding",
    "tax_category": "service",
    "quantity": "1",
    "unit_price": "150.00",
    "on": "2026-04-22",
}


@dataclass
class World:
    """Invoicing on one database; the rest of the system is the test."""

    process: InProcess

    @property
    def harness(self) -> Harness:
        return self.process.harness

    @property
    def database(self) -> Database:
        return self.process.service.database

    @property
    def clock(self) -> FrozenClock:
        return self.process.clock

    async def put(self, path: str, body: dict[str, Any]) -> Any:
        return await self.process.ok("PUT", path, json=body)

    async def get(self, path: str, **params: Any) -> Any:
        return await self.process.ok("GET", path, params=params)

    async def seller(self, selling_entity_id: str = "harbor-us", **changes: Any) -> Any:
        return await self.put(f"/v1/selling-entities/{selling_entity_id}", SELLER | changes)

    async def account(self, account_id: str = "alder", **changes: Any) -> Any:
        return await self.put(f"/v1/accounts/{account_id}", ACCOUNT | changes)

    async def contract(self, contract_id: str = "ALD-1", **changes: Any) -> Any:
        return await self.put(f"/v1/contracts/{contract_id}", CONTRACT | changes)

    async def item(self, contract_id: str = "ALD-1", **changes: Any) -> Any:
        path = f"/v1/contracts/{contract_id}/one-time-items"
        return await self.process.ok("POST", path, json=ONBOARDING | changes)

    async def alder(self) -> None:
        """One seller, one account, one contract in advance."""
        await self.seller()
        await self.account()
        await self.contract()

    async def request(self, invoice_date: str, *contract_ids: str) -> list[dict[str, Any]]:
        """Request runs and start those that may start."""
        body: dict[str, Any] = {"invoice_date": invoice_date}
        if contract_ids:
            body["contract_ids"] = contract_ids
        answer = await self.process.ok("POST", "/v1/invoice-runs", json=body)
        await self.process.work()
        return list(answer["data"])

    async def run_of(self, contract_id: str, invoice_date: str) -> dict[str, Any]:
        found = await self.get(
            "/v1/invoice-runs", contract_id=contract_id, invoice_date=invoice_date
        )
        [run] = found["data"]
        return dict(run)

    async def deliver(self, *events: Any) -> list[Outcome]:
        return [await self.harness.deliver(event) for event in events]

    async def rated(
        self, run_id: str, invoice_date: str, charges: Sequence[ChargeRated], /, **changes: Any
    ) -> None:
        """Rating publishes these charges and says that they are all."""
        await self.deliver(*charges, cycle_rated(run_id, invoice_date, charges, **changes))

    async def taxed(self, rates: dict[str, str] | None = None) -> list[TaxDetermined]:
        """Tax answers the newest draft of every invoice that has no answer yet."""
        newest: dict[str, InvoiceDrafted] = {}
        for draft in await self.harness.published(InvoiceDrafted):
            newest[draft.invoice_id] = draft
        answers = [tax_of(draft, rates or RATES) for draft in newest.values()]
        await self.deliver(*answers)
        await self.process.work()
        return answers

    async def bill(
        self, invoice_date: str, charges: Sequence[ChargeRated], contract_id: str = "ALD-1"
    ) -> dict[str, Any]:
        """The whole way for one contract, to its invoice. `charges` are all current ones."""
        await self.request(invoice_date, contract_id)
        run = await self.run_of(contract_id, invoice_date)
        await self.rated(run["run_id"], invoice_date, charges, contract_id=contract_id)
        await self.taxed()
        return await self.invoice_of(contract_id, invoice_date)

    async def invoice_of(self, contract_id: str, invoice_date: str) -> dict[str, Any]:
        found = await self.get("/v1/invoices", contract_id=contract_id, invoice_date=invoice_date)
        [head] = found["data"]
        return dict(await self.get(f"/v1/invoices/{head['invoice_id']}"))

    async def paid(self, invoice: dict[str, Any], **changes: Any) -> Outcome:
        facts: dict[str, Any] = {
            "attempt_id": f"attempt-{invoice['number']}",
            "invoice_id": invoice["invoice_id"],
            "invoice_number": invoice["number"],
            "account_id": invoice["account_id"],
            "amount": Decimal(invoice["total"]),
            "currency": invoice["currency"],
            "provider": "stripe",
            "provider_payment_id": "pi_1",
            "succeeded_at": self.clock.now(),
        }
        return await self.harness.deliver(PaymentSucceeded(**facts | changes))

    async def closed_cycles(self) -> list[CycleClosed]:
        return await self.harness.published(CycleClosed)

    async def finalised(self) -> list[InvoiceFinalised]:
        return await self.harness.published(InvoiceFinalised)

    async def holds(self) -> list[dict[str, Any]]:
        return list((await self.get("/v1/holds"))["data"])

    async def dead(self) -> list[Any]:
        async with self.database.read() as reader:
            return await reader.fetch("SELECT error_code, error FROM dead_letter ORDER BY id")


@asynccontextmanager
async def invoicing_world(dsn: str) -> AsyncIterator[World]:
    """On a migrated database, some day in June 2027 so that every story's dates have begun."""
    clock = FrozenClock(datetime(2027, 6, 30, 6, tzinfo=UTC))
    settings = InvoicingSettings.model_validate(
        {"DATABASE_URL": dsn, "KAFKA_BOOTSTRAP_SERVERS": "unused"}
    )
    async with (
        opened(dsn, "invoicing", clock=clock) as database,
        in_process(assemble(settings, database, clock), clock) as process,
    ):
        yield World(process)
