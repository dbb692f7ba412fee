"""What each usage line is: billable under which contract and rule, held, or not billable.

Lines that agree in everything that decides a price form a group; a group's sale is quantity × unit
sale, exactly, so nothing is lost by rating groups instead of lines. This is the plain reference
that the columnar twin is tested against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from rating.domain import rules
from rating.domain.fx import ProviderRate, conversion
from rating.domain.ownership import is_before_all, owner_of_change
from rating.domain.rules import (
    Base,
    CostPlus,
    Discount,
    ListPrice,
    Margin,
    Markup,
    Price,
    Rule,
    Scope,
)
from shared.contracts.invoicing import ContractChanged
from shared.contracts.usage_frame import UsageLine
from shared.kernel.errors import Held, Invalid
from shared.kernel.fx import FxRate
from shared.kernel.money import EXACT


class Outcome(StrEnum):
    """What becomes of a line. Every line has exactly one."""

    RATED = "rated"
    NO_CONTRACT = "no_contract"
    NO_PRICE_RULE = "no_price_rule"
    NO_FX_RATE = "no_fx_rate"
    TAX = "tax"  # the provider's tax is no service
    COVERED = "covered_by_benefit"  # paid for by a reservation or savings plan purchase
    BEFORE_CONTRACT = "before_contract"  # a contract exists and starts later


HELD = frozenset({Outcome.NO_CONTRACT, Outcome.NO_PRICE_RULE, Outcome.NO_FX_RATE})
NOT_BILLABLE = frozenset({Outcome.TAX, Outcome.COVERED, Outcome.BEFORE_CONTRACT})


@dataclass(frozen=True, slots=True)
class Decision:
    """Contract and rule of a line, as far as they are known."""

    outcome: Outcome
    contract_id: str | None = None
    rule_id: str | None = None
    rule_version: int | None = None


@dataclass(frozen=True, slots=True)
class GroupKey:
    """Everything that lines of one group have in common."""

    decision: Decision
    customer_id: str
    azure_subscription_id: str
    meter_category: str
    meter_id: str
    meter_name: str
    product_key: str
    unit: str
    usage_month: date  # its first day
    unit_price: Decimal
    effective_unit_price: Decimal
    pec_rate: Decimal
    provider: ProviderRate


@dataclass(frozen=True, slots=True)
class Group:
    key: GroupKey
    lines: int
    quantity: Decimal
    billing_pretax: Decimal


@dataclass(frozen=True, slots=True)
class Grouped:
    """The groups of some lines, and for each line the position of its group."""

    groups: tuple[Group, ...]
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UsageBook:
    """The contracts, rules and rates that may apply to the customers of some lines."""

    contracts: Mapping[str, Sequence[ContractChanged]]  # by provider customer
    rules: Sequence[Rule] = ()
    rates: Sequence[FxRate] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a line decides its contract, its rule and whether it is billable."""

    customer_id: str
    azure_subscription_id: str
    usage_date: date
    meter_category: str
    product_key: str
    charge_type: str
    covered: bool
    provider: ProviderRate

    @classmethod
    def of(cls, line: UsageLine) -> Facts:
        return cls(
            customer_id=line.customer_id,
            azure_subscription_id=line.azure_subscription_id,
            usage_date=line.usage_date,
            meter_category=line.meter_category,
            product_key=line.product_key,
            charge_type=line.charge_type,
            covered=is_covered(line),
            provider=provider_rate(line),
        )


