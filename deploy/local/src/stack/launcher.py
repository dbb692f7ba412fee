"""Brings the whole system up in the order its parts need each other, and down in reverse.

`running_stack` is the only way: the command line, the stories and the end-to-end tests use it, so
what a visitor sees and what is tested cannot drift apart. `DATABASE_URL` (an administrator's DSN)
and `KAFKA_BOOTSTRAP_SERVERS` in the environment replace the embedded server of that kind.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from shared.contracts.topics import SERVICES
from shared.runtime.clock import SystemClock, write_instant
from stack.broker import Broker
from stack.children import Child
from stack.environment import Deployment, all_services, inherited, simulators
from stack.errors import StackError, first_of_group
from stack.home import Home
from stack.jars import Progress
from stack.keyring import Keyring
from stack.migrations import bring_up_to_date
from stack.pid_files import PidFiles
from stack.ports import Ports, require_free
from stack.postgres import Cluster
from stack.processes import Supervisor
from stack.roles import Access, ensure_database, provision
from stack.topics import ensure_topics

DATABASE = "tieout"
Report = Callable[[str], None]


def _all_children(deployment: Deployment) -> Sequence[Child]:
    return (simulators(deployment), *all_services(deployment))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to run, and how."""

    home: Home
    ports: Ports
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    services: Sequence[str] = SERVICES  # whose schemas are migrated
    children: Callable[[Deployment], Sequence[Child]] = _all_children
    without: Sequence[str] = ()  # children left out, to be run by hand or not at all
    clock_at: datetime | None = None  # move simulated time here; None: as the home has it
    system_time: bool = False  # no simulated time at all
    postgres_settings: Mapping[str, str] = field(default_factory=dict)
    report: Report = lambda step: None
    download: Progress = lambda done, total: None
    on_crash: Callable[[str, StackError], None] = lambda name, error: None

    @property
    def external_database(self) -> str | None:
        return self.environ.get("DATABASE_URL")

    @property
    def external_broker(self) -> str | None:
        return self.environ.get("KAFKA_BOOTSTRAP_SERVERS")


@dataclass(frozen=True, slots=True)
class Stack:
    """A system that runs: where its parts are, and levers on their processes."""

    deployment: Deployment
    supervisor: Supervisor

    @property
    def simulators_url(self) -> str:
        return self.deployment.simulators_url

    @property
    def bootstrap_servers(self) -> str:
        return self.deployment.bootstrap_servers

    @property
    def access(self) -> Access:
        return self.deployment.access

    def url(self, service: str) -> str:
        """Where the service's API is."""
        return f"http://127.0.0.1:{self.deployment.ports.http(service)}"

    def management_url(self, service: str) -> str:
        """Where its /readyz, /metrics and /activity are."""
        return f"http://127.0.0.1:{self.deployment.ports.management(service)}"

    def move_clock(self, instant: datetime) -> None:
        """Set business time for all processes."""
        if self.deployment.clock_file is None:
            raise StackError(
                "This stack runs on the system's time, which nobody can move; "
                "start it without `--system-time`."
            )
        write_instant(self.deployment.clock_file, instant)

    async def restart(self, name: str) -> None:
        await self.supervisor.restart(name)

    async def kill(self, name: str) -> None:
        await self.supervisor.kill(name)


@asynccontextmanager
async def running_stack(plan: Plan) -> AsyncIterator[Stack]:
    """The stack, from the first process to the last.

    Raises:
        StackError: with one sentence that says what to do.
    """
    home = plan.home
    home.prepare()
    await asyncio.to_thread(PidFiles(home.pids).stop_leftovers)
    supervisor = Supervisor(home, inherited(plan.environ), on_crash=plan.on_crash)
    try:
        deployment = await _start_servers(plan, supervisor)
        plan.report("starting simulators and services")
        children = (c for c in plan.children(deployment) if c.name not in plan.without)
        await supervisor.start(*children)
        plan.report("ready")
        yield Stack(deployment, supervisor)
    finally:
        await supervisor.stop_all()


async def _start_servers(plan: Plan, supervisor: Supervisor) -> Deployment:
    """Database and broker side by side: neither waits for the other."""
    keyring = Keyring(plan.home.keys)
    broker = await _broker(plan)
    plan.report("starting Postgres and Kafka")
    with first_of_group(plan.home.root):
        async with asyncio.TaskGroup() as group:
            database = group.create_task(_start_database(plan, supervisor, keyring))
            bus = group.create_task(_start_bus(plan, supervisor, broker))
    return Deployment(
        home=plan.home,
        ports=plan.ports,
        access=database.result(),
        bootstrap_servers=bus.result(),
        keyring=keyring,
        clock_file=_clock(plan),
    )


def _clock(plan: Plan) -> Path | None:
    """The file that holds simulated time; that of a new home begins at the present."""
    if plan.system_time:
        return None
    if plan.clock_at is not None or not plan.home.clock.exists():
        write_instant(plan.home.clock, plan.clock_at or SystemClock().now())
    return plan.home.clock


async def _broker(plan: Plan) -> Broker | None:
    if plan.external_broker is not None:
        return None
    require_free(plan.ports.kafka, "kafka")  # before a download that may take a while
    return await asyncio.to_thread(
        Broker.at,
        plan.home.kafka,
        port=plan.ports.kafka,
        controller_port=plan.ports.kafka_controller,
        progress=plan.download,
    )


async def _start_bus(plan: Plan, supervisor: Supervisor, broker: Broker | None) -> str:
    if broker is not None:
        await asyncio.to_thread(broker.initialise)
        await supervisor.start(broker.child())
        bootstrap_servers = broker.bootstrap_servers
    else:
        bootstrap_servers = plan.external_broker or ""
    await ensure_topics(bootstrap_servers)
    return bootstrap_servers


async def _start_database(plan: Plan, supervisor: Supervisor, keyring: Keyring) -> Access:
    if plan.external_database is not None:
        access = Access(plan.external_database, keyring)
    else:
        cluster = Cluster.at(
            plan.home.pgdata,
            port=plan.ports.postgres,
            password=keyring.get("postgres-admin"),
            extra=plan.postgres_settings,
        )
        await asyncio.to_thread(cluster.initialise)
        await supervisor.start(cluster.child())
        await ensure_database(cluster.admin_dsn, DATABASE)
        access = Access(cluster.admin_dsn, keyring).in_database(DATABASE)
    await provision(access, plan.services)
    await bring_up_to_date(access, plan.services, report=plan.report)
    return access
