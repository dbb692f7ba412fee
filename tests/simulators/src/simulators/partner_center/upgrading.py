"""Upgrades and transfers as acts: new state, then a record and a webhook for each side.

The documentation names the operations (`upgrade_subscription`, `convert_trial_subscription`,
`update_transfer`) and not what their records hold. Here each touched subscription has a record with
before and after; the records of one act share their correlation id and name both subscriptions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from simulators.exact_json import Document
from simulators.partner_center import resources
from simulators.partner_center.audit import Activity, Actor, AuditTrail
from simulators.partner_center.books import Books
from simulators.partner_center.instants import precise
from simulators.partner_center.move_records import Transition, UpgradePath
from simulators.partner_center.moves import Moved, Wish, move
from simulators.partner_center.records import AuditRecord, Customer, Subscription, availability_of
from simulators.partner_center.refusals import Refusal

TransitionType = Literal["transition_only", "transition_with_license_transfer"]


@dataclass(frozen=True, slots=True)
class Upgraded:
    transition: Transition
    records: tuple[AuditRecord, ...]


class Upgrades:
    def __init__(
        self,
        books: Books,
        audit: AuditTrail,
        announce: Callable[[Subscription, AuditRecord], None],
    ) -> None:
        self._books = books
        self._audit = audit
        self._announce = announce

    def paths_from(self, source: Subscription) -> list[UpgradePath]:
        """What this subscription may become."""
        origin = (source.product_id, source.sku_id)
        listed = self._books.upgrade_paths
        return [p for p in listed if (p.from_product_id, p.from_sku_id) == origin]

    def upgrade(
        self,
        source: Subscription,
        wish: Wish,
        actor: Actor,
        at: datetime,
        kind: TransitionType = "transition_only",
    ) -> Upgraded:
        """Move seats to another product.

        Raises:
            Refusal: with the vendor's code; the attempt is on record.
        """
        customer = self._books.customer(source.customer_id)
        actor = (
            actor
            if actor.correlation_id
            else actor.with_correlation(self._books.next_id("correlation"))
        )
        before = resources.subscription(source, at)
        try:
            moved = move(source, wish, at)
        except Refusal as refusal:
            activity = Activity(
                "subscription", "upgrade_subscription", source.id, before, before, refusal
            )
            self._audit.record(activity, actor, customer, at)
            raise
        transition = self._transition(source, wish, moved, at, kind)
        self._books.transitions.append(transition)
        return Upgraded(transition, tuple(self._tell(before, moved, wish, (actor, customer), at)))

    def _tell(
        self,
        before: Document,
        moved: Moved,
        wish: Wish,
        who: tuple[Actor, Customer],
        at: datetime,
    ) -> Sequence[AuditRecord]:
        operation = "convert_trial_subscription" if moved.converted else "upgrade_subscription"
        sides: list[tuple[Subscription, Document | None]] = [(moved.source, before)]
        if moved.target is not moved.source:
            held = resources.subscription(wish.into, at) if wish.into is not None else None
            sides.append((moved.target, held))
        told = []
        for subscription, held in sides:
            self._books.put_subscription(subscription)
            data = (
                ("SubscriptionId", subscription.id),
                ("OrderId", subscription.order_id),
                ("FromSubscriptionId", moved.source.id),
                ("ToSubscriptionId", moved.target.id),
                ("Quantity", str(moved.quantity)),
            )
            after = resources.subscription(subscription, at)
            activity = Activity("subscription", operation, subscription.id, held, after, data=data)
            told.append(self._audit.record(activity, who[0], who[1], at))
        for (subscription, _), record in zip(sides, told, strict=True):
            self._announce(subscription, record)
        return told

    def _transition(
        self, source: Subscription, wish: Wish, moved: Moved, at: datetime, kind: TransitionType
    ) -> Transition:
        return Transition(
            operation_id=self._books.next_id("transition"),
            customer_id=source.customer_id,
            from_subscription_id=source.id,
            from_catalog_item_id=source.offer_id,
            to_subscription_id=moved.target.id,
            to_catalog_item_id=":".join(
                (
                    wish.product_id,
                    wish.sku_id,
                    wish.availability_id or availability_of(wish.product_id, wish.sku_id),
                )
            ),
            quantity=moved.quantity,
            term=moved.target.term,
            billing_plan=moved.target.billing_plan,
            transition_type=kind,
            at=at,
        )


class Transfers:
    """Customers that change their partner; the subscriptions get other ids on the other side."""

    def __init__(
        self,
        books: Books,
        audit: AuditTrail,
        announce: Callable[[Subscription, AuditRecord], None],
    ) -> None:
        self._books = books
        self._audit = audit
        self._announce = announce

    def away(
        self, customer: Customer, leaving: Sequence[Subscription], actor: Actor, at: datetime
    ) -> AuditRecord:
        """They end here; another partner goes on with them."""
        gone = []
        for subscription in leaving:
            changed = subscription.model_copy(deep=True)
            changed.status, changed.ended_at, changed.auto_renew = "deleted", at, False
            changed.next_term, changed.scheduled_actions = None, []
            changed.version, changed.changed_at = changed.version + 1, at
            self._books.put_subscription(changed)
            gone.append(changed)
        record = self._record(customer, gone, actor, at, outgoing=True)
        for subscription in gone:
            self._announce(subscription, record)
        return record

    def here(
        self, customer: Customer, coming: Sequence[Subscription], actor: Actor, at: datetime
    ) -> AuditRecord:
        """They go on here with the term they had; like a purchase, there is no webhook."""
        for subscription in coming:
            subscription.purchased_at = at  # created here now, with the term it had there
            self._books.put_subscription(subscription)
        record = self._record(customer, coming, actor, at, outgoing=False)
        if self._books.switches.purchase_webhooks:
            for subscription in coming:
                self._announce(subscription, record)
        return record

    def _record(
        self,
        customer: Customer,
        subscriptions: Sequence[Subscription],
        actor: Actor,
        at: datetime,
        *,
        outgoing: bool,
    ) -> AuditRecord:
        transfer_id = self._books.next_id("transfer")
        other = self._books.next_id("other-partner")
        source, target = (customer.tenant_id, other) if outgoing else (other, customer.tenant_id)
        document: Document = {
            "id": transfer_id,
            "status": "Completed",
            "createdTime": precise(at),
            "lastModifiedTime": precise(at),
            "customerTenantId": customer.id,
            "partnerTenantId": target,
            "sourcePartnerTenantId": source,
            "targetPartnerTenantId": target,
            "lineItems": [
                {
                    "id": number,
                    "subscriptionId": s.id,
                    "offerId": s.offer_id,
                    "billingCycle": s.billing_plan,
                    "friendlyName": s.friendly_name,
                    "quantity": s.quantity,
                    "partnerIdOnRecord": s.partner_id or None,
                    "addonItems": [],
                }
                for number, s in enumerate(subscriptions)
            ],
            "attributes": {"objectType": "TransferEntity"},
        }
        activity = Activity(
            "transfer", "update_transfer", transfer_id, None, document,
            data=(("TransferId", transfer_id),),
        )  # fmt: skip
        return self._audit.record(activity, actor, customer, at)
