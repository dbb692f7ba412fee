"""Real servers for tests: a throw-away Postgres per worker, one Kafka for all of them.

A template database with a service's migrations is made once per session and cloned per test, which
takes some 30 ms. Nothing is started before the first test that asks for it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import psutil
import pytest

from shared.runtime import migrate
from shared.runtime.postgres import schema_of
from stack.home import Home
from stack.keyring import Keyring
from stack.pid_files import PidFiles
from stack.ports import free_base
from stack.postgres import THROWAWAY, Cluster
from stack.processes import Supervisor
from stack.roles import Access, ensure_database, provision
from support.shared_broker import SharedBroker

_PREFIX = "tieout-postgres-"
_TRAVERSABLE = 0o711  # as root, Postgres runs as another user
_MEMORY = Path("/dev/shm")  # many copied files: ten times faster than a busy disk
_MEMORY_NEEDED = 2 << 30
_DISK = Path(tempfile.gettempdir())


@dataclass(frozen=True, slots=True)
class ServiceDatabase:
    """A migrated database of one service, as its three kinds of users see it."""

    service: str
    name: str
    app_dsn: str
    migrate_dsn: str
    admin_dsn: str


@dataclass
class PostgresServer:
    """A running cluster and the templates made in it so far."""

    access: Access
    _templates: dict[str, str] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def admin_dsn(self) -> str:
        return self.access.admin_dsn

    async def create(self, service: str) -> ServiceDatabase:
        """A fresh database with the migrations of `service` applied."""
        async with self._lock:
            if service not in self._templates:
                self._templates[service] = await self._make_template(service)
        name = f"{schema_of(service)}_{next(self._numbers)}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {self._templates[service]}")
        return self._described(service, name)

    async def create_empty(self, service: str) -> ServiceDatabase:
        """A fresh database with the roles and the empty schema of `service`."""
        name = f"{schema_of(service)}_{next(self._numbers)}"
        await ensure_database(self.admin_dsn, name)
        await provision(self.access.in_database(name), [service])
        return self._described(service, name)

    async def drop(self, database: ServiceDatabase) -> None:
        """Remove it, ending sessions that a test left open."""
        await self._execute(f"DROP DATABASE {database.name} WITH (FORCE)")

    async def _make_template(self, service: str) -> str:
        name = f"template_{schema_of(service)}"
        access = self.access.in_database(name)
        await ensure_database(self.admin_dsn, name)
        await provision(access, [service])
        await asyncio.to_thread(migrate.upgrade, access.migrate(service), schema_of(service))
        return name

    async def _execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    def _described(self, service: str, name: str) -> ServiceDatabase:
        access = self.access.in_database(name)
        return ServiceDatabase(
            service=service,
            name=name,
            app_dsn=access.app(service),
            migrate_dsn=access.migrate(service),
            admin_dsn=access.admin_dsn,
        )


FreshDatabase = Callable[[str], Awaitable[ServiceDatabase]]


def _reachable_directory() -> Path:
    _sweep()
    directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_root()))
    directory.chmod(_TRAVERSABLE)
    return directory


def _root() -> Path:
    """In memory where a system offers enough."""
    has_room = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _MEMORY_NEEDED
    return _MEMORY if has_room else _DISK


def _sweep() -> None:
    """End and remove what test processes left that were killed before they could. Wherever it lies:
    what fills the memory is the reason why there is no room in it."""
    for directory in (found for root in (_MEMORY, _DISK) for found in root.glob(f"{_PREFIX}*-*")):
        owner = directory.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            PidFiles(directory / "home" / "pids").stop_leftovers()
            shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def running_postgres(extra: Mapping[str, str] = THROWAWAY) -> AsyncIterator[PostgresServer]:
    """A cluster of its own, gone afterwards. `extra`: settings; the default gives up durability."""
    root = _reachable_directory()
    try:
        home = Home(root / "home")
        home.prepare()
        keyring = Keyring(home.keys)
        cluster = Cluster.at(
            home.pgdata, port=free_base(), password=keyring.get("postgres-admin"), extra=extra
        )
        supervisor = Supervisor(home, os.environ)
        try:
            await asyncio.to_thread(cluster.initialise)
            await supervisor.start(cluster.child())
            yield PostgresServer(Access(cluster.admin_dsn, keyring))
        finally:
            await supervisor.stop_all()
    finally:
        shutil.rmtree(root)


@pytest.fixture(scope="session")
async def postgres_server() -> AsyncIterator[PostgresServer]:
    """This worker's own cluster; nothing in it survives the session."""
    async with running_postgres() as server:
        yield server


@pytest.fixture
async def fresh_database(postgres_server: PostgresServer) -> AsyncIterator[FreshDatabase]:
    """`await fresh_database("rating")`: a migrated database of that service, for this test only."""
    made: list[ServiceDatabase] = []

    async def create(service: str) -> ServiceDatabase:
        database = await postgres_server.create(service)
        made.append(database)
        return database

    yield create
    for database in made:
        await postgres_server.drop(database)


@dataclass(frozen=True, slots=True)
class KafkaServer:
    """The broker that all workers share: name topics and groups for the test that uses them."""

    bootstrap_servers: str


@pytest.fixture(scope="session")
async def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaServer]:
    """Started by the first worker that asks, stopped by the last one that leaves."""
    own = tmp_path_factory.getbasetemp()
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    broker = SharedBroker(own.parent if is_worker else own)
    bootstrap_servers = await broker.enter()
    try:
        yield KafkaServer(bootstrap_servers)
    finally:
        await broker.leave()
