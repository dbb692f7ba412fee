"""Facts that ingest publishes: what happened at the provider, and that it is news."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import ClassVar, Self

from shared.contracts.envelope import (
    ARROW_STREAM,
    Contract,
    Currency,
    Envelope,
    Event,
    Exact,
    Id,
    Instant,
    PeriodField,
)

SUBSCRIPTIONS = "tieout.ingest.subscriptions.v1"
USAGE = "tieout.ingest.usage.v1"
PROVIDER_CHARGES = "tieout.ingest.provider-charges.v1"
PRICE_SHEETS = "tieout.ingest.price-sheets.v1"

LICENCE_VIEW = "updatedlicensebased"
EST_VIEW = "licensebasedest"
"""Views of the provider's price sheets: licences, and their extended service terms."""

USAGE_BUCKETS = 12
"""Usage is partitioned by a stable hash of the provider's customer id into this many buckets."""


class LicenceProduct(Contract):
    """What was bought. The key of a price is product, SKU, term and billing plan together."""

    product_id: Id  # CFQ7TTC0LDPB
    sku_id: Id  # 0001, leading zeros kept
    term: str  # ISO 8601: P1M, P1Y, P3Y
    billing_plan: str  # monthly, annual, triennial
    segment: str = "commercial"

    @property
    def key(self) -> str:
        return f"{self.product_id}:{self.sku_id}:{self.term}:{self.billing_plan}"


class ChangeKind(StrEnum):
    OPENING = "opening"  # first sight of a subscription that existed before
    PURCHASED = "purchased"
    QUANTITY_CHANGED = "quantity_changed"
    RENEWED = "renewed"
    CANCELLED = "cancelled"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    EXPIRED = "expired"
    EXTENDED = "extended"  # the term ended and an extended service term began
    UPGRADED = "upgraded"  # all seats became another product, in the same subscription
    MOVED_OUT = "moved_out"  # an upgrade took seats to another subscription
    MOVED_IN = "moved_in"  # an upgrade brought seats; from 0 when it made the subscription
    TRIAL_CONVERTED = "trial_converted"
    TERM_CHANGED = "term_changed"  # a longer term began before the old one ended
    PLAN_CHANGED = "plan_changed"  # charged in other cycles from now on
    TRANSFERRED_IN = "transferred_in"  # came from another partner with its term
    TRANSFERRED_OUT = "transferred_out"  # another partner goes on with it
    UPDATED = "updated"  # no effect on quantity: name, auto-renew …


class ChangeSource(Contract):
    """Where we learnt of a change, so that a figure can be followed to its webhook."""

    channel: str  # webhook, audit, sweep
    audit_record_id: str | None = None
    webhook_id: str | None = None  # our id of the delivery that made us look
    actor: str | None = None  # who did it at the provider
    estimated_time: bool = False  # true: the provider did not say when; detection time is used
    correlation_id: str | None = None  # the provider's, common to all records of one operation
    order_id: str | None = None  # the order of ours that caused it; None: somebody else did


class SubscriptionChanged(Event):
    """One step of a licence subscription's history, with the quantity before and after it.

    `version` counts the steps of a subscription in the order ingest learnt of them; `effective_at`
    orders them in fact. Both may differ: a late audit record has a high version and an early time.
    """

    TYPE: ClassVar[str] = "tieout.ingest.subscription-changed.v1"
    TOPIC: ClassVar[str] = SUBSCRIPTIONS

    change_id: Id
    kind: ChangeKind
    provider_account: Id
    customer_id: Id
    subscription_id: Id
    product: LicenceProduct
    product_name: str
    quantity_before: int
    quantity_after: int
    status: str
    term_start: date
    term_end: date  # exclusive
    effective_at: Instant
    detected_at: Instant
    version: int
    source: ChangeSource
    counterpart_subscription_id: str | None = None  # where moved seats came from or went to
    trial: bool = False
    auto_renew: bool | None = None  # None: the provider did not say
    supersedes: str | None = None  # change_id of a guessed step that this is the truth of

    def key(self) -> str:
        return self.subscription_id

    def subject(self) -> str:
        return f"subscription/{self.subscription_id}"


class NextTerm(Contract):
    """What is to be different from the next term on. None: as it is now."""

    quantity: int | None = None
    product: LicenceProduct | None = None  # another product, SKU, term or billing plan
    ends_on: date | None = None  # exclusive; a chosen end


