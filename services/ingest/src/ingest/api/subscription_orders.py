"""Orders to change something at the provider: placed once, carried out in order, told in full."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ingest.domain.order_wishes import Ending, OrderKind, OrderState, Wish
from ingest.handlers import ORDERS
from ingest.handlers.context import Accounts
from ingest.store import subscription_orders, subscriptions
from ingest.store.subscription_orders import Target
from shared.kernel.errors import Conflict, Invalid, NotFound
from shared.runtime.postgres import Record, Transaction
from shared.runtime.web import (
    CursorParam,
    IdempotencyKey,
    Limit,
    Operates,
    Reads,
    decode_cursor,
    encode_cursor,
    once,
    page,
)

Text = Annotated[str, Field(min_length=1, max_length=200)]
_NEEDS: dict[OrderKind, frozenset[str]] = {
    OrderKind.QUANTITY: frozenset({"quantity"}),
    OrderKind.SCHEDULE: frozenset(),
    OrderKind.RENEWAL_INSTRUCTION: frozenset({"ending"}),
    OrderKind.CANCEL: frozenset(),
    OrderKind.SUSPEND: frozenset(),
    OrderKind.RESUME: frozenset(),
    OrderKind.TERM: frozenset({"term"}),
    OrderKind.BILLING_PLAN: frozenset({"billing_plan"}),
    OrderKind.UPGRADE: frozenset({"product_id", "sku_id"}),
    OrderKind.PURCHASE: frozenset(
        {"product_id", "sku_id", "availability_id", "quantity", "term", "billing_plan"}
    ),
}
_PRODUCT = {"product_id", "sku_id", "availability_id", "promotion_id"}
_MAY: dict[OrderKind, frozenset[str]] = {
    OrderKind.SCHEDULE: frozenset(
        {"quantity", "term", "billing_plan", "custom_term_end", "clear"} | _PRODUCT
    ),
    OrderKind.TERM: frozenset({"billing_plan"}),
    OrderKind.UPGRADE: frozenset({"quantity", "term", "billing_plan", "into_subscription_id"}),
    OrderKind.PURCHASE: frozenset({"custom_term_end", "promotion_id", "parent_subscription_id"}),
}
_ACTIONS = {
    "unknown": "wait: it is read back before anything is repeated",
    "planned": "wait, or take it back",
    "checked": "wait, or take it back",
    "sending": "wait",
    "unclear": "look at it in Partner Center, then place another order if it is needed",
    "refused": "see offer, or place another order",
}


class SubscriptionOrder(BaseModel):
    """What shall be changed. A purchase names the customer, all others the subscription."""

    model_config = ConfigDict(extra="forbid")

    kind: OrderKind
    subscription_id: Text | None = None
    customer_id: Text | None = None
    account_id: Text | None = None  # of a purchase: the partner tenant that buys
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    term: Annotated[str, Field(pattern="^P(1M|1Y|3Y)$")] | None = None
    billing_plan: Annotated[str, Field(pattern="^(monthly|annual|triennial)$")] | None = None
    product_id: Text | None = None
    sku_id: Text | None = None
    availability_id: Text | None = None
    promotion_id: Text | None = None
    custom_term_end: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")] | None = None
    into_subscription_id: Text | None = None
    parent_subscription_id: Text | None = None
    ending: Ending | None = None
    clear: bool = False

    @model_validator(mode="after")
    def _complete(self) -> SubscriptionOrder:
        given = {n for n in Wish().__slots__ if getattr(self, n) not in (None, False)}
        needs = _NEEDS[self.kind]
        if not needs <= given or not given <= needs | _MAY.get(self.kind, frozenset()):
            raise ValueError(f"{self.kind} needs {sorted(needs)}; given: {sorted(given)}")
        if self.kind is OrderKind.SCHEDULE and not given:
            raise ValueError("schedule says what the next term shall be, or clear")
        if self.kind is OrderKind.PURCHASE:
            if self.customer_id is None or self.subscription_id is not None:
                raise ValueError("a purchase names a customer_id and no subscription_id")
        elif self.subscription_id is None or self.customer_id or self.account_id:
            raise ValueError("name the subscription_id; its customer and account are known")
        return self

    @property
    def wish(self) -> Wish:
        return Wish(**{name: getattr(self, name) for name in Wish().__slots__})


def router(accounts: Accounts) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["subscription orders"])
    database = accounts.database

    @routes.post("/subscription-orders", status_code=202, operation_id="subscription-orders.create")
    async def place(body: SubscriptionOrder, caller: Operates, key: IdempotencyKey) -> JSONResponse:
        """Place an order. Orders of one subscription are carried out one after the other."""
        async with database.transaction(actor=caller.subject) as tx:

            async def work() -> tuple[int, Any]:
                return 202, await _place(accounts, tx, body)

            return await once(tx, "POST /v1/subscription-orders", key, body.model_dump(), work)

    @routes.get("/subscription-orders", operation_id="subscription-orders.list")
    async def list_orders(
        caller: Reads,
        subscription_id: str | None = None,
        state: OrderState | None = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """Orders, newest first."""
        before = (decode_cursor(cursor, parts=1) or [None])[0]
        async with database.read() as reader:
            rows = await subscription_orders.list_orders(
                reader, before=before, subscription_id=subscription_id, state=state, limit=limit
            )
        more = encode_cursor(rows[-1]["number"]) if len(rows) == limit else None
        return page([_order(row) for row in rows], next_cursor=more)

    @routes.get("/subscription-orders/{order_id}", operation_id="subscription-orders.get")
    async def get_order(order_id: str, caller: Reads) -> dict[str, Any]:
        """One order: its state, how it came to it, the provider's words and what can be done."""
        async with database.read() as reader:
            row = await subscription_orders.find_order(reader, order_id)
            if row is None:
                raise NotFound("subscription_order_unknown", "there is no such order")
            history = await subscription_orders.history_of(reader, order_id)
        return _order(row) | {"history": [dict(step) for step in history]}

    @routes.post(
        "/subscription-orders/{order_id}:cancel", operation_id="subscription-orders.cancel"
    )
    async def take_back(order_id: str, caller: Operates) -> dict[str, Any]:
        """Take back an order that has not been sent."""
        async with database.transaction(actor=caller.subject) as tx:
            if not await subscription_orders.cancel_order(tx, order_id):
                if await subscription_orders.find_order(tx, order_id) is None:
                    raise NotFound("subscription_order_unknown", "there is no such order")
                raise Conflict("subscription_order_sent", "it is under way, or has ended")
            await tx.record("subscription-order.cancelled", f"subscription-order/{order_id}")
            for context in accounts:
                tx.wake(context.job(ORDERS))
        return {"id": order_id, "state": OrderState.CANCELLED.value}

    return routes


