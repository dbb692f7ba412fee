"""One Kafka for several test processes: a file says where it is and how many use it.

Whoever holds the lock on the directory may start it, stop it, or change the count.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.broker import Broker
from stack.children import Running
from stack.home import Home
from stack.pid_files import PidFiles
from stack.ports import free_base
from stack.processes import until_ready


@dataclass
class SharedBroker:
    directory: Path
    _started_here: Running | None = None

    async def enter(self) -> str:
        """Its bootstrap servers; starts it when nobody has."""
        async with self._locked():
            bootstrap_servers, users = self._read()
            if users == 0:
                bootstrap_servers = await self._start()
            self._write(bootstrap_servers, users + 1)
            return bootstrap_servers

    async def leave(self) -> None:
        """Stop it when nobody else uses it."""
        async with self._locked():
            bootstrap_servers, users = self._read()
            self._write(bootstrap_servers, users - 1)
            if self._started_here is not None:
                self._started_here.disown()
            if users == 1:
                await asyncio.to_thread(PidFiles(self._home.pids).stop_leftovers)

    async def _start(self) -> str:
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

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        with (self.directory / "kafka.lock").open("w") as file:
            await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
            yield

    def _read(self) -> tuple[str, int]:
        try:
            state = json.loads(self._state_file.read_text())
        except FileNotFoundError:
            return "", 0
        return state["bootstrap_servers"], state["users"]

    def _write(self, bootstrap_servers: str, users: int) -> None:
        state = {"bootstrap_servers": bootstrap_servers, "users": users}
        self._state_file.write_text(json.dumps(state))

    @property
    def _state_file(self) -> Path:
        return self.directory / "kafka.json"

    @property
    def _home(self) -> Home:
        return Home(self.directory / "kafka-home")
