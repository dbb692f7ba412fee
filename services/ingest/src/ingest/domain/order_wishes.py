"""Orders to change something at the provider: what is wished, and when it has come true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ingest.domain.documents import Fields
from ingest.domain.snapshots import Snapshot, State, read_snapshot


class OrderKind(StrEnum):
    QUANTITY = "quantity"
    SCHEDULE = "schedule"  # what the next term shall be
    RENEWAL_INSTRUCTION = "renewal_instruction"  # what shall happen when the term ends
    CANCEL = "cancel"
    SUSPEND = "suspend"
    RESUME = "resume"
    TERM = "term"
    BILLING_PLAN = "billing_plan"
    UPGRADE = "upgrade"
    PURCHASE = "purchase"


class OrderState(StrEnum):
    PLANNED = "planned"
    CHECKED = "checked"  # allowed by a fresh read, not sent
    SENDING = "sending"
    UNKNOWN = "unknown"  # sent, and nobody said what came of it: read back before anything else
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    UNCLEAR = "unclear"  # sent, and the provider never showed what came of it: a person decides


class Ending(StrEnum):
    RENEW = "renew"
    CANCEL = "cancel_at_term_end"
    EXTEND = "extended_service"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is ordered; fields that a kind does not use are None."""

    quantity: int | None = None
    term: str | None = None
    billing_plan: str | None = None
    product_id: str | None = None
    sku_id: str | None = None
    availability_id: str | None = None
    custom_term_end: str | None = None
    promotion_id: str | None = None
    into_subscription_id: str | None = None
    parent_subscription_id: str | None = None
    ending: str | None = None
    clear: bool = False  # of a schedule: take it back

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value not in (None, False)}


@dataclass(frozen=True, slots=True)
class Actual:
    """A subscription as freshly read, with what limits the next write."""

    snapshot: Snapshot
    fields: Fields
    etag: str

    @property
    def state(self) -> State:
        return self.snapshot.state

    @property
    def resource(self) -> Mapping[str, Any]:
        return self.snapshot.resource

    @property
    def refundable(self) -> int:
        """Seats that may still be removed; the provider's own count."""
        return Fields(self.fields.mapping("refundableQuantity")).integer("totalQuantity") or 0

    @property
    def cancellable_until(self) -> datetime | None:
        return self.fields.instant("cancellationAllowedUntilDate")

    @property
    def scheduled(self) -> Mapping[str, Any]:
        return self.fields.mapping("scheduledNextTermInstructions")

    @property
    def endings(self) -> list[str]:
        return [
            Fields(action).text("actionType")
            for action in self.fields.sequence("scheduledActions")
            if isinstance(action, Mapping)
        ]

    @property
    def next_plan(self) -> str:
        instructions = Fields(self.fields.mapping("nextChargeInstructions"))
        return Fields(instructions.mapping("product")).text("billingCycle").casefold()


def read_actual(resource: Mapping[str, Any], *, customer_id: str) -> Actual:
    """The typed form of a fresh answer."""
    fields = Fields(resource)
    etag = Fields(fields.mapping("attributes")).text("etag")
    return Actual(read_snapshot(resource, customer_id=customer_id), fields, etag)


ACTIONS = {
    Ending.RENEW: "RenewToNewTerm",
    Ending.CANCEL: "Cancel",
    Ending.EXTEND: "RenewToExtendedServiceTerm",
}


def is_so(kind: OrderKind, wish: Wish, actual: Actual) -> bool:
    """Whether the subscription is as the order wants it."""
    state = actual.state
    match kind:
        case OrderKind.QUANTITY:
            return state.seats == wish.quantity and not state.gone
        case OrderKind.CANCEL:
            return state.status == "deleted"
        case OrderKind.SUSPEND | OrderKind.RESUME:
            return state.status == ("suspended" if kind is OrderKind.SUSPEND else "active")
        case OrderKind.TERM:
            return state.term == wish.term and wish.billing_plan in (None, state.billing_plan)
        case OrderKind.BILLING_PLAN:
            return wish.billing_plan in (actual.next_plan or state.billing_plan,)
        case OrderKind.SCHEDULE:
            return not actual.scheduled if wish.clear else _scheduled_so(wish, actual.scheduled)
        case OrderKind.RENEWAL_INSTRUCTION:
            ending = Ending(wish.ending or Ending.RENEW)
            renews = ending is Ending.RENEW
            return state.auto_renew is renews and actual.endings == [ACTIONS[ending]]
    return False


def _scheduled_so(wish: Wish, scheduled: Mapping[str, Any]) -> bool:
    fields, product = Fields(scheduled), Fields(Fields(scheduled).mapping("product"))
    pairs = (
        (wish.quantity, fields.integer("quantity")),
        (wish.term, product.text("termDuration")),
        (wish.billing_plan, product.text("billingCycle").casefold()),
        (wish.product_id, product.text("productId")),
        (wish.sku_id, product.text("skuId")),
        (wish.custom_term_end, fields.text("customTermEndDate")[:10]),
    )
    return bool(scheduled) and all(wanted in (None, held) for wanted, held in pairs)
