"""The simulated Autotask PSA inside the frame, and the levers of a story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from simulators.autotask import posting, views
from simulators.autotask.api import Api
from simulators.autotask.contract import PREFIX, documented_path, parts_of
from simulators.autotask.entities import ROOTS
from simulators.autotask.limits import Usage
from simulators.autotask.refusals import Refused, invalid, method_not_allowed, not_found
from simulators.autotask.state import State, from_document, to_document
from simulators.autotask.units import Mode
from simulators.calendar_days import day_of
from simulators.exact_json import Document, loads
from simulators.frame import Simulator, World
from simulators.http_messages import Answer, Call, read_call

_EDITABLE = {
    "adjustment": ROOTS["contractserviceadjustments"],
    "charge": ROOTS["contractcharges"],
    "contract": ROOTS["contracts"],
    "service": ROOTS["services"],
    "company": ROOTS["companies"],
}


class Autotask(Simulator):
    """One tenant with one API user."""

    name = "autotask"

    def __init__(self, world: World) -> None:
        self.api = Api(world.clock, world.base_url)
        self.contract = self.api.rules
        super().__init__(world)

    @property
    def state(self) -> State:
        return self.api.state

    def mounts(self) -> Mapping[str, ASGIApp]:
        return {PREFIX: self._serve}

    def load(self, document: Document) -> None:
        self.api.state = from_document(document)
        self.api.usage = Usage()

    def dump(self) -> Document:
        """The seed's form, plus what a story asserts on: unit rows and the units of today."""
        today = self.world.clock.now().date()
        services = self.state.rows("contract_services")
        rows = [row for id in services for row in views.units_of(self.state, id)]
        now = {str(id): views.units_on(self.state, id, today) for id in services}
        return {**to_document(self.state), "unit_rows": rows, "units_today": now}

    def kept(self) -> Document:
        return to_document(self.state)

    def refuse(self, call: Call, violations: Sequence[str]) -> Answer | None:
        del violations
        parts = parts_of(call)
        stopped = self.api.stopped(call, parts[0]) if parts else None
        problems = [p for p in self.api.rules.problems(call) if not p.harmless]
        if stopped is not None or not problems:
            return stopped
        if problems[0].kind == "route":
            known = self.api.rules.methods_of(documented_path(call) or "")
            return method_not_allowed(call.method) if known else not_found(call.path)
        return invalid(problems)

    def control_routes(self) -> Sequence[BaseRoute]:
        return (
            Route("/post", self._post, methods=["POST"]),
            Route("/invoice", self._invoice, methods=["POST"]),
            Route("/edit", self._edit, methods=["POST"]),
            Route("/tenant", self._tenant, methods=["PATCH"]),
            Route("/limits", self._limits, methods=["GET", "PATCH"]),
        )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = await read_call(scope, receive)
        answer = await self.api.answer(call)
        if answer.status == 501:
            self.breach("simulator", f"{call.method} {call.path}", "not simulated")
        await answer(scope, receive, send)

    async def _post(self, request: Request) -> Answer:
        """Approve and post: `{"contract": 7, "through": "2026-04-30"}`."""
        given: Document = loads(await request.body())
        through = day_of(given["through"])
        try:
            made = posting.post(self.state, given["contract"], through, self.world.clock.now())
        except Refused as refused:
            return refused.answer
        return Answer.of(200, {"billing_items": made})

    async def _invoice(self, request: Request) -> Answer:
        """Invoice what is posted: `{"company": 3}`."""
        given: Document = loads(await request.body())
        try:
            row = posting.invoice(self.state, given["company"], self.world.clock.now())
        except Refused as refused:
            return refused.answer
        return Answer.of(200, row)

    async def _edit(self, request: Request) -> Answer:
        """A human in the UI: `{"kind", "create"|"id"+"set"|"id"+"delete", "resource"}`."""
        given: Document = loads(await request.body())
        entity = _EDITABLE.get(given.get("kind", ""))
        if entity is None:
            raise ValueError(f"kind is one of {', '.join(_EDITABLE)}")
        writer = self.api.writer(given.get("resource", 4))
        try:
            if "create" in given:
                return Answer.of(200, {"id": writer.create(entity, given["create"], None)})
            row = self.state.rows(entity.rows).get(given["id"])
            if row is None:
                raise ValueError(f"there is no {given['kind']} {given['id']}")
            if given.get("delete"):
                return Answer.of(200, {"id": writer.delete(entity, row)})
            return Answer.of(200, {"id": writer.update(entity, row, given["set"], whole=False)})
        except Refused as refused:
            return refused.answer

    async def _tenant(self, request: Request) -> Answer:
        """Change a habit of the tenant, e.g. `{"unit_rows": "delta"}` or `{"zone": "zone2"}`."""
        for name, value in loads(await request.body()).items():
            if not hasattr(self.state.tenant, name):
                raise ValueError(f"a tenant has no {name}")
            setattr(self.state.tenant, name, value)
        Mode(self.state.tenant.unit_rows)
        return Answer.of(200, asdict(self.state.tenant))

    async def _limits(self, request: Request) -> Answer:
        """Any of `threads`, `hourly`, `slow_ms`, `latency_ms`; `used` sets the hour's count."""
        if request.method == "PATCH":
            given: Document = loads(await request.body())
            if "used" in given:
                self.api.usage.pretend(self.world.clock.now(), int(given.pop("used")))
            for name, value in given.items():
                if not hasattr(self.state.limits, name):
                    raise ValueError(f"there is no limit {name}")
                setattr(self.state.limits, name, int(value))
        used = self.api.usage.count(self.world.clock.now())
        most = self.api.usage.most_running
        return Answer.of(200, {**asdict(self.state.limits), "used": used, "most_running": most})
