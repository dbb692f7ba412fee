"""From sums of usage to charges: one per Azure subscription, meter category, usage month and the
provider's billing month. Late usage is a charge of its own that points at the month it supplements.

The sale is exact and rounded once. The cost follows the provider, who truncates twice per meter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction

from rating.domain import rules
from rating.domain.closing import closed
from rating.domain.cycles import bill_on, usage_boundary
from rating.domain.desired import Desired, Draft, Hold, charge_id
from rating.domain.fx import Conversion, conversion
from rating.domain.rules import Rule
from rating.domain.usage import HELD, GroupKey, Outcome, unit_sale
from shared.contracts.envelope import PeriodField
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import (
    ChargeKind,
    ChargeProduct,
    ChargeRated,
    PriceBasis,
    UsageBasis,
)
from shared.kernel.errors import Held
from shared.kernel.fx import FxRate
from shared.kernel.money import EXACT, Rounding, exponent, round_to, to_decimal
from shared.kernel.periods import Period, month_of

TAX_CATEGORY = "usage"
PRODUCT_PREFIX = "azure:"


@dataclass(frozen=True, slots=True)
class UsageSum:
    """All current lines of one group key in one billing month, whatever files brought them."""

    key: GroupKey
    billing_month: date  # its first day
    lines: int
    quantity: Decimal
    file_ids: frozenset[str]


@dataclass(frozen=True, slots=True, order=True)
class Bin:
    """What one charge sums up."""

    azure_subscription_id: str
    meter_category: str
    usage_month: date
    billing_month: date

    @classmethod
    def of(cls, usage: UsageSum) -> Bin:
        key = usage.key
        return cls(
            key.azure_subscription_id, key.meter_category, key.usage_month, usage.billing_month
        )

    def charge_id(self, contract_id: str) -> str:
        return charge_id(
            contract_id,
            ChargeKind.USAGE,
            self.azure_subscription_id,
            self.meter_category,
            self.usage_month,
            self.billing_month,
        )

    @property
    def original(self) -> Bin:
        """The bin of the same usage month that was billed in time."""
        return Bin(
            self.azure_subscription_id, self.meter_category, self.usage_month, self.usage_month
        )


@dataclass(frozen=True, slots=True)
class MeterCost:
    """The provider's line for one meter: truncated in its pricing currency, then in its billing
    currency."""

    meter_id: str
    meter_name: str
    quantity: Decimal
    unit_cost: Decimal | None  # None where the meter had several
    exact: Decimal
    priced: Decimal
    pricing_currency: str
    rate: Decimal
    cost: Decimal
    billing_currency: str


@dataclass(frozen=True, slots=True)
class UsageTerms:
    """A contract and what its usage needs; `through` is the latest boundary closed by a run."""

    contract: ContractChanged
    rules: Mapping[tuple[str, int], Rule]
    rates: Sequence[FxRate] = ()
    through: date | None = None
    names: Mapping[str, str] = field(default_factory=dict)  # Azure subscription → its name

    def name_of(self, azure_subscription_id: str) -> str:
        """What people call an Azure subscription; its id where nobody told us."""
        return self.names.get(azure_subscription_id) or azure_subscription_id

    def is_due(self, month: Period) -> bool:
        return self.through is not None and usage_boundary(self.contract, month) <= self.through


def usage_charges(terms: UsageTerms, sums: Iterable[UsageSum]) -> Desired:
    """The usage charges of a contract that are due; holds also of months that are not due yet."""
    bins: dict[Bin, list[UsageSum]] = {}
    for usage in sums:
        bins.setdefault(Bin.of(usage), []).append(usage)
    draft = Draft()
    for place in sorted(bins):
        held = _holds(place, bins[place])
        identity = place.charge_id(terms.contract.contract_id)
        for hold in held:
            draft.hold(hold, identity)
        billable = [u for u in bins[place] if u.key.decision.outcome is Outcome.RATED]
        if held or not billable or not terms.is_due(month_of(place.billing_month)):
            continue
        corrects = place.original if place.billing_month > place.usage_month else None
        try:
            charge = _charge(terms, place, billable)
        except Held as missing:
            draft.hold(Hold.of(missing, object=_object(place), key=place.meter_category), identity)
            continue
        if corrects in bins:
            original = corrects.charge_id(terms.contract.contract_id)
            charge = charge.model_copy(update={"corrects": original})
        draft.charges.append(charge)
    return draft.done()


def meter_costs(sums: Iterable[UsageSum]) -> list[MeterCost]:
    """The provider's figures, one per meter, list price and credit state, as its invoice has it."""
    by_line: dict[tuple[object, ...], list[UsageSum]] = {}
    for usage in sums:
        key = usage.key
        line = (key.meter_name, key.meter_id, key.unit_price, key.pec_rate, key.provider)
        by_line.setdefault(line, []).append(usage)
    costs = [_meter_cost(group) for group in by_line.values()]
    return sorted(costs, key=lambda c: (c.meter_name, c.meter_id, c.unit_cost or Decimal(0)))


def exact_sale(terms: UsageTerms, usage: UsageSum) -> Fraction:
    """What the customer pays for a sum, before rounding, in the contract's currency."""
    rule = _rule(terms, usage.key)
    key = usage.key
    per_unit = unit_sale(
        rule.price,
        unit_price=key.unit_price,
        effective=key.effective_unit_price,
        pec_rate=key.pec_rate,
    )
    return Fraction(usage.quantity) * per_unit * Fraction(conversion_of(terms, usage).rate)


def conversion_of(terms: UsageTerms, usage: UsageSum) -> Conversion:
    """The rate that a sum is converted with. Raises Held: `no_fx_rate`."""
    last_day = month_of(usage.billing_month).last_day
    return conversion(usage.key.provider, terms.contract.currency, terms.rates, month_end=last_day)


