"""The levers every simulator has: journal, faults, violations, state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from simulators.exact_json import loads
from simulators.faults import Fault
from simulators.frame import Simulator
from simulators.http_messages import Answer
from simulators.journal import Search

_FAULTS = TypeAdapter(list[Fault])
Lever = Callable[[Request], Awaitable[Answer]]


def control_app(simulator: Simulator) -> ASGIApp:
    """The `/_control` application; a seed or lever that makes no sense is answered 422."""
    levers = _Levers(simulator)
    router = Router(
        [
            Route("/journal", levers.journal, methods=["GET", "DELETE"]),
            Route("/faults", levers.faults, methods=["GET", "PUT", "POST", "DELETE"]),
            Route("/violations", levers.violations, methods=["GET", "DELETE"]),
            Route("/state", levers.state, methods=["GET", "PUT", "DELETE"]),
            *simulator.control_routes(),
        ]
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await router(scope, receive, send)
        except (ValueError, ValidationError) as error:
            await Answer.of(422, {"message": str(error)})(scope, receive, send)
        except KeyError as error:
            await Answer.of(422, {"message": f"{error} is missing or unknown"})(
                scope, receive, send
            )
        if scope["method"] != "GET":
            simulator.changed()

    return app


class _Levers:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def journal(self, request: Request) -> Answer:
        if request.method == "DELETE":
            self._simulator.journal.clear()
            return Answer(204)
        given = request.query_params
        search = Search(
            method=given.get("method"),
            path=given.get("path"),
            direction=given.get("direction"),
            status=int(given["status"]) if "status" in given else None,
            after=int(given.get("after", "0")),
            limit=int(given.get("limit", "1000")),
        )
        entries = self._simulator.journal.find(search)
        return Answer.of(200, {"entries": [e.document() for e in entries]})

    async def faults(self, request: Request) -> Answer:
        faults = self._simulator.faults
        if request.method == "PUT":
            faults.set(_FAULTS.validate_python(loads(await request.body())))
        elif request.method == "POST":
            faults.add(Fault.model_validate(loads(await request.body())))
        elif request.method == "DELETE":
            faults.clear()
        listed = [f.model_dump(mode="json", exclude_none=True) for f in faults.list()]
        return Answer.of(200, {"faults": listed})

    async def violations(self, request: Request) -> Answer:
        if request.method == "DELETE":
            self._simulator.violations.clear()
            return Answer(204)
        return Answer.of(200, {"violations": list(self._simulator.violations)})

    async def state(self, request: Request) -> Answer:
        if request.method == "PUT":
            self._simulator.load(loads(await request.body()))
        elif request.method == "DELETE":
            self._simulator.reset()
        return Answer.of(200, self._simulator.dump())
