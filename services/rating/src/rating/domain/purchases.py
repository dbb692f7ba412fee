"""What a provider purchase without usage of its own (a reservation, a savings plan) is sold for.

Without a rule: the list price at the provider's rate, no mark-up. The cost is what the provider
printed, truncated to its currency.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from rating.domain import rules
from rating.domain.closing import closed
from rating.domain.cycles import bill_on, usage_boundary
from rating.domain.desired import charge_id
from rating.domain.fx import Conversion, ProviderRate, conversion
from rating.domain.rules import Fixed, ListPrice, Rule, RuleKind, Scope
from rating.domain.usage import unit_sale
from shared.contracts.envelope import PeriodField
from shared.contracts.ingest import ProviderPurchaseRecorded
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeKind, ChargeProduct, ChargeRated, PriceBasis
from shared.kernel.errors import Held
from shared.kernel.fx import FxRate
from shared.kernel.money import Rounding, exponent, round_to, to_decimal

DEFAULT_RULE = "provider-list"
PRODUCT_PREFIX = "azure-purchase:"
_NAMES = {
    "reservation": "Azure reservation",
    "savings_plan": "Azure savings plan",
    "software": "Software",
}
_TAX_CATEGORIES = {
    "reservation": "reservation",
    "savings_plan": "reservation",
    "software": "licence",
}


def is_withdrawn(purchase: ProviderPurchaseRecorded) -> bool:
    """Whether the provider took the purchase back: a newer version of its invoice has it not."""
    return purchase.quantity == 0 and purchase.provider_subtotal == 0


def purchase_charge(
    contract: ContractChanged,
    purchase: ProviderPurchaseRecorded,
    all_rules: Sequence[Rule],
    rates: Sequence[FxRate],
) -> ChargeRated:
    """The charge of one purchase.

    Raises:
        Held: `no_fx_rate`, `no_price_in_currency`.
    """
    rule = rules.select(all_rules, _subject(contract, purchase), purchase.charge_period.start)
    unit, how = _unit_price(contract, purchase, rule, rates)
    exact = Fraction(purchase.quantity) * unit
    billed = purchase.billing_period.period()
    return ChargeRated(
        charge_id=purchase_charge_id(contract, purchase),
        revision=1,
        kind=ChargeKind.PURCHASE,
        contract_id=contract.contract_id,
        customer_id=contract.provider_customer_id,
        subscription_id=purchase.azure_subscription_id,
        product=_product(purchase),
        description=purchase.description,
        quantity=purchase.quantity,
        currency=contract.currency,
        amount=closed(exact, contract),
        amount_exact=to_decimal(exact),
        cost=round_to(
            purchase.provider_subtotal, exponent(purchase.billing_currency), Rounding.DOWN
        ),
        cost_currency=purchase.billing_currency,
        service_period=PeriodField.of(purchase.charge_period.period()),
        bill_on=bill_on(contract, usage_boundary(contract, billed)),
        price=PriceBasis(
            rule_id=rule.rule_id if rule else DEFAULT_RULE,
            rule_version=rule.version if rule else 0,
            rule_text=how,
            unit_price=to_decimal(unit),
            unit_cost=purchase.effective_unit_price,
            list_price=purchase.unit_price,
            price_as_of=purchase.charge_period.start,
        ),
        source_ids=(purchase.purchase_id,),
    )


def purchase_charge_id(contract: ContractChanged, purchase: ProviderPurchaseRecorded) -> str:
    return charge_id(contract.contract_id, ChargeKind.PURCHASE, purchase.purchase_id)


def _unit_price(
    contract: ContractChanged,
    purchase: ProviderPurchaseRecorded,
    rule: Rule | None,
    rates: Sequence[FxRate],
) -> tuple[Fraction, str]:
    price = rule.price if rule else ListPrice()
    if isinstance(price, Fixed):
        if price.currency != contract.currency:
            detail = f"the rule is in {price.currency}, the contract in {contract.currency}"
            raise Held("no_price_in_currency", detail)
        return Fraction(price.amount), rules.text(price)
    provider = ProviderRate(
        purchase.pricing_currency,
        purchase.billing_currency,
        purchase.provider_rate,
        purchase.provider_rate_on,
    )
    last_day = purchase.billing_period.period().last_day
    rate = conversion(provider, contract.currency, rates, month_end=last_day)
    per_unit = unit_sale(
        price,
        unit_price=purchase.unit_price,
        effective=purchase.effective_unit_price,
        pec_rate=Decimal(0),  # purchases earn no partner credit
    )
    return per_unit * Fraction(rate.rate), f"{rules.text(price)} {_at(purchase, rate)}"


def _at(purchase: ProviderPurchaseRecorded, rate: Conversion) -> str:
    listed = f"{purchase.unit_price:f} {purchase.pricing_currency}"
    on = f" of {rate.on}" if rate.on else ""
    version = f", version {rate.version}" if rate.version else ""
    return f"({listed}) × {rate.rate:f} ({rate.source}{on}{version})"


def _product(purchase: ProviderPurchaseRecorded) -> ChargeProduct:
    return ChargeProduct(
        key=f"{PRODUCT_PREFIX}{purchase.category}",
        name=_NAMES.get(purchase.category, "Azure purchase"),
        tax_category=_TAX_CATEGORIES.get(purchase.category, "usage"),
    )


def _subject(contract: ContractChanged, purchase: ProviderPurchaseRecorded) -> Scope:
    return Scope(
        RuleKind.PURCHASE,
        contract_id=contract.contract_id,
        customer_id=contract.provider_customer_id,
        product_key=f"{PRODUCT_PREFIX}{purchase.category}",
        azure_subscription_id=purchase.azure_subscription_id,
    )
