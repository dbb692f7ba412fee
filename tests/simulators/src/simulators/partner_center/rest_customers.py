"""Customers and their subscriptions."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from simulators.http_messages import Answer
from simulators.partner_center import resources
from simulators.partner_center.audit import Actor
from simulators.partner_center.edge import call_of, grant_of
from simulators.partner_center.instants import midnight
from simulators.partner_center.paging import Seek, collection, seek_collection
from simulators.partner_center.patching import change_in
from simulators.partner_center.records import Customer, Subscription
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.shop import Shop

PAGE = 500


class CustomersApi:
    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._stale: dict[str, tuple[int, Subscription]] = {}  # reads left, and what they show

    def routes(self) -> list[Route]:
        one = "/v1/customers/{customer}"
        sub = one + "/subscriptions/{subscription}"
        return [
            Route("/v1/customers", self._list),
            Route(one, self._get),
            Route(one + "/subscriptions", self._subscriptions),
            Route(sub, self._subscription, methods=["GET"]),
            Route(sub, self._patch, methods=["PATCH"]),
            Route(sub + "/provisioningstatus", self._provisioning),
        ]

    async def _list(self, request: Request) -> Answer:
        call, grant = call_of(request), grant_of(request)
        seek = Seek.parse(call, PAGE)
        everybody = self._shop.books.customers_of(grant.tenant_id)
        page, token = seek.page(everybody, lambda c: c.id)
        items = [resources.customer(c) for c in page]
        return Answer.of(200, seek_collection("/customers", call, items, len(everybody), token))

    async def _get(self, request: Request) -> Answer:
        return Answer.of(200, resources.customer_in_full(self._customer(request)))

    async def _subscriptions(self, request: Request) -> Answer:
        customer, wanted = self._customer(request), request.query_params
        found = self._shop.books.subscriptions_of(customer.id)
        if "order_id" in wanted:
            found = [s for s in found if s.order_id == wanted["order_id"]]
        if "mpn_id" in wanted:
            found = [s for s in found if s.partner_id == wanted["mpn_id"]]
        items = [resources.subscription(s, self._shop.now) for s in found]
        return Answer.of(200, collection(items))

    async def _subscription(self, request: Request) -> Answer:
        record = self._record(request)
        shown = self._shop.lags.subscription(record, self._shop.books.switches.lag_subscriptions)
        left, before = self._stale.pop(record.id, (0, shown))
        if left > 1:
            self._stale[record.id] = (left - 1, before)
        document = resources.subscription(before, self._shop.now)
        if not self._shop.books.switches.etags:
            del document["attributes"]["etag"]
            return Answer.of(200, document)
        return Answer.of(200, document, etag=f'"{document["attributes"]["etag"]}"')

    async def _patch(self, request: Request) -> Answer:
        """One change of the whole resource; `If-Match` is honoured where it is sent."""
        record, call, now = self._record(request), call_of(request), self._shop.now
        wanted_etag = call.headers.get("if-match")
        if wanted_etag is not None and wanted_etag.strip('"') != resources.etag(record):
            raise Refusal(2055)
        change = change_in(call.json(), record)
        if change is not None:
            grant = grant_of(request)
            correlation = call.headers.get("ms-correlationid", "")
            actor = Actor(grant.user, grant.client_id, correlation)
            self._shop.commerce.change(record, change, actor, now)
        switches = self._shop.books.switches
        if switches.accepted_writes:
            if switches.stale_reads and change is not None:
                self._stale[record.id] = (switches.stale_reads, record)
            location = f"/v1/customers/{record.customer_id}/subscriptions/{record.id}"
            return Answer.of(202, {}, location=location)
        current = self._shop.books.subscription(record.id)
        return Answer.of(200, resources.subscription(current, now))

    async def _provisioning(self, request: Request) -> Answer:
        record = self._record(request)
        document = {
            "skuId": record.sku_id,
            "status": "success",
            "quantity": record.quantity,
            "endDate": midnight(record.commitment_end),
            "attributes": {"objectType": "SubscriptionProvisioningStatus"},
        }
        return Answer.of(200, document)

    def _customer(self, request: Request) -> Customer:
        tenant = grant_of(request).tenant_id
        return self._shop.books.customer(request.path_params["customer"], tenant)

    def _record(self, request: Request) -> Subscription:
        customer = self._customer(request)
        return self._shop.books.subscription(request.path_params["subscription"], customer.id)
