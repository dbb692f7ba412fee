"""The life of a service process: start in order, run everything in one task group, stop cleanly.

Order: settings → logging → pool → schema check → producer and relay → HTTP → consumer → jobs. On
SIGTERM readiness turns false, running work is cancelled and rolls back, the relay flushes, the pool
closes. What was cancelled comes again: its offsets are not committed, its jobs' leases lapse. No
moment is a bad one to die, so a second signal or the deadline ends the process at once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from typing import TypeVar

import asyncpg
import structlog
import uvicorn
import uvloop
from fastapi import APIRouter, FastAPI

from shared.kernel.clock import Clock
from shared.runtime import inbox, migrate, operations, outbox, telemetry, web
from shared.runtime.auth import Verifier
from shared.runtime.consumer import Consumer
from shared.runtime.handlers import Handlers
from shared.runtime.jobs import Job, JobRunner
from shared.runtime.kafka import BusError, Producer, Subscription, connection_options
from shared.runtime.management import Activity, management_app
from shared.runtime.postgres import Commit, Database, schema_of
from shared.runtime.settings import ServiceSettings, SettingsError, load, require_issuer
from shared.runtime.web import create_app

__all__ = ["Job", "Service", "main"]

log = structlog.get_logger()

EXIT_OK, EXIT_CRASH, EXIT_USAGE, EXIT_DEPENDENCY, EXIT_CONFIG = 0, 1, 64, 69, 78
DRAIN_S = 20.0
STOP_WITHIN_S = 60.0
PRUNE_EVERY_S = 3600.0
CONNECT_TRIES = 30

COUNT_DEAD = "SELECT count(*) FROM dead_letter WHERE status = 'pending'"


@dataclass
class Service:
    """One service, put together by its `main.build`; nothing is started yet."""

    name: str
    settings: ServiceSettings
    database: Database
    clock: Clock
    handlers: Handlers = field(default_factory=dict)
    jobs: Sequence[Job] = ()
    routers: Sequence[APIRouter] = ()
    closing: Sequence[Callable[[], Awaitable[None]]] = ()
    order_matters: bool = True  # a dead letter parks the later messages of its key

    @property
    def version(self) -> str:
        return installed_version(f"tieout-{self.name}")


class Process:
    """A running service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        settings = service.settings
        options = connection_options(settings)
        name = f"tieout-{service.name}"
        self._producer = Producer(options, client_id=name)
        self._relay = outbox.Relay(service.database, self._producer)
        self._consumer: Consumer | None = None
        if service.handlers:
            subscription = Subscription(
                options,
                group=f"tieout.{service.name}",
                client_id=name,
                instance_id=os.environ.get("TIEOUT_KAFKA_INSTANCE_ID"),
            )
            self._consumer = Consumer(
                service.database,
                subscription,
                service.handlers,
                order_matters=service.order_matters,
            )
            self._subscription = subscription
        prune = Job("prune", self._prune, every_s=PRUNE_EVERY_S)
        self._runner = JobRunner((*service.jobs, prune))
        self._verifier = Verifier(
            issuer=settings.auth_issuer,
            audience=settings.auth_audience,
            jwks_url=settings.auth_jwks_url,
        )
        self._stopping = asyncio.Event()
        service.database.on_commit = self._on_commit

    def _on_commit(self, commit: Commit) -> None:
        if commit.published:
            self._relay.wake()
        if commit.jobs:
            self._runner.wake(commit.jobs)

    def app(self) -> FastAPI:
        service = self._service
        return create_app(
            service.name,
            version=service.version,
            routers=[*service.routers, operations.router(service.database, service.handlers)],
            verifier=self._verifier,
        )

    async def run(self) -> None:
        """Serve until a signal; raises when a dependency cannot be reached at start."""
        service = self._service
        await _persistently("database", service.database.open)
        async with service.database.read() as reader:
            await migrate.require_head(reader, schema_of(service.name))
        await _persistently("broker", self._producer.start)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        try:
            await self._serve()
        finally:
            await self._close()

    async def _serve(self) -> None:
        settings = self._service.settings
        servers = [
            _server(self.app(), settings.http_host, settings.http_port),
            _server(
                management_app(self._not_ready, self._activity),
                settings.http_host,
                settings.management_port,
            ),
        ]
        async with asyncio.TaskGroup() as group:
            relay = group.create_task(self._relay.run(), name="relay")
            web = [group.create_task(server.serve(), name="http") for server in servers]
            background = [group.create_task(self._runner.run(), name="jobs")]
            if self._consumer is not None:
                background.append(group.create_task(self._consumer.run(), name="consumer"))
            log.info("service.started", version=self._service.version)
            await self._stopping.wait()
            log.info("service.stopping")
            for task in background:
                task.cancel()
            await asyncio.wait(background, timeout=DRAIN_S)
            await self._flush_outbox()
            for server in servers:
                server.should_exit = True
            relay.cancel()
            await asyncio.wait(web, timeout=DRAIN_S)

    async def _flush_outbox(self) -> None:
        with contextlib.suppress(TimeoutError, OSError, asyncpg.PostgresError):
            async with asyncio.timeout(5):
                while await self._unsent():
                    self._relay.wake()
                    await asyncio.sleep(0.02)

    async def _close(self) -> None:
        for close in (*self._service.closing, self._verifier.close, self._producer.stop):
            await close()
        await self._service.database.close()
        log.info("service.stopped")

    async def _prune(self) -> bool:
        """What nobody asks for any more: inbox ids past every topic's retention, sent outbox rows,
        answers to idempotency keys."""
        async with self._service.database.transaction() as tx:
            await tx.execute(inbox.PRUNE)
            await tx.execute(outbox.PRUNE)
            await tx.execute(web.PRUNE_KEYS, tx.now)
        return False

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            os._exit(EXIT_CRASH)
        self._stopping.set()
        exit_after(STOP_WITHIN_S)

    def _not_ready(self) -> str | None:
        if self._stopping.is_set():
            return "stopping"
        if self._consumer is None:
            return None
        state = self._consumer.state
        if state.stopped is not None:
            return f"the consumer stopped: {state.stopped}"
        if not state.joined or not self._subscription.assigned:
            return "waiting for partitions of the consumer group"
        return None

    async def _unsent(self) -> int:
        async with self._service.database.read() as reader:
            return int(await reader.fetchval(outbox.COUNT_UNSENT))

    async def _activity(self) -> Activity:
        async with self._service.database.read() as reader:
            unsent = int(await reader.fetchval(outbox.COUNT_UNSENT))
            dead = int(await reader.fetchval(COUNT_DEAD))
            pending = 0
            for job in self._service.jobs:
                pending += await job.pending(reader) if job.pending else 0
        lag, handled, retrying = 0, 0, 0
        if self._consumer is not None:
            behind = await self._subscription.lag()
            for partition, records in behind.items():
                telemetry.CONSUMER_LAG.labels(partition.topic).set(records)
            lag = sum(behind.values()) + self._consumer.backlog
            handled, retrying = self._consumer.state.handled, self._consumer.state.retrying
        telemetry.OUTBOX_UNSENT.set(unsent)
        telemetry.DEAD_LETTERS_PENDING.set(dead)
        return Activity(
            service=self._service.name,
            outbox_unsent=unsent,
            consumer_lag=lag,
            work_pending=pending + self._runner.running,
            dead_letters_pending=dead,
            handled=handled,
            published=self._relay.state.published,
            retrying=retrying,
        )


