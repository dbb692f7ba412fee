"""Carts and orders: enough to buy one or several new subscriptions at once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.routing import Route

from simulators.exact_json import Document
from simulators.http_messages import Answer
from simulators.partner_center import resources
from simulators.partner_center.audit import Actor
from simulators.partner_center.commerce import Line
from simulators.partner_center.edge import call_of, grant_of
from simulators.partner_center.paging import collection
from simulators.partner_center.records import Cart, Customer, Order
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.shop import Shop

CART_LIFETIME = timedelta(days=7)


class OrdersApi:
    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def routes(self) -> list[Route]:
        one = "/v1/customers/{customer}"
        return [
            Route(one + "/carts", self._create_cart, methods=["POST"]),
            Route(one + "/carts/{cart}", self._cart, methods=["GET", "PUT"]),
            Route(one + "/carts/{cart}/checkout", self._checkout, methods=["POST"]),
            Route(one + "/orders", self._orders, methods=["GET"]),
            Route(one + "/orders", self._create_order, methods=["POST"]),
            Route(one + "/orders/{order}", self._order),
            Route(one + "/orders/{order}/provisioningstatus", self._provisioning),
        ]

    async def _create_cart(self, request: Request) -> Answer:
        customer, now = self._customer(request), self._shop.now
        cart = Cart(
            id=self._shop.books.next_id("cart"),
            customer_id=customer.id,
            created_at=now,
            modified_at=now,
            expires_at=now + CART_LIFETIME,
            lines=_cart_lines(call_of(request).json()),
        )
        self._shop.books.carts.append(cart)
        return Answer.of(201, resources.cart(cart))

    async def _cart(self, request: Request) -> Answer:
        cart = self._found_cart(request)
        if request.method == "PUT":
            if cart.status == "Ordered":
                raise Refusal(800065, cart.id)
            cart.lines = _cart_lines(call_of(request).json())
            cart.modified_at = self._shop.now
        lag = self._shop.books.switches.lag_carts
        if cart.status == "Ordered" and not self._shop.lags.seen("cart", cart.id, lag):
            cart = cart.model_copy(update={"status": "Active"})
        return Answer.of(200, resources.cart(cart))

    async def _checkout(self, request: Request) -> Answer:
        """Every line becomes a subscription of one order, or none does."""
        cart = self._found_cart(request)
        if cart.status == "Ordered":
            raise Refusal(800065, cart.id)
        try:
            order = self._buy(request, cart.lines)
        except Refusal as refusal:
            if refusal.code == 400019:
                raise
            failed = {"orderGroupId": "0", "code": refusal.code, "description": refusal.description}
            return Answer.of(207, {"orders": [], "orderErrors": [failed]})
        cart.status, cart.modified_at = "Ordered", self._shop.now
        return Answer.of(201, {"orders": [resources.order(order)], "orderErrors": []})

    async def _create_order(self, request: Request) -> Answer:
        body = _camel(call_of(request).json())
        shared = {"billingCycle": body.get("billingCycle", "monthly")}
        lines = [
            {**shared, **_camel(line), "catalogItemId": _offer(line)} for line in body["lineItems"]
        ]
        return Answer.of(201, resources.order(self._buy(request, lines)))

    async def _orders(self, request: Request) -> Answer:
        customer = self._customer(request)
        found = [o for o in self._shop.books.orders if o.customer_id == customer.id]
        switches, lags = self._shop.books.switches, self._shop.lags
        found = lags.visible("order", found, lambda o: o.id, switches.lag_orders)
        return Answer.of(200, collection([self._listed(o) for o in found]))

    def _listed(self, order: Order) -> Document:
        """`subscriptionId` appears once a line is provisioned."""
        shown, wait = resources.order(order), self._shop.books.switches.unprovisioned_orders
        if not self._shop.lags.seen("provisioning", order.id, wait):
            for line in shown["lineItems"]:
                line["subscriptionId"] = None
        return shown

    async def _order(self, request: Request) -> Answer:
        return Answer.of(200, resources.order(self._found_order(request)))

    async def _provisioning(self, request: Request) -> Answer:
        lines = [
            {
                "lineItemNumber": line.number,
                "status": "fulfilled",
                "quantityProvisioningInformation": [
                    {"quantity": line.quantity, "status": "fulfilled"}
                ],
            }
            for line in self._found_order(request).lines
        ]
        return Answer.of(200, collection(lines))

    def _buy(self, request: Request, lines: list[dict[str, Any]]) -> Order:
        grant, call = grant_of(request), call_of(request)
        actor = Actor(grant.user, grant.client_id, call.headers.get("ms-correlationid", ""))
        wanted = [_line(line) for line in lines]
        currency = next(
            (str(line["currencyCode"]) for line in lines if "currencyCode" in line), "USD"
        )
        try:
            order, _ = self._shop.commerce.purchase(
                self._customer(request), wanted, actor, self._shop.now, currency
            )
        except ValidationError as error:
            raise Refusal(800009) from error
        return order

    def _customer(self, request: Request) -> Customer:
        tenant = grant_of(request).tenant_id
        return self._shop.books.customer(request.path_params["customer"], tenant)

    def _found_cart(self, request: Request) -> Cart:
        cart = self._shop.books.cart(request.path_params["cart"], self._customer(request).id)
        if self._shop.now >= cart.expires_at:
            raise Refusal(800008)
        return cart

    def _found_order(self, request: Request) -> Order:
        customer = self._customer(request)
        return self._shop.books.order(request.path_params["order"], customer.id)


def _cart_lines(body: Document) -> list[dict[str, Any]]:
    return [_camel(line) for line in _camel(body)["lineItems"]]


def _camel(document: Document) -> Document:
    return {name[:1].lower() + name[1:]: value for name, value in document.items()}


def _offer(line: Document) -> str:
    return str(_camel(line).get("offerId", ""))


def _line(line: Document) -> Line:
    """`catalogItemId` is product, SKU and availability.

    Raises:
        Refusal: it is not, or the line has no term.
    """
    parts = str(line.get("catalogItemId", "")).split(":")
    if len(parts) != 3 or "termDuration" not in line:
        raise Refusal(800009)
    participants = line.get("participants") or []
    reseller = [p["value"] for p in participants if p.get("key") == "transaction_reseller"]
    end = line.get("customTermEndDate")
    return Line(
        product_id=parts[0],
        sku_id=parts[1],
        availability_id=parts[2],
        name=str(line.get("friendlyName") or ""),
        quantity=int(line["quantity"]),
        term=str(line["termDuration"]),
        billing_plan=str(line.get("billingCycle", "monthly")).lower(),
        custom_term_end=date.fromisoformat(str(end)[:10]) if end else None,
        partner_id=str(reseller[0]) if reseller else "",
        promotion_id=str(line.get("promotionId") or ""),
        parent_id=_parent(line),
    )


def _parent(line: Document) -> str | None:
    """The base of an add-on: named by the line, or by its provisioning context."""
    context = line.get("provisioningContext") or {}
    named = line.get("parentSubscriptionId") or context.get("parentSubscriptionId")
    return str(named).lower() if named else None
