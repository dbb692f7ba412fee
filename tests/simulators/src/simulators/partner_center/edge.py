"""The front of the REST API: tokens, throttling, idempotency, error bodies, tracing headers."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from simulators.http_messages import Answer, Call, answer_of, read_call
from simulators.partner_center.books import Books
from simulators.partner_center.login import Grant, Login
from simulators.partner_center.notifications import CERTIFICATE_PATH, FOREIGN_CERTIFICATE_PATH
from simulators.partner_center.records import guid
from simulators.partner_center.refusals import Refusal

REMEMBERED_REQUESTS = 10_000
_OPEN = (CERTIFICATE_PATH, FOREIGN_CERTIFICATE_PATH)
_THROTTLED = ("/subscriptions", "/orders", "/carts")
_WRITES = ("POST", "PATCH", "PUT", "DELETE")


class Edge:
    """ASGI application around the routes of the REST API."""

    def __init__(self, login: Login, routes: ASGIApp, audiences: frozenset[str]) -> None:
        self._login = login
        self._routes = routes
        self._audiences = audiences
        self._throttle = Throttle()
        self._answered: OrderedDict[tuple[str, ...], Answer] = OrderedDict()
        self.books = Books()

    def forget(self) -> None:
        """Start with an empty meter and no remembered requests."""
        self._throttle = Throttle()
        self._answered.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = await read_call(scope, receive)
        answer = await self._answer(scope, call)
        await _traced(answer, call)(scope, receive, send)

    async def _answer(self, scope: Scope, call: Call) -> Answer:
        if call.path in _OPEN:
            return await answer_of(self._routes, scope, call)
        grant = self._login.grant_of(call)
        if grant is None or grant.audience not in self._audiences:
            return Answer.of(401, Refusal(400).body())
        waiting = self._wait(call, grant)
        if waiting is not None:
            text = f"Rate limit is exceeded. Try again in {waiting} seconds."
            body = {"statusCode": 429, "message": text}
            return Answer.of(429, body, retry_after=str(waiting))
        return await self._once(scope, call, grant)

    async def _once(self, scope: Scope, call: Call, grant: Grant) -> Answer:
        """A write that is repeated under its `MS-RequestId` gets the first answer again."""
        request_id = call.headers.get("ms-requestid")
        identity = (grant.tenant_id, call.method, call.path, request_id or "")
        remembered = request_id is not None and call.method in _WRITES
        if remembered and identity in self._answered:
            return self._answered[identity]
        inner = {**scope, "grant": grant, "call": call}
        try:
            answer = await answer_of(self._routes, inner, call)
        except Refusal as refusal:
            answer = Answer.of(refusal.status, refusal.body())
        if remembered:
            self._answered[identity] = answer
            while len(self._answered) > REMEMBERED_REQUESTS:
                self._answered.popitem(last=False)
        return answer

    def _wait(self, call: Call, grant: Grant) -> int | None:
        switches = self.books.switches
        limited = any(part in call.path for part in _THROTTLED)
        if switches.throttle_per_minute is None or not limited:
            return None
        window = switches.throttle_window_s
        return self._throttle.take(grant.tenant_id, switches.throttle_per_minute, window)


class Throttle:
    """Requests of the last window per tenant, in real time; refused ones count as well."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._taken: dict[str, deque[float]] = {}

    def take(self, tenant_id: str, limit: int, window_s: float) -> int | None:
        """None when the request may pass, else the seconds to wait."""
        now = self._seconds()
        taken = self._taken.setdefault(tenant_id, deque())
        while taken and taken[0] <= now - window_s:
            taken.popleft()
        taken.append(now)
        if len(taken) <= limit:
            return None
        return max(1, round(taken[-limit] + window_s - now))


def grant_of(request: Request) -> Grant:
    grant: Grant = request.scope["grant"]
    return grant


def call_of(request: Request) -> Call:
    call: Call = request.scope["call"]
    return call


def _traced(answer: Answer, call: Call) -> Answer:
    correlation = call.headers.get("ms-correlationid") or guid("correlation", call.path)
    request = call.headers.get("ms-requestid") or guid("request", call.path, time.monotonic_ns())
    headers = {
        **answer.headers,
        "ms-correlationid": correlation,
        "ms-requestid": request,
        "ms-cv": f"{request[:16]}.0",
        "ms-serverid": "simulator",
    }
    return Answer(answer.status, answer.body, headers)