class RenewalScheduled(Event):
    """What the provider will do when the running term ends, as it says now; the highest `snapshot`
    counts. Published whenever that changes, also back to "renews as it is"."""

    TYPE: ClassVar[str] = "tieout.ingest.renewal-scheduled.v1"
    TOPIC: ClassVar[str] = SUBSCRIPTIONS

    customer_id: Id
    subscription_id: Id
    term_end: date  # exclusive, of the running term: what is said is about its end
    next_term: NextTerm | None  # None: nothing is scheduled
    at_term_end: str | None  # Cancel, RenewToExtendedServiceTerm; None: it renews, or nobody said
    observed_at: Instant
    snapshot: int  # ingest's read of the subscription that says so

    def key(self) -> str:
        return self.subscription_id

    def subject(self) -> str:
        return f"subscription/{self.subscription_id}"


class UsageBatchRecorded(Event):
    """Up to 5,000 daily rated usage lines of one file and bucket, as an Arrow IPC stream.

    Columns and their meaning: `shared.contracts.usage_frame`. A line's address is (`src`, row).
    """

    TYPE: ClassVar[str] = "tieout.ingest.usage-batch-recorded.v1"
    TOPIC: ClassVar[str] = USAGE
    CONTENT_TYPE: ClassVar[str] = ARROW_STREAM

    src: Id  # <file id>/<batch number>; the same on every retry of the same file version
    bucket: int
    frame: bytes

    def key(self) -> str:
        return f"bucket-{self.bucket:02d}"

    def subject(self) -> str:
        return f"usage-batch/{self.src}"

    def encode(self) -> bytes:
        return self.frame

    @classmethod
    def decode(cls, data: bytes, envelope: Envelope) -> Self:
        bucket = int(envelope.key.removeprefix("bucket-"))
        return cls(src=envelope.subject.removeprefix("usage-batch/"), bucket=bucket, frame=data)


class ControlTotal(Contract):
    """What a file claims, so that a reader can tell whether it has all of it."""

    batches: int
    lines: int
    quantity: Exact
    billing_pretax: Exact  # Σ BillingPreTaxTotal, all currencies added, as a checksum only


class UsageFileClosed(Event):
    """All batches of one version of a usage file are published; act on it when the counts match."""

    TYPE: ClassVar[str] = "tieout.ingest.usage-file-closed.v1"
    TOPIC: ClassVar[str] = USAGE

    file_id: Id  # derived from data set and version
    data_set: Id  # what a newer version replaces: "billed/G000123" or "unbilled/USD/current"
    version: str  # the manifest's eTag; of one that came back after another, eTag#2, …
    invoice_number: str | None
    billing_period: PeriodField  # provider's billing month
    estimate: bool  # unbilled: rated as a preview, never invoiced
    control: ControlTotal
    quarantined: int  # lines refused by ingest, with reasons, not part of the batches

    def key(self) -> str:
        return f"file-{self.file_id}"

    def subject(self) -> str:
        return f"usage-file/{self.file_id}"


class ProviderPurchaseRecorded(Event):
    """A one-off or instalment line of a provider invoice that has no daily usage of its own.

    Reservations and savings plans: usage shows them at zero cost, the money is here.
    """

    TYPE: ClassVar[str] = "tieout.ingest.provider-purchase-recorded.v1"
    TOPIC: ClassVar[str] = PROVIDER_CHARGES

    purchase_id: Id  # derived from the provider's line identity
    customer_id: Id
    azure_subscription_id: str | None
    invoice_number: str
    billing_period: PeriodField
    charge_period: PeriodField
    category: str  # reservation, savings_plan, software, other
    description: str
    quantity: Exact
    unit_price: Exact  # list price per unit, pricing currency
    effective_unit_price: Exact  # what the provider charges per unit, pricing currency
    pricing_currency: Currency
    provider_rate: Exact  # pricing currency → billing currency
    provider_rate_on: date | None
    provider_subtotal: Exact  # pre-tax, billing currency, as printed
    billing_currency: Currency
    data_set: Id
    version: str

    def key(self) -> str:
        return self.customer_id

    def subject(self) -> str:
        return f"provider-purchase/{self.purchase_id}"


class PriceRow(Contract):
    product: LicenceProduct
    product_name: str
    unit_price: Exact  # partner price per unit and charge cycle
    erp_price: Exact  # suggested customer price per unit and charge cycle
    effective_from: date
    effective_until: date | None  # exclusive


class PriceSheetPublished(Event):
    """Rows of one provider price sheet, at most 500 an event."""

    TYPE: ClassVar[str] = "tieout.ingest.price-sheet-published.v1"
    TOPIC: ClassVar[str] = PRICE_SHEETS

    sheet_id: Id  # derived from market, currency, view and the file's sha256
    market: str
    currency: Currency
    view: str = LICENCE_VIEW  # licensebasedest: prices of the extended service term
    part: int  # from 1
    parts: int
    fetched_at: Instant
    rows: tuple[PriceRow, ...]

    def key(self) -> str:
        return f"{self.market}/{self.currency}"

    def subject(self) -> str:
        return f"price-sheet/{self.sheet_id}"
