"""Entries of the License Change Log: what a PSA has to be told about a change, once and for ever.

The first sight of a subscription is an entry, too: a PSA compares it with what it holds. Updates
that move neither seats nor price make none. A change of product makes two: the old product loses
its units, the new one gains them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from rating.domain.pricing import UnitPrice
from rating.domain.timeline import State, Step
from shared.contracts.ingest import ChangeKind
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeProduct, ChargeRated, LicenceChangeRated
from shared.kernel.ids import derived_id

TAX_CATEGORY = "licence"


@dataclass(frozen=True, slots=True)
class Leg:
    """Units of one product at one price that a change adds or takes away."""

    name: str  # "", or "from" and "to" where the price or the product changes
    state: State
    delta: int
    price: UnitPrice


@dataclass(frozen=True, slots=True)
class Priced:
    """A step with the prices on both sides; `old` is None where nothing was there before."""

    old: UnitPrice | None
    new: UnitPrice
    legs: tuple[Leg, ...]

    @property
    def price_changed(self) -> bool:
        return self.old is not None and self.old.price != self.new.price


def entries(
    contract: ContractChanged,
    step: Step,
    priced: Priced,
    prorations: Mapping[str, ChargeRated],
) -> list[LicenceChangeRated]:
    """The entries of one step, the product that leaves before the product that comes."""
    change = step.change
    old = priced.old
    if old is not None and step.before.product != step.after.product:
        leaving = _Part("from", step.before, old, change.quantity_before, 0, before=old)
        coming = _Part("to", step.after, priced.new, 0, change.quantity_after)
        return [_entry(contract, step, part, prorations) for part in (leaving, coming)]
    idle = change.kind is ChangeKind.UPDATED and step.delta == 0
    if idle and not priced.price_changed:
        return []
    part = _Part(
        "", step.after, priced.new, change.quantity_before, change.quantity_after,
        priced.price_changed, old,
    )  # fmt: skip
    return [_entry(contract, step, part, prorations)]


def opening_entry(
    contract: ContractChanged, step: Step, state: State, price: UnitPrice
) -> LicenceChangeRated:
    """What a contract begins with: `state`, from the contract's first day or the first sight."""
    part = _Part("", state, price, 0, state.quantity)
    entry = _entry(contract, step, part, {})
    return entry.model_copy(update={"effective_on": max(step.day, contract.starts_on)})


@dataclass(frozen=True, slots=True)
class _Part:
    leg: str
    state: State
    price: UnitPrice
    quantity_before: int
    quantity_after: int
    price_changed: bool = False
    before: UnitPrice | None = None  # of the units that were there


def _entry(
    contract: ContractChanged,
    step: Step,
    part: _Part,
    prorations: Mapping[str, ChargeRated],
) -> LicenceChangeRated:
    change = step.change
    identity = (change.change_id, part.leg, *([step.site] if step.site else []))
    caused = [c for leg, c in prorations.items() if part.leg in ("", leg)]
    return LicenceChangeRated(
        entry_id=derived_id("licence-change", *identity),
        change_id=change.change_id,
        kind=change.kind,
        contract_id=contract.contract_id,
        customer_id=change.customer_id,
        subscription_id=change.subscription_id,
        product=product_of(part.state),
        quantity_before=part.quantity_before,
        quantity_after=part.quantity_after,
        effective_on=step.day,
        recorded_at=change.detected_at,
        currency=contract.currency,
        unit_price=part.price.price,
        unit_cost=part.price.cost,
        cost_currency=part.price.cost_currency,
        unit_price_before=part.before.price if part.before else None,
        unit_cost_before=part.before.cost if part.before else None,
        price_changed=part.price_changed,
        prorated_amount=sum((charge.amount for charge in caused), Decimal(0)),
        charge_id=caused[-1].charge_id if caused else None,
    )


def product_of(state: State) -> ChargeProduct:
    """The licence as a charge names it."""
    return ChargeProduct(
        key=state.product.key,
        name=state.product_name,
        tax_category=TAX_CATEGORY,
        term=state.product.term,
        billing_plan=state.product.billing_plan,
    )
