"""How a story drives the vendor: what people do in its portal, what it bills, what time brings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from shared.kernel.periods import month_of
from simulators.exact_json import Document, dumps, loads
from simulators.http_messages import Answer
from simulators.partner_center import resources
from simulators.partner_center.audit import Actor, audit_resource
from simulators.partner_center.billing_lines import Header, reconciliation_line, usage_line
from simulators.partner_center.commerce import Line
from simulators.partner_center.move_records import AddOn, UpgradePath
from simulators.partner_center.records import (
    Customer,
    FxRate,
    Guid,
    Invoice,
    Plan,
    PriceRow,
    Subscription,
    Tenant,
    Term,
)
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.rules import Change
from simulators.partner_center.shop import Shop

PORTAL_USER = "admin@partner.onmicrosoft.com"


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PortalChange(Change):
    """A `Change` of one subscription by a person, now or at an instant that has passed."""

    subscription_id: Guid
    at: AwareDatetime | None = None
    by: str = PORTAL_USER

    @property
    def change(self) -> Change:
        return Change.model_validate(self.model_dump(exclude={"subscription_id", "at", "by"}))


class PurchaseLine(_Order):
    product_id: str
    sku_id: str = "0001"
    availability_id: str = ""
    name: str = ""
    quantity: int
    term: Term = "P1Y"
    billing_plan: Plan = "monthly"
    custom_term_end: date | None = None
    partner_id: str = ""
    promotion_id: str = ""
    subscription_id: Guid | None = None
    parent_id: Guid | None = None
    unit_price: Decimal | None = None


class Purchase(_Order):
    customer_id: Guid
    lines: list[PurchaseLine] = Field(min_length=1)
    currency: str = "USD"
    at: AwareDatetime | None = None
    by: str = PORTAL_USER


class Additions(_Order):
    """More of what a seed holds, without replacing what is there."""

    customers: list[Customer] = []
    subscriptions: list[Subscription] = []
    price_sheet: list[PriceRow] = []
    fx_rates: list[FxRate] = []
    upgrade_paths: list[UpgradePath] = []
    add_ons: list[AddOn] = []


class BillingData(_Order):
    """Lines of one export. Billed data has an invoice number, unbilled data a period."""

    invoice_number: str | None = None
    period: Literal["current", "last"] = "current"
    billing_month: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")]
    currency: str
    exchange_rate: Decimal = Decimal(1)
    exchange_rate_date: date | None = None
    lines: list[dict[str, Any]]
    append: bool = False
    allow_unknown: bool = False
    tenant_id: Guid | None = None  # default: the first tenant

    def data_set(self, what: str) -> str:
        if self.invoice_number:
            return f"{what}/billed/{self.invoice_number}"
        return f"{what}/unbilled/{self.currency}/{self.period}"


class Levers:
    """Routes under `/partner-center/_control`."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/changes", self._change, methods=["POST"]),
            Route("/purchases", self._purchase, methods=["POST"]),
            Route("/additions", self._add, methods=["POST"]),
            Route("/tick", self._tick, methods=["POST"]),
            Route("/usage", self._usage, methods=["POST"]),
            Route("/reconciliation", self._reconciliation, methods=["POST"]),
            Route("/invoices", self._invoice, methods=["POST"]),
            Route("/switches", self._switches, methods=["GET", "PUT"]),
            Route("/exports/expire", self._expire_exports, methods=["POST"]),
            Route("/tokens/expire", self._expire_tokens, methods=["POST"]),
            *self._shop.notifications.deliveries.routes(),
        ]

    async def _change(self, request: Request) -> Answer:
        """200 with the subscription and its audit record, or the vendor's refusal."""
        wish = PortalChange.model_validate(loads(await request.body()))
        subscription = self._shop.books.subscription(wish.subscription_id)
        at = wish.at or self._shop.now
        if not subscription.last_change_at <= at <= self._shop.now:
            raise ValueError(
                f"{at} is not between the last change ({subscription.last_change_at}) and now"
            )
        try:
            record = self._shop.commerce.change(subscription, wish.change, Actor(wish.by), at)
        except Refusal as refusal:
            return Answer.of(refusal.status, refusal.body())
        current = self._shop.books.subscription(subscription.id)
        shown = resources.subscription(current, at)
        return Answer.of(200, {"subscription": shown, "audit_record": audit_resource(record)})

    async def _purchase(self, request: Request) -> Answer:
        wish = Purchase.model_validate(loads(await request.body()))
        lines = [Line(**line.model_dump()) for line in wish.lines]
        at = wish.at or self._shop.now
        if at > self._shop.now:
            raise ValueError(f"{at} is in the future")
        try:
            customer = self._shop.books.customer(wish.customer_id)
            order, bought = self._shop.commerce.purchase(
                customer, lines, Actor(wish.by), at, wish.currency
            )
        except Refusal as refusal:
            return Answer.of(refusal.status, refusal.body())
        books = self._shop.books
        record = next(r for r in reversed(books.audit_records) if r.resource_id == order.id)
        shown = {
            "order": resources.order(order),
            "subscriptions": [resources.subscription(s, self._shop.now) for s in bought],
            "audit_record": audit_resource(record),
        }
        return Answer.of(200, shown)

    async def _add(self, request: Request) -> Answer:
        more = Additions.model_validate(loads(await request.body()))
        books = self._shop.books
        for customer in more.customers:
            books.put_customer(customer)
        for subscription in more.subscriptions:
            books.customer(subscription.customer_id)
            books.put_subscription(subscription)
        books.price_sheet = books.price_sheet + more.price_sheet
        books.fx_rates = books.fx_rates + more.fx_rates
        books.upgrade_paths = books.upgrade_paths + more.upgrade_paths
        books.add_ons = books.add_ons + more.add_ons
        return Answer(204)

    async def _tick(self, request: Request) -> Answer:
        del request
        return Answer.of(200, {"done": self._shop.commerce.tick(self._shop.now)})

    async def _usage(self, request: Request) -> Answer:
        data = BillingData.model_validate(loads(await request.body()))
        header = self._header(data)
        lines = [usage_line(line, header) for line in data.lines]
        return self._published(data, "usage", lines)

    async def _reconciliation(self, request: Request) -> Answer:
        data = BillingData.model_validate(loads(await request.body()))
        header = self._header(data)
        lines = [reconciliation_line(line, header) for line in data.lines]
        return self._published(data, "reconciliation", lines)

    async def _invoice(self, request: Request) -> Answer:
        invoice = Invoice.model_validate(loads(await request.body()))
        self._shop.publish(invoice)
        return Answer.of(200, resources.invoice(invoice))

    async def _switches(self, request: Request) -> Answer:
        books = self._shop.books
        if request.method == "PUT":
            given = loads(await request.body())
            books.switches = type(books.switches).model_validate(
                {**books.switches.model_dump(), **given}
            )
        return Answer.of(200, books.switches.model_dump())

    async def _expire_exports(self, request: Request) -> Answer:
        del request
        self._shop.exports.expire_all()
        return Answer(204)

    async def _expire_tokens(self, request: Request) -> Answer:
        del request
        self._shop.login.expire_all()
        return Answer(204)

    def _header(self, data: BillingData) -> Header:
        year, month = map(int, data.billing_month.split("-"))
        tenant = self._tenant(data)
        return Header(
            tenant=tenant,
            customers={c.id: c for c in self._shop.books.customers_of(tenant.id)},
            invoice_number=data.invoice_number or "",
            currency=data.currency,
            month=month_of(date(year, month, 1)),
            rate=data.exchange_rate,
            rate_date=data.exchange_rate_date,
            allow_unknown=data.allow_unknown,
        )

    def _tenant(self, data: BillingData) -> Tenant:
        books = self._shop.books
        found = books.tenant(data.tenant_id) if data.tenant_id else books.tenants[0]
        if found is None:
            raise ValueError(f"there is no partner tenant {data.tenant_id}")
        return found

    def _published(self, data: BillingData, what: str, lines: list[Document]) -> Answer:
        tenant = self._tenant(data).id
        published = self._shop.exports.publish(
            data.data_set(what), tenant, lines, append=data.append
        )
        shown = {"data_set": published.name, "etag": published.version, "lines": published.lines}
        return Answer(200, dumps(shown), {"content-type": "application/json"})
