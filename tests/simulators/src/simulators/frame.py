"""What every simulator is made of, so that a vendor's package holds only the vendor's behaviour.

A package `simulators.<name>` offers `build(world: World) -> Simulator`. A `Simulator` subclass says
its mounts (path prefix → ASGI application, usually a Starlette `Router` whose endpoints return an
`Answer`), its `contract`, and how to `load`, `dump` and empty its state. Around each mount the
frame reads the whole request, applies faults, holds both sides to the contract, records the
exchange and writes the state file after every call that may have changed something.

Under `<first mount>/_control/` every simulator answers (see `control.py`):
    GET/DELETE  journal      exchanges, newest `limit`; `?method=&path=&direction=&status=&after=`
    GET/PUT/POST/DELETE faults   list, replace all, add one, clear
    GET/DELETE  violations   breaches of the contract, by client or simulator
    GET/PUT/DELETE state     dump, seed (replaces everything), reset
plus whatever routes the simulator adds in `control_routes()`.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.kernel.clock import Clock
from simulators.contract import Contract, Violation
from simulators.exact_json import Document
from simulators.faults import Fault, Faults, Kind
from simulators.http_messages import Answer, Call, answer_of, hang_up, read_call
from simulators.journal import Journal, Stopwatch
from simulators.state_file import StateFile

FAILURE_HEADER = "x-simulator-failure"
KEPT_VIOLATIONS = 1_000
_READS = ("GET", "HEAD", "OPTIONS")


def _plain_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=15, trust_env=False)


@dataclass(slots=True)
class World:
    """What simulators share: business time, where keys and state live, how to reach the outside.

    Without a `home` nothing is written to disk and keys are made afresh.
    """

    clock: Clock
    base_url: str  # where all simulators are served, without a slash at the end
    home: Path | None = None
    key_directory: Path | None = None  # where keys are kept when not under `home`
    http: httpx.AsyncClient = field(default_factory=_plain_client)

    @property
    def keys(self) -> Path | None:
        return self.key_directory or (self.home / "keys" if self.home else None)

    def state_path(self, name: str) -> Path | None:
        return self.home / "simulators" / f"{name}.json" if self.home else None


class Simulator:
    """One vendor: state in memory, behaviour in the mounted applications, everything recorded."""

    name: str = ""
    contract: Contract | None = None

    def __init__(self, world: World) -> None:
        self.world = world
        self.journal = Journal(world.clock)
        self.faults = Faults()
        self.violations: list[Violation] = []
        self._file = StateFile(world.state_path(self.name), self.kept)

    # -- what a vendor's package supplies -----------------------------------------------------

    def mounts(self) -> Mapping[str, ASGIApp]:
        """Path prefix → application; the first prefix also carries `/_control`."""
        raise NotImplementedError

    def load(self, document: Document) -> None:
        """Replace all state by a seed; must accept whatever `dump()` gives.

        Raises:
            ValueError: the seed makes no sense; answered 422 with the text.
        """
        raise NotImplementedError

    def dump(self) -> Document:
        """All state as JSON; Decimals and datetimes are written exactly."""
        raise NotImplementedError

    def kept(self) -> Document:
        """What the state file holds; a dump without what only a reader of it wants."""
        return self.dump()

    def reset(self) -> None:
        """Back to nothing, as on the first day."""
        self.load({})

    def refuse(self, call: Call, violations: Sequence[str]) -> Answer | None:
        """The vendor's answer to a request that breaks the contract; None lets the call through."""
        return Answer.of(400, {"message": "; ".join(violations)})

    def control_routes(self) -> Sequence[BaseRoute]:
        """Vendor-specific levers, relative to `/_control`."""
        return ()

    async def start(self) -> None:
        """Take up background work that was interrupted; called once the event loop runs."""

    async def aclose(self) -> None:
        """Stop background work. Subclasses call this last, so that the final state is written."""
        await self._file.flush()

    # -- what the frame does ------------------------------------------------------------------

    def changed(self) -> None:
        """Tell the frame that state changed outside a call (a background delivery, a timer)."""
        self._file.touch()

    def restore(self) -> None:
        """State of the last run, or an empty vendor."""
        kept = self._file.load()
        if kept is None:
            self.reset()
        else:
            self.load(kept)

    def breach(self, side: str, operation: str, detail: str) -> None:
        self.violations.append(Violation(side, operation, detail, self.world.clock.now()))
        del self.violations[:-KEPT_VIOLATIONS]


