"""What has happened to the subscriptions so far, and the lines that it made.

A charge cycle or renewal that no event names happens on its day all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from rating.domain.provider_lines.cycles import PLAN_MONTHS, Term
from rating.domain.provider_lines.figures import Figure, Rate
from rating.domain.provider_lines.lines import Any_, Line, Outcome, Refusal, Span, Standing
from rating.domain.provider_lines.reading import Case, Event
from rating.domain.provider_lines.renewals import next_term
from rating.domain.provider_lines.subscriptions import Family, Subscription
from rating.domain.provider_lines.windows import MEANING, No
from shared.kernel.errors import Invalid

DAY = timedelta(days=1)
BILLED = frozenset({"active", "suspended"})


@dataclass(slots=True)
class History:
    """What has happened so far; lives for one call of `expected_lines`."""

    case: Case
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)

    def of(self, event: Event) -> Subscription:
        """The subscription an event is about.

        Raises:
            Invalid: `subscription_unknown`.
        """
        name = event.subscription or "S1"
        if name not in self.subscriptions:
            raise Invalid("subscription_unknown", f"event {event.index} ({event.type}): {name}")
        return self.subscriptions[name]

    def all_of(self, event: Event) -> list[Subscription]:
        """The one that an event names, or all."""
        named = event.subscription
        return [self.of(event)] if named else list(self.subscriptions.values())

    def keep(self, subscription: Subscription) -> None:
        self.subscriptions[subscription.name] = subscription

    def is_changed_within(self, subscription: Subscription) -> bool:
        """Whether something was charged from a later day of the running cycle than its first."""
        start = subscription.cycle.start
        return any(
            isinstance(one, Line)
            and one.subscription == subscription.name
            and one.span.start > start
            for one in self.outcomes
        )

    def next_name(self) -> str:
        return f"S{len(self.subscriptions) + 1}"

    def refuse(self, event: Event, no: No) -> None:
        self.outcomes.append(Refusal(event.index, no.code, no.note or MEANING.get(no.code or "")))

    def stand(self, event: Event, at: date, status: str, **extras: Any) -> None:
        self.outcomes.append(Standing(event.index, at, status, tuple(extras.items())))

    def charge(
        self,
        subscription: Subscription,
        kind: str,
        event: Event,
        span: Span,
        *,
        quantity: int | None = None,
        order_date: date | None = None,
        extras: Sequence[tuple[str, Any]] = (),
    ) -> None:
        """A line at the subscription's price; refunds have negative quantities. Products with
        telephony make two, of which the second is its telecom part.

        Raises:
            Invalid: `no_fx_rate`.
        """
        ordered = order_date or event.day
        title = [("sku_title", subscription.title)] if subscription.title else []
        qualifiers = list(subscription.qualifiers)
        marked = [("product_qualifiers", qualifiers)] if qualifiers else []
        telecom = subscription.telecom_price(self.case.currency)
        parts: list[tuple[Decimal, tuple[tuple[str, Any], ...]]] = [(subscription.price, ())]
        if telecom is not None:
            parts = [(subscription.price - telecom, ()), (telecom, (("telecom", True),))]
        for price, mark in parts:
            figure = Figure(
                price=price,
                discount=subscription.discount,
                share=span.share,
                quantity=Decimal(subscription.quantity if quantity is None else quantity),
                currency=self.case.currency,
                rate=self._rate(event, ordered),
                month_share=Fraction(*span.months) if span.months else None,
            )
            told = (*title, *marked, *extras, *mark)
            self.outcomes.append(
                Line(kind, subscription.name, ordered, span, figure, event.index, told)
            )

    def _rate(self, event: Event, ordered: date) -> Rate | None:
        """Of the month of the charge (R-FX); where there are rates, none may be missing."""
        month = f"{ordered:%Y-%m}"
        rate = self.case.rates.get(month) or event.rate()
        if rate is None and self.case.rates:
            raise Invalid("no_fx_rate", f"pc_to_bc_rates has no rate of {month}")
        return rate


def advance(
    history: History, subscription: Subscription, until: date, event: Event
) -> Subscription:
    """Charge the cycles that have begun by `until`, renewals included."""
    while subscription.charged_until < until and is_billed(subscription):
        following = subscription.charged_until + DAY
        if following <= subscription.term.end:
            subscription = charge_cycle(history, subscription, event, order_date=following)
        elif subscription.auto_renew and not subscription.trial:
            subscription = renewed(history, subscription, event, order_date=following)
        else:
            break
    return subscription


def is_billed(subscription: Subscription) -> bool:
    """Whether charge cycles go on: perpetual software has none."""
    is_paid = subscription.family is not Family.PERPETUAL
    return is_paid and subscription.status in BILLED and subscription.quantity > 0


def charge_cycle(
    history: History, subscription: Subscription, event: Event, *, order_date: date
) -> Subscription:
    """The next cycle of the running term, in its new plan where one was asked for."""
    if subscription.next_plan is not None:
        return changed_plan(history, subscription, subscription.next_plan)
    cycle = subscription.term.cycle_on(subscription.charged_until + DAY)
    kind = Any_ if subscription.extended else "cycleCharge"
    history.charge(subscription, kind, event, Span.whole(cycle), order_date=order_date)
    kept = replace(subscription, charged_until=cycle.end)
    history.keep(kept)
    return kept


def changed_plan(history: History, subscription: Subscription, event: Event) -> Subscription:
    """R-PLAN: the cycle that follows is the first of another plan, counted in whole months."""
    start = subscription.charged_until + DAY
    plan = event.text("to") or event.text("to_billing_plan") or subscription.term.plan
    price = event.needed_number("to_unit_price")
    term = replace(subscription.term, plan=plan)
    cycle, whole = term.cycle_on(start), PLAN_MONTHS[plan]
    left = whole - term.months_until(start) % whole
    changed = replace(
        subscription,
        term=term,
        price=price,
        list_price=price,
        charged_until=cycle.end,
        next_plan=None,
    )
    span = Span.rest(cycle, start, (left, whole))
    history.charge(changed, "changeBillingPlan", event, span, order_date=start)
    history.keep(changed)
    return changed


def renewed(
    history: History, subscription: Subscription, event: Event, *, order_date: date
) -> Subscription:
    """The first cycle of the next term, with what was scheduled for it."""
    following = next_term(subscription, event)
    kind = Any_ if subscription.extended else "renew"
    cycle = next(following.term.cycles())
    following = replace(following, charged_until=cycle.end)
    history.charge(following, kind, event, Span.whole(cycle), order_date=order_date)
    history.keep(following)
    return following


def first_term(start: date, length: str, plan: str, chosen_end: date | None = None) -> Term:
    if length == "none":
        raise Invalid("case_field_invalid", "term none has no cycles: only perpetual software")
    return Term(start, length, "monthly" if plan == "none" else plan, chosen_end)
