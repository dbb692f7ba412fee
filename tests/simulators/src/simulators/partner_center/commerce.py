"""Everything that changes a subscription: portal, API, cart, and time itself.

Each accepted change is one step: new state, an audit record with before and after, and a webhook.
A refused one leaves a failed audit record and nothing else.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from shared.kernel.ids import sha256_hex
from shared.kernel.periods import utc_day
from simulators.exact_json import Document
from simulators.partner_center import lifecycle, resources
from simulators.partner_center.audit import Activity, Actor, AuditTrail
from simulators.partner_center.books import Books
from simulators.partner_center.records import (
    AuditRecord,
    Customer,
    Order,
    OrderLine,
    PriceRow,
    Subscription,
)
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.rules import Change, apply
from simulators.partner_center.term_ends import require_allowed
from simulators.partner_center.terms import plan_fits

Announce = Callable[[Subscription, AuditRecord], None]
"""Called after a subscription has changed; sends the webhook."""


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody buys. `subscription_id` lets a story choose the id it will talk about."""

    product_id: str
    sku_id: str
    availability_id: str
    name: str
    quantity: int
    term: str
    billing_plan: str
    custom_term_end: date | None = None
    partner_id: str = ""
    promotion_id: str = ""
    subscription_id: str | None = None
    parent_id: str | None = None
    unit_price: Decimal | None = None


class Commerce:
    def __init__(self, books: Books, announce: Announce) -> None:
        self._books = books
        self.audit = self._audit = AuditTrail(books)
        self._announce = announce

    def change(
        self, subscription: Subscription, change: Change, actor: Actor, at: datetime
    ) -> AuditRecord:
        """Carry out a change at an instant; the record of it is returned.

        Raises:
            Refusal: with the vendor's code; the attempt is on record.
        """
        customer = self._books.customer(subscription.customer_id)
        before = resources.subscription(subscription, at)
        changed = subscription.model_copy(deep=True)
        try:
            apply(changed, change, at)
        except Refusal as refusal:
            wished = before | _wished(change)
            self._record(subscription, (before, wished), actor, customer, at, refusal)
            raise
        self._books.put_subscription(changed)
        after = resources.subscription(changed, at)
        record = self._record(changed, (before, after), actor, customer, at)
        self._announce(changed, record)
        return record

    def purchase(
        self, customer: Customer, lines: list[Line], actor: Actor, at: datetime, currency: str
    ) -> tuple[Order, list[Subscription]]:
        """Buy: one order, one new subscription a line.

        Raises:
            Refusal: the first line that cannot be bought; nothing is bought then.
        """
        order_id = sha256_hex(self._books.next_id("order").encode())[:12]
        bought = [self._subscription(customer, line, order_id, at, currency) for line in lines]
        order = Order(
            id=order_id,
            customer_id=customer.id,
            currency=currency,
            created_at=at,
            lines=[_order_line(n, s) for n, s in enumerate(bought)],
        )
        self._books.orders.append(order)
        record = self._audit.record(_purchase_activity(order), actor, customer, at)
        for subscription in bought:
            self._books.put_subscription(subscription)
            if self._books.switches.purchase_webhooks:
                self._announce(subscription, record)
        return order, bought

    def tick(self, now: datetime) -> list[Document]:
        """Everything that is due up to now, in the order of its instants."""
        delay = timedelta(minutes=self._books.switches.renewal_delay_minutes)
        agenda: list[tuple[datetime, str, lifecycle.Due]] = []
        for subscription in self._books.all_subscriptions():
            due = lifecycle.next_due(subscription, delay)
            if due is not None and due.at <= now:
                heapq.heappush(agenda, (due.at, subscription.id, due))
        done = []
        while agenda:
            _, subscription_id, due = heapq.heappop(agenda)
            subscription = self._advance(self._books.subscription(subscription_id), due)
            done.append({"subscription_id": subscription_id, "step": due.step, "at": due.at})
            following = lifecycle.next_due(subscription, delay)
            if following is not None and following.at <= now:
                heapq.heappush(agenda, (following.at, subscription_id, following))
        return done

    def _advance(self, subscription: Subscription, due: lifecycle.Due) -> Subscription:
        before = resources.subscription(subscription, due.at)
        changed = subscription.model_copy(deep=True)
        lifecycle.advance(changed, due)
        self._books.put_subscription(changed)
        renewal = due.step in (lifecycle.Step.RENEW, lifecycle.Step.EXTEND)
        if not (renewal and self._books.switches.silent_renewals):
            customer = self._books.customer(subscription.customer_id)
            after = resources.subscription(changed, due.at)
            record = self._record(changed, (before, after), Actor(), customer, due.at)
            self._announce(changed, record)
        return changed

    def _record(
        self,
        subscription: Subscription,
        values: tuple[Document, Document],
        actor: Actor,
        customer: Customer,
        at: datetime,
        refusal: Refusal | None = None,
    ) -> AuditRecord:
        activity = Activity(
            "subscription",
            "update_subscription",
            subscription.id,
            before=values[0],
            after=values[1],
            refusal=refusal,
            data=(("SubscriptionId", subscription.id), ("OrderId", subscription.order_id)),
        )
        return self._audit.record(activity, actor, customer, at)

    def _subscription(
        self, customer: Customer, line: Line, order_id: str, at: datetime, currency: str
    ) -> Subscription:
        if not customer.agreement_accepted:
            raise Refusal(13605)
        if not plan_fits(line.billing_plan, line.term):
            raise Refusal(900270)
        neighbours = self._books.subscriptions_of(customer.id)
        if line.custom_term_end is not None:
            require_allowed(neighbours, utc_day(at), line.term, line.custom_term_end)
        self._require_base(line, neighbours)
        sold = self._catalogue_row(line)
        return Subscription(
            id=line.subscription_id or self._books.next_id("subscription"),
            customer_id=customer.id,
            product_id=line.product_id,
            sku_id=line.sku_id,
            availability_id=line.availability_id,
            name=line.name or (sold.sku_title or sold.product_title if sold else line.product_id),
            term=line.term,  # validated by the record itself
            billing_plan=line.billing_plan,
            quantity=line.quantity,
            currency=currency,
            unit_price=line.unit_price,
            term_start=utc_day(at),
            term_end=line.custom_term_end,
            purchased_at=at,
            partner_id=line.partner_id,
            promotion_id=line.promotion_id,
            order_id=order_id,
            parent_id=line.parent_id,
        )

    def _require_base(self, line: Line, neighbours: list[Subscription]) -> None:
        """An add-on is sold beside an active subscription of one of its bases."""
        bases = [
            base
            for add_on in self._books.add_ons
            if (add_on.product_id, add_on.sku_id) == (line.product_id, line.sku_id)
            for base in add_on.base_product_ids
        ]
        if bases and not any(
            s.id == line.parent_id and s.status == "active" and s.product_id in bases
            for s in neighbours
        ):
            raise Refusal(400041)

    def _catalogue_row(self, line: Line) -> PriceRow | None:
        """The price sheet doubles as the catalogue; without one, everything is for sale."""
        if line.quantity < 1:
            raise Refusal(900275, 0)
        rows = self._books.price_sheet
        for row in rows:
            if (row.product_id, row.sku_id, row.term) == (line.product_id, line.sku_id, line.term):
                return row
        if rows:
            raise Refusal(400019)
        return None