@dataclass(slots=True)
class Decider:
    """Decides lines of one file; remembers its answers, since lines repeat."""

    book: UsageBook
    month_end: date  # last day of the billing month
    _known: dict[Facts, Decision] = field(default_factory=dict)
    _rules: dict[str, list[Rule]] = field(default_factory=dict)

    def decide(self, facts: Facts) -> Decision:
        decision = self._known.get(facts)
        if decision is None:
            decision = self._known[facts] = self._decide(facts)
        return decision

    @property
    def turning_days(self) -> list[date]:
        """The days on which some decision may change: between two of them all days are alike."""
        days = {rule.valid_from for rule in self.book.rules}
        days |= {rule.valid_until for rule in self.book.rules if rule.valid_until}
        for contract in (c for group in self.book.contracts.values() for c in group):
            days |= {contract.starts_on} | ({contract.ends_on} if contract.ends_on else set())
        return sorted(days)

    def _decide(self, facts: Facts) -> Decision:
        if facts.charge_type.casefold() == "tax":
            return Decision(Outcome.TAX)
        if facts.covered:
            return Decision(Outcome.COVERED)
        contracts = self.book.contracts.get(facts.customer_id, ())
        contract = owner_of_change(contracts, facts.azure_subscription_id, facts.usage_date)
        if contract is None:
            before = is_before_all(contracts, facts.azure_subscription_id, facts.usage_date)
            return Decision(Outcome.BEFORE_CONTRACT if before else Outcome.NO_CONTRACT)
        rule = rules.select(self._rules_of(contract), _subject(facts, contract), facts.usage_date)
        if rule is None:
            return Decision(Outcome.NO_PRICE_RULE, contract.contract_id)
        outcome = Outcome.RATED
        try:
            conversion(facts.provider, contract.currency, self.book.rates, month_end=self.month_end)
        except Held:
            outcome = Outcome.NO_FX_RATE
        return Decision(outcome, contract.contract_id, rule.rule_id, rule.version)

    def _rules_of(self, contract: ContractChanged) -> list[Rule]:
        """All versions of the rules that, in some version, may be about this contract."""
        found = self._rules.get(contract.contract_id)
        if found is None:
            about = {
                rule.rule_id
                for rule in self.book.rules
                if rule.scope.contract_id in (None, contract.contract_id)
                and rule.scope.customer_id in (None, contract.provider_customer_id)
            }
            found = [rule for rule in self.book.rules if rule.rule_id in about]
            self._rules[contract.contract_id] = found
        return found


def group_lines(lines: Sequence[UsageLine], decider: Decider) -> Grouped:
    """Decide every line and sum those that share everything."""
    places: dict[GroupKey, int] = {}
    sums: list[list[Decimal]] = []
    counts: list[int] = []
    positions = []
    for line in lines:
        key = _key(line, decider.decide(Facts.of(line)))
        place = places.setdefault(key, len(places))
        if place == len(sums):
            sums.append([Decimal(0), Decimal(0)])
            counts.append(0)
        counts[place] += 1
        sums[place][0] = EXACT.add(sums[place][0], line.quantity)
        sums[place][1] = EXACT.add(sums[place][1], line.billing_pretax)
        positions.append(place)
    groups = tuple(
        Group(key, counts[place], sums[place][0], sums[place][1]) for key, place in places.items()
    )
    return Grouped(groups, tuple(positions))


def unit_sale(
    price: Price, *, unit_price: Decimal, effective: Decimal, pec_rate: Decimal
) -> Fraction:
    """What the customer pays per unit, in the provider's pricing currency, exactly.

    Raises:
        Invalid: `price_kind_not_allowed` for a price that is not made from the provider's.
    """
    listed, cost = Fraction(unit_price), Fraction(effective)
    match price:
        case ListPrice():
            return listed
        case Discount(percent):
            return listed * (1 - Fraction(percent) / 100)
        case CostPlus(percent) | Markup(percent, _, Base.COST):
            return cost * (1 + Fraction(percent) / 100)
        case Margin(percent):
            return cost / (1 - Fraction(percent) / 100)
        case Markup(percent, share, Base.UNIT_PRICE):
            return listed * (1 - Fraction(pec_rate) * share) * (1 + Fraction(percent) / 100)
        case _:
            raise Invalid("price_kind_not_allowed", f"{rules.text(price)} prices no usage")


def is_covered(line: UsageLine) -> bool:
    """Used, and free because something bought elsewhere pays for it. To charge the list price here
    would charge it twice; usage that is free for everybody has a list price of zero."""
    return line.unit_price != 0 and line.effective_unit_price == 0 and line.billing_pretax == 0


def provider_rate(line: UsageLine) -> ProviderRate:
    return ProviderRate(
        line.pricing_currency, line.billing_currency, line.provider_rate, line.provider_rate_on
    )


def _subject(facts: Facts, contract: ContractChanged) -> Scope:
    return Scope(
        rules.RuleKind.USAGE,
        contract_id=contract.contract_id,
        customer_id=facts.customer_id,
        product_key=facts.product_key,
        meter_category=facts.meter_category,
        azure_subscription_id=facts.azure_subscription_id,
    )


def _key(line: UsageLine, decision: Decision) -> GroupKey:
    return GroupKey(
        decision=decision,
        customer_id=line.customer_id,
        azure_subscription_id=line.azure_subscription_id,
        meter_category=line.meter_category,
        meter_id=line.meter_id,
        meter_name=line.meter_name,
        product_key=line.product_key,
        unit=line.unit,
        usage_month=line.usage_date.replace(day=1),
        unit_price=line.unit_price,
        effective_unit_price=line.effective_unit_price,
        pec_rate=line.pec_rate,
        provider=provider_rate(line),
    )
