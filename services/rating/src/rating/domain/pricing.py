"""What one seat costs the customer, and us, for one charge cycle of one term.

A term keeps its price: the rule and the list price are those of the day the term started, or of the
day the contract started where that is later. Without a rule the price is the list price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from rating.domain import rules
from rating.domain.promotions import Promotion
from rating.domain.rules import (
    Choice,
    CostPlus,
    Discount,
    Fixed,
    ListPrice,
    Margin,
    Rule,
    RuleKind,
    Scope,
)
from shared.contracts.ingest import LicenceProduct
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import PriceBasis
from shared.kernel.errors import Held
from shared.kernel.money import Rounding, exponent, round_to

PUBLISHED = "half away from zero to the currency's minor unit, when the price is published"
DEFAULT_RULE = "list-price"  # version 0: what applies where nobody agreed anything else


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A price of one provider sheet; `effective_until` is exclusive."""

    sheet_id: str
    market: str
    currency: str
    product_key: str
    segment: str
    unit_price: Decimal
    erp_price: Decimal
    effective_from: date
    effective_until: date | None
    fetched_at: datetime

    def covers(self, day: date) -> bool:
        return self.effective_from <= day and (
            self.effective_until is None or day < self.effective_until
        )


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """The price of one seat for one whole charge cycle."""

    price: Decimal
    cost: Decimal
    cost_currency: str
    basis: PriceBasis


@dataclass(frozen=True, slots=True)
class PriceBook:
    """The sheet rows, rules and promotions that some contracts may need."""

    rules: tuple[Rule, ...] = ()
    rows: Mapping[tuple[str, str], tuple[SheetRow, ...]] = field(default_factory=dict)
    promotions: tuple[Promotion, ...] = ()

    @classmethod
    def of(
        cls,
        rules: Iterable[Rule],
        rows: Iterable[SheetRow],
        promotions: Iterable[Promotion] = (),
    ) -> PriceBook:
        by_product: dict[tuple[str, str], tuple[SheetRow, ...]] = {}
        for row in rows:
            key = (row.product_key, row.segment)
            by_product[key] = (*by_product.get(key, ()), row)
        return cls(tuple(rules), by_product, tuple(promotions))

    def rows_of(self, product: LicenceProduct) -> tuple[SheetRow, ...]:
        return self.rows.get((product.key, product.segment), ())


def licence_price(
    book: PriceBook, contract: ContractChanged, product: LicenceProduct, term_start: date
) -> UnitPrice:
    """The price of a seat of `product` in the term that began on `term_start`.

    Raises:
        Held: `unknown_product`, `no_price_in_market`, `market_ambiguous`, `no_price_in_currency`,
            `no_price_on_date`.
    """
    as_of = max(term_start, contract.starts_on)
    rows = _rows_in_market(book, contract, product)
    rule = rules.select(book.rules, subject_of(contract, product), as_of)
    own = [r for r in rows if r.currency == contract.currency]
    row = row_on(own, as_of)
    if not (rule and isinstance(rule.price, Fixed)):
        _require_one_price(own, product, as_of)
    price = _customer_price(rule, row, contract, product, as_of)
    cost = _cost_row(rows, contract.currency, product, (term_start, as_of))
    return UnitPrice(
        price=price,
        cost=cost.unit_price,
        cost_currency=cost.currency,
        basis=PriceBasis(
            rule_id=rule.rule_id if rule else DEFAULT_RULE,
            rule_version=rule.version if rule else 0,
            rule_text=rules.text(rule.price if rule else ListPrice()),
            unit_price=price,
            unit_cost=cost.unit_price,
            list_price=row.erp_price if row else None,
            price_as_of=as_of,
        ),
    )


def _rows_in_market(
    book: PriceBook, contract: ContractChanged, product: LicenceProduct
) -> Sequence[SheetRow]:
    rows = book.rows_of(product)
    if not rows:
        raise Held("unknown_product", f"no price sheet has {product.key} ({product.segment})")
    if contract.market is None:
        return rows
    found = [row for row in rows if row.market == contract.market]
    if not found:
        raise Held("no_price_in_market", f"no price sheet of {contract.market} has {product.key}")
    return found


def _require_one_price(rows: Sequence[SheetRow], product: LicenceProduct, as_of: date) -> None:
    """The contract says no market: then all that have the product must ask the same."""
    in_force = _rows_in_force(rows, as_of)
    if len({(row.unit_price, row.erp_price) for row in in_force}) > 1:
        raise _ambiguous(in_force, product)


