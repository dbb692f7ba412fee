"""Promotions: a percentage off what the customer's rule says, as a negative charge of its own.

A promotion counts for a *term* (decided on the day the term's price is: kept until renewal, and at
renewal only if the renewal date is inside its dates) or by *cycle* (decided anew on the first day
of every charge cycle, or of a term that begins inside one). Whatever happens inside a cycle follows
that decision, so a seat added and taken away again cancels to nothing. A seat cap counts the seats
of one subscription: the first so many. Promotions do not add up; `select` names the one that wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from rating.domain.closing import closed
from rating.domain.desired import charge_id
from rating.domain.rules import RuleKind, Scope, Specificity
from rating.domain.timeline import State, Timeline
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeKind, ChargeRated, PriceBasis
from shared.kernel.errors import Invalid
from shared.kernel.money import to_decimal

PRODUCT_PREFIX = "promotion:"  # of the product key of its charges: a PSA maps it on its own


class Keeps(StrEnum):
    """How long a promotion holds once it is got."""

    TERM = "term"  # until the term ends
    CYCLE = "cycle"  # as long as its dates are open


@dataclass(frozen=True, slots=True)
class Promotion:
    """One version of a promotion; `ends` is exclusive. A version replaces the earlier ones of its
    id from its `starts` on."""

    promotion_id: str
    version: int
    name: str
    scope: Scope
    percent: Decimal
    starts: date
    ends: date | None
    keeps: Keeps = Keeps.TERM
    seat_cap: int | None = None  # None: every seat
    first_purchase: bool = False  # only the customer's first term of the product
    priority: int = 0

    def __post_init__(self) -> None:
        if self.scope.kind is not RuleKind.LICENCE:
            raise Invalid("promotion_not_for_licences", "promotions are for licences")
        if not 0 < self.percent <= 100:
            raise Invalid("promotion_percent", "a promotion takes off up to 100 %")
        if self.seat_cap is not None and self.seat_cap < 1:
            raise Invalid("promotion_seat_cap", "a seat cap is one seat or more")
        if self.ends is not None and self.ends <= self.starts:
            raise Invalid("validity_empty", f"{self.promotion_id} ends before it begins")

    def seats(self, quantity: int) -> int:
        """How many of so many seats it is for."""
        return quantity if self.seat_cap is None else min(quantity, self.seat_cap)

    @property
    def text(self) -> str:
        """As people read it beside a figure."""
        cap = f", the first {self.seat_cap} seats" if self.seat_cap is not None else ""
        percent = f"{self.percent:f}"
        percent = percent.rstrip("0").rstrip(".") if "." in percent else percent
        return f"promotion {self.name}: {percent} % off{cap}"


@dataclass(frozen=True, slots=True)
class FirstTerm:
    """The first term in which a customer had a product."""

    subscription_id: str
    term_start: date


Firsts = Mapping[str, FirstTerm]  # by product and SKU


def first_terms(timelines: Iterable[Timeline]) -> dict[str, FirstTerm]:
    """The first term of each product among all subscriptions of a customer."""
    found: dict[str, FirstTerm] = {}
    for line in timelines:
        for state in (line.origin, *(step.after for step in line.steps)):
            if state.quantity <= 0:
                continue
            term = FirstTerm(line.subscription_id, state.term_start)
            known = found.setdefault(_sku(state), term)
            if (term.term_start, term.subscription_id) < (known.term_start, known.subscription_id):
                found[_sku(state)] = term
    return found


def in_force(promotions: Iterable[Promotion], day: date) -> list[Promotion]:
    """The version of each promotion that counts on `day`; those that ended are left out."""
    latest: dict[str, Promotion] = {}
    for one in promotions:
        known = latest.get(one.promotion_id)
        age = (one.starts, one.version)
        if one.starts <= day and (known is None or age > (known.starts, known.version)):
            latest[one.promotion_id] = one
    return [one for one in latest.values() if one.ends is None or day < one.ends]


def select(promotions: Iterable[Promotion], subject: Subject, base_day: date) -> Promotion | None:
    """The promotion for a subject: the more specific scope, then the higher priority, then the
    higher percentage, then the smaller id. `base_day` is the first day of the cycle."""
    known = list(promotions)
    cycle_day = max(base_day, subject.state.term_start)
    found = [
        *(one for one in in_force(known, subject.price_day) if one.keeps is Keeps.TERM),
        *(one for one in in_force(known, cycle_day) if one.keeps is Keeps.CYCLE),
    ]
    eligible = [one for one in found if _is_eligible(one, subject)]
    best = max(map(_rank, eligible), default=None)
    return min(
        (one for one in eligible if _rank(one) == best),
        key=lambda one: one.promotion_id,
        default=None,
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """What a promotion may be for: a state of a subscription under a contract."""

    scope: Scope
    state: State
    subscription_id: str
    price_day: date  # of its term, under its contract
    firsts: Firsts

    @property
    def is_first_purchase(self) -> bool:
        term = FirstTerm(self.subscription_id, self.state.term_start)
        return self.firsts.get(_sku(self.state)) == term


@dataclass(frozen=True, slots=True)
class Seats:
    """How many seats there were before and after what a charge is for."""

    before: int
    after: int


def reduction(
    promotions: Iterable[Promotion],
    subject: Subject,
    base: ChargeRated,
    *,
    seats: Seats,
    contract: ContractChanged,
) -> ChargeRated | None:
    """The negative charge that a promotion makes of a charge; None where none applies.

    Raises:
        Held: `amount_out_of_bounds`.
    """
    share = base.proration
    first_day = share.cycle.start if share else base.service_period.start
    promotion = select(promotions, subject, first_day)
    if promotion is None or base.price.unit_price is None:
        return None
    count = promotion.seats(seats.after) - promotion.seats(seats.before)
    if count == 0:
        return None
    off = Fraction(base.price.unit_price) * Fraction(promotion.percent) / 100
    exact = -count * off * (Fraction(share.days, share.cycle_days) if share else 1)
    nothing = Decimal(0)
    return base.model_copy(
        update={
            "charge_id": reduction_id(base.contract_id, base.subscription_id, base.charge_id),
            "kind": ChargeKind.PROMOTION,
            "product": base.product.model_copy(
                update={"key": f"{PRODUCT_PREFIX}{promotion.promotion_id}"}
            ),
            "description": f"{promotion.name}, on {base.description}",
            "quantity": Decimal(-count),
            "amount": closed(exact, contract),
            "amount_exact": to_decimal(exact),
            "cost": nothing,
            "price": _basis(promotion, base.price, off, subject.price_day),
        }
    )


def reduction_id(contract_id: str, subscription_id: str | None, base_id: str) -> str:
    """The identity of the promotion on a charge, whichever promotion it is."""
    return charge_id(contract_id, ChargeKind.PROMOTION, subscription_id or "", base_id)


def _basis(promotion: Promotion, base: PriceBasis, off: Fraction, price_day: date) -> PriceBasis:
    return PriceBasis(
        rule_id=promotion.promotion_id,
        rule_version=promotion.version,
        rule_text=f"{promotion.text}, on {base.rule_text}",
        unit_price=to_decimal(off),
        unit_cost=None,
        list_price=base.unit_price,
        price_as_of=price_day,
    )


def _is_eligible(promotion: Promotion, subject: Subject) -> bool:
    if promotion.first_purchase and not subject.is_first_purchase:
        return False
    return promotion.scope.takes(subject.scope)


def _rank(promotion: Promotion) -> tuple[Specificity, int, Decimal]:
    return (promotion.scope.specificity, promotion.priority, promotion.percent)


def _sku(state: State) -> str:
    return f"{state.product.product_id}:{state.product.sku_id}"
