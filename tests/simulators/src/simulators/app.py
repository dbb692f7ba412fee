"""All simulators behind one port, each under its own path."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from shared.kernel.clock import FrozenClock
from shared.runtime.clock import write_instant
from simulators.control import control_app
from simulators.frame import Simulator, Switchboard, World
from simulators.http_messages import Answer, read_call

NAMES = ("issuer", "partner_center", "connectwise", "autotask", "stripe")


def create_app(
    world: World, *, clock_file: Path | None = None, names: Sequence[str] = NAMES
) -> Switchboard:
    """The whole of it: `names` are packages of `simulators`, loaded only when wanted.

    `clock_file` is what `PUT /clock` writes; without one the world's frozen clock is set.
    """
    board = Switchboard()
    for name in names:
        simulator = _build(name, world)
        board.add(simulator, control_app(simulator))
    board.mount("/clock", _clock(world, clock_file))
    board.mount("/healthz", Answer.of(200, {"status": "ok", "simulators": list(names)}))
    return board


def available() -> list[str]:
    """The simulators of this installation; a package may not be there yet."""
    specs = {name: importlib.util.find_spec(f"simulators.{name}") for name in NAMES}
    return [name for name, spec in specs.items() if spec is not None and spec.origin is not None]


def _build(name: str, world: World) -> Simulator:
    build: Callable[[World], Simulator] = importlib.import_module(f"simulators.{name}").build
    return build(world)


def _clock(world: World, clock_file: Path | None) -> ASGIApp:
    """Reading and moving business time: `{"instant": "2026-05-01T00:30:00Z"}`."""

    async def clock(scope: Scope, receive: Receive, send: Send) -> None:
        call = await read_call(scope, receive)
        answer = None
        if call.method == "PUT":
            try:
                _move(world, clock_file, datetime.fromisoformat(call.json()["instant"]))
            except (ValueError, KeyError, TypeError) as error:
                answer = Answer.of(422, {"message": str(error)})
        await (answer or Answer.of(200, {"instant": world.clock.now()}))(scope, receive, send)

    return clock


def _move(world: World, clock_file: Path | None, instant: datetime) -> None:
    if instant.tzinfo is None:
        raise ValueError("the clock takes an aware instant")
    if clock_file is not None:
        write_instant(clock_file, instant)
    elif isinstance(world.clock, FrozenClock):
        world.clock.set(instant)
    else:
        raise ValueError("this world runs on the system clock")
