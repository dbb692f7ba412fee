"""The story format as types; docs/stories.md explains every field with an example.

Everything here is what a person writes. Names (of customers, contracts, products …) are the story's
own; `player.names` turns them into the ids that services and vendors see. What a single field
cannot tell (names that lead nowhere, dates that do not fit) is checked in `story.checks`.
"""

from __future__ import annotations

import re
from datetime import date as Day  # fields are named `date`
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from stack.story.expectations import Expect
from stack.story.scalars import (
    Country,
    Currency,
    Instant,
    Name,
    Names,
    Percent,
    Prefix,
    Priced,
    Share,
    Written,
    Yes,
)


class Seller(Written):
    name: str
    country: Country
    tax: Literal["per_line", "per_group"]
    invoice_prefix: Prefix
    payment_terms_days: int = Field(default=30, ge=0, le=365)


class TaxRate(Written):
    jurisdiction: str
    category: str
    rate: Percent
    name: str
    from_: Day | None = Field(default=None, alias="from")


class FxRate(Written):
    """What one unit of a currency is worth in another from a day on."""

    from_: Currency = Field(alias="from")
    to: Currency
    on: Day
    rate: Decimal
    source: str


class Product(Written):
    """A licence (with sku, term, plan, cost, list) or a service of the partner's own."""

    name: str
    kind: Literal["licence", "service"] = "licence"
    sku: str | None = None  # product:sku of the provider
    term: Literal["P1M", "P1Y", "P3Y"] | None = None
    plan: Literal["monthly", "annual", "triennial"] | None = None
    cost: Priced | None = None  # partner price per seat and charge cycle
    list: Priced | None = None  # the provider's suggested customer price
    on_price_sheet: bool = True  # false: sold, but the provider's sheet lacks it (it will be held)

    @model_validator(mode="after")
    def _licences_are_complete(self) -> Self:
        missing = [n for n in ("sku", "term", "plan", "cost", "list") if getattr(self, n) is None]
        if self.kind == "licence" and missing:
            raise ValueError(f"a licence also needs {', '.join(missing)}")
        if self.sku is not None and not re.fullmatch(r"[^:]+:[^:]+", self.sku):
            raise ValueError("write the sku as product:sku, for example CFQ7TTC0LCHC:0002")
        return self


class PaysBy(Written):
    """How the customer pays without being asked each time: a token of the provider."""

    stripe: str


class Subscription(Written):
    """A licence subscription that exists when the story starts."""

    product: str
    seats: int = Field(ge=0)
    term_starts: Day


class Customer(Written):
    name: str
    seller: str
    country: Country
    jurisdiction: str
    currency: Currency
    pays_by: PaysBy | None = None
    tenant: str | None = None  # the customer whose licences it uses; left out: its own
    group: str | None = None  # the customer it belongs to
    subscriptions: dict[Name, Subscription] = {}


class PriceRule(Written):
    """One customer price: for a product, for usage of a meter category, or a minimum commitment."""

    product: str | None = None
    usage: str | None = None  # meter category, or "*"
    azure: str | None = None  # Azure subscription
    purchase: Literal["*"] | None = None
    fixed: Decimal | None = None
    list: Yes | None = None
    cost_plus: Percent | None = None  # on top of the cost
    margin: Percent | None = None  # of the price
    discount: Percent | None = None
    markup: Percent | None = None
    pec_share: Share = Fraction(0)
    base: Literal["unit_price", "cost"] = "unit_price"
    minimum: Decimal | None = None
    priority: int = 0
    from_: Day | None = Field(default=None, alias="from")
    until: Day | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = ("fixed", "list", "cost_plus", "margin", "discount", "markup", "minimum")
        given = [k for k in kinds if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"a price rule has exactly one of {', '.join(kinds)}")
        needs = {"markup": "usage or purchase", "minimum": "azure"}.get(given[0], "product")
        subject = {
            "markup": self.usage or self.purchase,
            "minimum": self.azure,
        }.get(given[0], self.product)
        if subject is None:
            raise ValueError(f"{given[0]} needs {needs}")
        return self


def _form(value: object) -> str:
    return "rule" if isinstance(value, dict | PriceRule) else "amount"


# Told apart by their form, so that a mistake is reported once and not for each alternative.
AmountOrRule = Annotated[
    Annotated[PriceRule, Tag("rule")] | Annotated[Decimal, Tag("amount")], Discriminator(_form)
]


class Promotion(Written):
    """A percentage off a product of the contract, as lines of their own (docs/prices.md)."""

    product: str
    percent_off: Percent
    first_seats: int | None = Field(default=None, ge=1)
    keeps: Literal["term", "cycle"] = "term"
    from_: Day = Field(alias="from")
    until: Day | None = None


