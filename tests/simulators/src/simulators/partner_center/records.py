"""What the simulated Partner Center knows, in the form that seeds and state files have."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from shared.kernel.ids import derived_id, sha256_hex
from shared.kernel.periods import start_of, utc_day
from simulators.partner_center.terms import last_day_of_term

T = TypeVar("T")
WINDOW = timedelta(hours=168)

Guid = Annotated[str, BeforeValidator(lambda value: str(UUID(str(value))))]
Term = Literal["P1M", "P1Y", "P3Y"]
Plan = Annotated[
    Literal["monthly", "annual", "triennial", "none", "one_time"],
    BeforeValidator(lambda value: str(value).lower()),  # the API itself is not consistent
]
SubscriptionStatus = Literal["active", "suspended", "expired", "disabled", "deleted"]


class Record(BaseModel):
    """Mutable state; unknown fields in a seed are a mistake of its author."""

    model_config = ConfigDict(extra="forbid")


class Application(Record):
    client_id: str
    client_secret: str


class User(Record):
    """A person of the partner; the refresh token stands for an earlier interactive sign-in."""

    upn: str
    refresh_token: str


class Tenant(Record):
    """A partner tenant. Without applications listed, any client id and secret may sign in."""

    id: Guid
    name: str = "Simulated Partner"
    mpn_id: str = "1234567"
    applications: list[Application] = []
    users: list[User] = []


class Customer(Record):
    id: Guid
    tenant_id: str = ""  # "" = the first tenant
    name: str
    domain: str = ""
    country: str = "US"
    email: str = ""
    agreement_accepted: bool = True

    @model_validator(mode="after")
    def _fill(self) -> Customer:
        slug = "".join(c for c in self.name.lower() if c.isalnum())
        self.domain = self.domain or f"{slug}.onmicrosoft.com"
        self.email = self.email or f"admin@{self.domain}"
        return self


class SeatBatch(Record):
    """Seats that came together; they may leave again within 168 hours of `added_at`."""

    quantity: int
    added_at: AwareDatetime

    @property
    def removable_until(self) -> datetime:
        return self.added_at + WINDOW


class Instructions(Record):
    """What the next term shall be; absent fields stay as they are."""

    product_id: str | None = None
    sku_id: str | None = None
    availability_id: str | None = None
    billing_plan: Plan | None = None
    term: Term | None = None
    promotion_id: str | None = None
    quantity: int | None = None
    custom_term_end: date | None = None


def trial_successor() -> Instructions:
    """What follows a trial that nobody decided about: a paid year, charged by the month."""
    return Instructions(term="P1Y", billing_plan="monthly")


class ActionType(StrEnum):
    CANCEL = "Cancel"
    RENEW = "RenewToNewTerm"
    EXTEND = "RenewToExtendedServiceTerm"


class ScheduledAction(Record):
    schedule_type: Literal["TermEnd", "CustomDate"] = "TermEnd"
    action_type: ActionType


class Kind(StrEnum):
    LICENCE = "licence"
    AZURE_PLAN = "azure_plan"


class Subscription(Record):
    """A seed needs id, customer, product, SKU, term, plan, quantity and term start; rest derives.

    `opened_at` is when the running term was bought or its renewal completed: cancellation is
    possible for 168 hours from then. `term_end` is inclusive, as the vendor prints it.
    """

    id: Guid
    customer_id: Guid
    kind: Kind = Kind.LICENCE
    product_id: str
    sku_id: str = "0001"
    availability_id: str = ""
    name: str
    friendly_name: str = ""
    term: Term = "P1Y"
    billing_plan: Plan = "monthly"
    quantity: int = Field(default=1, ge=0)
    min_quantity: int = Field(default=1, ge=1)
    max_quantity: int = 10_000
    unit_price: Decimal | None = None
    currency: str = "USD"
    status: SubscriptionStatus = "active"
    term_start: date
    term_end: date | None = None
    purchased_at: AwareDatetime | None = None
    opened_at: AwareDatetime | None = None
    batches: list[SeatBatch] | None = None
    auto_renew: bool = True
    auto_renew_off_at: AwareDatetime | None = None
    is_trial: bool = False
    in_extended_service: bool = False
    parent_id: str | None = None
    migrated_from_id: str | None = None
    partner_id: str = ""
    promotion_id: str = ""
    order_id: str = ""
    entitlement_id: str | None = None
    next_term: Instructions | None = None
    next_charge_plan: Plan | None = None
    scheduled_actions: list[ScheduledAction] = []
    suspension_reasons: list[str] = []
    ended_at: AwareDatetime | None = None
    changed_at: AwareDatetime | None = None
    changes: int = 0
    version: int = 1

    @model_validator(mode="after")
    def _fill(self) -> Subscription:
        self.availability_id = self.availability_id or availability_of(self.product_id, self.sku_id)
        self.friendly_name = self.friendly_name or self.name
        self.order_id = self.order_id or sha256_hex(self.id.encode())[:12]
        self.purchased_at = self.purchased_at or start_of(self.term_start)
        self.opened_at = self.opened_at or self._assumed_opening(self.purchased_at)
        self.term_end = self.term_end or last_day_of_term(self.term_start, self.term)
        self.changed_at = self.changed_at or self.opened_at
        if self.batches is None:
            self.batches = [SeatBatch(quantity=self.quantity, added_at=self.opened_at)]
        return self

    def _assumed_opening(self, purchased_at: datetime) -> datetime:
        """A term that starts on the day of purchase was opened by it, a later one by a renewal."""
        bought_this_term = utc_day(purchased_at) >= self.term_start
        return purchased_at if bought_this_term else start_of(self.term_start)

    # The fields above are optional for seeds only; after `_fill` they are always there.

    @property
    def commitment_end(self) -> date:
        return _there(self.term_end)

    @property
    def bought_at(self) -> datetime:
        return _there(self.purchased_at)

    @property
    def window_opened_at(self) -> datetime:
        return _there(self.opened_at)

    @property
    def seat_batches(self) -> list[SeatBatch]:
        return _there(self.batches)

    @property
    def last_change_at(self) -> datetime:
        return _there(self.changed_at)

    @property
    def offer_id(self) -> str:
        return f"{self.product_id}:{self.sku_id}:{self.availability_id}"

    def open_batches(self, at: datetime) -> list[SeatBatch]:
        """Batches whose window is open, the one that closes first in front."""
        open_ = [b for b in self.seat_batches if b.quantity > 0 and at <= b.removable_until]
        return sorted(open_, key=lambda b: b.added_at)

    def refundable(self, at: datetime) -> int:
        return sum(b.quantity for b in self.open_batches(at))


class OrderLine(Record):
    number: int
    subscription_id: str
    offer_id: str
    name: str
    quantity: int
    term: Term
    billing_plan: Plan
    partner_id: str = ""
    promotion_id: str = ""
    parent_id: str | None = None


class Order(Record):
    id: str
    customer_id: str
    currency: str
    created_at: AwareDatetime
    lines: list[OrderLine]


class Cart(Record):
    id: str
    customer_id: str
    created_at: AwareDatetime
    expires_at: AwareDatetime
    modified_at: AwareDatetime
    status: Literal["Active", "Ordered"] = "Active"
    lines: list[dict[str, Any]]  # as the client sent them, lower-camel keys


class AuditRecord(Record):
    id: str
    resource_id: str
    tenant_id: str
    customer_id: str | None
    customer_name: str = ""
    user: str = ""
    application_id: str = ""
    resource_type: str
    resource_old: str | None
    resource_new: str | None
    operation_type: str
    correlation_id: str
    at: AwareDatetime
    status: Literal["succeeded", "failed", "progress"]
    data: list[tuple[str, str | None]] = []


class Registration(Record):
    """Where one partner tenant wants its webhooks."""

    subscriber_id: str
    url: str
    events: list[str]
    ms_signature_header: bool = False


class ValidationEvent(Record):
    """A test event and the deliveries that carried it."""

    correlation_id: str
    tenant_id: str
    callback_url: str
    delivery_id: str


class Invoice(Record):
    id: str
    tenant_id: str = ""
    invoice_date: date
    period_start: date
    period_end: date  # inclusive
    currency: str = "USD"
    total: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)
    document_type: Literal["invoice", "credit note", "adjustment_note", "void_note"] = "invoice"
    amends: str | None = None


class PriceRow(Record):
    """One row of a price sheet. Its prices are printed as given, per cycle or per term."""

    view: str = "updatedlicensebased"
    market: str = "US"
    currency: str = "USD"
    product_id: str
    sku_id: str
    product_title: str
    sku_title: str = ""
    term: str = "P1Y"
    billing_plan: str = "Monthly"
    unit_price: Decimal
    erp_price: Decimal | None = None
    tier_min: str = ""
    tier_max: str = ""
    effective_from: date
    effective_until: date | None = None  # exclusive
    tags: str = "License"
    segment: str = "Commercial"
    unit_of_measure: str = ""
    meter_ids: str = ""
    meter_type: str = ""


class FxRate(Record):
    month: str  # YYYYMM
    currency: str
    usd_per_unit: Decimal


def availability_of(product_id: str, sku_id: str) -> str:
    """A stand-in for the vendor's changing availability ids."""
    return f"CFQ7TTC0{sha256_hex(f'{product_id}:{sku_id}'.encode())[:4].upper()}"


def guid(*parts: object) -> str:
    """A guid that the same story gets again on the next run."""
    return derived_id("partner-center", *parts)


def _there(value: T | None) -> T:
    if value is None:
        raise AssertionError("filled when the record was made")
    return value
