"""A simulation as people write it: contracts, histories and prices in one document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, model_validator

from rating.api.bodies import Amount, Body, Name, NamedPromotionBody, NamedRuleBody, Rate
from rating.domain import timeline
from rating.domain.pricing import PriceBook, SheetRow
from rating.domain.promotions import Promotion
from rating.domain.rules import Rule
from rating.domain.simulation import Rate as Conversion
from rating.domain.simulation import Subject
from rating.domain.timeline import Timeline
from shared.contracts.envelope import Currency
from shared.contracts.ingest import ChangeKind, ChangeSource, LicenceProduct, SubscriptionChanged
from shared.contracts.invoicing import ContractChanged, Timing
from shared.kernel import conventions
from shared.kernel.ids import derived_id
from shared.kernel.periods import start_of

LONG_AGO = date(2000, 1, 1)
MANY = 10_000

Day = Annotated[date, Field(ge=LONG_AGO, le=date(2199, 12, 31))]
Market = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Seats = Annotated[int, Field(ge=0, le=1_000_000)]


class ProductBody(Body):
    product_id: Name
    sku_id: Name
    term: Annotated[str, Field(pattern=r"^P\d{1,2}[MY]$|^none$")] = "P1Y"
    billing_plan: Literal["monthly", "annual", "triennial", "one_time"] = "monthly"
    segment: Name = "commercial"
    name: Name | None = None

    def product(self) -> LicenceProduct:
        return LicenceProduct(**self.model_dump(exclude={"name"}))


class ChangeBody(Body):
    """What is different afterwards; what is left out stays as it was."""

    at: AwareDatetime
    quantity: Seats | None = None
    product: ProductBody | None = None
    term_start: Day | None = None
    term_end: Day | None = None
    kind: ChangeKind = ChangeKind.QUANTITY_CHANGED
    change_id: Name | None = None


class ProviderCaseBody(Body):
    """A row of the case table: premises, and events in order. `pc_to_bc_rates` by month of charge,
    `{"2025-03": {"rate": "1.08", "billing_currency": "USD"}}`."""

    term: str
    billing_plan: str
    unit_price: str
    currency: str
    term_start: str
    events: Annotated[list[dict[str, Any]], Field(max_length=MANY)]
    case_id: str | None = None
    sku_title: str | None = None
    pc_to_bc_rates: dict[str, dict[str, str]] | None = None


class SubscriptionBody(Body):
    """`quantity` was there before the first change, since the term began."""

    subscription_id: Name
    product: ProductBody
    quantity: Seats = 0
    term_start: Day
    term_end: Day
    changes: Annotated[tuple[ChangeBody, ...], Field(max_length=MANY)] = ()

    @model_validator(mode="after")
    def _something_happens(self) -> SubscriptionBody:
        if not self.changes and not self.quantity:
            raise ValueError("a subscription has seats or changes")
        return self

    def timeline(self, customer_id: str) -> Timeline:
        return timeline.build(self._events(customer_id))

    def _events(self, customer_id: str) -> Iterator[SubscriptionChanged]:
        opening = ChangeBody(at=start_of(self.term_start), quantity=self.quantity)
        ordered = sorted(self.changes, key=lambda change: change.at)
        quantity, term, body = 0, (self.term_start, self.term_end), self.product
        for number, change in enumerate([opening, *ordered]):
            body = change.product or body
            product = body.product()
            term = (change.term_start or term[0], change.term_end or term[1])
            after = quantity if change.quantity is None else change.quantity
            if number or after:
                identity = change.change_id or derived_id(self.subscription_id, number)
                yield SubscriptionChanged(
                    change_id=identity,
                    kind=change.kind if number else ChangeKind.OPENING,
                    provider_account="simulation",
                    customer_id=customer_id,
                    subscription_id=self.subscription_id,
                    product=product,
                    product_name=body.name or product.key,
                    quantity_before=quantity,
                    quantity_after=after,
                    status="active",
                    term_start=term[0],
                    term_end=term[1],
                    effective_at=change.at,
                    detected_at=change.at,
                    version=number + 1,
                    source=ChangeSource(channel="simulation"),
                )
            quantity = after


class TermsBody(Body):
    """A contract; `through` closes its cycles."""

    contract_id: Name = "simulated"
    currency: Currency
    timing: Timing = Timing.ADVANCE
    anchor_day: Annotated[int, Field(ge=1, le=31)] = 1
    invoice_offset_days: Annotated[int, Field(ge=0, le=60)] = 0
    starts_on: Day
    billed_through: Day | None = None
    ends_on: Day | None = None
    convention: Annotated[str, Field(max_length=200)] = conventions.DEFAULT
    market: Market | None = None


class OtherTermsBody(Body):
    """Terms that a what-if sets; what is left out stays as it is."""

    currency: Currency | None = None
    timing: Timing | None = None
    anchor_day: Annotated[int, Field(ge=1, le=31)] | None = None
    starts_on: Day | None = None
    billed_through: Day | None = None
    ends_on: Day | None = None
    convention: Annotated[str, Field(max_length=200)] | None = None
    market: Market | None = None


class CustomerBody(Body):
    customer_id: Name
    contract: TermsBody
    subscriptions: Annotated[list[SubscriptionBody], Field(max_length=MANY)]

    def subject(self) -> Subject:
        """Raises Invalid: `convention_unknown`."""
        terms = self.contract.model_dump()
        terms["billed_through"] = terms["billed_through"] or terms["starts_on"]
        conventions.parse(terms["convention"])
        contract = ContractChanged(
            version=1, account_id=self.customer_id, provider_customer_id=self.customer_id,
            subscription_ids=None, **terms,
        )  # fmt: skip
        lines = [sub.timeline(self.customer_id) for sub in self.subscriptions]
        return Subject(contract, (contract,), tuple(lines))


class SheetRowBody(Body):
    product: ProductBody
    currency: Currency
    unit_price: Amount  # what we pay
    erp_price: Amount  # the list price
    effective_from: Day = LONG_AGO
    effective_until: Day | None = None
    market: Market | None = None


class PricesBody(Body):
    """A whole sheet, rules and promotions. A what-if keeps what is left out: the sheet, the rules,
    the promotions; an empty list is none of them."""

    sheet: Annotated[tuple[SheetRowBody, ...], Field(max_length=MANY)] | None = None
    rules: Annotated[tuple[NamedRuleBody, ...], Field(max_length=MANY)] | None = None
    promotions: Annotated[tuple[NamedPromotionBody, ...], Field(max_length=MANY)] | None = None

    def book(self, kept: PriceBook) -> PriceBook:
        """These prices, over those that are kept."""
        return replace(
            kept if self.sheet is None else PriceBook.of((), self._rows(self.sheet)),
            rules=kept.rules if self.rules is None else tuple(self._rules(self.rules)),
            promotions=(
                kept.promotions
                if self.promotions is None
                else tuple(self._promotions(self.promotions))
            ),
        )

    def _rows(self, sheet: Sequence[SheetRowBody]) -> list[SheetRow]:
        return [
            SheetRow(
                sheet_id="simulation", market=row.market or "", currency=row.currency,
                product_key=row.product.product().key, segment=row.product.segment,
                unit_price=row.unit_price, erp_price=row.erp_price,
                effective_from=row.effective_from, effective_until=row.effective_until,
                fetched_at=datetime.combine(LONG_AGO, datetime.min.time(), tzinfo=UTC),
            )
            for row in sheet
        ]  # fmt: skip

    def _rules(self, written: Sequence[NamedRuleBody]) -> list[Rule]:
        """In the order written: a later one of the same id is a later version."""
        numbered = enumerate(written, 1)
        return [replace(rule.rule(rule.rule_id), version=number) for number, rule in numbered]

    def _promotions(self, written: Sequence[NamedPromotionBody]) -> list[Promotion]:
        """As with rules."""
        numbered = enumerate(written, 1)
        return [replace(one.promotion(one.promotion_id), version=n) for n, one in numbered]


class RateBody(Body):
    """One unit of `source_currency` is worth `rate` of `target_currency`."""

    source_currency: Currency
    target_currency: Currency
    rate: Rate
    source: Name = "simulation"

    def conversion(self) -> Conversion:
        return Conversion(**dict(self))


class SwapBody(Body):
    """Another term, plan or product than was bought."""

    instead_of: ProductBody
    product: ProductBody


class InsteadBody(Body):
    """The other premise; what is left out stays as it is."""

    prices: PricesBody | None = None
    contract: OtherTermsBody = OtherTermsBody()
    products: tuple[SwapBody, ...] = ()
    price_protection: bool = True
    rates: tuple[RateBody, ...] | None = None

    def terms(self) -> dict[str, object]:
        return {k: v for k, v in dict(self.contract).items() if v is not None}

    def swap(self) -> dict[str, LicenceProduct]:
        return {one.instead_of.product().key: one.product.product() for one in self.products}


class SimulationBody(Body):
    """`customers` are written here; `stored` are customers whose facts rating has already, priced
    as they are unless `prices` says otherwise."""

    customers: Annotated[tuple[CustomerBody, ...], Field(max_length=MANY)] = ()
    stored: Annotated[tuple[Name, ...], Field(max_length=1_000)] = ()
    prices: PricesBody | None = None
    through: Day
    rates: tuple[RateBody, ...] = ()
    instead: InsteadBody | None = None

    @model_validator(mode="after")
    def _complete(self) -> SimulationBody:
        names = [customer.contract.contract_id for customer in self.customers]
        if len(set(names)) < len(names):
            raise ValueError("every customer's contract has a contract_id of its own")
        if not self.customers and not self.stored:
            raise ValueError("whom? give customers or stored")
        if self.customers and (self.prices is None or self.prices.sheet is None):
            raise ValueError("customers that are written here need prices with a sheet")
        return self
