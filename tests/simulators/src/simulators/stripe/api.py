"""The simulated Stripe API: authentication, idempotency, and what each operation does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.kernel.clock import Clock
from simulators.exact_json import Document
from simulators.http_messages import Answer, Call
from simulators.stripe import listing
from simulators.stripe.contract import API_VERSION, Matched, StripeContract, typed_parameters
from simulators.stripe.errors import (
    StripeError,
    missing,
    not_simulated,
    unauthorized,
    unroutable,
)
from simulators.stripe.idempotency import Keys, key_of
from simulators.stripe.payments import Payments
from simulators.stripe.state import State
from simulators.stripe.wallet import Wallet


@dataclass(frozen=True, slots=True)
class Request:
    """An operation with its path ids and typed parameters; `url` is what lists call themselves."""

    ids: tuple[str, ...]
    given: Document
    url: str


Announce = Callable[[str, Document, Mapping[str, str | None]], None]
"""Event type, object, and the request (id, idempotency key) that caused it."""


class Api:
    """One account; `state` is replaced as a whole by seeds."""

    def __init__(
        self, clock: Clock, announce: Announce, undelivered: Callable[[], set[str]]
    ) -> None:
        self.state = State()
        self.rules = StripeContract()
        self._clock = clock
        self._announce = announce
        self._undelivered = undelivered
        self._keys = Keys()
        self._requests = 0
        self._cause: Mapping[str, str | None] = {}
        self._handlers: Mapping[str, Callable[[Request], Document]] = {
            "customers.create": lambda r: self.wallet().create_customer(r.given),
            "customers.retrieve": self._retrieve("customers", "customer"),
            "customers.update": lambda r: self.wallet().update_customer(r.ids[0], r.given),
            "customers.payment_methods.list": self._list_methods,
            "payment_methods.retrieve": self._retrieve("payment_methods", "payment_method"),
            "payment_methods.attach": self._attach,
            "payment_methods.detach": lambda r: self.wallet().detach(r.ids[0]),
            "setup_intents.create": lambda r: self.wallet().create_setup(r.given),
            "setup_intents.retrieve": self._retrieve("setup_intents", "setup_intent"),
            "payment_intents.create": lambda r: self.payments().create(r.given),
            "payment_intents.retrieve": self._retrieve("payment_intents", "payment_intent"),
            "payment_intents.confirm": lambda r: self.payments().confirm(r.ids[0], r.given),
            "payment_intents.cancel": lambda r: self.payments().cancel(r.ids[0], r.given),
            "payment_intents.list": self._list("payment_intents", "customer"),
            "payment_intents.search": self._search,
            "charges.retrieve": self._retrieve("charges", "charge"),
            "refunds.create": lambda r: self.payments().refund(r.given),
            "refunds.retrieve": self._retrieve("refunds", "refund"),
            "balance_transactions.retrieve": self._retrieve("balance_transactions", "transaction"),
            "balance_transactions.list": self._list(
                "balance_transactions", "type", "source", "currency"
            ),
            "events.retrieve": self._retrieve("events", "event"),
            "events.list": self._list_events,
        }

    def payments(self) -> Payments:
        return Payments(self.state, self.now, self._publish)

    def wallet(self) -> Wallet:
        return Wallet(self.state, self.now, self._publish)

    @property
    def now(self) -> int:
        return int(self._clock.now().timestamp())

    def authorized(self, call: Call) -> bool:
        scheme, _, key = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        return key in self.state.api_keys if self.state.api_keys else key.startswith("sk_test_")

    async def answer(self, call: Call) -> Answer:
        self._requests += 1
        id = f"req_{self._requests:014}"
        answer = await self._answered(call, id)
        key = key_of(call)
        if key is not None:
            answer = answer.with_header("idempotency-key", key)
        return answer.with_header("request-id", id).with_header("stripe-version", API_VERSION)

    async def _answered(self, call: Call, request_id: str) -> Answer:
        matched = self.rules.matched(call)
        if not self.authorized(call):
            return unauthorized()
        if matched is None:
            return unroutable(call.method, call.path)
        try:
            replay = self._keys.replayed(self.state, call, self.now)
            if replay is not None:
                return replay
            with self._keys.running(call):
                await asyncio.sleep(self.state.latency_ms / 1000)
                self._cause = {"id": request_id, "idempotency_key": key_of(call)}
                answer = self._executed(matched, call)
        except StripeError as refused:
            return refused.answer
        finally:
            self._cause = {}
        self._keys.remember(self.state, call, answer, self.now)
        return answer

    def _executed(self, matched: Matched, call: Call) -> Answer:
        handler = self._handlers.get(matched.operation.name)
        if handler is None:
            raise StripeError(not_simulated(matched.operation.name))
        given = typed_parameters(matched.operation, call)
        request = Request(matched.ids, given, call.path.removeprefix("/stripe"))
        try:
            return Answer.of(200, handler(request))
        except StripeError as refused:
            if refused.executed:
                return refused.answer
            raise

    def _publish(self, type: str, object: Document) -> None:
        self._announce(type, object, self._cause)

    # -- operations -----------------------------------------------------------------------------

    def _retrieve(self, table: str, kind: str) -> Callable[[Request], Document]:
        def handler(request: Request) -> Document:
            found = self.state.rows(table).get(request.ids[0])
            if found is None:
                raise missing(kind, request.ids[0])
            return found

        return handler

    def _list(self, table: str, *fields: str) -> Callable[[Request], Document]:
        def handler(request: Request) -> Document:
            rows = listing.matching(self.state.rows(table).values(), request.given, *fields)
            return listing.page(rows, request.given, request.url)

        return handler

    def _list_methods(self, request: Request) -> Document:
        customer = self._retrieve("customers", "customer")(request)["id"]
        methods = self.state.rows("payment_methods").values()
        wanted = {**request.given, "customer": customer}
        rows = listing.matching(methods, wanted, "customer", "type")
        return listing.page(rows, request.given, request.url)

    def _attach(self, request: Request) -> Document:
        return self.wallet().attach(request.ids[0], request.given.get("customer", ""))

    def _search(self, request: Request) -> Document:
        rows = listing.searched(self.state.rows("payment_intents").values(), request.given["query"])
        limit = request.given.get("limit", listing.DEFAULT_LIMIT)
        return {
            "object": "search_result",
            "data": rows[::-1][:limit],
            "has_more": len(rows) > limit,
            "url": request.url,
            "next_page": None,
        }

    def _list_events(self, request: Request) -> Document:
        given = request.given
        rows = listing.matching(self.state.rows("events").values(), given, "type")
        if "types" in given:
            rows = [e for e in rows if e["type"] in given["types"]]
        if "delivery_success" in given:
            failed = self._undelivered()
            rows = [e for e in rows if (e["id"] not in failed) == given["delivery_success"]]
        return listing.page(rows, given, request.url)
