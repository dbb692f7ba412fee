"""The three ways an order goes out: a PATCH of the whole resource, a transition, a cart.

Each prepares from a fresh read, sends once, and tells afterwards from another read what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Protocol

from ingest.clients.errors import error_of
from ingest.clients.partner_center import CallIds, Document, customer_path, subscription_path
from ingest.domain.documents import Fields
from ingest.domain.order_outcomes import endings, scheduled, unmoved
from ingest.domain.order_rules import Done, Refused, Send, dropped_by, examine, overruled
from ingest.domain.order_wishes import Actual, OrderKind, is_so, read_actual
from ingest.handlers.context import Context
from ingest.store.subscription_orders import Order
from shared.runtime.http import Response


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was found before, to compare with afterwards, and what shall be sent."""

    baseline: Mapping[str, Any]
    body: Mapping[str, Any]


class Finding(Enum):
    SO = auto()  # it is as ordered
    UNTOUCHED = auto()  # nothing happened: the same call may be repeated
    MOVED = auto()  # something else happened, or ours and then something else


@dataclass(frozen=True, slots=True)
class Seen:
    finding: Finding
    result: Mapping[str, Any] = field(default_factory=dict)
    after: Document | None = None
    restore: Mapping[str, Any] = field(default_factory=dict)
    subscription_ids: tuple[str, ...] = ()


class MovedOn(Exception):
    """Not sent: without an ETag the provider would not notice that the resource has changed."""


class Act(Protocol):
    async def prepare(self, context: Context, order: Order) -> Prepared | Refused | Done: ...

    async def send(self, context: Context, order: Order) -> Response: ...

    def answer(self, response: Response) -> Mapping[str, Any]: ...

    async def look(self, context: Context, order: Order) -> Seen: ...


def act_for(order: Order) -> Act:
    match order.kind:
        case OrderKind.PURCHASE:
            return Purchase()
        case OrderKind.UPGRADE if not order.restores:
            return Upgrade()
    return Patch()


class Patch:
    """One thing changed in the whole resource, under the ETag it was read with."""

    async def prepare(self, context: Context, order: Order) -> Prepared | Refused | Done:
        actual = await _read(context, order)
        verdict = examine(order.kind, order.wish, actual, context.database.clock.now())
        if isinstance(verdict, Send):
            verdict = overruled(order.kind, order.wish, order.baseline, actual) or verdict
        if isinstance(verdict, Send):
            return Prepared(dict(actual.resource), dict(verdict.body))
        return verdict

    async def send(self, context: Context, order: Order) -> Response:
        etag = read_actual(order.baseline, customer_id=order.customer_id).etag
        if not etag:
            actual = await _read(context, order)
            if not unmoved(order.baseline, actual.resource):
                raise MovedOn("the subscription changed since it was read")
        return await context.partner_center.write(
            "PATCH", _path(order), dict(order.body), ids=_ids(order), etag=etag
        )

    def answer(self, response: Response) -> Mapping[str, Any]:
        return {}

    async def look(self, context: Context, order: Order) -> Seen:
        actual = await _read(context, order)
        lost: dict[str, Any] = {}
        result: dict[str, Any] = {}
        ids = (order.subscription_id or "",)
        if not order.restores:
            lost = dropped_by(order.kind, order.wish, order.baseline, actual.resource)
        if lost and actual.state.status != "active":  # what is suspended takes no schedule
            result, lost = {"dropped": lost}, {}
        if _restored(order, actual) if order.restores else is_so(order.kind, order.wish, actual):
            result |= {"seats": actual.state.seats, "status": actual.state.status}
            return Seen(Finding.SO, result, actual.resource, lost, ids)
        same = unmoved(order.baseline, actual.resource)
        finding = Finding.UNTOUCHED if same else Finding.MOVED
        return Seen(finding, result, actual.resource, lost, ids)


def _restored(order: Order, actual: Actual) -> bool:
    """What was sent again is there, and not what somebody else has said since."""
    return (scheduled(order.body), endings(order.body)) == (
        scheduled(actual.resource),
        endings(actual.resource),
    )