def exit_after(seconds: float) -> None:
    """End this process then if it still lives, whatever it waits for; stderr shows where."""

    def give_up() -> None:
        faulthandler.dump_traceback()
        os._exit(EXIT_CRASH)

    deadline = threading.Timer(seconds, give_up)
    deadline.daemon = True  # a process that ends by itself does not wait for it
    deadline.start()


async def _persistently(what: str, connect: Callable[[], Awaitable[None]]) -> None:
    """A dependency may start after us: try for half a minute before giving up."""
    for attempt in range(1, CONNECT_TRIES + 1):
        try:
            return await connect()
        except (OSError, BusError, asyncpg.PostgresError) as error:
            if attempt == CONNECT_TRIES:
                raise
            log.warning("dependency.unavailable", what=what, error=str(error), attempt=attempt)
            await asyncio.sleep(1.0)
    return None


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling; the process decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # uvicorn's signature
        yield


def _server(app: FastAPI, host: str, port: int) -> _Server:
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, lifespan="off",
        timeout_graceful_shutdown=5,
    )  # fmt: skip
    return _Server(config)


S = TypeVar("S", bound=ServiceSettings)


def main(settings_class: type[S], build: Callable[[S], Service]) -> None:
    """`python -m <service> run | migrate | check`; ends the process with the documented code."""
    package = build.__module__.partition(".")[0]
    parser = argparse.ArgumentParser(prog=f"python -m {package}")
    parser.add_argument(
        "command",
        choices=("run", "migrate", "check"),
        help="serve; bring the schema to this version; validate settings and connectivity",
    )
    try:
        command = parser.parse_args().command
    except SystemExit as bad_usage:
        sys.exit(EXIT_OK if bad_usage.code == 0 else EXIT_USAGE)
    try:
        settings = load(settings_class)
        telemetry.configure_logging(
            package.replace("_", "-"), level=settings.log_level, log_format=settings.log_format
        )
        if command == "migrate":
            migrate.upgrade(settings.database_url.get_secret_value(), package)
        else:
            require_issuer(settings)
            uvloop.run(_run(build(settings), check_only=command == "check"))
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201  # before logging exists, and for people
        sys.exit(EXIT_CONFIG)
    except (OSError, BusError, asyncpg.PostgresError) as error:
        log.error("dependency.unreachable", error=str(error))
        sys.exit(EXIT_DEPENDENCY)


async def _run(service: Service, *, check_only: bool) -> None:
    if not check_only:
        process = Process(service)
        gc.collect()
        gc.freeze()  # what is imported by now stays; to walk over it again and again costs pauses
        await process.run()
        return
    await service.database.open()
    async with service.database.read() as reader:
        await migrate.require_head(reader, schema_of(service.name))
    producer = Producer(connection_options(service.settings), client_id="check")
    await producer.start()
    await producer.stop()
    await service.database.close()
    log.info("service.checked")
