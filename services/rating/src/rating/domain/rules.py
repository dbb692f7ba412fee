"""Customer price rules: what they say, whom they are for, and which one wins.

Versions of a rule are immutable and effective-dated: from a version's `valid_from` on, it replaces
the earlier versions of the same rule. `ORDER` is the whole order among the rules in force.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from shared.kernel.errors import Invalid


class RuleKind(StrEnum):
    LICENCE = "licence"
    USAGE = "usage"
    PURCHASE = "purchase"
    MINIMUM = "minimum"


class Base(StrEnum):
    """What a mark-up is added to."""

    UNIT_PRICE = "unit_price"  # the provider's list price, less the shared part of the credit
    COST = "cost"  # what the provider charges us


@dataclass(frozen=True, slots=True)
class Fixed:
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class ListPrice:
    pass


@dataclass(frozen=True, slots=True)
class CostPlus:
    """A mark-up: `percent` of the cost on top of it. 20 % on 100.00 is 120.00."""

    percent: Decimal


@dataclass(frozen=True, slots=True)
class Margin:
    """A true margin: `percent` of the *price* is ours. 20 % on a cost of 100.00 is 125.00."""

    percent: Decimal

    def __post_init__(self) -> None:
        if not self.percent < 100:
            raise Invalid("margin_impossible", "a margin is less than 100 % of the price")


@dataclass(frozen=True, slots=True)
class Discount:
    percent: Decimal


@dataclass(frozen=True, slots=True)
class Markup:
    percent: Decimal
    pec_share: Fraction  # how much of the partner earned credit the customer gets
    base: Base = Base.UNIT_PRICE


@dataclass(frozen=True, slots=True)
class Minimum:
    amount: Decimal
    currency: str


Specificity = tuple[int, int, int, int]
Price = Fixed | ListPrice | CostPlus | Margin | Discount | Markup | Minimum

ALLOWED: dict[RuleKind, tuple[type[Price], ...]] = {
    RuleKind.LICENCE: (Fixed, ListPrice, CostPlus, Margin, Discount),
    RuleKind.USAGE: (Markup, ListPrice, CostPlus, Margin, Discount),
    RuleKind.PURCHASE: (Fixed, ListPrice, CostPlus, Margin, Discount, Markup),
    RuleKind.MINIMUM: (Minimum,),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom and what a rule is for; None means any.

    `product_key` is a whole key (`CFQ7TTC0LDPB:0001:P1Y:monthly`) or its first parts: a product
    with its SKU stands for all their terms and plans.
    """

    kind: RuleKind
    contract_id: str | None = None
    customer_id: str | None = None
    product_key: str | None = None
    meter_category: str | None = None
    azure_subscription_id: str | None = None
    term: str | None = None  # P1M, P1Y, P3Y
    billing_plan: str | None = None  # monthly, annual, triennial
    segment: str | None = None  # commercial, education …

    @property
    def specificity(self) -> Specificity:
        """Who comes first, then where, then what: a customer's own rule beats any general one."""
        who = 2 if self.contract_id else 1 if self.customer_id else 0
        parts = self.product_key.count(":") + 1 if self.product_key is not None else 0
        narrowed = (self.meter_category, self.term, self.billing_plan, self.segment)
        return (
            who,
            int(self.azure_subscription_id is not None),
            parts,
            sum(one is not None for one in narrowed),
        )

    def takes(self, subject: Scope) -> bool:
        """Whether a subject (a scope with everything known filled in) is inside this scope."""
        wanted = (
            (self.contract_id, subject.contract_id),
            (self.customer_id, subject.customer_id),
            (self.meter_category, subject.meter_category),
            (self.azure_subscription_id, subject.azure_subscription_id),
            (self.term, subject.term),
            (self.billing_plan, subject.billing_plan),
            (self.segment, subject.segment),
        )
        return (
            self.kind is subject.kind
            and all(w is None or w == s for w, s in wanted)
            and (self.product_key is None or _begins(subject.product_key, self.product_key))
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule; `valid_until` is exclusive."""

    rule_id: str
    version: int
    scope: Scope
    price: Price
    valid_from: date
    valid_until: date | None = None
    priority: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.price, ALLOWED[self.scope.kind]):
            raise Invalid(
                "price_kind_not_allowed",
                f"a {self.scope.kind} rule takes no {type(self.price).__name__} price",
            )
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise Invalid("validity_empty", f"{self.rule_id} ends before it begins")


def in_force(rules: Iterable[Rule], day: date) -> list[Rule]:
    """The version of each rule that counts on `day`; rules that have ended are left out."""
    latest: dict[str, Rule] = {}
    for rule in rules:
        if rule.valid_from > day:
            continue
        known = latest.get(rule.rule_id)
        if known is None or _age(rule) > _age(known):
            latest[rule.rule_id] = rule
    return [r for r in latest.values() if r.valid_until is None or day < r.valid_until]


def select(rules: Iterable[Rule], subject: Scope, day: date) -> Rule | None:
    """The rule that prices `subject` on `day`; the winner of `choose_rule`."""
    matching = [rule for rule in in_force(rules, day) if rule.scope.takes(subject)]
    best = max(map(_rank, matching), default=None)
    return min(
        (rule for rule in matching if _rank(rule) == best), key=lambda r: r.rule_id, default=None
    )


# The order among rules in force that take the subject, in words; `_rank` is the same in figures.
ORDER = (
    "the contract's rule before the customer's, before everybody's",
    "a rule for one Azure subscription before one for all",
    "the longer product key before the shorter, before any product",
    "more of term, billing plan, segment and meter category named before fewer",
    "the higher priority",
    "the later valid_from",
    "the higher version",
    "the smaller rule id",
)


@dataclass(frozen=True, slots=True)
class Lost:
    """A rule that did not price the subject, and why."""

    rule: Rule
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rule won, by which step of `ORDER`, and what became of the others."""

    rule: Rule | None
    reason: str
    lost: tuple[Lost, ...] = ()


def choose_rule(rules: Iterable[Rule], subject: Scope, day: date) -> Choice:
    """The rule that prices `subject` on `day`, with the reason why it won and the others lost."""
    known = list(rules)
    winner = select(known, subject, day)
    current = in_force(known, day)
    ordered = sorted(known, key=lambda r: (r.rule_id, r.version))
    lost = tuple(
        Lost(rule, _why_lost(rule, winner, current, subject=subject, day=day))
        for rule in ordered
        if rule is not winner
    )
    if winner is None:
        return Choice(None, "no rule takes it: the list price", lost)
    rivals = [r for r in current if r is not winner and r.scope.takes(subject)]
    if not rivals:
        return Choice(winner, "the only rule in force that takes it", lost)
    closest = max(_step_lost(winner, rival) for rival in rivals)
    return Choice(winner, ORDER[closest], lost)


def _why_lost(
    rule: Rule, winner: Rule | None, current: list[Rule], *, subject: Scope, day: date
) -> str:
    if not rule.scope.takes(subject):
        return "it is for something else"
    if rule.valid_from > day:
        return f"it begins on {rule.valid_from}"
    if rule not in current:
        if rule.valid_until is not None and rule.valid_until <= day:
            return f"it ended on {rule.valid_until}"
        return "a later version of the rule replaced it"
    if winner is None:
        return "nothing won"
    return f"{winner.rule_id} goes first: {ORDER[_step_lost(winner, rule)]}"


def _step_lost(winner: Rule, rival: Rule) -> int:
    """The step of `ORDER` at which the winner was told from a rival."""
    one, other = _flat(winner), _flat(rival)
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), len(one))