class Upgrade:
    """Seats to another product: all of them, some, or into an existing subscription."""

    async def prepare(self, context: Context, order: Order) -> Prepared | Refused | Done:
        actual, path, wish = await _read(context, order), _path(order), order.wish
        if actual.state.status != "active":
            return Refused("subscription_suspended", f"it is {actual.state.status}")
        quantity = wish.quantity or actual.state.seats
        if quantity > actual.state.seats:
            return Refused("quantity_out_of_range", f"there are {actual.state.seats} seats")
        query = f"{path}/transitionEligibilities?eligibilityType=immediate"
        target = next(
            (
                item
                for item in await context.partner_center.collection(query)
                if Fields(item).text("catalogItemId").split(":")[:2]
                == [wish.product_id, wish.sku_id]
            ),
            None,
        )
        refused = _not_eligible(target, wish.into_subscription_id)
        if refused is not None or target is None:
            return refused or Refused("product_not_on_offer", "no upgrade leads there")
        known = [_operation(t) for t in await context.partner_center.collection(_moves(path))]
        body = {
            "fromCatalogItemId": actual.fields.text("offerId"),
            "fromSubscriptionId": order.subscription_id,
            "toCatalogItemId": Fields(target).text("catalogItemId"),
            "toSubscriptionId": wish.into_subscription_id,
            "quantity": quantity,
            "termDuration": wish.term or (None if actual.state.trial else actual.state.term),
            "billingCycle": wish.billing_plan
            or (None if actual.state.trial else actual.state.billing_plan),
            "transitionType": "transition_only",
        }
        return Prepared({"resource": dict(actual.resource), "known": known}, body)

    async def send(self, context: Context, order: Order) -> Response:
        return await context.partner_center.write(
            "POST", _moves(_path(order)), dict(order.body), ids=_ids(order)
        )

    def answer(self, response: Response) -> Mapping[str, Any]:
        return {}

    async def look(self, context: Context, order: Order) -> Seen:
        """A transition that was not there before, with our target and our count, is ours."""
        wanted = (order.body["toCatalogItemId"], order.body["quantity"])
        for item in await context.partner_center.collection(_moves(_path(order))):
            fields = Fields(item)
            told = (fields.text("toCatalogItemId"), fields.integer("quantity"))
            if _operation(item) not in order.baseline["known"] and told == wanted:
                ids = (order.subscription_id or "", fields.ident("toSubscriptionId"))
                result = {"to_subscription_id": ids[1], "quantity": wanted[1]}
                return Seen(Finding.SO, result, subscription_ids=ids)
        same = unmoved(order.baseline["resource"], (await _read(context, order)).resource)
        return Seen(Finding.UNTOUCHED if same else Finding.MOVED)


def _not_eligible(target: Document | None, into: str | None) -> Refused | None:
    if target is None:
        return Refused("product_not_on_offer", "no upgrade leads to this product")
    if into is None:
        rows = Fields(target).sequence("eligibilities")
    else:
        rows = [
            row
            for row in Fields(target).sequence("subscriptionEligibilities")
            if Fields(row).ident("subscriptionId") == into
        ]
    if any(Fields(row).flag("isEligible") for row in rows):
        return None
    words = "; ".join(
        Fields(e).text("description") for row in rows for e in Fields(row).sequence("errors")
    )
    return Refused("upgrade_not_eligible", words or "the provider does not offer it")


class Purchase:
    """A cart of one line; checking it out is the only call that buys."""

    async def prepare(self, context: Context, order: Order) -> Prepared | Refused | Done:
        wish, base = order.wish, customer_path(order.customer_id)
        known = [
            Fields(o).text("id") for o in await context.partner_center.collection(f"{base}/orders")
        ]
        line = {
            "id": 0,
            "catalogItemId": f"{wish.product_id}:{wish.sku_id}:{wish.availability_id}",
            "quantity": wish.quantity,
            "termDuration": wish.term,
            "billingCycle": wish.billing_plan,
            "customTermEndDate": wish.custom_term_end,
            "promotionId": wish.promotion_id,
            "parentSubscriptionId": wish.parent_subscription_id,
        }
        body = {"lineItems": [{k: v for k, v in line.items() if v is not None}]}
        ids = CallIds(f"{order.request_id[:-4]}ca27", order.correlation_id)
        cart = await context.partner_center.write("POST", f"{base}/carts", body, ids=ids)
        if not cart.ok:
            raise error_of("cart", cart)
        return Prepared({"cart_id": Fields(cart.json()).text("id"), "known": known}, body)

    async def send(self, context: Context, order: Order) -> Response:
        path = f"{customer_path(order.customer_id)}/carts/{order.baseline['cart_id']}/checkout"
        return await context.partner_center.write("POST", path, {}, ids=_ids(order))

    def answer(self, response: Response) -> Mapping[str, Any]:
        """The order that the checkout made: nobody else's can be taken for it."""
        orders = Fields(response.json()).sequence("orders")
        return {"provider_order_id": Fields(orders[0]).text("id")} if orders else {}

    async def look(self, context: Context, order: Order) -> Seen:
        """Ours is the order that the answer or the record named; others buy the same things."""
        base = customer_path(order.customer_id)
        fresh = [
            Fields(o)
            for o in await context.partner_center.collection(f"{base}/orders")
            if Fields(o).text("id") not in order.baseline["known"]
        ]
        ours = order.result.get("provider_order_id")
        for fields in fresh:
            lines = [Fields(item) for item in fields.sequence("lineItems")]
            if fields.text("id") == ours and lines and all(x.has("subscriptionId") for x in lines):
                ids = tuple(x.ident("subscriptionId") for x in lines)
                result = {"provider_order_id": ours, "subscription_ids": list(ids)}
                return Seen(Finding.SO, result, subscription_ids=ids)
        cart = await context.partner_center.document(f"{base}/carts/{order.baseline['cart_id']}")
        bought = ours or Fields(cart).text("status").casefold() == "ordered"
        return Seen(Finding.MOVED if bought else Finding.UNTOUCHED)


async def _read(context: Context, order: Order) -> Actual:
    resource = await context.partner_center.subscription(
        order.customer_id, order.subscription_id or ""
    )
    return read_actual(resource, customer_id=order.customer_id)


def _path(order: Order) -> str:
    return subscription_path(order.customer_id, order.subscription_id or "")


def _moves(path: str) -> str:
    return f"{path}/transitions"


def _operation(item: Document) -> str:
    return Fields(item).text("operationId")


def _ids(order: Order) -> CallIds:
    return CallIds(order.request_id, order.correlation_id)
