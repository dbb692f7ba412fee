"""Top-ups to a minimum commitment: what was agreed for a month, minus what its usage came to.

Usage counts by the month in which it was used, late lines included, so a top-up may shrink later. A
minimum is for whole calendar months, and only for months whose provider file is in: a missing file
is no reason to bill the full minimum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from rating.domain import rules
from rating.domain.closing import closed
from rating.domain.cycles import bill_on, usage_boundary
from rating.domain.desired import Desired, Draft, Hold, charge_id
from rating.domain.ownership import covers
from rating.domain.rules import Minimum, Rule, RuleKind, Scope
from rating.domain.usage_charges import TAX_CATEGORY, UsageTerms
from shared.contracts.envelope import PeriodField
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeKind, ChargeProduct, ChargeRated, PriceBasis
from shared.kernel.errors import Held
from shared.kernel.money import EXACT
from shared.kernel.periods import Period, month_of

PRODUCT = ChargeProduct(
    key="azure-minimum", name="Azure minimum commitment", tax_category=TAX_CATEGORY
)


def minimum_charges(
    terms: UsageTerms,
    usage: Desired,
    *,
    minimums: Sequence[Rule],
    known_months: frozenset[date],
) -> Desired:
    """The top-ups of every due month. `known_months`: first days of the months whose billed usage
    is complete; `usage`: the usage charges of the contract, as just computed."""
    draft = Draft()
    for month in _months(terms):
        current = rules.in_force(minimums, month.start)
        for target in _targets(terms.contract, current, usage.charges):
            own = [rule for rule in current if rule.scope.azure_subscription_id == target]
            rule = rules.select(own, _subject(terms.contract, target), month.start)
            if rule is not None:
                _top_up(draft, terms, usage, month=month, rule=rule, known_months=known_months)
    return draft.done()


def _top_up(
    draft: Draft,
    terms: UsageTerms,
    usage: Desired,
    *,
    month: Period,
    rule: Rule,
    known_months: frozenset[date],
) -> None:
    contract, price, target = terms.contract, rule.price, rule.scope.azure_subscription_id
    assert isinstance(price, Minimum)
    identity = charge_id(
        contract.contract_id, ChargeKind.MINIMUM, target or "contract", month.start
    )
    reason = _obstacle(usage, target, is_known=month.start in known_months)
    if price.currency != contract.currency:
        reason = "no_price_in_currency"
    what = f"azure-subscription/{target}" if target else f"contract/{contract.contract_id}"
    key = f"{month.start:%Y-%m}"
    if reason is not None:
        draft.hold(Hold(reason, what, key, f"the minimum of {key} cannot be told yet"), identity)
        return
    counted = [c for c in usage.charges if _counts(c, month, target)]
    missing = _missing(price, counted)
    if missing <= 0:
        return
    try:
        charge = _charge(terms, identity, rule=rule, missing=missing, month=month, counted=counted)
    except Held as held:
        draft.hold(Hold.of(held, object=what, key=key), identity)
        return
    draft.charges.append(charge)


def _missing(price: Minimum, counted: Iterable[ChargeRated]) -> Decimal:
    left = price.amount
    for charge in counted:
        left = EXACT.subtract(left, charge.amount)
    return left


def _charge(
    terms: UsageTerms,
    identity: str,
    *,
    rule: Rule,
    missing: Decimal,
    month: Period,
    counted: Sequence[ChargeRated],
) -> ChargeRated:
    contract, target = terms.contract, rule.scope.azure_subscription_id
    name = terms.name_of(target) if target else "Azure"
    cost_currency = counted[0].cost_currency if counted else contract.currency
    sources = sorted({source for charge in counted for source in charge.source_ids})
    return ChargeRated(
        charge_id=identity,
        revision=1,
        kind=ChargeKind.MINIMUM,
        contract_id=contract.contract_id,
        customer_id=contract.provider_customer_id,
        subscription_id=target,
        subscription_name=terms.names.get(target) if target else None,
        product=PRODUCT,
        description=f"{name} minimum commitment, {month.start:%Y-%m}",
        quantity=Decimal(1),
        currency=contract.currency,
        amount=closed(missing, contract),
        amount_exact=missing,
        cost=Decimal(0),
        cost_currency=cost_currency,
        service_period=PeriodField.of(month),
        bill_on=bill_on(contract, usage_boundary(contract, month)),
        price=PriceBasis(
            rule_id=rule.rule_id,
            rule_version=rule.version,
            rule_text=rules.text(rule.price),
            unit_price=None,
            unit_cost=None,
            price_as_of=month.start,
        ),
        source_ids=tuple(sources),
    )


def _obstacle(usage: Desired, target: str | None, *, is_known: bool) -> str | None:
    """Why the usage of the month cannot be told; None when it can."""
    if not is_known:
        return "usage_file_missing"
    if any(_waits(hold, target) for hold in usage.holds):
        return "usage_held"
    return None


def _waits(hold: Hold, target: str | None) -> bool:
    return target is None or hold.object == f"azure-subscription/{target}"


def _counts(charge: ChargeRated, month: Period, target: str | None) -> bool:
    inside = charge.service_period.period() == month
    return inside and (target is None or charge.subscription_id == target)


def _months(terms: UsageTerms) -> Iterable[Period]:
    """Whole calendar months inside the contract whose usage is due, in order."""
    contract = terms.contract
    month = month_of(contract.starts_on)
    if month.start < contract.starts_on:
        month = month_of(month.end)
    while terms.is_due(month) and (contract.ends_on is None or month.end <= contract.ends_on):
        yield month
        month = month_of(month.end)


def _targets(
    contract: ContractChanged, current: Iterable[Rule], usage: Iterable[ChargeRated]
) -> list[str | None]:
    """The Azure subscriptions (None: the whole contract) that have a minimum in this contract.

    A rule that names neither contract nor customer applies where the subscription is known here.
    """
    used = {charge.subscription_id for charge in usage}
    known = used | set(contract.subscription_ids or ())
    found: set[str | None] = set()
    for rule in current:
        scope, target = rule.scope, rule.scope.azure_subscription_id
        is_ours = scope.contract_id is not None or scope.customer_id is not None
        seen = covers(contract, target) if is_ours else target in known
        if scope.takes(_subject(contract, target)) and (seen or (target is None and used)):
            found.add(target)
    return sorted(found, key=lambda target: target or "")


def _subject(contract: ContractChanged, target: str | None) -> Scope:
    return Scope(
        RuleKind.MINIMUM,
        contract_id=contract.contract_id,
        customer_id=contract.provider_customer_id,
        azure_subscription_id=target,
    )
