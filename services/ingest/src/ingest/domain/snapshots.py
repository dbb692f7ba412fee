"""A subscription as the provider shows it at one moment, typed.

`State` is what billing can notice; `Snapshot` adds identity and keeps the whole resource, so that
nothing the provider said (money fields above all) is lost by being unknown to us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from ingest.domain.documents import Fields
from shared.contracts.ingest import LicenceProduct, NextTerm
from shared.kernel.errors import Invalid
from shared.kernel.periods import add_months

RENEWS = "RenewToNewTerm"
GONE = frozenset({"deleted", "expired", "disabled"})
_PLANS = {"onetime": "one_time", "annually": "annual", "month": "monthly", "": "none"}
_TERM_MONTHS = {"P1M": 1, "P1Y": 12, "P3Y": 36, "P5Y": 60}


@dataclass(frozen=True, slots=True)
class State:
    """What of a subscription matters to a bill, plus the two names people recognise it by."""

    seats: int  # as printed, also when the subscription is gone
    status: str
    product_id: str
    sku_id: str
    term: str
    billing_plan: str
    term_started_at: datetime
    term_end: date  # exclusive
    product_name: str
    friendly_name: str
    auto_renew: bool | None
    trial: bool = False

    @property
    def quantity(self) -> int:
        """Seats that are charged: suspended ones are, those of an ended subscription are not."""
        return 0 if self.gone else self.seats

    @property
    def gone(self) -> bool:
        return self.status in GONE

    @property
    def term_start(self) -> date:
        return self.term_started_at.date()

    @property
    def billing(self) -> tuple[object, ...]:
        """Two states that agree in this are the same to a bill."""
        product = (self.product_id, self.sku_id, self.term, self.billing_plan)
        return (
            self.quantity, self.status, self.term_start, self.term_end, self.trial, *product
        )  # fmt: skip

    def product(self) -> LicenceProduct:
        return LicenceProduct(
            product_id=self.product_id,
            sku_id=self.sku_id,
            term=self.term,
            billing_plan=self.billing_plan,
        )


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What is to happen when the term ends, as far as it is not "renew as it is"."""

    quantity: int | None = None
    product: LicenceProduct | None = None
    ends_on: date | None = None  # exclusive
    at_term_end: str | None = None

    @property
    def next_term(self) -> NextTerm | None:
        found = NextTerm(quantity=self.quantity, product=self.product, ends_on=self.ends_on)
        return None if found == NextTerm() else found


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One read of a subscription resource."""

    subscription_id: str
    customer_id: str
    state: State
    created_at: datetime
    licence: bool  # charged by seat; usage-based subscriptions have no seat history
    order_id: str
    scheduled: Scheduled  # what was announced for the end of the term
    resource: Mapping[str, Any]


def read_snapshot(resource: Mapping[str, Any], *, customer_id: str) -> Snapshot:
    """The typed form of a subscription resource.

    Raises:
        Invalid: `subscription_without_id`, `subscription_undated`, or what a malformed field says.
    """
    fields = Fields(resource)
    subscription_id = fields.ident("id")
    if not subscription_id:
        raise Invalid("subscription_without_id", "the resource has no id")
    state = read_state(resource)
    return Snapshot(
        subscription_id=subscription_id,
        customer_id=customer_id,
        state=state,
        created_at=fields.instant("creationDate") or state.term_started_at,
        licence=_is_licence(fields),
        order_id=fields.text("orderId"),
        scheduled=read_scheduled(resource, state),
        resource=resource,
    )


def read_state(resource: Mapping[str, Any], base: State | None = None) -> State:
    """The state in a resource; what it leaves out is taken from `base`.

    Raises:
        Invalid: `subscription_undated` when neither says when the term began.
    """
    fields = Fields(resource)
    started = fields.instant("effectiveStartDate", "creationDate" if base is None else "")
    started = started or (base.term_started_at if base else None)
    if started is None:
        raise Invalid("subscription_undated", "neither effectiveStartDate nor creationDate")
    product_id, sku_id = _product(fields, base)
    term = (fields.text("termDuration") or (base.term if base else "")).upper() or "none"
    plan = fields.text("billingCycle").casefold()
    seats = fields.integer("quantity")
    auto_renew, trial = fields.flag("autoRenewEnabled"), fields.flag("isTrial")
    offer_name = fields.text("offerName") or (base.product_name if base else "")
    friendly = fields.text("friendlyName") or (base.friendly_name if base else "")
    return State(
        seats=seats if seats is not None else (base.seats if base else 0),
        status=(fields.text("status") or (base.status if base else "active")).casefold(),
        product_id=product_id,
        sku_id=sku_id,
        term=term,
        billing_plan=_plan(plan) if plan or base is None else base.billing_plan,
        term_started_at=started,
        term_end=_term_end(fields, started.date(), term, base),
        product_name=offer_name or friendly or product_id,
        friendly_name=friendly,
        auto_renew=auto_renew if auto_renew is not None else (base.auto_renew if base else None),
        trial=trial if trial is not None else (base.trial if base else False),
    )


def _plan(text: str) -> str:
    bare = text.replace("_", "").replace("-", "")
    return _PLANS.get(bare, text)


def _product(fields: Fields, base: State | None) -> tuple[str, str]:
    """`product:sku:availability` of new commerce; a legacy offer is its own product."""
    parts = fields.text("offerId").split(":")
    if len(parts) >= 2 and parts[0] and parts[1]:
        return parts[0], parts[1]
    if base is not None:
        return base.product_id, base.sku_id
    return parts[0] or "unknown", "legacy"


def _term_end(fields: Fields, started: date, term: str, base: State | None) -> date:
    """The day after the inclusive end the provider prints; computed where it prints none."""
    last = fields.day("commitmentEndDate", "commitmentEndDateTime")
    if last is not None:
        return last + timedelta(days=1) if last < date.max else date.max
    if base is not None and base.term_started_at.date() == started:
        return base.term_end
    months = _TERM_MONTHS.get(term)
    return add_months(started, months) if months else date.max


def _is_licence(fields: Fields) -> bool:
    billing_type = fields.text("billingType").casefold()
    if billing_type in ("usage", "license", "licence"):
        return billing_type != "usage"
    return not fields.text("unitType").casefold().startswith("usage")


def read_scheduled(resource: Mapping[str, Any], state: State) -> Scheduled:
    """What the resource says of the end of its term."""
    fields = Fields(resource)
    instructions = Fields(fields.mapping("scheduledNextTermInstructions"))
    wanted = Fields(instructions.mapping("product"))
    plan = wanted.text("billingCycle").casefold()
    product = LicenceProduct(
        product_id=wanted.text("productId") or state.product_id,
        sku_id=wanted.text("skuId") or state.sku_id,
        term=wanted.text("termDuration").upper() or state.term,
        billing_plan=_plan(plan) if plan else state.billing_plan,
    )
    last = instructions.day("customTermEndDate")
    at_end = [
        action.text("actionType")
        for action in map(Fields, fields.sequence("scheduledActions"))
        if action.text("scheduleType").casefold() == "termend"
    ]
    return Scheduled(
        quantity=instructions.integer("quantity"),
        product=None if product == state.product() else product,
        ends_on=last + timedelta(days=1) if last is not None and last < date.max else None,
        at_term_end=next((name for name in at_end if name and name != RENEWS), None),
    )


def state_to_json(state: State) -> dict[str, Any]:
    """The state as it is kept and shown."""
    return {
        "seats": state.seats,
        "quantity": state.quantity,
        "status": state.status,
        "product_id": state.product_id,
        "sku_id": state.sku_id,
        "term": state.term,
        "billing_plan": state.billing_plan,
        "term_started_at": state.term_started_at.astimezone(UTC).isoformat(),
        "term_end": state.term_end.isoformat(),
        "product_name": state.product_name,
        "friendly_name": state.friendly_name,
        "auto_renew": state.auto_renew,
        "trial": state.trial,
    }


def state_from_json(document: Mapping[str, Any]) -> State:
    """The inverse of `state_to_json`."""
    return State(
        seats=document["seats"],
        status=document["status"],
        product_id=document["product_id"],
        sku_id=document["sku_id"],
        term=document["term"],
        billing_plan=document["billing_plan"],
        term_started_at=datetime.fromisoformat(document["term_started_at"]),
        term_end=date.fromisoformat(document["term_end"]),
        product_name=document["product_name"],
        friendly_name=document["friendly_name"],
        auto_renew=document["auto_renew"],
        trial=document.get("trial", False),
    )


def start_of_term(state: State) -> datetime:
    """Midnight of the day the running term began: when its charges begin."""
    return datetime.combine(state.term_start, time(), tzinfo=UTC)
