"""What came of a call that nobody answered: done, not done, or changed by somebody else meanwhile.

Decided from three readings: the resource before, the resource now, and the provider's activity log.
The log may lag, so what it does not show proves nothing; only records that lead without a gap from
the one resource to the other prove that there was no call of ours in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from ingest.domain.audit_records import SUCCEEDED, AuditRecord
from ingest.domain.documents import Fields
from ingest.domain.order_wishes import Actual, OrderKind, Wish, is_so, read_actual
from shared.kernel.errors import Invalid

CLOCK_SKEW = timedelta(minutes=5)  # between the provider's clock and ours


class Outcome(Enum):
    OVERTAKEN = auto()  # done, and changed by somebody since
    UNDONE = auto()  # not done: others explain all that changed
    OPEN = auto()  # the log does not say


@dataclass(frozen=True, slots=True)
class Call:
    """A change that we sent: how to know it again on the provider's record."""

    correlation_id: str
    application_id: str
    customer_id: str
    subscription_id: str
    kind: OrderKind
    wish: Wish
    before: Mapping[str, Any]  # the resource it was sent against; empty where that is not kept
    read_at: datetime  # when that was read
    since: datetime  # it was sent after this
    until: datetime  # and before this


def commitment(resource: Mapping[str, Any]) -> tuple[object, ...]:
    """What of a resource somebody decided: its windows and refunds change by the hour."""
    fields = Fields(resource)
    plan = fields.text("billingCycle").casefold()
    return (
        fields.integer("quantity"), fields.text("status").casefold(),
        fields.text("offerId"), fields.text("termDuration").upper(), plan,
        fields.text("friendlyName"), bool(fields.flag("autoRenewEnabled")),
        *(fields.day(name) for name in ("effectiveStartDate", "commitmentEndDate")),
        scheduled(resource), endings(resource), next_plan(resource),
    )  # fmt: skip


def scheduled(resource: Mapping[str, Any]) -> tuple[object, ...]:
    """What is announced for the next term; empty where nothing is."""
    found = Fields(resource).mapping("scheduledNextTermInstructions")
    if not found:
        return ()
    fields, product = Fields(found), Fields(Fields(found).mapping("product"))
    names = ("productId", "skuId", "termDuration", "promotionId")
    return (
        fields.integer("quantity"), fields.text("customTermEndDate")[:10],
        product.text("billingCycle").casefold(), *(product.text(n) for n in names),
    )  # fmt: skip


def endings(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """What shall happen at the end of the term."""
    actions = Fields(resource).sequence("scheduledActions")
    return tuple(Fields(a).text("actionType") for a in actions if isinstance(a, Mapping))


def next_plan(resource: Mapping[str, Any]) -> str:
    """The charge plan that begins with the next cycle."""
    instructions = Fields(Fields(resource).mapping("nextChargeInstructions"))
    return Fields(instructions.mapping("product")).text("billingCycle").casefold()


def unmoved(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether nothing happened in between: by the ETag where there is one, else by what it says."""
    tags = [Fields(Fields(r).mapping("attributes")).text("etag") for r in (before, after)]
    return tags[0] == tags[1] if all(tags) else commitment(before) == commitment(after)


def thing(kind: OrderKind, resource: Mapping[str, Any]) -> tuple[object, ...]:
    """The part of the resource that an order of this kind changes."""
    fields = Fields(resource)
    match kind:
        case OrderKind.QUANTITY:
            return (fields.integer("quantity"),)
        case OrderKind.CANCEL | OrderKind.SUSPEND | OrderKind.RESUME:
            return (fields.text("status").casefold(),)
        case OrderKind.TERM | OrderKind.BILLING_PLAN:
            plan = fields.text("billingCycle").casefold()
            return (fields.text("termDuration").upper(), plan, next_plan(resource))
        case OrderKind.SCHEDULE:
            return scheduled(resource)
        case OrderKind.RENEWAL_INSTRUCTION:
            return (bool(fields.flag("autoRenewEnabled")), endings(resource))
    return ()


def outcome_of(call: Call, after: Mapping[str, Any], records: Sequence[AuditRecord]) -> Outcome:
    """What the log says of a call, where the resource now is not as it was wished.

    Read backwards from now to when we read it, without a gap: whoever found it as wished came after
    us, and where others lead the whole way there was no room for us.
    """
    if any(is_ours(record, call) for record in records):
        return Outcome.OVERTAKEN
    steps, goal = _steps(records, call), commitment(after)
    for found, left in reversed(steps):
        if found is None or left is None or commitment(left) != goal:
            return Outcome.OPEN
        if _came_true(found, call):
            return Outcome.OVERTAKEN
        goal = commitment(found)
    return Outcome.UNDONE if steps and goal == commitment(call.before) else Outcome.OPEN


def is_ours(record: AuditRecord, call: Call) -> bool:
    """Whether this is the record of our call: by its correlation id, or, where the provider gave it
    another one, by our application, the subscription, the time and the very change."""
    if record.status != SUCCEEDED:
        return False
    if record.correlation_id == call.correlation_id:
        return True
    touch = record.touch(call.subscription_id)
    if touch is None or touch.before is None or touch.after is None:
        return False
    return (
        bool(call.application_id)
        and record.application_id.casefold() == call.application_id.casefold()
        and call.since - CLOCK_SKEW <= record.at <= call.until + CLOCK_SKEW
        and (not call.before or _same_thing(touch.before, call))
        and not _came_true(touch.before, call)
        and _came_true(touch.after, call)
    )


def made_by(record: AuditRecord, call: Call) -> bool:
    """Whether this is the record of a purchase or an upgrade of ours. Without our correlation id
    it is none: two may buy the same thing at the same time."""
    creates = record.operation == "create_order" or record.is_upgrade
    return record.status == SUCCEEDED and creates and record.correlation_id == call.correlation_id


_Step = tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]


def _steps(records: Sequence[AuditRecord], call: Call) -> list[_Step]:
    """What was done to the subscription since we read it, oldest first."""
    done = [r for r in records if r.status == SUCCEEDED and r.at >= call.read_at]
    ordered = sorted({r.key: r for r in done}.values(), key=lambda r: (r.at, r.key))
    touches = [record.touch(call.subscription_id) for record in ordered]
    return [(touch.before, touch.after) for touch in touches if touch is not None]


def _came_true(resource: Mapping[str, Any], call: Call) -> bool:
    try:
        return is_so(call.kind, call.wish, _actual(resource, call))
    except Invalid:
        return False  # an incomplete resource says nothing


def _same_thing(resource: Mapping[str, Any], call: Call) -> bool:
    return thing(call.kind, resource) == thing(call.kind, call.before)


def _actual(resource: Mapping[str, Any], call: Call) -> Actual:
    return read_actual(resource, customer_id=call.customer_id)
