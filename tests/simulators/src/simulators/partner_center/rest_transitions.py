"""Upgrades, allowed end dates, add-ons and the seats a SKU is sold in."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from shared.kernel.periods import utc_day
from simulators.exact_json import Document
from simulators.http_messages import Answer
from simulators.partner_center import resources
from simulators.partner_center.audit import Actor
from simulators.partner_center.edge import call_of, grant_of
from simulators.partner_center.instants import midnight, precise
from simulators.partner_center.move_records import Transition, UpgradePath
from simulators.partner_center.moves import Wish, target_problem
from simulators.partner_center.paging import collection
from simulators.partner_center.records import Customer, Subscription
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.shop import Shop
from simulators.partner_center.term_ends import AllowedEnd, allowed_ends
from simulators.partner_center.upgrading import TransitionType

_TARGET_TEXTS = {
    1: "The subscription isn't active.",
    2: "The subscription is still in its cancellation window.",
    3: "The subscription's term duration is shorter than the source subscription's term duration.",
    4: "The subscription ends earlier than the source subscription.",
}


class TransitionsApi:
    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def routes(self) -> list[Route]:
        subs = "/v1/customers/{customer}/subscriptions"
        one = subs + "/{subscription}"
        return [
            Route(subs + "/customTermEndDates", self._term_ends),
            Route(one + "/addons", self._add_ons),
            Route(one + "/transitionEligibilities", self._eligibilities),
            Route(one + "/transitions", self._transitions, methods=["GET"]),
            Route(one + "/transitions", self._upgrade, methods=["POST"]),
        ]

    async def _term_ends(self, request: Request) -> Answer:
        term = request.query_params.get("term_duration", "P1Y")
        if term not in ("P1M", "P1Y", "P3Y"):
            raise Refusal(800121)
        customer = self._customer(request)
        neighbours = self._shop.books.subscriptions_of(customer.id)
        ends = allowed_ends(neighbours, utc_day(self._shop.now), term)
        return Answer.of(200, collection([_term_end(end) for end in ends]))

    async def _add_ons(self, request: Request) -> Answer:
        base = self._record(request)
        found = [
            resources.subscription(s, self._shop.now)
            for s in self._shop.books.subscriptions_of(base.customer_id)
            if s.parent_id == base.id
        ]
        return Answer.of(200, collection(found))

    async def _eligibilities(self, request: Request) -> Answer:
        source = self._record(request)
        paths = self._shop.upgrades.paths_from(source)
        return Answer.of(200, collection([self._eligibility(source, p) for p in paths]))

    async def _transitions(self, request: Request) -> Answer:
        source = self._record(request)
        found = [t for t in self._shop.books.transitions if t.from_subscription_id == source.id]
        lag = self._shop.books.switches.lag_transitions
        found = self._shop.lags.visible("transition", found, lambda t: t.operation_id, lag)
        return Answer.of(200, collection([_transition(t) for t in found]))

    async def _upgrade(self, request: Request) -> Answer:
        source, call = self._record(request), call_of(request)
        body = {name[:1].lower() + name[1:]: value for name, value in call.json().items()}
        grant = grant_of(request)
        actor = Actor(grant.user, grant.client_id, call.headers.get("ms-correlationid", ""))
        done = self._shop.upgrades.upgrade(
            source, self._wish(source, body), actor, self._shop.now, _kind(body)
        )
        return Answer.of(200, _transition(done.transition))

    def _wish(self, source: Subscription, body: Document) -> Wish:
        parts = str(body.get("toCatalogItemId", "")).split(":")
        if len(parts) != 3 or str(body.get("fromSubscriptionId", "")).lower() != source.id:
            raise Refusal(800002)
        path = next(
            (
                p
                for p in self._shop.upgrades.paths_from(source)
                if [p.product_id, p.sku_id] == parts[:2]
            ),
            None,
        )
        if path is None:
            raise Refusal(400019)
        into = body.get("toSubscriptionId")
        plan = body.get("billingCycle")
        return Wish(
            product_id=parts[0],
            sku_id=parts[1],
            availability_id=parts[2],
            name=path.title,
            quantity=body.get("quantity"),
            term=body.get("termDuration"),
            billing_plan=str(plan).lower() if plan else None,  # type: ignore[arg-type]  # checked by the schema
            into=self._shop.books.subscription(into, source.customer_id) if into else None,
            new_id=self._shop.books.next_id("subscription"),
        )

    def _eligibility(self, source: Subscription, path: UpgradePath) -> Document:
        now = self._shop.now
        targets = [
            s
            for s in self._shop.books.subscriptions_of(source.customer_id)
            if s.id != source.id and (s.product_id, s.sku_id) == (path.product_id, path.sku_id)
        ]
        allowed = ["transition_only"]
        if path.license_transfer:
            allowed.append("transition_with_license_transfer")
        return {
            "operationId": self._shop.books.next_id("eligibility"),
            "catalogItemId": path.catalog_item_id,
            "title": path.title,
            "description": path.title,
            "quantity": source.quantity,
            "eligibilities": [
                {"isEligible": source.status == "active", "transitionType": kind, "errors": []}
                for kind in allowed
            ],
            "subscriptionEligibilities": [
                _target(target, target_problem(source, target, now)) for target in targets
            ],
            "attributes": {"objectType": "TransitionEligibility"},
        }

    def _customer(self, request: Request) -> Customer:
        tenant = grant_of(request).tenant_id
        return self._shop.books.customer(request.path_params["customer"], tenant)

    def _record(self, request: Request) -> Subscription:
        customer = self._customer(request)
        return self._shop.books.subscription(request.path_params["subscription"], customer.id)


def _kind(body: Document) -> TransitionType:
    transfer = body.get("transitionType") == "transition_with_license_transfer"
    return "transition_with_license_transfer" if transfer else "transition_only"


def _target(target: Subscription, problem: int | None) -> Document:
    errors: list[Any] = []
    if problem is not None:
        errors = [{"code": problem, "description": _TARGET_TEXTS[problem]}]
    return {
        "isEligible": problem is None,
        "subscriptionId": target.id,
        "subscriptionFriendlyName": target.friendly_name,
        "subscriptionTermDuration": target.term,
        "subscriptionBillingCycle": target.billing_plan,
        "errors": errors,
    }


def _transition(record: Transition) -> Document:
    names = ["Conversion"]
    if record.transition_type == "transition_with_license_transfer":
        names.append("LicenseReassignment")
    return {
        "operationId": record.operation_id,
        "fromCatalogItemId": record.from_catalog_item_id,
        "fromSubscriptionId": record.from_subscription_id,
        "toCatalogItemId": record.to_catalog_item_id,
        "toSubscriptionId": record.to_subscription_id,
        "quantity": record.quantity,
        "termDuration": record.term,
        "billingCycle": record.billing_plan,
        "transitionType": record.transition_type,
        "events": [
            {"name": name, "status": "Completed", "timestamp": precise(record.at)} for name in names
        ],
        "attributes": {"objectType": "Transition"},
    }


def _term_end(end: AllowedEnd) -> Document:
    kind = "subscriptionAligned" if end.with_ids else "calendarMonthAligned"
    return {
        "allowedCustomTermEndDateType": kind,
        "cotermSubscriptionIds": list(end.with_ids),
        "allowedCustomTermEndDate": midnight(end.day),
        "attributes": {"objectType": "CustomTermEndDate"},
    }