def _wished(change: Change) -> Document:
    """What a refused attempt asked for, in the names of the resource."""
    wished = {
        "quantity": change.quantity,
        "status": change.status,
        "friendlyName": change.friendly_name,
        "autoRenewEnabled": change.auto_renew,
        "termDuration": change.term,
        "billingCycle": change.billing_plan,
    }
    return {name: value for name, value in wished.items() if value is not None}


def _order_line(number: int, subscription: Subscription) -> OrderLine:
    return OrderLine(
        number=number,
        subscription_id=subscription.id,
        offer_id=subscription.offer_id,
        name=subscription.name,
        quantity=subscription.quantity,
        term=subscription.term,
        billing_plan=subscription.billing_plan,
        partner_id=subscription.partner_id,
        promotion_id=subscription.promotion_id,
        parent_id=subscription.parent_id,
    )


def _purchase_activity(order: Order) -> Activity:
    data: list[tuple[str, str | None]] = [
        ("OrderId", order.id),
        ("AlternateId", order.id),
        ("BillingCycle", order.lines[0].billing_plan),
    ]
    for line in order.lines:
        data += [
            (f"OfferId-{line.number}", line.offer_id),
            (f"SubscriptionId-{line.number}", line.subscription_id),
            (f"SubscriptionName-{line.number}", line.name),
            (f"Quantity-{line.number}", str(line.quantity)),
            (f"PartnerOnRecord-{line.number}", line.partner_id or None),
        ]
    after = resources.order(order)
    return Activity("order", "create_order", order.id, after=after, data=tuple(data))
