"""Carries out the steps of a timeline: acts at the provider, publishes files, runs invoices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from shared.kernel.periods import utc_day
from stack.player import provider_setup
from stack.player.names import Names
from stack.player.service_setup import put_price
from stack.player.services import Services
from stack.player.settling import settle
from stack.player.timeline import EventStep, InvoiceStep, Step, SyncStep, UsageStep
from stack.story.focus import FocusRow, read_focus
from stack.story.format import Event, PriceRule, Purchase, Usage, UsageLine

CHUNK = 5_000  # usage lines handed to the simulator in one request
BY = "admin@customer.example"


@dataclass
class Outcome:
    """What the provider said to an event of a story."""

    story: str
    event: str
    refused: bool
    answer: str


@dataclass
class Actor:
    """Acts for the people of a story."""

    services: Services
    story_files: dict[str, Path]  # story name → its file, for relative paths
    outcomes: list[Outcome] = field(default_factory=list)

    async def act(self, step: Step) -> None:
        await self.services.simulator("POST", "/partner-center/_control/tick")
        match step:
            case EventStep(_, names, event):
                await self._event(names, event)
            case UsageStep(_, names, usage):
                await self._publish_usage(names, usage)
            case SyncStep():
                await self.services.post("ingest", "/v1/syncs", {}, key=f"sync {step.at}")
            case InvoiceStep():
                await self._invoices(step)

    async def _invoices(self, step: InvoiceStep) -> None:
        for number, wave in enumerate(step.waves):
            if number:
                await settle(self.services)  # those before have their numbers now
            body = {"invoice_date": step.invoice_date.isoformat(), "contract_ids": list(wave)}
            await self.services.post("invoicing", "/v1/invoice-runs", body)

    async def _event(self, names: Names, event: Event) -> None:
        if event.kind == "price":
            assert isinstance(event.price, PriceRule)
            assert event.contract is not None
            await put_price(self.services, names, event.contract, event.price)
        elif event.kind == "one_time":
            await self._one_time(names, event)
        elif event.kind == "buy":
            await self._buy(names, event)
        elif event.kind == "upgrade":
            await self._upgrade(names, event)
        elif event.kind == "new_price":
            await self._new_price(names, event)
        elif event.kind == "move":
            await self._allocate(names, event, "move", event.move or {})
        else:
            assert event.subscription is not None
            change = {
                "subscription_id": names.subscription(event.subscription),
                "by": BY,
                **_change(event),
            }
            await self._at_provider("changes", names, event, change)
            if event.sites:
                await self._allocate(names, event, "change", event.sites)

    async def _allocate(self, names: Names, event: Event, kind: str, seats: dict[str, int]) -> None:
        """Say whose seats they are; nothing happens at the provider."""
        assert event.subscription is not None
        body = {
            "subscription_id": names.subscription(event.subscription),
            "kind": kind,
            "effective_on": utc_day(event.at).isoformat(),
            "sites": [{"contract_id": names.own(x), "seats": n} for x, n in seats.items()],
            "cause": event.id,
        }
        await self.services.put("rating", f"/v1/allocations/{names.allocation(event.id)}", body)

    async def _new_price(self, names: Names, event: Event) -> None:
        """The provider's next sheet has another price; it is read the same day."""
        row = provider_setup.later_row(names, event)
        body = {"customers": [], "subscriptions": [], "price_sheet": [row]}
        await self.services.simulator("POST", "/partner-center/_control/additions", body)
        sheet = {"market": row["market"], "currency": row["currency"]}
        await self.services.post(
            "ingest", "/v1/price-sheets:import", sheet, key=f"{names.allocation(event.id)} sheet"
        )

    async def _upgrade(self, names: Names, event: Event) -> None:
        assert event.upgrade is not None
        assert event.subscription is not None
        customer, _, _ = event.subscription.partition("/")
        product = names.story.products[event.upgrade]
        product_id, _, sku_id = str(product.sku).partition(":")
        body = {
            "subscription_id": names.subscription(event.subscription),
            "product_id": product_id,
            "sku_id": sku_id,
            "name": product.name,
            "quantity": event.seats,
            "new_subscription_id": names.subscription(f"{customer}/{event.as_}"),
            "by": BY,
        }
        await self._at_provider("transitions", names, event, body)

    async def _at_provider(
        self, lever: str, names: Names, event: Event, body: dict[str, Any]
    ) -> None:
        path = f"/partner-center/_control/{lever}"
        answer = await self.services.simulator_answer("POST", path, body)
        self.outcomes.append(Outcome(names.story.story, event.id, not answer.ok, answer.text))

    async def _buy(self, names: Names, event: Event) -> None:
        assert event.buy is not None
        assert event.customer is not None
        product = names.story.products[event.buy]
        product_id, _, sku_id = str(product.sku).partition(":")
        line = {
            "product_id": product_id,
            "sku_id": sku_id,
            "name": product.name,
            "quantity": event.seats,
            "term": product.term,
            "billing_plan": product.plan,
            "subscription_id": names.subscription(f"{event.customer}/{event.as_}"),
        }
        body = {
            "customer_id": names.customer(event.customer),
            "currency": product.cost[1] if product.cost else "USD",
            "by": BY,
            "lines": [line],
        }
        await self._at_provider("purchases", names, event, body)

    async def _one_time(self, names: Names, event: Event) -> None:
        assert event.one_time is not None
        assert event.contract is not None
        assert isinstance(event.price, Decimal)
        body = {
            "item_id": names.own(f"{names.story.story}-{event.id}"),
            "product_key": names.product_key(event.one_time),
            "name": names.story.products[event.one_time].name,
            "tax_category": "service",
            "quantity": f"{event.quantity:f}",
            "unit_price": f"{event.price:f}",
            "on": utc_day(event.at).isoformat(),
        }
        path = f"/v1/contracts/{names.own(event.contract)}/one-time-items"
        await self.services.post("invoicing", path, body)

    async def _publish_usage(self, names: Names, usage: Usage) -> None:
        """The provider closes a month: usage, other invoice lines, the invoice; then it is read."""
        number = names.provider_invoice(usage.invoice)
        common = {
            "invoice_number": number,
            "billing_month": usage.month,
            "currency": usage.currency,
            "exchange_rate": f"{usage.rate.USD:f}",
            "exchange_rate_date": (usage.rate.on or utc_day(usage.published)).isoformat(),
        }
        lines, purchases = self._provider_lines(names, usage)
        for start in range(0, max(1, len(lines)), CHUNK):
            body = {**common, "lines": lines[start : start + CHUNK], "append": start > 0}
            await self.services.simulator("POST", "/partner-center/_control/usage", body)
        body = {**common, "lines": purchases}
        await self.services.simulator("POST", "/partner-center/_control/reconciliation", body)
        await self._publish_invoice(usage, number)
        export = {"kind": "billed", "invoice_number": number}
        await self.services.post("ingest", "/v1/usage-exports", export)
        await self.services.post("ingest", "/v1/reconciliation-exports", {"invoice_number": number})

    async def _publish_invoice(self, usage: Usage, number: str) -> None:
        invoice = {
            "id": number,
            "invoice_date": utc_day(usage.published).isoformat(),
            "period_start": provider_setup.first_day(usage.month).isoformat(),
            "period_end": provider_setup.last_day(usage.month).isoformat(),
            "currency": usage.currency,
            "total": "0",
        }
        await self.services.simulator("POST", "/partner-center/_control/invoices", invoice)

    def _provider_lines(
        self, names: Names, usage: Usage
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        lines = [_usage_line(names, usage, line) for line in usage.lines]
        purchases = [_purchase_line(names, usage, purchase) for purchase in usage.purchases]
        if usage.focus is not None:
            path = self.story_files[names.story.story].parent / usage.focus.file
            for customer, row in _focus_rows(usage, path):
                if row.category == "purchase":
                    purchases.append(_purchase_line(names, usage, _as_purchase(customer, row)))
                else:
                    lines.append(_focus_line(names, usage, customer, row))
        return lines, purchases


def _change(event: Event) -> dict[str, Any]:
    if event.seats is not None:
        return {"quantity": event.seats}
    if event.at_renewal is not None:
        return {"auto_renew": True, "next_term": {"quantity": event.at_renewal["seats"]}}
    statuses = {"cancel": "deleted", "suspend": "suspended", "resume": "active"}
    return {"status": statuses[event.kind]}


def _usage_line(names: Names, usage: Usage, line: UsageLine) -> dict[str, Any]:
    return {
        "lineId": line.id,
        "customerId": names.customer(line.customer),
        "customerName": names.story.customers[line.customer].name,
        "entitlementId": names.azure(line.azure),
        "entitlementDescription": line.azure,
        "usageDate": f"{line.date}T00:00:00Z",
        "meterCategory": line.category,
        "meterId": line.meter,
        "meterName": line.meter,
        "chargeType": "new",
        "quantity": line.quantity,
        "unitPrice": line.price,
        "rateOfPartnerEarnedCredit": line.pec,
        "pricingCurrency": line.currency,
        "billingCurrency": usage.currency,
        "pcToBCExchangeRate": _rate(usage, line.currency),
    }


def _purchase_line(names: Names, usage: Usage, purchase: Purchase) -> dict[str, Any]:
    azure = purchase.azure
    return {
        "customerId": names.customer(purchase.customer),
        "customerName": names.story.customers[purchase.customer].name,
        "orderId": purchase.id,
        "orderDate": f"{provider_setup.first_day(usage.month)}T00:00:00Z",
        "productId": "DZH318Z0BQ4B",
        "skuId": "00BZ",
        "productName": purchase.name,
        "skuName": purchase.name,
        "subscriptionId": names.azure(azure) if azure else names.customer(purchase.customer),
        "subscriptionDescription": purchase.category.replace("_", " "),
        "reservationOrderId": purchase.id if purchase.category != "other" else "",
        "chargeType": "new",
        "quantity": purchase.quantity,
        "billableQuantity": purchase.quantity,
        "unitPrice": purchase.price,
        "effectiveUnitPrice": purchase.cost,
        "pricingCurrency": purchase.currency,
        "currency": usage.currency,
        "pcToBCExchangeRate": _rate(usage, purchase.currency),
        "chargeStartDate": f"{provider_setup.first_day(usage.month)}T00:00:00Z",
        "chargeEndDate": f"{provider_setup.last_day(usage.month)}T00:00:00Z",
        "billingFrequency": "Monthly",
    }


def _rate(usage: Usage, currency: str) -> Decimal:
    return Decimal(1) if currency == usage.currency else usage.rate.USD


def _focus_rows(usage: Usage, path: Path) -> Iterator[tuple[str, FocusRow]]:
    assert usage.focus is not None
    for row in read_focus(path):
        customer = usage.focus.customer or usage.focus.customers.get(row.sub_account)
        if customer is not None:
            yield customer, row


def _focus_line(names: Names, usage: Usage, customer: str, row: FocusRow) -> dict[str, Any]:
    return {
        "lineId": row.row_id,
        "customerId": names.customer(customer),
        "customerName": names.story.customers[customer].name,
        "entitlementId": names.azure(row.sub_account),
        "entitlementDescription": row.sub_account,
        "usageDate": f"{row.day}T00:00:00Z",
        "meterCategory": row.service,
        "meterId": row.sku,
        "meterName": row.description[:200],
        "resourceUri": row.resource,
        "unitOfMeasure": row.unit,
        "chargeType": "tax" if row.category == "tax" else "new",
        "quantity": row.quantity,
        "unitPrice": row.unit_price,
        "effectiveUnitPrice": row.effective_unit_price,
        "rateOfPartnerEarnedCredit": Decimal(0),
        "pricingPreTaxTotal": row.billed,
        "billingPreTaxTotal": row.billed,
        "pricingCurrency": row.currency,
        "billingCurrency": usage.currency,
        "pcToBCExchangeRate": _rate(usage, row.currency),
    }


def _as_purchase(customer: str, row: FocusRow) -> Purchase:
    return Purchase(
        id=row.row_id,
        customer=customer,
        azure=row.sub_account,
        category="savings_plan" if "Savings" in row.description else "reservation",
        name=row.description,
        price=row.list_cost,
        cost=row.billed,
        currency=row.currency,
    )