class Framed:
    """ASGI application around one mount of a simulator."""

    def __init__(self, simulator: Simulator, app: ASGIApp) -> None:
        self._simulator = simulator
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call, watch = await read_call(scope, receive), Stopwatch()
        fault = self._simulator.faults.take(call)
        if fault is not None and fault.kind is Kind.LATENCY:
            await asyncio.sleep(fault.ms / 1000)
        answer = None
        if fault is None or fault.kind is not Kind.DROP_BEFORE:
            answer = await self._answer(scope, call, fault)
        dropped = answer is None or (fault is not None and fault.kind is Kind.DROP_AFTER_COMMIT)
        shown = None if dropped else answer
        notes = () if answer is None or not dropped else (f"done with {answer.status}, not told",)
        label = fault.kind.value if fault else None
        self._simulator.journal.record(call, shown, watch, fault=label, notes=notes)
        if shown is None:
            await hang_up(receive, send)
        else:
            await shown(scope, receive, send)

    async def _answer(self, scope: Scope, call: Call, fault: Fault | None) -> Answer:
        if fault is not None and fault.kind in (Kind.STATUS, Kind.HTML_BODY):
            return fault.answer()
        answer = await self._judged(scope, call)
        if fault is not None and fault.kind is Kind.DUPLICATE:
            await self._judged(scope, call)
        return answer

    async def _judged(self, scope: Scope, call: Call) -> Answer:
        """The vendor's answer, with both sides held to the contract."""
        contract, simulator = self._simulator.contract, self._simulator
        breaches = contract.check_request(call) if contract else []
        for breach in breaches:
            simulator.breach("client", f"{call.method} {call.path}", breach)
        refusal = simulator.refuse(call, breaches) if breaches else None
        if refusal is not None:
            return refusal
        try:
            answer = await answer_of(self._app, scope, call)
        except Exception:  # any bug here must be seen as the simulator's, not as the vendor's
            return self._failure(call, traceback.format_exc())
        if call.method not in _READS:
            simulator.changed()
        own = contract.check_response(call, answer) if contract else []
        return self._failure(call, "; ".join(own)) if own else answer

    def _failure(self, call: Call, detail: str) -> Answer:
        self._simulator.breach("simulator", f"{call.method} {call.path}", detail)
        body = {"SIMULATOR FAILURE": self._simulator.name, "detail": detail}
        return Answer.of(500, body).with_header(FAILURE_HEADER, self._simulator.name)


class Switchboard:
    """ASGI application: hands each request to the application with the longest matching prefix."""

    def __init__(self) -> None:
        self._apps: dict[str, ASGIApp] = {}
        self._simulators: list[Simulator] = []

    def mount(self, prefix: str, app: ASGIApp) -> None:
        if prefix in self._apps:
            raise ValueError(f"{prefix} is mounted twice")
        self._apps[prefix] = app

    def add(self, simulator: Simulator, control: ASGIApp) -> None:
        """Mount all of a simulator and its control API, and bring back its last state."""
        mounts = simulator.mounts()
        self.mount(f"{next(iter(mounts))}/_control", control)
        for prefix, app in mounts.items():
            self.mount(prefix, Framed(simulator, app))
        simulator.restore()
        self._simulators.append(simulator)

    @property
    def simulators(self) -> list[Simulator]:
        return list(self._simulators)

    async def aclose(self) -> None:
        for simulator in self._simulators:
            await simulator.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        prefix = self._prefix_of(scope["path"])
        if prefix is None:
            await Answer.of(404, {"message": "no simulator here"})(scope, receive, send)
            return
        inner = {**scope, "root_path": scope.get("root_path", "") + prefix}
        await self._apps[prefix](inner, receive, send)

    def _prefix_of(self, path: str) -> str | None:
        parts = path.split("/")
        for length in range(len(parts), 1, -1):
            prefix = "/".join(parts[:length])
            if prefix in self._apps:
                return prefix
        return None

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                for simulator in self._simulators:
                    await simulator.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return