def _ambiguous(rows: Sequence[SheetRow], product: LicenceProduct) -> Held:
    markets = ", ".join(sorted({row.market for row in rows}))
    currencies = " and ".join(sorted({row.currency for row in rows}))
    return Held(
        "market_ambiguous",
        f"{markets} have different prices of {product.key} in {currencies}: the contract has to "
        "say its market",
    )


def provider_price(book: PriceBook, product: LicenceProduct, currency: str, day: date) -> SheetRow:
    """What the provider charges us for a seat whose price was locked on `day`.

    Raises:
        Held: `unknown_product`, `no_price_in_currency`, `market_ambiguous`.
    """
    rows = book.rows_of(product)
    if not rows:
        raise Held("unknown_product", f"no price sheet has {product.key} ({product.segment})")
    own = [row for row in rows if row.currency == currency]
    if not own:
        raise Held("no_price_in_currency", f"no price sheet has {product.key} in {currency}")
    return _cost_row(own, currency, product, (day,))


def subject_of(contract: ContractChanged, product: LicenceProduct) -> Scope:
    """What is to be priced, as a scope with everything known filled in."""
    return Scope(
        RuleKind.LICENCE,
        contract_id=contract.contract_id,
        customer_id=contract.provider_customer_id,
        product_key=product.key,
        term=product.term,
        billing_plan=product.billing_plan,
        segment=product.segment,
    )


def chosen_rule(
    all_rules: Iterable[Rule], contract: ContractChanged, product: LicenceProduct, as_of: date
) -> Choice:
    """Which rule prices a product on a day, why, and what became of the others."""
    return rules.choose_rule(all_rules, subject_of(contract, product), as_of)


def _customer_price(
    rule: Rule | None,
    row: SheetRow | None,
    contract: ContractChanged,
    product: LicenceProduct,
    as_of: date,
) -> Decimal:
    price = rule.price if rule else ListPrice()
    if isinstance(price, Fixed):
        if price.currency != contract.currency:
            raise Held(
                "no_price_in_currency",
                f"{rule.rule_id if rule else ''} is in {price.currency}, "
                f"the contract in {contract.currency}",
            )
        return price.amount
    if row is None:
        raise Held(
            "no_price_on_date",
            f"no {contract.currency} price of {product.key} is in force on {as_of}",
        )
    match price:
        case CostPlus(percent):
            factor = 1 + Fraction(percent) / 100
            return published(Fraction(row.unit_price) * factor, contract.currency)
        case Margin(percent):
            part = 1 - Fraction(percent) / 100
            return published(Fraction(row.unit_price) / part, contract.currency)
        case Discount(percent):
            factor = 1 - Fraction(percent) / 100
            return published(Fraction(row.erp_price) * factor, contract.currency)
        case _:
            return row.erp_price


def published(exact: Fraction, currency: str) -> Decimal:
    """`PUBLISHED`: a computed unit price is printed and multiplied by seats, so it is rounded to
    whole minor units once, before it meets a quantity."""
    return round_to(exact, exponent(currency), Rounding.HALF_AWAY)


def row_on(rows: Iterable[SheetRow], day: date) -> SheetRow | None:
    """The row in force: the latest to take effect, in the sheet that was fetched last."""
    return max((row for row in rows if row.covers(day)), key=_lateness, default=None)


def _lateness(row: SheetRow) -> tuple[date, datetime, str, str]:
    return (row.effective_from, row.fetched_at, row.market, row.sheet_id)


def _rows_in_force(rows: Iterable[SheetRow], day: date) -> list[SheetRow]:
    """The one of every market that has any."""
    return [row for own in _by_market(rows) if (row := row_on(own, day))]


def _by_market(rows: Iterable[SheetRow]) -> Iterable[list[SheetRow]]:
    found: dict[str, list[SheetRow]] = {}
    for row in rows:
        found.setdefault(row.market, []).append(row)
    return found.values()


def _cost_row(
    rows: Sequence[SheetRow], currency: str, product: LicenceProduct, days: Iterable[date]
) -> SheetRow:
    """What we pay is locked since the term began. Sheets that old may never have been read; then
    the nearest later one is our best knowledge of a cost that the provider's invoice will correct.

    Raises:
        Held: `market_ambiguous`, where that is another amount in another market.
    """
    candidates = [row for row in rows if row.currency == currency] or rows
    in_force = next((found for day in days if (found := _rows_in_force(candidates, day))), None)
    chosen = in_force or [min(own, key=_earliness) for own in _by_market(candidates)]
    if len({(row.unit_price, row.currency) for row in chosen}) > 1:
        raise _ambiguous(chosen, product)
    return max(chosen, key=_lateness) if in_force else min(chosen, key=_earliness)


def _earliness(row: SheetRow) -> tuple[date, str, str, str]:
    return (row.effective_from, row.currency, row.market, row.sheet_id)
