"""Microsoft's side of the business, put together: Partner Center, sign-in, Graph, storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from simulators.exact_json import Document
from simulators.frame import Simulator, World
from simulators.http_messages import Answer, Call, read_call
from simulators.partner_center.books import Books
from simulators.partner_center.edge import Edge
from simulators.partner_center.graph import BlobStorage, GraphApi, failure
from simulators.partner_center.levers import Levers
from simulators.partner_center.levers_moves import MoveLevers
from simulators.partner_center.login import GRAPH, PARTNER, PARTNER_CENTER
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.rest_activity import ActivityApi
from simulators.partner_center.rest_customers import CustomersApi
from simulators.partner_center.rest_money import MoneyApi
from simulators.partner_center.rest_orders import OrdersApi
from simulators.partner_center.rest_transitions import TransitionsApi
from simulators.partner_center.shop import Shop
from simulators.partner_center.vendor_contract import vendor_contract


class PartnerCenter(Simulator):
    name = "partner_center"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.shop = Shop(self)
        self.contract = vendor_contract()

    def mounts(self) -> Mapping[str, ASGIApp]:
        base = self.world.base_url
        apis = (TransitionsApi, CustomersApi, OrdersApi, ActivityApi, MoneyApi)
        routes = Router([route for api in apis for route in api(self.shop).routes()])
        audiences = frozenset({PARTNER_CENTER, PARTNER, f"{base}/partner-center"})
        edge = Edge(self.shop.login, routes, audiences)
        edge.books = self.shop.books
        self.shop.edges.append(edge)
        graph_audiences = frozenset({GRAPH, f"{base}/graph"})
        return {
            "/partner-center": edge,
            "/login": self._sign_in,
            "/graph": GraphApi(base, self.shop.login, self.shop.exports, graph_audiences),
            "/blob": BlobStorage(self.shop.exports),
        }

    def load(self, document: Document) -> None:
        """A seed is `Books` as JSON; a dump has `exports` and `webhooks` besides.

        Webhook registrations stay when a seed does not mention them: they are the receiver's
        doing, and a story that is seeded after the receiver has registered wants its webhooks.
        """
        rest = dict(document)
        exports, webhooks = rest.pop("exports", {}), rest.pop("webhooks", {})
        books = Books.model_validate(rest)
        if "registrations" not in rest:
            books.registrations = self.shop.books.registrations
        self.shop.open(books)
        self.shop.exports.load(exports)
        self.shop.notifications.deliveries.load(webhooks)

    def reset(self) -> None:
        self.load({"registrations": {}})

    def dump(self) -> Document:
        return {
            **self.shop.books.document(),
            "exports": self.shop.exports.dump(),
            "webhooks": self.shop.notifications.deliveries.dump(),
        }

    def refuse(self, call: Call, violations: Sequence[str]) -> Answer:
        known = self.contract is not None and self.contract.operation_for(call) is not None
        if call.path.startswith("/graph"):
            code = "BadRequest" if known else "ResourceNotFound"
            return failure(400 if known else 404, code, violations[0])
        if call.path.startswith("/login"):
            body = {"error": "invalid_request", "error_description": violations[0]}
            return Answer.of(400 if known else 404, body)
        if call.path.startswith("/blob"):
            return Answer(404)
        refusal = Refusal(800002 if known else 1000)
        return Answer.of(refusal.status, refusal.body())

    def control_routes(self) -> Sequence[BaseRoute]:
        return [*Levers(self.shop).routes(), *MoveLevers(self.shop).routes()]

    async def start(self) -> None:
        self.shop.notifications.deliveries.wake()

    async def aclose(self) -> None:
        self.shop.notifications.deliveries.stop()
        await super().aclose()

    async def _sign_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = await read_call(scope, receive)
        tenant = call.path.removeprefix("/login/").split("/")[0]
        await self.shop.login.token(call, tenant)(scope, receive, send)
