"""Levers for seats that change product or partner: upgrades in the portal, transfers."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from simulators.exact_json import loads
from simulators.http_messages import Answer
from simulators.partner_center import resources
from simulators.partner_center.audit import Actor, audit_resource
from simulators.partner_center.moves import Wish
from simulators.partner_center.records import Guid, Plan, Subscription, Term
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.shop import Shop

PORTAL_USER = "admin@partner.onmicrosoft.com"


class PortalUpgrade(BaseModel):
    """An upgrade by a person, now or at an instant that has passed. Any product is a target."""

    model_config = ConfigDict(extra="forbid")

    subscription_id: Guid
    product_id: str
    sku_id: str = "0001"
    name: str
    quantity: int | None = None  # absent: all seats
    term: Term | None = None
    billing_plan: Plan | None = None
    into_subscription_id: Guid | None = None
    new_subscription_id: Guid | None = None  # of the seats that leave; a story chooses it
    at: AwareDatetime | None = None
    by: str = PORTAL_USER


class Transfer(BaseModel):
    """Subscriptions that leave to another partner (by id), or come from one (as in a seed)."""

    model_config = ConfigDict(extra="forbid")

    customer_id: Guid
    leaving: list[Guid] = []
    coming: list[Subscription] = Field(default=[])
    at: AwareDatetime | None = None
    by: str = PORTAL_USER

    @model_validator(mode="after")
    def _one_way(self) -> Transfer:
        if bool(self.leaving) == bool(self.coming):
            raise ValueError("a transfer has subscriptions either leaving or coming")
        return self


class MoveLevers:
    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/transitions", self._upgrade, methods=["POST"]),
            Route("/transfers", self._transfer, methods=["POST"]),
        ]

    async def _upgrade(self, request: Request) -> Answer:
        """200 with both subscriptions and the audit records, or the vendor's refusal."""
        wish = PortalUpgrade.model_validate(loads(await request.body()))
        books = self._shop.books
        source = books.subscription(wish.subscription_id)
        at = wish.at or self._shop.now
        if not source.last_change_at <= at <= self._shop.now:
            raise ValueError(
                f"{at} is not between the last change ({source.last_change_at}) and now"
            )
        into = wish.into_subscription_id
        moved = Wish(
            product_id=wish.product_id,
            sku_id=wish.sku_id,
            name=wish.name,
            quantity=wish.quantity,
            term=wish.term,
            billing_plan=wish.billing_plan,
            into=books.subscription(into, source.customer_id) if into else None,
            new_id=wish.new_subscription_id or books.next_id("subscription"),
        )
        try:
            done = self._shop.upgrades.upgrade(source, moved, Actor(wish.by), at)
        except Refusal as refusal:
            return Answer.of(refusal.status, refusal.body())
        shown = {
            "subscription": resources.subscription(books.subscription(source.id), at),
            "target": resources.subscription(
                books.subscription(done.transition.to_subscription_id), at
            ),
            "audit_records": [audit_resource(record) for record in done.records],
        }
        return Answer.of(200, shown)

    async def _transfer(self, request: Request) -> Answer:
        wish = Transfer.model_validate(loads(await request.body()))
        books, at = self._shop.books, wish.at or self._shop.now
        if at > self._shop.now:
            raise ValueError(f"{at} is in the future")
        customer, actor = books.customer(wish.customer_id), Actor(wish.by)
        if wish.leaving:
            leaving = [books.subscription(i, customer.id) for i in wish.leaving]
            record = self._shop.transfers.away(customer, leaving, actor, at)
        else:
            if any(s.customer_id != customer.id for s in wish.coming):
                raise ValueError("a subscription comes for another customer")
            record = self._shop.transfers.here(customer, wish.coming, actor, at)
        return Answer.of(200, {"audit_record": audit_resource(record)})
