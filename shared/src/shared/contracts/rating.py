"""Facts that rating publishes: what a provider fact is worth, at cost and at sale."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import ClassVar

from shared.contracts.envelope import Contract, Currency, Event, Exact, Id, Instant, PeriodField
from shared.contracts.ingest import ChangeKind
from shared.kernel.conventions import DEFAULT

LICENCE_CHANGES = "tieout.rating.licence-changes.v1"
CHARGES = "tieout.rating.charges.v1"
USAGE_FILES = "tieout.rating.usage-files.v1"
FX_RATES = "tieout.rating.fx-rates.v1"


class ChargeKind(StrEnum):
    RECURRING = "recurring"  # a licence for one whole cycle
    PRORATION = "proration"  # one quantity change, for the rest of its cycle
    USAGE = "usage"  # one Azure subscription × meter category × usage month
    MINIMUM = "minimum"  # top-up to a minimum commitment
    PURCHASE = "purchase"  # a reservation, savings plan … at its own line
    PROMOTION = "promotion"  # what a promotion takes off a recurring charge or a proration


class ChargeProduct(Contract):
    """What a charge is for: the key of PSA mappings, the name customers read, the tax category."""

    key: Id
    name: str
    tax_category: str  # licence, usage, reservation, service
    term: str | None = None
    billing_plan: str | None = None


class PriceBasis(Contract):
    """Which price was taken and why; printed by `explain`."""

    rule_id: Id
    rule_version: int
    rule_text: str  # "fixed 22.55 USD", "unit price × (1 − PEC × 1/3), +10 %"
    unit_price: Exact | None  # None where a line sums many prices
    unit_cost: Exact | None
    list_price: Exact | None = None
    price_as_of: date | None = None


class ProrationBasis(Contract):
    """How much of a cycle was charged: `days` of `cycle_days`, counted in `unit` as the contract's
    convention says (`shared.kernel.conventions`)."""

    days: int
    cycle_days: int
    cycle: PeriodField
    unit: str = "day"  # or second
    convention: str = DEFAULT
    reason: str = ""


class UsageBasis(Contract):
    """What a usage line sums up; the lines themselves by `GET /v1/charges/{id}/usage-lines`."""

    lines: int
    quantity: Exact
    usage_month: PeriodField
    billing_month: PeriodField
    pricing_currency: Currency
    fx_rate: Exact
    fx_on: date | None
    fx_source: str
    fx_version: int | None = None  # of an entered rate; None for the provider's own
    meters: tuple[str, ...] = ()


class ChargeRated(Event):
    """What one cause is worth to the customer now. A higher `revision` of a `charge_id` replaces
    the lower; invoicing bills the difference to what it already billed.

    `amount` is rounded once, as the contract's convention says, to the currency's minor unit;
    `amount_exact` is the figure before that. `bill_on` is the first invoice date that may carry it.
    """

    TYPE: ClassVar[str] = "tieout.rating.charge-rated.v1"
    TOPIC: ClassVar[str] = CHARGES

    charge_id: Id
    revision: int  # from 1
    kind: ChargeKind
    contract_id: Id
    customer_id: Id
    subscription_id: str | None  # licence subscription or Azure subscription
    subscription_name: str | None = None  # of an Azure subscription, for people
    product: ChargeProduct
    description: str
    quantity: Exact
    currency: Currency
    amount: Exact
    amount_exact: Exact
    cost: Exact  # expected provider cost in `cost_currency`
    cost_currency: Currency
    service_period: PeriodField
    bill_on: date
    effective_at: Instant | None = None  # of the change that a proration charges
    price: PriceBasis
    proration: ProrationBasis | None = None
    usage: UsageBasis | None = None
    source_ids: tuple[str, ...]  # change ids, usage file ids, purchase ids: the direct causes
    corrects: str | None = None  # charge_id of the line of a closed month this one supplements

    def key(self) -> str:
        return self.contract_id

    def subject(self) -> str:
        return f"charge/{self.charge_id}"


class CycleRated(Event):
    """Rating's answer to `CycleClosed`: every charge of the cycle has been published before this.

    Same topic and key as the charges, so a reader that sees this has seen them.
    """

    TYPE: ClassVar[str] = "tieout.rating.cycle-rated.v1"
    TOPIC: ClassVar[str] = CHARGES

    contract_id: Id
    run_id: Id
    invoice_date: date
    charges: int  # current charges of the contract with bill_on ≤ invoice_date …
    amount: Exact  # … and the sum of their amounts: the control total
    holds: int  # open holds of the contract, for the reader's information

    def key(self) -> str:
        return self.contract_id

    def subject(self) -> str:
        return f"invoice-run/{self.run_id}"


class LicenceChangeRated(Event):
    """One entry of the License Change Log: immutable, one per change of a subscription.

    `unit_price` and `unit_cost` hold after the change. `price_changed` tells a PSA whether it must
    restate the price of the units it already has.
    """

    TYPE: ClassVar[str] = "tieout.rating.licence-change-rated.v1"
    TOPIC: ClassVar[str] = LICENCE_CHANGES

    entry_id: Id
    change_id: Id
    kind: ChangeKind
    contract_id: Id
    customer_id: Id
    subscription_id: Id
    product: ChargeProduct
    quantity_before: int
    quantity_after: int
    effective_on: date
    recorded_at: Instant
    currency: Currency
    unit_price: Exact
    unit_cost: Exact
    cost_currency: Currency
    unit_price_before: Exact | None = None  # None where nothing was there before
    unit_cost_before: Exact | None = None
    price_changed: bool
    prorated_amount: Exact  # of the charge this entry caused; 0 if none
    charge_id: str | None
    supersedes: tuple[str, ...] = ()  # entries about the same that turned out not to be so
    reverses: str | None = None  # the entry that this one takes back, unit by unit

    def key(self) -> str:
        return self.subscription_id

    def subject(self) -> str:
        return f"licence-change/{self.entry_id}"


class UsageFileRated(Event):
    """A usage file is rated: Σ in = rated + quarantined + not billable, by count."""

    TYPE: ClassVar[str] = "tieout.rating.usage-file-rated.v1"
    TOPIC: ClassVar[str] = USAGE_FILES

    file_id: Id
    data_set: Id
    lines: int
    rated: int
    held: int
    not_billable: int

    def key(self) -> str:
        return self.file_id

    def subject(self) -> str:
        return f"usage-file/{self.file_id}"


class FxRateEntered(Event):
    """What one unit of a currency is worth in another on a day, until a later day has a rate. A
    higher `version` of a day corrects the lower."""

    TYPE: ClassVar[str] = "tieout.rating.fx-rate-entered.v1"
    TOPIC: ClassVar[str] = FX_RATES

    source_currency: Currency
    target_currency: Currency
    on: date
    version: int
    rate: Exact
    source: str

    def key(self) -> str:
        return f"{self.source_currency}-{self.target_currency}"

    def subject(self) -> str:
        return f"fx-rate/{self.key()}/{self.on}"