class Contract(Written):
    customer: str
    timing: Literal["advance", "arrears"]
    anchor_day: int = Field(default=1, ge=1, le=31)
    invoice_offset_days: int = Field(default=0, ge=0, le=60)
    starts: Day
    billed_through: Day | None = None
    ends: Day | None = None
    subscriptions: Names | None = None  # default: all of the customer's
    shares: dict[str, int] = {}  # customer/subscription → the seats it begins with
    bill_to: str | None = None  # the customer who gets the invoice
    convention: str | None = None  # default: days/v1
    psa: Literal["connectwise", "autotask", "none", "unmapped"] = "none"
    prices: list[PriceRule] = []
    promotions: list[Promotion] = []
    invoices: list[Day] = []


class Rate(Written):
    """Provider pricing currency → the file's billing currency, and the day it was fixed."""

    USD: Decimal = Decimal(1)
    on: Day | None = None


class UsageLine(Written):
    id: str
    date: Day
    customer: str
    azure: str
    category: str
    meter: str
    quantity: Decimal
    price: Decimal  # per unit, pricing currency, before partner credit
    pec: Percent = Decimal(0)
    currency: Currency = "USD"  # pricing currency


class Purchase(Written):
    """A provider invoice line without daily usage: a reservation, a savings plan."""

    id: str
    customer: str
    azure: str | None = None
    category: Literal["reservation", "savings_plan", "software", "other"] = "reservation"
    name: str
    quantity: Decimal = Decimal(1)
    price: Decimal
    cost: Decimal
    currency: Currency = "USD"


class FocusFile(Written):
    """A FOCUS cost file whose rows become daily rated lines and purchases."""

    file: Path  # relative to the story
    customer: str | None = None  # all sub-accounts …
    customers: dict[str, str] = {}  # … or sub-account id → customer

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if (self.customer is None) == (not self.customers):
            raise ValueError("name either customer or customers")
        return self


class Usage(Written):
    """One provider invoice: its daily rated usage and its purchases, as of `published`."""

    invoice: str
    month: Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    published: Instant
    currency: Currency
    rate: Rate = Rate()
    lines: list[UsageLine] = []
    purchases: list[Purchase] = []
    focus: FocusFile | None = None


class Event(Written):
    """Something that happens at `at`. Exactly one kind of thing, told by its fields."""

    id: Name
    at: Instant
    subscription: str | None = None  # customer/subscription
    seats: int | None = Field(default=None, ge=0)
    cancel: Yes | None = None
    suspend: Yes | None = None
    resume: Yes | None = None
    at_renewal: dict[Literal["seats"], int] | None = None
    sites: dict[str, int] = {}  # contract → how many of the seats that `seats` adds are its
    move: dict[str, int] | None = None  # contract → seats it gains (or loses) without the provider
    new_price: str | None = None  # product; with cost and list: the provider's from this day on
    cost: Priced | None = None
    list: Priced | None = None
    upgrade: str | None = None  # product; with subscription, as, and seats unless all go
    buy: str | None = None  # product; with customer, as (the new subscription's name), seats
    customer: str | None = None
    as_: Name | None = Field(default=None, alias="as")
    contract: str | None = None
    one_time: str | None = None  # product; with contract, price, quantity
    quantity: Decimal = Decimal(1)
    price: AmountOrRule | None = None
    refused: bool = False  # the provider must refuse it

    @property
    def kind(self) -> str:
        if self.one_time is not None:
            return "one_time"
        if self.buy is not None:
            return "buy"
        if self.new_price is not None:
            return "new_price"
        if isinstance(self.price, PriceRule):
            return "price"
        for kind in ("move", "upgrade", "seats", "cancel", "suspend", "resume", "at_renewal"):
            if getattr(self, kind) is not None:
                return kind
        raise ValueError("an event needs seats, cancel, suspend, resume, at_renewal, buy, …")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needs = {
            "one_time": ("contract", "price"),
            "buy": ("customer", "as_", "seats"),
            "price": ("contract",),
            "upgrade": ("subscription", "as_"),
            "new_price": ("cost", "list"),
        }.get(self.kind, ("subscription",))
        missing = [name.rstrip("_") for name in needs if getattr(self, name) is None]
        if missing:
            raise ValueError(f"this event also needs {', '.join(missing)}")
        return self


class Story(Written):
    story: Name
    title: str = ""
    starts: Day
    sellers: dict[Name, Seller]
    tax_rates: list[TaxRate] = []
    fx_rates: list[FxRate] = []
    products: dict[Name, Product] = {}
    customers: dict[Name, Customer]
    contracts: dict[Name, Contract]
    usage: list[Usage] = []
    events: list[Event] = []
    expect: Expect | None = None


def subscription_names(story: Story) -> set[str]:
    """`customer/subscription` of all that exist at the start or are bought later."""
    names = {f"{c}/{s}" for c, customer in story.customers.items() for s in customer.subscriptions}
    names |= {f"{e.customer}/{e.as_}" for e in story.events if e.kind == "buy"}
    return names | {
        f"{str(e.subscription).partition('/')[0]}/{e.as_}"
        for e in story.events
        if e.kind == "upgrade"
    }
