"""`python -m stack.daemon`: the process that owns the children after `tieout up` has returned.

It holds a lock while it lives, writes what it does to a state file that the commands read, stops
everything on SIGTERM, and on SIGHUP restarts the child named in the request file.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import signal
import sys
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

from stack.errors import UNAVAILABLE, StackError
from stack.home import Home
from stack.launcher import Plan, Stack, running_stack
from stack.ports import Ports

CLOCK_VARIABLE = "TIEOUT_CLOCK_AT"
Phase = Literal["starting", "running", "stopping", "failed"]
_log = logging.getLogger("tieout.supervisor")


@dataclass
class State:
    """What the commands may know of the daemon."""

    pid: int
    port_base: int
    phase: Phase = "starting"
    step: str = "starting"
    error: str = ""
    crashes: dict[str, str] = field(default_factory=dict)


def read_state(home: Home) -> State | None:
    """The last state a daemon of this home wrote; it may be long gone."""
    try:
        return State(**json.loads(_state_file(home).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def is_running(home: Home) -> bool:
    """Whether a daemon of this home is alive: it holds the lock until its last breath."""
    try:
        with _lock_file(home).open("r+") as file:
            return not _take(file)
    except FileNotFoundError:
        return False


def request_restart(home: Home, state: State, name: str) -> None:
    """Ask the daemon to restart a child; it removes the request when that is done."""
    restart_file(home).write_text(name)
    os.kill(state.pid, signal.SIGHUP)


def restart_file(home: Home) -> Path:
    return home.root / "restart"


def _state_file(home: Home) -> Path:
    return home.root / "supervisor.json"


def _lock_file(home: Home) -> Path:
    return home.root / "supervisor.lock"


def _take(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Daemon:
    def __init__(self, home: Home, ports: Ports, clock_at: datetime | None) -> None:
        self._home = home
        self._state = State(pid=os.getpid(), port_base=ports.base)
        self._plan = Plan(
            home=home,
            ports=ports,
            clock_at=clock_at,
            report=self._report,
            on_crash=self._on_crash,
        )
        self._stopping = asyncio.Event()
        self._restarts: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Start, wait for a signal, stop; the exit code."""
        loop = asyncio.get_running_loop()
        stopped = loop.create_task(self._stopping.wait())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        work = loop.create_task(self._serve())
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            self._become("stopping")
            work.cancel()
        try:
            await work
        except asyncio.CancelledError:
            _state_file(self._home).unlink(missing_ok=True)
        except StackError as error:
            _log.error("%s", error)
            self._state.error = str(error)
            self._become("failed")
            return UNAVAILABLE
        finally:
            stopped.cancel()
        return 0

    async def _serve(self) -> None:
        async with running_stack(self._plan) as stack:
            self._become("running")
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._restart, stack)
            await asyncio.Event().wait()

    def _restart(self, stack: Stack) -> None:
        task = asyncio.get_running_loop().create_task(self._restart_requested(stack))
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _restart_requested(self, stack: Stack) -> None:
        request = restart_file(self._home)
        name = request.read_text().strip()
        self._state.crashes.pop(name, None)
        try:
            await stack.restart(name)
        except StackError as error:
            self._on_crash(name, error)
        self._become("running")
        request.unlink(missing_ok=True)

    def _report(self, step: str) -> None:
        _log.info("%s", step)
        self._state.step = step
        self._write()

    def _on_crash(self, name: str, error: StackError) -> None:
        _log.error("%s", error)
        self._state.crashes[name] = str(error)
        self._write()

    def _become(self, phase: Phase) -> None:
        self._state.phase = phase
        self._write()

    def _write(self) -> None:
        path = _state_file(self._home)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self._state)))
        fresh.replace(path)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-5s %(message)s")
    home = Home.from_environment(os.environ)
    ports = Ports.from_environment(os.environ)
    given = os.environ.pop(CLOCK_VARIABLE, "")
    with _lock_file(home).open("a+") as lock:
        if not _take(lock):
            _log.error("another supervisor owns %s", home.root)
            return UNAVAILABLE
        daemon = Daemon(home, ports, datetime.fromisoformat(given) if given else None)
        return asyncio.run(daemon.run())


if __name__ == "__main__":
    sys.exit(main())
