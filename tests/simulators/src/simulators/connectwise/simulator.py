"""The simulated ConnectWise PSA inside the frame, and the levers of a story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from simulators.connectwise import resources as kinds
from simulators.connectwise.api import PREFIX, Api
from simulators.connectwise.refusals import (
    Refused,
    invalid,
    method_not_allowed,
    not_found,
    unauthorized,
)
from simulators.connectwise.resources import Resource
from simulators.connectwise.state import State, from_document, to_document
from simulators.connectwise.writing import Writer
from simulators.exact_json import Document, loads
from simulators.frame import Simulator, World
from simulators.http_messages import Answer, Call, read_call


class ConnectWise(Simulator):
    """One tenant with one API member."""

    name = "connectwise"

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

    def dump(self) -> Document:
        """The seed's form, plus what a story asserts on: additions as the API shows them."""
        today = self.world.clock.now().date()
        views = [kinds.ADDITIONS.view(self.state, a, today) for a in self.state.additions.values()]
        return {**to_document(self.state), "addition_views": views}

    def refuse(self, call: Call, violations: Sequence[str]) -> Answer | None:
        del violations
        if not self.api.authorized(call):
            return unauthorized()
        problems = [p for p in self.api.rules.problems(call) if not p.harmless]
        if not problems:
            return None
        if problems[0].kind == "route":
            known = self.api.rules.methods_of(self.api.relative(call) or "")
            return method_not_allowed(call) if known else not_found("Resource", call.path)
        operation = self.api.rules.described(call)
        label = "Request" if operation is None else operation.template.rpartition("/")[2]
        return invalid(label, problems)

    def control_routes(self) -> Sequence[BaseRoute]:
        return (
            Route("/edit", self._edit, methods=["POST"]),
            Route("/invoice-run", self._invoice_run, methods=["POST"]),
            Route("/tenant", self._tenant, methods=["PATCH"]),
        )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = await read_call(scope, receive)
        answer = self.api.answer(call)
        if answer.status == 501:
            self.breach("simulator", f"{call.method} {call.path}", "not simulated")
        await answer(scope, receive, send)

    async def _edit(self, request: Request) -> Answer:
        """A human at the keyboard: `{"kind", "id", "set"|"delete"|"create", "by"}`."""
        given: Document = loads(await request.body())
        resource = _EDITABLE.get(given.get("kind", ""))
        if resource is None:
            raise ValueError(f"kind is one of {', '.join(_EDITABLE)}")
        writer = self.api.writer(given.get("by", "a.person"))
        try:
            result = self._edited(writer, resource, given)
        except Refused as refused:
            return refused.answer
        return Answer.of(200, result)

    def _edited(self, writer: Writer, resource: Resource, given: Document) -> Any:
        today = self.world.clock.now().date()
        if "create" in given:
            row = writer.create(resource, given["create"], given.get("agreement", 0))
            return resource.view(self.state, row, today)
        row_or_none = resource.rows(self.state).get(given["id"])
        if row_or_none is None:
            raise ValueError(f"there is no {given['kind']} {given['id']}")
        if given.get("delete"):
            writer.delete(resource, row_or_none)
            return {"deleted": given["id"]}
        row = writer.edit(resource, row_or_none, given["set"])
        return resource.view(self.state, row, today)

    async def _invoice_run(self, request: Request) -> Answer:
        """`{"agreement", "hold": true|false}` only holds or frees it; without `hold` it runs."""
        given: Document = loads(await request.body())
        row = self.state.agreements.get(given["agreement"])
        if row is None:
            raise ValueError(f"there is no agreement {given['agreement']}")
        if "hold" in given:
            change = set.add if given["hold"] else set.discard
            change(self.state.held_agreements, row["id"])
            return Answer.of(200, {"held": sorted(self.state.held_agreements)})
        try:
            made = self.api.writer("billing.run").run_invoice(row)
        except Refused as refused:
            return refused.answer
        return Answer.of(200, {"invoices": [i["id"] for i in made]})

    async def _tenant(self, request: Request) -> Answer:
        """Change what the tenant says of itself, e.g. `{"codebase": "v2025_2/"}` at an upgrade."""
        for name, value in loads(await request.body()).items():
            if not hasattr(self.state.tenant, name):
                raise ValueError(f"a tenant has no {name}")
            setattr(self.state.tenant, name, value)
        return Answer.of(200, to_document(self.state)["tenant"])


_EDITABLE = {
    "addition": kinds.ADDITIONS,
    "agreement": kinds.AGREEMENTS,
    "catalog": kinds.CATALOG,
    "company": kinds.COMPANIES,
    "invoice": kinds.INVOICES,
}