async def _place(accounts: Accounts, tx: Transaction, body: SubscriptionOrder) -> dict[str, Any]:
    account_id, customer_id = body.account_id, body.customer_id or ""
    if body.subscription_id is not None:
        row = await subscriptions.find_subscription(tx, body.subscription_id)
        if row is None:
            raise NotFound("subscription_unknown", "no such subscription is mirrored")
        if not row["licence"]:
            raise Invalid("subscription_has_no_seats", "a usage-based subscription is not ordered")
        account_id, customer_id = row["account_id"], row["customer_id"]
    context = accounts.of(account_id)
    target = Target(context.account.id, customer_id, body.subscription_id)
    order_id = await subscription_orders.add_order(tx, body.kind, body.wish, target)
    thing = f"subscription-order/{order_id}"
    await tx.record("subscription-order.placed", thing, after=body.model_dump(mode="json"))
    tx.wake(context.job(ORDERS))
    return {"id": order_id, "state": OrderState.PLANNED.value}


def _order(row: Record) -> dict[str, Any]:
    names = (
        "id", "account_id", "kind", "subscription_id", "customer_id", "state", "wish", "code",
        "detail", "offer", "provider_code", "provider_words", "result", "requested_by",
        "requested_at", "finished_at", "attempts", "correlation_id",
    )  # fmt: skip
    return {name: row[name] for name in names} | {"what_to_do": _ACTIONS.get(row["state"])}
