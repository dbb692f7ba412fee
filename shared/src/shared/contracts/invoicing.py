"""Facts that invoicing publishes: accounts, contracts, the closing of cycles, and invoices."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import ClassVar

from shared.contracts.envelope import Contract, Currency, Event, Exact, Id, PeriodField
from shared.kernel.conventions import DEFAULT

ACCOUNTS = "tieout.invoicing.accounts.v1"
CONTRACTS = "tieout.invoicing.contracts.v1"
CYCLES = "tieout.invoicing.cycles.v1"
INVOICES = "tieout.invoicing.invoices.v1"


class TaxMode(StrEnum):
    PER_LINE = "per_line"  # tax of each rounded line, rounded, then summed
    PER_GROUP = "per_group"  # one amount per rate on the sum of its rounded lines


class Timing(StrEnum):
    ADVANCE = "advance"
    ARREARS = "arrears"


class AccountChanged(Event):
    TYPE: ClassVar[str] = "tieout.invoicing.account-changed.v1"
    TOPIC: ClassVar[str] = ACCOUNTS

    account_id: Id
    name: str
    selling_entity_id: Id
    country: str  # ISO 3166-1 alpha-2
    tax_jurisdiction: str  # "US-NY", "NL"
    currency: Currency
    parent_account_id: str | None = None  # the group it belongs to

    def key(self) -> str:
        return self.account_id

    def subject(self) -> str:
        return f"account/{self.account_id}"


class ContractChanged(Event):
    """The terms under which a provider customer's subscriptions are billed to an account."""

    TYPE: ClassVar[str] = "tieout.invoicing.contract-changed.v1"
    TOPIC: ClassVar[str] = CONTRACTS

    contract_id: Id
    version: int
    account_id: Id
    currency: Currency
    timing: Timing
    anchor_day: int  # 1..31; cycles are monthly
    invoice_offset_days: int  # invoice date = cycle boundary + this
    starts_on: date  # changes effective on or after this day are billed here
    billed_through: date  # recurring service before this day was billed elsewhere
    ends_on: date | None  # exclusive
    provider_customer_id: Id
    subscription_ids: tuple[str, ...] | None  # None: all of the customer's, licences and Azure
    convention: str = DEFAULT  # how parts of a cycle are counted and lines rounded
    # Of these it bills only the seats allocated to it; no contract bills them whole.
    shared_subscription_ids: tuple[str, ...] = ()
    bill_to_account_id: str | None = None  # who gets the invoice, if not the account itself
    market: str | None = None  # whose price sheets count, ISO 3166-1 alpha-2; None: the only one

    def key(self) -> str:
        return self.contract_id

    def subject(self) -> str:
        return f"contract/{self.contract_id}"


class CycleClosed(Event):
    """An invoice run asks rating to complete what is due on `invoice_date` for one contract."""

    TYPE: ClassVar[str] = "tieout.invoicing.cycle-closed.v1"
    TOPIC: ClassVar[str] = CYCLES

    contract_id: Id
    run_id: Id
    invoice_date: date
    recurring: PeriodField  # the cycle whose recurring lines are due
    closed: PeriodField  # the cycle just ended: changes and usage in it are due

    def key(self) -> str:
        return self.contract_id

    def subject(self) -> str:
        return f"invoice-run/{self.run_id}"


class SiteAmount(Contract):
    """The part of a line on a consolidated invoice that belongs to its own contract: the rounded
    amount in the contract's currency, and the pinned rate that made the line's `net` of it."""

    contract_id: Id
    account_id: Id
    account_name: str
    tax_jurisdiction: str
    currency: Currency
    net: Exact
    unit_price: Exact | None
    fx_rate: Exact  # 1 where the currencies are the same
    fx_on: date | None = None
    fx_source: str | None = None


class InvoiceLine(Contract):
    """One line as the customer sees it. `net` is rounded; the invoice's net is their sum."""

    number: int  # from 1
    charge_id: str | None  # None for a one-time item
    charge_revision: int | None
    item_id: str | None
    kind: str  # ChargeKind or "one_time"
    product_key: str
    product_name: str
    tax_category: str
    description: str
    subscription_id: str | None
    quantity: Exact
    unit_price: Exact | None
    net: Exact
    net_exact: Exact
    cost: Exact
    cost_currency: Currency
    service_period: PeriodField
    recurring: bool
    corrects: str | None = None  # "<invoice number>/<line>" this line supplements or amends
    site: SiteAmount | None = None  # on consolidated invoices only


class InvoiceDrafted(Event):
    """A draft waiting for its tax. Redrafting raises `revision`; answers to old ones are void."""

    TYPE: ClassVar[str] = "tieout.invoicing.invoice-drafted.v1"
    TOPIC: ClassVar[str] = INVOICES

    invoice_id: Id
    revision: int
    account_id: Id
    contract_id: Id
    selling_entity_id: Id
    seller_country: str
    tax_jurisdiction: str
    tax_mode: TaxMode
    currency: Currency
    invoice_date: date
    lines: tuple[InvoiceLine, ...]
    net: Exact

    def key(self) -> str:
        return self.account_id

    def subject(self) -> str:
        return f"invoice/{self.invoice_id}"


class TaxedLine(InvoiceLine):
    """`tax` is set in per-line mode only; in per-group mode tax belongs to the invoice."""

    tax: Exact | None
    tax_rate: Exact


class TaxTotal(Contract):
    name: str
    rate: Exact  # 0.21 is 21 %
    taxable: Exact
    tax: Exact


class InvoiceFinalised(Event):
    """An invoice with its number. It never changes after this."""

    TYPE: ClassVar[str] = "tieout.invoicing.invoice-finalised.v1"
    TOPIC: ClassVar[str] = INVOICES

    invoice_id: Id
    number: Id
    account_id: Id
    contract_id: Id
    selling_entity_id: Id
    currency: Currency
    invoice_date: date
    due_on: date
    lines: tuple[TaxedLine, ...]
    taxes: tuple[TaxTotal, ...]
    net: Exact
    tax: Exact
    total: Exact

    def key(self) -> str:
        return self.account_id

    def subject(self) -> str:
        return f"invoice/{self.invoice_id}"
