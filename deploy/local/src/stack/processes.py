"""The supervisor: starts children in waves, notices when one dies, stops them in reverse order.

A wave is a set of children that may start side by side. Nothing restarts by itself: a child that
dies is reported with its last words, and the others go on.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping

from stack.children import Child, Running
from stack.errors import StackError, first_of_group
from stack.home import Home
from stack.pid_files import PidFiles
from stack.ports import require_free

_POLL_S = 0.05
_WATCH_S = 0.25
_log = logging.getLogger(__name__)


class Supervisor:
    """Owns the children of one stack."""

    def __init__(
        self,
        home: Home,
        environment: Mapping[str, str],
        *,
        on_crash: Callable[[str, StackError], None] = lambda name, error: None,
    ) -> None:
        self._home = home
        self._environment = environment
        self._on_crash = on_crash
        self._pid_files = PidFiles(home.pids)
        self._running: dict[str, Running] = {}
        self._waves: list[list[str]] = []
        self._watcher: asyncio.Task[None] | None = None
        self.crashes: dict[str, StackError] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._running)

    def pid(self, name: str) -> int:
        return self._found(name).pid

    async def start(self, *children: Child) -> None:
        """Start one wave and wait until all of it is ready.

        Raises:
            StackError: when a port is taken, or a child ends or is not ready in time.
        """
        wave: list[str] = []
        self._waves.append(wave)
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        with first_of_group(self._home.root):
            async with asyncio.TaskGroup() as group:
                for child in children:
                    wave.append(child.name)
                    group.create_task(self._start_one(child))

    async def _start_one(self, child: Child) -> None:
        for port in child.ports:
            require_free(port, child.name)
        running = Running(child, log=self._home.log(child.name), environment=self._environment)
        self._running[child.name] = running
        self.crashes.pop(child.name, None)
        self._pid_files.write(child, running.pid)
        await until_ready(running)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_S)
            for name, running in self._running.items():
                is_over = running.is_ready and running.exit_code is not None
                if is_over and not running.end_is_wanted and name not in self.crashes:
                    self.crashes[name] = running.crash()
                    self._on_crash(name, self.crashes[name])

    async def stop(self, name: str) -> None:
        """Ask the child to end, and end it when it does not within its time."""
        running = self._found(name)
        running.end_is_wanted = True
        running.send(running.child.stop_signal)
        if not await _ended(running, running.child.stop_within_s):
            _log.warning("%s did not stop within its time and is killed", name)
            running.send(signal.SIGKILL)
            await _ended(running, running.child.stop_within_s)
        self._pid_files.remove(name)

    async def kill(self, name: str) -> None:
        """End the child at once with SIGKILL, as a fault would; it stays down until `restart`."""
        running = self._found(name)
        running.end_is_wanted = True
        running.send(signal.SIGKILL)
        await _ended(running, running.child.stop_within_s)
        self._pid_files.remove(name)

    async def restart(self, name: str) -> None:
        """Stop the child if it runs and start it again; returns when it is ready."""
        child = self._found(name).child
        await self.stop(name)
        await self._start_one(child)

    async def stop_all(self) -> None:
        """Stop every wave, the last one first."""
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        for wave in reversed(self._waves):
            started = [name for name in wave if name in self._running]
            await asyncio.gather(*(self.stop(name) for name in started))
        self._waves.clear()
        self._running.clear()

    def check(self) -> None:
        """Raise the first crash there was."""
        for error in self.crashes.values():
            raise error

    def _found(self, name: str) -> Running:
        try:
            return self._running[name]
        except KeyError:
            known = ", ".join(self._running) or "none"
            raise StackError(
                f"No part of the stack is called {name!r}; there are: {known}."
            ) from None


async def _ended(running: Running, within_s: float) -> bool:
    return await asyncio.to_thread(running.ended, within_s)


async def until_ready(running: Running) -> None:
    """Wait until the child says it is ready.

    Raises:
        StackError: when it ends before, or takes longer than its time.
    """
    try:
        async with asyncio.timeout(running.child.ready_within_s):
            while not await running.child.ready.holds():
                if running.exit_code is not None:
                    break
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise running.crash() from None
    if running.exit_code is not None:
        raise running.crash()
    running.is_ready = True
