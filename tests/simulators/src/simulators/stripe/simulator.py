"""The simulated Stripe inside the frame: events, signed webhooks, and the levers of a story."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from simulators.deliveries import Deliveries
from simulators.exact_json import Document, dumps, loads
from simulators.frame import Simulator, World
from simulators.http_messages import Answer, Call, read_call
from simulators.stripe.api import Api
from simulators.stripe.contract import API_VERSION, PREFIX
from simulators.stripe.errors import refusal, unauthorized, unroutable
from simulators.stripe.outcomes import parsed
from simulators.stripe.signing import signature
from simulators.stripe.state import (
    State,
    add_endpoint,
    from_document,
    set_outcomes,
    to_document,
)

SECRET_VARIABLE = "TIEOUT_SIM_STRIPE_WEBHOOK_SECRET"
DEFAULT_SECRET = "whsec_simulated"
_WRONG_SECRET = "whsec_of_somebody_else"


class Stripe(Simulator):
    """One account in test mode."""

    name = "stripe"

    def __init__(self, world: World) -> None:
        self.api = Api(world.clock, self._announce, self._undelivered)
        self.contract = self.api.rules
        self.deliveries = Deliveries(self, self._signed)
        super().__init__(world)

    @property
    def state(self) -> State:
        return self.api.state

    def mounts(self) -> Mapping[str, ASGIApp]:
        return {PREFIX: self._serve}

    def load(self, document: Document) -> None:
        self.api.state = from_document(document, self.api.now)
        self.deliveries.load(document.get("webhooks", {}))

    def dump(self) -> Document:
        return {**to_document(self.state), "webhooks": self.deliveries.dump()}

    def refuse(self, call: Call, violations: Sequence[str]) -> Answer | None:
        del violations
        if not self.api.authorized(call):
            return unauthorized()
        problems = [p for p in self.api.rules.problems(call) if p.kind not in _TOLERATED]
        if not problems:
            return None
        if problems[0].kind == "route":
            return unroutable(call.method, call.path)
        return refusal(problems[0])

    def control_routes(self) -> Sequence[BaseRoute]:
        return (
            *self.deliveries.routes(),
            Route("/webhook-endpoints", self._endpoints, methods=["GET", "POST", "DELETE"]),
            Route("/payment-methods/{id}", self._method, methods=["PATCH"]),
            Route("/payment-intents/{id}/settle", self._settle, methods=["POST"]),
            Route("/setup-intents/{id}/complete", self._complete, methods=["POST"]),
            Route("/switches", self._switches, methods=["PATCH"]),
        )

    async def start(self) -> None:
        self.deliveries.wake()

    async def aclose(self) -> None:
        self.deliveries.stop()
        await super().aclose()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = await read_call(scope, receive)
        answer = await self.api.answer(call)
        if answer.status == 501:
            self.breach("simulator", f"{call.method} {call.path}", "not simulated")
        await answer(scope, receive, send)

    # -- events -----------------------------------------------------------------------------------

    def _announce(self, type: str, object: Document, cause: Mapping[str, str | None]) -> None:
        """Keep an event with the object as it is now, and send it to whoever wants it."""
        endpoints = [
            e
            for e in self.state.rows("webhook_endpoints").values()
            if {"*", type} & set(e["enabled_events"])
        ]
        event: Document = {
            "id": self.state.new_id("evt"),
            "object": "event",
            "type": type,
            "api_version": API_VERSION,
            "created": self.api.now,
            "livemode": False,
            "pending_webhooks": len(endpoints),
            "data": {"object": loads(dumps(object)), "previous_attributes": None},
            "request": {"id": None, "idempotency_key": None, **cause},
            "account": None,
        }
        self.state.rows("events")[event["id"]] = event
        for endpoint in endpoints:
            id = f"{event['id']}:{endpoint['id']}"
            self.deliveries.send(endpoint["url"], dumps(event), type, id=id)

    def _undelivered(self) -> set[str]:
        """Events that some endpoint has not taken."""
        return {d.id.partition(":")[0] for d in self.deliveries.find() if d.state != "delivered"}

    def _signed(self, body: bytes) -> Mapping[str, str]:
        secret = self.state.webhook_secret or os.environ.get(SECRET_VARIABLE, DEFAULT_SECRET)
        if self.state.bad_signatures > 0:
            self.state.bad_signatures -= 1
            secret = _WRONG_SECRET
        return {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "stripe-signature": signature(secret, body, self.api.now),
        }

    # -- levers -----------------------------------------------------------------------------------

    async def _endpoints(self, request: Request) -> Answer:
        """Register `{"url", "enabled_events"}`, list, or remove all."""
        rows = self.state.rows("webhook_endpoints")
        if request.method == "POST":
            return Answer.of(200, add_endpoint(self.state, loads(await request.body())))
        if request.method == "DELETE":
            rows.clear()
        return Answer.of(200, {"webhook_endpoints": list(rows.values())})

    async def _method(self, request: Request) -> Answer:
        """`{"outcomes": ["decline:insufficient_funds", "succeed"]}`: what the next charges do."""
        id = request.path_params["id"]
        if id not in self.state.rows("payment_methods"):
            raise ValueError(f"there is no payment method {id}")
        set_outcomes(self.state, id, loads(await request.body())["outcomes"])
        return Answer.of(200, {"id": id, "outcomes": self.state.outcomes[id]})

    async def _settle(self, request: Request) -> Answer:
        """What the bank says of a processing payment: `{"outcome": "succeed"}` or a decline."""
        outcome = parsed(loads(await request.body())["outcome"])
        return Answer.of(200, self.api.payments().settle(request.path_params["id"], outcome))

    async def _complete(self, request: Request) -> Answer:
        """The hosted page: `{"token": "pm_card_visa"}` completes a setup intent."""
        token = loads(await request.body()).get("token", "pm_card_visa")
        return Answer.of(200, self.api.wallet().complete_setup(request.path_params["id"], token))

    async def _switches(self, request: Request) -> Answer:
        """Any of `latency_ms`, `bad_signatures`."""
        given: Document = loads(await request.body())
        if set(given) - {"latency_ms", "bad_signatures"}:
            raise ValueError("the switches are latency_ms and bad_signatures")
        for name, value in given.items():
            setattr(self.state, name, int(value))
        return Answer.of(200, {k: getattr(self.state, k) for k in ("latency_ms", "bad_signatures")})


_TOLERATED = ("version_missing",)