def _rule(terms: UsageTerms, key: GroupKey) -> Rule:
    decision = key.decision
    assert decision.rule_id is not None
    assert decision.rule_version is not None
    return terms.rules[decision.rule_id, decision.rule_version]


def _meter_cost(group: Sequence[UsageSum]) -> MeterCost:
    key = group[0].key
    provider = key.provider
    quantity, exact = Decimal(0), Decimal(0)
    for usage in group:
        quantity = EXACT.add(quantity, usage.quantity)
        part = EXACT.multiply(usage.key.effective_unit_price, usage.quantity)
        exact = EXACT.add(exact, part)
    priced = round_to(exact, exponent(provider.pricing_currency), Rounding.DOWN)
    billed = EXACT.multiply(priced, provider.rate)
    unit_costs = {usage.key.effective_unit_price for usage in group}
    return MeterCost(
        meter_id=key.meter_id,
        meter_name=key.meter_name,
        quantity=quantity,
        unit_cost=unit_costs.pop() if len(unit_costs) == 1 else None,
        exact=exact,
        priced=priced,
        pricing_currency=provider.pricing_currency,
        rate=provider.rate,
        cost=round_to(billed, exponent(provider.billing_currency), Rounding.DOWN),
        billing_currency=provider.billing_currency,
    )


def _charge(terms: UsageTerms, place: Bin, sums: Sequence[UsageSum]) -> ChargeRated:
    contract = terms.contract
    exact = sum((exact_sale(terms, usage) for usage in sums), Fraction(0))
    costs = meter_costs(sums)
    currencies = {cost.billing_currency for cost in costs}
    if len(currencies) > 1:
        raise Held("billing_currencies_mixed", f"one charge costs {', '.join(sorted(currencies))}")
    billed = month_of(place.billing_month)
    return ChargeRated(
        charge_id=place.charge_id(contract.contract_id),
        revision=1,
        kind=ChargeKind.USAGE,
        contract_id=contract.contract_id,
        customer_id=contract.provider_customer_id,
        subscription_id=place.azure_subscription_id,
        subscription_name=terms.names.get(place.azure_subscription_id),
        product=product_of(place.meter_category),
        description=_description(terms, place),
        quantity=Decimal(1),
        currency=contract.currency,
        amount=closed(exact, contract),
        amount_exact=to_decimal(exact),
        cost=sum((cost.cost for cost in costs), Decimal(0)),
        cost_currency=currencies.pop(),
        service_period=PeriodField.of(month_of(place.usage_month)),
        bill_on=bill_on(contract, usage_boundary(contract, billed)),
        price=_price_basis(terms, sums),
        usage=_usage_basis(terms, place, sums),
        source_ids=tuple(sorted(frozenset[str]().union(*(u.file_ids for u in sums)))),
    )


def product_of(category: str) -> ChargeProduct:
    """A meter category as a product that PSAs map and customers read."""
    return ChargeProduct(
        key=f"{PRODUCT_PREFIX}{category}", name=f"Azure {category}", tax_category=TAX_CATEGORY
    )


def _description(terms: UsageTerms, place: Bin) -> str:
    what = f"{terms.name_of(place.azure_subscription_id)} {place.meter_category}"
    late = "usage month " if place.billing_month != place.usage_month else ""
    return f"{what}, {late}{place.usage_month:%Y-%m}"


def _price_basis(terms: UsageTerms, sums: Sequence[UsageSum]) -> PriceBasis:
    """The rule that applied; where it changed inside the month, all texts and the last id."""
    used = {(r.valid_from, r.rule_id, r.version): r for r in (_rule(terms, u.key) for u in sums)}
    ordered = [used[position] for position in sorted(used)]
    texts = dict.fromkeys(rules.text(rule.price) for rule in ordered)
    return PriceBasis(
        rule_id=ordered[-1].rule_id,
        rule_version=ordered[-1].version,
        rule_text="; ".join(texts),
        unit_price=None,
        unit_cost=None,
    )


def _usage_basis(terms: UsageTerms, place: Bin, sums: Sequence[UsageSum]) -> UsageBasis:
    largest = max(sums, key=lambda u: (u.lines, u.key.meter_id, u.quantity))
    rate = conversion_of(terms, largest)
    quantity = Decimal(0)
    for usage in sums:
        quantity = EXACT.add(quantity, usage.quantity)
    return UsageBasis(
        lines=sum(usage.lines for usage in sums),
        quantity=quantity,
        usage_month=PeriodField.of(month_of(place.usage_month)),
        billing_month=PeriodField.of(month_of(place.billing_month)),
        pricing_currency=largest.key.provider.pricing_currency,
        fx_rate=rate.rate,
        fx_on=rate.on,
        fx_source=rate.source,
        fx_version=rate.version,
        meters=tuple(sorted({usage.key.meter_name or usage.key.meter_id for usage in sums})),
    )


def _holds(place: Bin, sums: Iterable[UsageSum]) -> list[Hold]:
    found: dict[tuple[Outcome, str], Hold] = {}
    for usage in sums:
        outcome = usage.key.decision.outcome
        if outcome not in HELD:
            continue
        key = place.meter_category
        if outcome is Outcome.NO_FX_RATE:
            key = usage.key.provider.pricing_currency
        detail = f"usage of {place.usage_month:%Y-%m}, {place.meter_category}, waits"
        found.setdefault((outcome, key), Hold(outcome.value, _object(place), key, detail))
    return list(found.values())


def _object(place: Bin) -> str:
    return f"azure-subscription/{place.azure_subscription_id}"
