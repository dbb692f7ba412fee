"""`python -m stack.daemon`: the process that owns the children after `tieout up` has returned.

It holds a lock while it lives, writes what it does to a state file that the commands read, stops
everything on SIGTERM, and on SIGHUP restarts the child named in the request file.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from dataclasses import replace
from datetime import datetime

from stack.errors import UNAVAILABLE, StackError
from stack.home import Home
from stack.launcher import Plan, Stack, running_stack
from stack.ports import Ports
from stack.state import (
    Phase,
    State,
    forget_state,
    only_supervisor,
    restart_request,
    write_state,
)

_log = logging.getLogger("tieout.supervisor")


class Daemon:
    def __init__(self, plan: Plan) -> None:
        self._home = plan.home
        self._state = State(pid=os.getpid(), port_base=plan.ports.base)
        self._plan = replace(plan, report=self._report, on_crash=self._on_crash)
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
            forget_state(self._home)
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
        request = restart_request(self._home)
        name = request.read_text().strip()
        self._state.restart_error = ""
        try:
            await stack.restart(name)
            self._state.crashes.pop(name, None)
        except StackError as error:
            _log.error("%s", error)
            self._state.restart_error = str(error)
        finally:  # the command waits for it
            self._write()
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
        write_state(self._home, self._state)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-5s %(message)s")
    parser = argparse.ArgumentParser(prog="python -m stack.daemon", description=__doc__)
    parser.add_argument("--clock", type=datetime.fromisoformat)
    parser.add_argument("--system-time", action="store_true")
    parser.add_argument("--without", action="append", default=[])
    given = parser.parse_args()
    plan = Plan(
        home=Home.from_environment(os.environ),
        ports=Ports.from_environment(os.environ),
        clock_at=given.clock,
        system_time=given.system_time,
        without=given.without,
    )
    with only_supervisor(plan.home) as alone:
        if not alone:
            _log.error("another supervisor owns %s", plan.home.root)
            return UNAVAILABLE
        return asyncio.run(Daemon(plan).run())


if __name__ == "__main__":
    sys.exit(main())
