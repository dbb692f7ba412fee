"""What a line says when a charge changed after it was billed: the difference, and why.

The quantity is the difference of quantities where the unit price still holds, the whole quantity
where only the price changed, and one where neither explains the amount.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from shared.contracts.invoicing import InvoiceLine
from shared.contracts.rating import ChargeKind, ChargeRated
from shared.kernel.errors import Held
from shared.kernel.money import EXACT, Money


@dataclass(frozen=True, slots=True)
class Billed:
    """How far a charge has been billed: the revision last billed, the sum of its lines so far, and
    the first line that billed it (`ALD-000042/3`)."""

    charge: ChargeRated
    amount: Decimal
    line: str


def difference(charge: ChargeRated, amount: Decimal, billed: Billed) -> InvoiceLine | None:
    """The line that brings what was billed of `charge` to `amount`; None when it is there.

    Raises:
        Held: `cost_currency_changed`: costs in two currencies have no difference.
    """
    net = Money(amount, charge.currency) - Money(billed.amount, charge.currency)
    if not net.amount:
        return None
    if charge.cost_currency != billed.charge.cost_currency:
        raise Held(
            "cost_currency_changed",
            f"charge {charge.charge_id} cost {billed.charge.cost_currency} when it was billed, "
            f"now {charge.cost_currency}",
        )
    quantity, unit_price, reason = _explained(charge, billed, net)
    return InvoiceLine(
        number=0,
        charge_id=charge.charge_id,
        charge_revision=charge.revision,
        item_id=None,
        kind=charge.kind,
        product_key=charge.product.key,
        product_name=charge.product.name,
        tax_category=charge.product.tax_category,
        description=f"Correction of {billed.line}: {charge.description}, {reason}",
        subscription_id=charge.subscription_id,
        quantity=quantity,
        unit_price=unit_price,
        net=net.amount,
        net_exact=EXACT.subtract(charge.amount_exact, billed.charge.amount_exact),
        cost=EXACT.subtract(charge.cost, billed.charge.cost),
        cost_currency=charge.cost_currency,
        service_period=charge.service_period,
        recurring=False,  # it belongs to one cycle of the past
        corrects=billed.line,
    )


def multiplies_out(quantity: Decimal, unit_price: Decimal | None, net: Money) -> Decimal | None:
    """The unit price, if quantity × unit price rounds to the line; else None."""
    if unit_price is None:
        return None
    return unit_price if (Money(unit_price, net.currency) * quantity).rounded() == net else None


def _explained(
    charge: ChargeRated, billed: Billed, net: Money
) -> tuple[Decimal, Decimal | None, str]:
    """Quantity, unit price and the words for what changed."""
    before, after = billed.charge, charge
    added = EXACT.subtract(after.quantity, before.quantity)
    old_price, new_price = before.price.unit_price, after.price.unit_price
    if added:
        reason = f"quantity {before.quantity:f} → {after.quantity:f}"
        if after.kind is not ChargeKind.RECURRING:
            return added, None, reason
        if old_price == new_price and multiplies_out(added, new_price, net) is not None:
            return added, new_price, reason
        return Decimal(1), net.amount, reason
    if after.kind is ChargeKind.RECURRING and old_price is not None and new_price is not None:
        step = EXACT.subtract(new_price, old_price)
        if multiplies_out(after.quantity, step, net) is not None:
            return after.quantity, step, f"unit price {old_price:f} → {new_price:f}"
    reason = f"amount {billed.amount:f} → {after.amount:f}"
    return Decimal(1), net.amount if after.kind is ChargeKind.RECURRING else None, reason
