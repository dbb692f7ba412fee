"""All state of the simulated Partner Center in one place, with the lookups that everybody needs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from simulators.exact_json import Document
from simulators.partner_center.move_records import AddOn, Transition, UpgradePath
from simulators.partner_center.records import (
    AuditRecord,
    Cart,
    Customer,
    FxRate,
    Invoice,
    Order,
    PriceRow,
    Registration,
    Subscription,
    Tenant,
    ValidationEvent,
    guid,
)
from simulators.partner_center.refusals import Refusal

DEFAULT_TENANT = "7e0a1eb1-0000-4000-8000-000000000001"
"""The partner of a seed that names none; the local stack signs in to this one."""


class Switches(BaseModel):
    """How the vendor behaves; PUT `/_control/switches` changes the fields it names."""

    model_config = ConfigDict(extra="forbid")

    throttle_per_minute: int | None = None  # the vendor's figure is 500
    throttle_window_s: float = 60
    accepted_writes: bool = False  # a PATCH is answered 202 with a Location instead of 200
    stale_reads: int = Field(default=0, ge=0)  # reads after such a PATCH that show the state before
    lag_subscriptions: int = Field(default=0, ge=0)  # reads that show the state before a change
    lag_carts: int = Field(default=0, ge=0)  # reads of a cart that do not show its checkout yet
    lag_orders: int = Field(default=0, ge=0)  # listings that lack a new order
    lag_transitions: int = Field(default=0, ge=0)  # listings that lack a new upgrade
    lag_audit: int = Field(default=0, ge=0)  # listings that lack a new activity record
    unprovisioned_orders: int = Field(default=0, ge=0)  # listings of one without subscription ids
    audit_correlation: Literal["ours", "own"] = "ours"  # own: not the id that the caller sent
    etags: bool = True  # False: subscriptions show none, as new commerce may
    renewal_delay_minutes: int = Field(default=0, ge=0, le=1440)
    silent_renewals: bool = False  # renewals without webhook and audit record
    purchase_webhooks: bool = False  # `subscription-updated` for a new subscription
    price_sheets_need_user: bool = False  # refuse app-only tokens with 900329, as the vendor does
    export_polls: int = Field(default=1, ge=0)  # answers "running" before the result
    export_retry_after: int = Field(default=1, ge=0)
    inline_manifest: bool = True  # False: only a link to it in the operation
    blob_lines: int = Field(default=50_000, ge=1)
    gzip_member_lines: int | None = Field(default=None, ge=1)  # several gzip members in a blob
    forgery: str | None = Field(default=None, pattern="^(bad_signature|foreign_chain)$")


class Books(BaseModel):
    """Lists in a seed and in a dump; by id in between, which is what the private maps hold."""

    model_config = ConfigDict(extra="forbid")

    tenants: list[Tenant] = []
    customers: list[Customer] = []
    subscriptions: list[Subscription] = []
    orders: list[Order] = []
    carts: list[Cart] = []
    audit_records: list[AuditRecord] = []
    registrations: dict[str, Registration] = {}  # by tenant
    validation_events: list[ValidationEvent] = []
    invoices: list[Invoice] = []
    price_sheet: list[PriceRow] = []
    fx_rates: list[FxRate] = []
    upgrade_paths: list[UpgradePath] = []
    add_ons: list[AddOn] = []
    transitions: list[Transition] = []
    switches: Switches = Switches()
    sequence: int = 0

    _customers: dict[str, Customer] = PrivateAttr(default_factory=dict)
    _subscriptions: dict[str, Subscription] = PrivateAttr(default_factory=dict)
    _of_customer: dict[str, list[str]] = PrivateAttr(default_factory=dict)
    _audit: dict[str, AuditRecord] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any) -> None:
        del context
        if not self.tenants:
            self.tenants = [Tenant(id=DEFAULT_TENANT)]
        for customer in self.customers:
            self.put_customer(customer)
        for subscription in self.subscriptions:
            if subscription.customer_id not in self._customers:
                raise ValueError(f"subscription {subscription.id} belongs to nobody")
            self.put_subscription(subscription)
        for record in self.audit_records:
            self._audit[record.id] = record
        for invoice in self.invoices:
            invoice.tenant_id = invoice.tenant_id or self.tenants[0].id

    def next_id(self, kind: str) -> str:
        """A new guid, the same one in every run of the same story."""
        self.sequence += 1
        return guid(kind, self.sequence)

    def tenant(self, tenant_id: str) -> Tenant | None:
        return next((t for t in self.tenants if t.id.lower() == tenant_id.lower()), None)

    def customers_of(self, tenant_id: str) -> list[Customer]:
        found = (c for c in self._customers.values() if c.tenant_id == tenant_id)
        return sorted(found, key=lambda c: c.id)

    def customer(self, customer_id: str, tenant_id: str | None = None) -> Customer:
        found = self._customers.get(customer_id.lower())
        if found is None or tenant_id not in (None, found.tenant_id):
            raise Refusal(20002, tenant_id or "", customer_id)
        return found

    def all_subscriptions(self) -> list[Subscription]:
        return list(self._subscriptions.values())

    def subscription(self, subscription_id: str, customer_id: str | None = None) -> Subscription:
        found = self._subscriptions.get(subscription_id.lower())
        if found is None or (customer_id or found.customer_id).lower() != found.customer_id:
            raise Refusal(20003, subscription_id)
        return found

    def subscriptions_of(self, customer_id: str) -> list[Subscription]:
        return [self._subscriptions[i] for i in self._of_customer.get(customer_id.lower(), ())]

    def put_customer(self, customer: Customer) -> None:
        customer.tenant_id = customer.tenant_id or self.tenants[0].id
        self._customers[customer.id] = customer

    def put_subscription(self, subscription: Subscription) -> None:
        """Add it, or replace the one with the same id."""
        if subscription.id not in self._subscriptions:
            self._of_customer.setdefault(subscription.customer_id, []).append(subscription.id)
        self._subscriptions[subscription.id] = subscription

    def add_audit(self, record: AuditRecord) -> None:
        self.audit_records.append(record)
        self._audit[record.id] = record

    def audit_record(self, record_id: str) -> AuditRecord | None:
        return self._audit.get(record_id)

    def order(self, order_id: str, customer_id: str) -> Order:
        for order in self.orders:
            if (order.id, order.customer_id) == (order_id, customer_id.lower()):
                return order
        raise Refusal(20000)

    def cart(self, cart_id: str, customer_id: str) -> Cart:
        for cart in self.carts:
            if (cart.id, cart.customer_id) == (cart_id, customer_id.lower()):
                return cart
        raise Refusal(800008)

    def document(self) -> Document:
        self.customers = list(self._customers.values())
        self.subscriptions = list(self._subscriptions.values())
        return self.model_dump()
