"""What every simulator gets from the frame: faults, journal, contract, state, clock."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import uvicorn
from starlette.requests import Request
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from shared.kernel.clock import FrozenClock
from shared.runtime.clock import SimulatedClock, write_instant
from simulators.app import create_app
from simulators.contract import Contract, Operation
from simulators.control import control_app
from simulators.exact_json import Document, dumps, loads
from simulators.frame import FAILURE_HEADER, Simulator, Switchboard, World
from simulators.http_messages import Answer

NOON = datetime(2026, 4, 14, 12, tzinfo=UTC)
COUNT: Document = {
    "type": "object",
    "required": ["count"],
    "properties": {"count": {"type": "integer"}},
}


class Counter(Simulator):
    """The smallest vendor: counts POSTs, and breaks its own promise when told to."""

    name = "counter"
    contract = Contract(
        [
            Operation("GET", "/counter/value", responses={200: COUNT}),
            Operation(
                "POST", "/counter/value", {"type": "object", "required": ["by"]}, {200: COUNT}
            ),
            Operation("GET", "/counter/broken", responses={200: COUNT}),
            Operation("GET", "/counter/crash", responses={200: COUNT}),
        ]
    )

    def __init__(self, world: World) -> None:
        self.count = 0
        super().__init__(world)

    def mounts(self) -> Mapping[str, ASGIApp]:
        routes = [
            Route("/value", self._value, methods=["GET", "POST"]),
            Route("/broken", self._broken),
            Route("/crash", self._crash),
        ]
        return {"/counter": Router(routes)}

    def load(self, document: Document) -> None:
        self.count = document.get("count", 0)

    def dump(self) -> Document:
        return {"count": self.count}

    async def _value(self, request: Request) -> Answer:
        if request.method == "POST":
            self.count += loads(await request.body())["by"]
        return Answer.of(200, {"count": self.count})

    async def _broken(self, request: Request) -> Answer:
        del request
        return Answer.of(200, {"count": "many"})

    async def _crash(self, request: Request) -> Answer:
        raise RuntimeError(request.method)


def board_of(world: World) -> tuple[Counter, Switchboard]:
    simulator, board = Counter(world), Switchboard()
    board.add(simulator, control_app(simulator))
    return simulator, board


@pytest.fixture
def simulator() -> Counter:
    return Counter(World(FrozenClock(NOON), "http://sim"))


@pytest.fixture
async def http(simulator: Counter) -> AsyncIterator[httpx.AsyncClient]:
    board = Switchboard()
    board.add(simulator, control_app(simulator))
    transport = httpx.ASGITransport(app=board)
    async with httpx.AsyncClient(transport=transport, base_url="http://sim") as client:
        yield client


async def add(http: httpx.AsyncClient, by: int = 1) -> httpx.Response:
    return await http.post("/counter/value", json={"by": by})


async def fault(http: httpx.AsyncClient, **given: Any) -> None:
    given = {"match": {"method": "POST", "path": "^/counter/value$"}, **given}
    answer = await http.put("/counter/_control/faults", json=[given])
    assert answer.status_code == 200, answer.text


async def test_a_status_fault_answers_without_doing_anything(
    http: httpx.AsyncClient, simulator: Counter
) -> None:
    """As often as told, with Retry-After and the vendor's usual throttle body."""
    await fault(http, kind="status", status=429, retry_after=57, times=2)
    answers = [await add(http) for _ in range(3)]
    assert [a.status_code for a in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "57"
    assert answers[0].json()["statusCode"] == 429
    assert simulator.count == 1


async def test_a_fault_may_let_some_calls_pass_first(http: httpx.AsyncClient) -> None:
    """The third call fails, the others do not."""
    await fault(http, kind="status", status=500, skip=2, times=1)
    assert [(await add(http)).status_code for _ in range(4)] == [200, 200, 500, 200]


@pytest.mark.parametrize(("kind", "count"), [("drop_before", 0), ("drop_after_commit", 1)])
async def test_a_dropped_connection_may_hide_an_effect(
    kind: str, count: int, http: httpx.AsyncClient, simulator: Counter
) -> None:
    """The caller sees the same in both cases: no answer."""
    await fault(http, kind=kind, times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await add(http)
    assert simulator.count == count


async def test_an_html_page_comes_in_place_of_json(http: httpx.AsyncClient) -> None:
    """As from a proxy that has lost its backend."""
    await fault(http, kind="html_body", times=1)
    answer = await add(http)
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")


async def test_a_duplicated_request_has_its_effect_twice(
    http: httpx.AsyncClient, simulator: Counter
) -> None:
    """The first answer goes back."""
    await fault(http, kind="duplicate", times=1)
    assert (await add(http)).json() == {"count": 1}
    assert simulator.count == 2


async def test_latency_delays_and_changes_nothing(http: httpx.AsyncClient) -> None:
    """The journal knows the fault and the time it took."""
    await fault(http, kind="latency_ms", ms=30, times=1)
    assert (await add(http)).status_code == 200
    (entry,) = (await http.get("/counter/_control/journal?method=POST")).json()["entries"]
    assert (entry["fault"], entry["duration_ms"] >= 30) == ("latency_ms", True)


async def test_the_journal_tells_what_passed_without_secrets(http: httpx.AsyncClient) -> None:
    """Bodies, both clocks, answers; tokens and passwords are blanked."""
    body = {"by": 2, "client_secret": "hunter2"}
    await http.post("/counter/value?x=1", json=body, headers={"authorization": "Bearer abc"})
    await http.get("/counter/value")
    answer = await http.get("/counter/_control/journal", params={"path": "x=1"})
    (entry,) = answer.json()["entries"]
    assert "hunter2" not in answer.text
    assert "Bearer abc" not in answer.text
    assert (entry["status"], entry["simulated_at"]) == (200, "2026-04-14T12:00:00Z")
    assert loads(entry["response_body"]) == {"count": 2}
    await http.delete("/counter/_control/journal")
    assert (await http.get("/counter/_control/journal")).json()["entries"] == []


async def test_a_clients_breach_is_recorded_and_refused(
    http: httpx.AsyncClient, simulator: Counter
) -> None:
    """A body without the demanded field does nothing."""
    answer = await http.post("/counter/value", json={})
    found = (await http.get("/counter/_control/violations")).json()["violations"]
    assert (answer.status_code, simulator.count) == (400, 0)
    assert [(v["side"], v["operation"]) for v in found] == [("client", "POST /counter/value")]


@pytest.mark.parametrize("path", ["broken", "crash"])
async def test_a_simulator_that_breaks_its_promise_is_loud(
    path: str, http: httpx.AsyncClient
) -> None:
    """Nobody may mistake our bug for the vendor's behaviour."""
    answer = await http.get(f"/counter/{path}")
    found = (await http.get("/counter/_control/violations")).json()["violations"]
    assert (answer.status_code, answer.headers[FAILURE_HEADER]) == (500, "counter")
    assert [v["side"] for v in found] == ["simulator"]


async def test_state_outlives_the_process(tmp_path: Path) -> None:
    """What changed is there again when the simulators start anew."""
    world = World(FrozenClock(NOON), "http://sim", home=tmp_path)
    _, board = board_of(world)
    transport = httpx.ASGITransport(app=board)
    async with httpx.AsyncClient(transport=transport, base_url="http://sim") as http:
        await add(http, 7)
    await board.aclose()
    again, _ = board_of(world)
    assert again.count == 7


async def test_state_can_be_seeded_dumped_and_reset(http: httpx.AsyncClient) -> None:
    """A dump is a seed."""
    seeded = await http.put("/counter/_control/state", json={"count": 41})
    assert seeded.json() == {"count": 41}
    assert (await http.get("/counter/_control/state")).json() == {"count": 41}
    assert (await http.delete("/counter/_control/state")).json() == {"count": 0}


async def test_a_dropped_connection_is_one_on_a_real_socket() -> None:
    """Under the server the socket closes without a byte."""
    _, board = board_of(World(FrozenClock(NOON), "http://sim"))
    server = uvicorn.Server(uvicorn.Config(board, log_level="error", ws="none"))
    listening = socket.create_server(("127.0.0.1", 0))  # connections wait until it is served
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    port = listening.getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        await fault(http, kind="drop_after_commit", times=1)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await add(http)
        assert (await http.get("/counter/value")).json() == {"count": 1}
    server.should_exit = True
    await serving


async def test_the_clock_moves_for_everybody(tmp_path: Path) -> None:
    """`PUT /clock` writes the file that all processes read."""
    path = tmp_path / "clock"
    write_instant(path, NOON)
    world = World(SimulatedClock(path), "http://sim")
    board = create_app(world, clock_file=path, names=[])
    transport = httpx.ASGITransport(app=board)
    async with httpx.AsyncClient(transport=transport, base_url="http://sim") as http:
        moved = await http.put("/clock", json={"instant": "2026-05-01T00:30:00Z"})
        naive = await http.put("/clock", json={"instant": "2026-05-01T00:30:00"})
    assert moved.json() == {"instant": "2026-05-01T00:30:00Z"}
    assert naive.status_code == 422
    assert SimulatedClock(path).now() == datetime(2026, 5, 1, 0, 30, tzinfo=UTC)


async def test_the_issuers_tokens_verify_against_its_published_key() -> None:
    """Audience, scope and subject are what was asked for."""
    board = create_app(World(FrozenClock(NOON), "http://sim"), names=["issuer"])
    transport = httpx.ASGITransport(app=board)
    async with httpx.AsyncClient(transport=transport, base_url="http://sim") as http:
        form = {
            "grant_type": "client_credentials",
            "client_id": "operator",
            "client_secret": "x",
            "scope": "billing:read billing:operate",
        }
        token = (await http.post("/issuer/token", data=form)).json()["access_token"]
        keys = (await http.get("/issuer/.well-known/jwks.json")).json()
    key = jwt.PyJWKSet.from_dict(keys).keys[0]
    claims = jwt.decode(
        token, key.key, algorithms=["RS256"], audience="tieout", issuer="http://sim/issuer"
    )
    assert (claims["sub"], claims["scope"]) == ("operator", "billing:read billing:operate")


def test_numbers_pass_through_json_digit_by_digit() -> None:
    """No float in between: trailing zeros, exponents and 18 decimals survive."""
    text = b'{"a":0.10,"b":0E-20,"c":123456789012345678.123456789012345678,"d":7}'
    assert dumps(loads(text)) == text
