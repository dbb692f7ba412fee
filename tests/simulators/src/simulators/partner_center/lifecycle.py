"""What happens to a subscription by itself when time passes: renewal, end of term, expiry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from shared.kernel.periods import start_of, utc_day
from simulators.partner_center.records import (
    ActionType,
    Kind,
    ScheduledAction,
    SeatBatch,
    Subscription,
    availability_of,
    trial_successor,
)
from simulators.partner_center.terms import charge_cycle_end, last_day_of_term

EXTENDED = " (Extended Service Term)"
FREE_DAYS_AFTER_EXPIRY = 30
DISABLED_DAYS = 90
BACKFILL_AFTER = timedelta(hours=24)
EXTENDED_SERVICE_FOR_TERMS_FROM = datetime(2025, 4, 1, tzinfo=UTC)
EXTENDED_SERVICE_FOR_ENDS_FROM = date(2026, 5, 4)


class Step(StrEnum):
    """In the order in which they happen when two fall on one instant."""

    BACKFILL = "backfill_extended_service"  # auto-renew off without a choice: the vendor chooses
    NEXT_PLAN = "next_charge_plan"
    RENEW = "renew"
    EXTEND = "extend"
    EXPIRE = "expire"
    DISABLE = "disable"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Due:
    at: datetime
    step: Step


def next_due(subscription: Subscription, renewal_delay: timedelta) -> Due | None:
    """The next thing that will happen to it if nobody touches it."""
    if subscription.kind is Kind.AZURE_PLAN:
        return None
    if subscription.ended_at is not None:
        return _after_the_end(subscription, subscription.ended_at)
    steps = [_term_end(subscription, renewal_delay)]
    if _wants_backfill(subscription) and subscription.auto_renew_off_at is not None:
        steps.append(Due(subscription.auto_renew_off_at + BACKFILL_AFTER, Step.BACKFILL))
    if subscription.next_charge_plan is not None:
        cycle_end = charge_cycle_end(
            subscription.term_start,
            subscription.commitment_end,
            subscription.billing_plan,
            utc_day(subscription.last_change_at),
        )
        steps.append(Due(start_of(cycle_end + timedelta(days=1)), Step.NEXT_PLAN))
    return min(steps, key=lambda due: (due.at, list(Step).index(due.step)))


def advance(subscription: Subscription, due: Due) -> None:
    """Carry out what is due."""
    match due.step:
        case Step.BACKFILL:
            subscription.scheduled_actions = [ScheduledAction(action_type=ActionType.EXTEND)]
        case Step.NEXT_PLAN:
            subscription.billing_plan = subscription.next_charge_plan or subscription.billing_plan
            subscription.next_charge_plan = None
        case Step.RENEW:
            _renew(subscription, due.at)
        case Step.EXTEND:
            _extend(subscription, due.at)
        case Step.EXPIRE:
            subscription.status, subscription.ended_at = "expired", due.at
        case Step.DISABLE:
            subscription.status = "disabled"
        case Step.DELETE:
            subscription.status = "deleted"
    subscription.version += 1
    subscription.changed_at = due.at


def _term_end(subscription: Subscription, renewal_delay: timedelta) -> Due:
    at = start_of(subscription.commitment_end + timedelta(days=1))
    if subscription.auto_renew and subscription.status == "active":
        return Due(at + renewal_delay, Step.RENEW)
    chosen = {a.action_type for a in subscription.scheduled_actions}
    stays = subscription.status == "active" and ActionType.CANCEL not in chosen
    if stays and _falls_under_extended_service(subscription):
        return Due(at + renewal_delay, Step.EXTEND)
    return Due(at, Step.EXPIRE)


def _after_the_end(subscription: Subscription, ended_at: datetime) -> Due | None:
    disabled_at = ended_at + timedelta(days=FREE_DAYS_AFTER_EXPIRY)
    match subscription.status:
        case "expired":
            return Due(disabled_at, Step.DISABLE)
        case "disabled":
            return Due(disabled_at + timedelta(days=DISABLED_DAYS), Step.DELETE)
        case _:
            return None


def _wants_backfill(subscription: Subscription) -> bool:
    return (
        subscription.status == "active"
        and not subscription.auto_renew
        and not subscription.scheduled_actions
        and _falls_under_extended_service(subscription)
    )


def _falls_under_extended_service(subscription: Subscription) -> bool:
    """R-EST."""
    return (
        subscription.window_opened_at >= EXTENDED_SERVICE_FOR_TERMS_FROM
        and subscription.commitment_end >= EXTENDED_SERVICE_FOR_ENDS_FROM
        and not subscription.is_trial
    )


def _renew(subscription: Subscription, at: datetime) -> None:
    """A new term from the day after the old one, however late; all windows open anew."""
    wanted = subscription.next_term
    if wanted is None and subscription.is_trial:
        wanted = trial_successor()
    start = subscription.commitment_end + timedelta(days=1)
    if wanted is not None:
        subscription.product_id = wanted.product_id or subscription.product_id
        subscription.sku_id = wanted.sku_id or subscription.sku_id
        subscription.availability_id = wanted.availability_id or availability_of(
            subscription.product_id, subscription.sku_id
        )
        subscription.term = wanted.term or subscription.term
        subscription.billing_plan = wanted.billing_plan or subscription.billing_plan
        subscription.quantity = wanted.quantity or subscription.quantity
        subscription.promotion_id = wanted.promotion_id or subscription.promotion_id
    subscription.name = subscription.name.removesuffix(EXTENDED)
    subscription.in_extended_service = False
    custom_end = wanted.custom_term_end if wanted else None
    subscription.term_end = custom_end or last_day_of_term(start, subscription.term)
    _open_term(subscription, start, at)


def _extend(subscription: Subscription, at: datetime) -> None:
    """Month by month until somebody decides. The vendor moves it to a SKU of its own; the name
    says so here, the product id stays because the real one cannot be derived."""
    start = subscription.commitment_end + timedelta(days=1)
    if not subscription.in_extended_service:
        subscription.name += EXTENDED
    subscription.in_extended_service = True
    subscription.term, subscription.billing_plan = "P1M", "monthly"
    subscription.term_end = last_day_of_term(start, "P1M")
    _open_term(subscription, start, at)
    subscription.scheduled_actions = [ScheduledAction(action_type=ActionType.EXTEND)]


def _open_term(subscription: Subscription, start: date, at: datetime) -> None:
    subscription.term_start = start
    subscription.opened_at = at
    subscription.batches = [SeatBatch(quantity=subscription.quantity, added_at=at)]
    subscription.next_term = None
    subscription.scheduled_actions = []
    subscription.is_trial = False
