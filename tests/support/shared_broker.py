"""One Kafka for several test processes: a file says where it is and which processes use it.

Whoever holds the lock on the directory may start it, stop it, or change the list. Processes that
were killed do not count, and what a killed session left behind is ended by the next one.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import psutil

from stack.broker import Broker
from stack.children import Running
from stack.home import Home
from stack.pid_files import PidFiles
from stack.ports import free_base
from stack.processes import until_ready

HOME = "kafka-home"  # outlives the worker that made it
LOCKED_WITHIN_S = 120.0  # others start or stop the broker meanwhile


def _is_locked(file: TextIO) -> bool:
    """Not waited for in a thread: one that waits in vain would keep the interpreter."""
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@dataclass
class SharedBroker:
    """`directory` is the session's own, beside those of other sessions."""

    directory: Path
    _started_here: Running | None = None

    async def enter(self) -> str:
        """Its bootstrap servers; starts it when nobody has."""
        await asyncio.to_thread(self._sweep_other_sessions)
        async with self._locked():
            bootstrap_servers, users = self._read()
            if not users:
                bootstrap_servers = await self._start()
            self._write(bootstrap_servers, [*users, os.getpid()])
            return bootstrap_servers

    async def leave(self) -> None:
        """Stop it when nobody else uses it."""
        async with self._locked():
            bootstrap_servers, users = self._read()
            others = [pid for pid in users if pid != os.getpid()]
            self._write(bootstrap_servers, others)
            if not others:
                await asyncio.to_thread(self._stop)
            if self._started_here is not None:
                self._started_here.disown()

    async def _start(self) -> str:
        self._stop()  # one whose users were all killed
        home = self._home
        home.prepare()
        base = free_base()
        broker = await asyncio.to_thread(
            Broker.at, home.kafka, port=base + 1, controller_port=base + 2
        )
        await asyncio.to_thread(broker.initialise)
        child = broker.child()
        running = Running(child, log=home.log(child.name), environment=os.environ)
        PidFiles(home.pids).write(child, running.pid)
        self._started_here = running
        await until_ready(running)
        return broker.bootstrap_servers

    def _stop(self) -> None:
        PidFiles(self._home.pids).stop_leftovers()

    def _sweep_other_sessions(self) -> None:
        for lock in self.directory.parent.glob("pytest-*/kafka.lock"):
            other = SharedBroker(lock.parent)
            with lock.open("w") as file, suppress(BlockingIOError):  # locked: alive
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if other._state_file.exists() and not other._read()[1]:
                    other._stop()

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        with (self.directory / "kafka.lock").open("w") as file:
            async with asyncio.timeout(LOCKED_WITHIN_S):
                while not _is_locked(file):
                    await asyncio.sleep(0.05)
            yield

    def _read(self) -> tuple[str, list[int]]:
        """Where it is and which live processes use it."""
        try:
            state = json.loads(self._state_file.read_text())
        except (FileNotFoundError, ValueError):
            return "", []
        return state["bootstrap_servers"], [p for p in state["users"] if psutil.pid_exists(p)]

    def _write(self, bootstrap_servers: str, users: list[int]) -> None:
        state = {"bootstrap_servers": bootstrap_servers, "users": users}
        fresh = self._state_file.with_suffix(".new")
        fresh.write_text(json.dumps(state))
        fresh.replace(self._state_file)

    @property
    def _state_file(self) -> Path:
        return self.directory / "kafka-users.json"

    @property
    def _home(self) -> Home:
        return Home(self.directory / HOME)
