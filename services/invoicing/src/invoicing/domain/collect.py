"""Which lines an invoice has: what every charge is worth now, minus what was billed of it before.

A charge never billed becomes a plain line. A charge that changed after it was billed becomes a
catch-up line that points at the first line that billed it. Differences of zero vanish. So replays,
late facts and corrections of corrections all end in the same sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from invoicing.domain import arrange, catch_up
from shared.contracts.envelope import PeriodField
from shared.contracts.invoicing import InvoiceLine
from shared.contracts.rating import ChargeKind, ChargeRated
from shared.kernel.errors import Held, Invalid
from shared.kernel.money import Money
from shared.kernel.periods import Period

ONE_TIME = "one_time"

# No invoice line in any currency has more digits before the point; a larger amount is a defect
# upstream and stops its own invoice only.
AMOUNT_BOUND = Decimal(10) ** 15

# A unit price is printed where quantity × unit price is the line; elsewhere it would mislead.
_PRICED_PER_UNIT = frozenset({ChargeKind.RECURRING, ChargeKind.PURCHASE, ChargeKind.PROMOTION})


@dataclass(frozen=True, slots=True)
class ChargeState:
    """A charge as it is now, and how far it has been billed."""

    charge: ChargeRated
    billed: catch_up.Billed | None = None
    supplements: str | None = None  # printed line of the charge that `charge.corrects` names


@dataclass(frozen=True, slots=True)
class OneTimeItem:
    """Something sold once, billed on the first invoice dated on or after `on`."""

    item_id: str
    product_key: str
    name: str
    tax_category: str
    quantity: Decimal
    unit_price: Decimal
    on: date
    cost: Decimal
    cost_currency: str


@dataclass(frozen=True, slots=True)
class ControlTotal:
    """How many charges are due through a date, and what they sum to."""

    charges: int
    amount: Decimal


def require_complete(told: ControlTotal, found: ControlTotal) -> None:
    """Refuse to draft before every charge that rating counted is here.

    Raises:
        Held: `charges_incomplete`, with both figures.
    """
    if told != found:
        raise Held(
            "charges_incomplete",
            f"rating counts {told.charges} charges that sum to {told.amount:f}; "
            f"here are {found.charges} that sum to {found.amount:f}",
        )


def collect(
    charges: Iterable[ChargeState],
    items: Iterable[OneTimeItem],
    *,
    invoice_date: date,
    currency: str,
) -> tuple[InvoiceLine, ...]:
    """The numbered lines of an invoice, in the order customers read them.

    Raises:
        Invalid: `currency_mismatch`, `amount_not_rounded`, `amount_out_of_bounds`: upstream is
            wrong about a charge, and no invoice may carry it.
        Held: `cost_currency_changed`.
    """
    lines = [
        (arrange.charge_position(state.charge, line), line)
        for state in charges
        if state.charge.bill_on <= invoice_date
        for line in _charge_lines(state, currency)
    ]
    lines += [
        (arrange.item_position(item.on, item.item_id), _item_line(item, currency))
        for item in items
        if item.on <= invoice_date
    ]
    ordered = sorted(lines, key=lambda pair: pair[0])
    return tuple(
        line.model_copy(update={"number": number})
        for number, (_, line) in enumerate(ordered, start=1)
    )


def net_of(lines: Sequence[InvoiceLine]) -> Decimal:
    """The sum of the rounded lines; it is never rounded again."""
    return sum((line.net for line in lines), Decimal(0))


def _charge_lines(state: ChargeState, currency: str) -> list[InvoiceLine]:
    charge = state.charge
    amount = _closed(charge, currency)
    before = state.billed
    if before is None:
        return [_plain_line(state, amount)] if amount else []
    line = catch_up.difference(charge, amount, before)
    return [line] if line else []


def _closed(charge: ChargeRated, currency: str) -> Decimal:
    """The charge's amount, proven to be whole minor units of the contract's currency."""
    if charge.currency != currency:
        raise Invalid(
            "currency_mismatch",
            f"charge {charge.charge_id} is in {charge.currency}, its contract in {currency}",
        )
    figures = (charge.amount, charge.amount_exact, charge.cost, charge.quantity)
    if any(_out_of_bounds(figure) for figure in (*figures, charge.price.unit_price or Decimal(0))):
        raise Invalid(
            "amount_out_of_bounds",
            f"charge {charge.charge_id} has a figure of 16 digits before the point or more",
        )
    money = Money(charge.amount, currency)
    if money.rounded() != money:
        raise Invalid("amount_not_rounded", f"charge {charge.charge_id} is {money}")
    return money.rounded().amount


def _plain_line(state: ChargeState, amount: Decimal) -> InvoiceLine:
    charge = state.charge
    priced = charge.kind in _PRICED_PER_UNIT
    return InvoiceLine(
        number=0,
        charge_id=charge.charge_id,
        charge_revision=charge.revision,
        item_id=None,
        kind=charge.kind,
        product_key=charge.product.key,
        product_name=charge.product.name,
        tax_category=charge.product.tax_category,
        description=_described(charge),
        subscription_id=charge.subscription_id,
        quantity=charge.quantity,
        unit_price=(
            catch_up.multiplies_out(
                charge.quantity, charge.price.unit_price, Money(amount, charge.currency)
            )
            if priced
            else None
        ),
        net=amount,
        net_exact=charge.amount_exact,
        cost=charge.cost,
        cost_currency=charge.cost_currency,
        service_period=charge.service_period,
        recurring=charge.kind is ChargeKind.RECURRING,
        corrects=state.supplements,
    )


def _described(charge: ChargeRated) -> str:
    """The charge's description; a proration always says how many days of how many, and by which
    convention they were counted."""
    if charge.proration is None:
        return charge.description
    share = f"{charge.proration.days}/{charge.proration.cycle_days}"
    if share in charge.description:
        return charge.description
    basis = charge.proration
    return f"{charge.description}, {share} {basis.unit}s ({basis.convention})"


def _item_line(item: OneTimeItem, currency: str) -> InvoiceLine:
    exact = Money(item.unit_price, currency) * item.quantity
    if _out_of_bounds(exact.amount) or _out_of_bounds(item.cost):
        raise Invalid(
            "amount_out_of_bounds",
            f"item {item.item_id} has an amount of 16 digits before the point or more",
        )
    return InvoiceLine(
        number=0,
        charge_id=None,
        charge_revision=None,
        item_id=item.item_id,
        kind=ONE_TIME,
        product_key=item.product_key,
        product_name=item.name,
        tax_category=item.tax_category,
        description=item.name,
        subscription_id=None,
        quantity=item.quantity,
        unit_price=item.unit_price,
        net=exact.rounded().amount,
        net_exact=exact.amount,
        cost=item.cost,
        cost_currency=item.cost_currency,
        service_period=PeriodField.of(Period(item.on, item.on + timedelta(days=1))),
        recurring=False,
        corrects=None,
    )


def _out_of_bounds(figure: Decimal) -> bool:
    return abs(figure) >= AMOUNT_BOUND