def _flat(rule: Rule) -> tuple[object, ...]:
    specificity, *rest = _rank(rule)
    return (*specificity, *rest)


def _begins(key: str | None, wanted: str) -> bool:
    """Whether `wanted` is the key or its first parts."""
    return key is not None and (key == wanted or key.startswith(f"{wanted}:"))


def text(price: Price) -> str:
    """The rule as people read it beside a figure."""
    match price:
        case Fixed(amount, currency):
            return f"fixed {amount:f} {currency}"
        case ListPrice():
            return "list price"
        case CostPlus(percent):
            return f"cost {_signed(percent)}"
        case Margin(percent):
            return f"cost with a margin of {_unsigned(percent)} of the price"
        case Discount(percent):
            return f"list price {_signed(-percent)}"
        case Markup(percent, share, Base.UNIT_PRICE):
            credit = f" × (1 − PEC × {share})" if share else ""
            return f"unit price{credit}, {_signed(percent)}"
        case Markup(percent):
            return f"cost, {_signed(percent)}"
        case Minimum(amount, currency):
            return f"at least {amount:f} {currency} a month"


def _signed(percent: Decimal) -> str:
    return f"{'−' if percent < 0 else '+'}{_unsigned(abs(percent))}"


def _unsigned(percent: Decimal) -> str:
    plain = f"{percent:f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return f"{plain} %"


def _age(rule: Rule) -> tuple[date, int]:
    return (rule.valid_from, rule.version)


def _rank(rule: Rule) -> tuple[Specificity, int, date, int]:
    return (rule.scope.specificity, rule.priority, rule.valid_from, rule.version)
