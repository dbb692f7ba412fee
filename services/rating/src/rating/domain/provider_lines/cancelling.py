"""Cancelling: inside the window of the product's family, with what comes back (R-WIN)."""

from __future__ import annotations

from dataclasses import replace

from rating.domain.provider_lines import purchases
from rating.domain.provider_lines.history import History, advance
from rating.domain.provider_lines.lines import Any_, Span
from rating.domain.provider_lines.reading import Event
from rating.domain.provider_lines.renewals import CANCEL
from rating.domain.provider_lines.subscriptions import Family, Subscription, is_linux
from rating.domain.provider_lines.windows import (
    CANCEL_CLOSED,
    FULL_REFUND,
    MARKETPLACE,
    PERPETUAL_DAYS,
    SUSPENDED,
    No,
    no_longer_cancellable,
)


def cancel(history: History, event: Event) -> None:
    """R-WIN, by the family's window."""
    subscription = advance(history, history.of(event), event.day, event)
    if subscription.status == "suspended":
        history.refuse(event, No(SUSPENDED))
    elif subscription.status != "active":
        history.refuse(event, No(None, f"the subscription is {subscription.status}"))
    elif subscription.family is Family.PERPETUAL:
        _cancel_perpetual(history, subscription, event)
    elif subscription.family is Family.MARKETPLACE:
        _cancel_marketplace(history, subscription, event)
    else:
        _cancel_licence(history, subscription, event)


def _cancel_licence(history: History, subscription: Subscription, event: Event) -> None:
    no = no_longer_cancellable(subscription.committed_at, event.at)
    if is_linux(subscription.title or history.case.title):
        no = No(None, "RedHat and SUSE plans are not cancelled")
    if no and not subscription.extended and not history.case.happened:
        history.refuse(event, no)
        return
    in_full = event.at - subscription.committed_at <= FULL_REFUND and not subscription.extended
    # What was charged by days comes back by days: never more than was paid.
    in_full = in_full and not history.is_changed_within(subscription)
    start = subscription.cycle.start if in_full else event.day
    kind = "cancelImmediate"
    history.charge(
        subscription,
        kind,
        event,
        Span.rest(subscription.cycle, start),
        quantity=-subscription.quantity,
    )
    history.stand(event, event.day, "deleted")
    history.keep(replace(subscription, status="deleted", quantity=0))


def _cancel_marketplace(history: History, subscription: Subscription, event: Event) -> None:
    """The whole amount in the window; later, the end of the term is all that can be asked for."""
    within = event.at - subscription.committed_at <= MARKETPLACE[subscription.term.length]
    if not within and not subscription.trial:
        history.stand(event, event.day, "active", auto_renew=False)
        history.keep(replace(subscription, auto_renew=False, at_term_end=CANCEL))
        return
    start, quantity = subscription.cycle.start, -subscription.quantity
    if subscription.trial:
        history.charge(
            subscription, "Cancel", event, Span.rest(subscription.cycle, start), quantity=quantity
        )
    elif subscription.term.length == "P1M" and event.day == subscription.term.start:
        purchases.only_one_day(history, subscription, event)
    else:
        history.charge(
            subscription, Any_, event, Span.rest(subscription.cycle, start), quantity=quantity
        )
    history.keep(replace(subscription, status="deleted", quantity=0))


def _cancel_perpetual(history: History, subscription: Subscription, event: Event) -> None:
    if (event.day - subscription.term.start).days > PERPETUAL_DAYS:
        history.refuse(event, No(CANCEL_CLOSED))
        return
    purchases.charge_for_good(
        history, subscription, event, kind=Any_, quantity=-subscription.quantity
    )
    history.keep(replace(subscription, status="deleted", quantity=0))
