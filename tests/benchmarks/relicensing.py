"""How fast licence histories become charges: pure, and through the service on a real Postgres.

`make bench-licences`. The bar: 25,000 subscriptions with a month of 2,500 changes are recomputed
and what is new is told within 60 s on two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import licence_world as world
from rating.domain import timeline
from rating.domain.licences import Terms, licence_charges
from rating.domain.pricing import PriceBook, SheetRow
from rating.handlers import HANDLERS
from rating.handlers.settling import settle_customer
from rating.store import facts, locks
from shared.contracts.envelope import Event
from shared.contracts.ingest import SubscriptionChanged
from shared.kernel.clock import FrozenClock
from shared.runtime.postgres import Database
from support.harness import Harness, opened
from support.servers import running_postgres

TARGET_S = 60
SIZES = (10, 100, 1_000)
WORKERS = 2
AT = datetime(2026, 6, 2, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]

COUNT = "SELECT (SELECT count(*) FROM charge) AS charges, (SELECT count(*) FROM outbox) AS told"


@dataclass(frozen=True, slots=True)
class Pure:
    """Timelines of one size through the pure engine; `cpu_ms` for one of them."""

    events: int
    timelines: int
    cpu_ms: float

    @property
    def per_event_us(self) -> float:
        return self.cpu_ms * 1000 / self.events


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage by one worker."""

    name: str
    wall_s: float
    cpu_s: float


def pure() -> list[Pure]:
    """Build and rate timelines of growing length; the best of three rounds counts."""
    through = world.MONTH.end.replace(year=2027)
    return [_timed(through, events) for events in SIZES]


def _timed(through: date, events: int) -> Pure:
    amount = max(3, 3_000 // events)
    histories = [world.history(events, name=f"s{n}") for n in range(amount)]
    contract, book = world.contract(0), _book()
    rounds = [_round(Terms(contract, [contract], book, through), histories) for _ in range(3)]
    return Pure(events, amount, min(rounds) * 1000 / amount)


def _round(terms: Terms, histories: Sequence[Sequence[SubscriptionChanged]]) -> float:
    start = time.process_time()
    for history in histories:
        licence_charges(terms, timeline.build(history))
    return time.process_time() - start


def _book() -> PriceBook:
    rows = [
        SheetRow(
            sheet_id="sheet", market="NL", currency="EUR", product_key=row.product.key,
            segment="commercial", unit_price=row.unit_price, erp_price=row.erp_price,
            effective_from=row.effective_from, effective_until=None, fetched_at=AT,
        )
        for row in world.sheet().rows
    ]  # fmt: skip
    return PriceBook.of([], rows)


@dataclass(frozen=True, slots=True)
class Size:
    customers: int
    subscriptions: int  # of each customer
    changes: int  # of each customer

    def told(self) -> str:
        whole = self.customers * self.subscriptions
        return f"{whole:,} subscriptions of {self.customers:,} customers"


class Worker:
    """Does its share of every stage when told to, and says how long it took."""

    def __init__(self, number: int, size: Size, database: Database) -> None:
        self._mine = range(number, size.customers, WORKERS)
        self._size, self._database = size, database
        self._harness = Harness(database, FrozenClock(AT), HANDLERS)

    async def taken_over(self) -> None:
        """What was there before: openings, a contract, and the first invoice run."""
        for number in self._mine:
            async with self._database.transaction(actor="benchmark") as tx:
                for event in world.openings(number, self._size.subscriptions):
                    await facts.add_change(tx, event)
            await self._deliver(world.contract(number))
            await self._deliver(world.closing(number, world.MONTH.start))

    async def changes(self) -> None:
        """Every change of the month, one message each."""
        for number in self._mine:
            for event in world.changes(number, self._size.subscriptions, self._size.changes):
                await self._deliver(event)

    async def closed(self) -> None:
        """The month's invoice runs: every subscription is recomputed, what is new is told."""
        for number in self._mine:
            await self._deliver(world.closing(number, world.MONTH.end))

    async def again(self) -> None:
        """Everything recomputed from the facts; there is nothing to tell."""
        for number in self._mine:
            async with self._database.transaction(actor="benchmark") as tx:
                await locks.hold_customers(tx, [world.customer(number)])
                await settle_customer(tx, world.customer(number))

    async def _deliver(self, event: Event) -> None:
        await self._harness.deliver(event)


STAGES = ("taken_over", "changes", "closed", "again")


async def work(number: int, size: Size, dsn: str) -> None:
    """A worker process: a stage for every line on standard input."""
    async with opened(dsn, "rating", clock=FrozenClock(AT)) as database:
        worker = Worker(number, size, database)
        for line in sys.stdin:
            name = line.strip()
            wall, cpu = time.perf_counter(), time.process_time()
            await getattr(worker, name)()
            done = Stage(name, time.perf_counter() - wall, time.process_time() - cpu)
            print(json.dumps(asdict(done)), flush=True)  # noqa: T201  # to the parent


class Crew:
    """The worker processes, told to do one stage after the other."""

    def __init__(self, size: Size, dsn: str) -> None:
        self._size, self._dsn = size, dsn
        self._workers: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        for number in range(WORKERS):
            given = [number, self._size.customers, self._size.subscriptions, self._size.changes]
            self._workers.append(
                await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "benchmarks.relicensing", "--worker", *map(str, given),
                    self._dsn, stdin=PIPE, stdout=PIPE, cwd=ROOT / "tests",
                )
            )  # fmt: skip

    async def do(self, stage: str) -> list[Stage]:
        return list(await asyncio.gather(*(self._one(worker, stage) for worker in self._workers)))

    async def _one(self, worker: asyncio.subprocess.Process, stage: str) -> Stage:
        assert worker.stdin
        assert worker.stdout
        worker.stdin.write(f"{stage}\n".encode())
        await worker.stdin.drain()
        line = await worker.stdout.readline()
        if not line:
            raise SystemExit(f"a worker died in {stage}")
        return Stage(**json.loads(line))

    async def stop(self) -> None:
        for worker in self._workers:
            assert worker.stdin
            worker.stdin.close()
            await worker.wait()


async def stored(size: Size) -> list[dict[str, Any]]:
    """Every stage with its time, processor time and what it told."""
    async with running_postgres(extra={"max_connections": "40"}) as server:
        made = await server.create("rating")
        async with opened(made.app_dsn, "rating", clock=FrozenClock(AT)) as database:
            await Harness(database, FrozenClock(AT), HANDLERS).deliver(world.sheet())
            crew = Crew(size, made.app_dsn)
            await crew.start()
            try:
                return [await _staged(crew, database, name) for name in STAGES]
            finally:
                await crew.stop()


async def _staged(crew: Crew, database: Database, name: str) -> dict[str, Any]:
    before, wall, cpu = await _counted(database), time.perf_counter(), _family_cpu()
    found = await crew.do(name)
    wall, cpu = time.perf_counter() - wall, _family_cpu() - cpu
    after = await _counted(database)
    return {
        "stage": name,
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "workers_cpu_s": round(sum(stage.cpu_s for stage in found), 2),
        "charges": after["charges"] - before["charges"],
        "events": after["told"] - before["told"],
    }


def _family_cpu() -> float:
    """Processor time of everything started here: workers and Postgres with its backends."""
    used = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            reaped = times.children_user + times.children_system  # backends that ended
            used += times.user + times.system + reaped
    return used


async def _counted(database: Database) -> dict[str, int]:
    async with database.read() as reader:
        row = await reader.fetchrow(COUNT)
    assert row is not None
    return dict(row)


def show_pure(console: Console, found: Sequence[Pure]) -> None:
    table = Table(title="Pure engine, one core: build a timeline, rate fourteen months of it")
    for heading in ("events", "ms a timeline", "timelines /s", "µs an event", "ratio"):
        table.add_column(heading, justify="right")
    for one in found:
        ratio = one.per_event_us / found[-1].per_event_us
        table.add_row(
            f"{one.events:,}", f"{one.cpu_ms:.2f}", f"{1000 / one.cpu_ms:,.0f}",
            f"{one.per_event_us:.0f}", f"{ratio:.2f}",
        )  # fmt: skip
    console.print(table)


def show_stored(console: Console, size: Size, found: Sequence[dict[str, Any]]) -> None:
    table = Table(title=f"{size.told()}, {WORKERS} workers, Postgres with full durability")
    headings = ("stage", "s", "cpu s", "of it workers", "charges", "events told")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in found:
        table.add_row(
            row["stage"], f"{row['wall_s']:.1f}", f"{row['cpu_s']:.1f}",
            f"{row['workers_cpu_s']:.1f}", f"{row['charges']:,}", f"{row['events']:,}",
        )  # fmt: skip
    console.print(table)
    month = [row for row in found if row["stage"] in ("changes", "closed")]
    wall, cpu = (sum(row[name] for row in month) for name in ("wall_s", "cpu_s"))
    verdict = "holds" if wall <= TARGET_S else "is missed"
    console.print(
        f"The month: {wall:.1f} s and {cpu:.1f} s of processor, Postgres included; the bar of "
        f"{TARGET_S} s {verdict}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-licences")
    parser.add_argument("--customers", type=int, default=2_500)
    parser.add_argument("--subscriptions", type=int, default=10, help="of each customer")
    parser.add_argument("--changes", type=int, default=1, help="of each customer in the month")
    parser.add_argument("--pure-only", action="store_true")
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        number, *sizes, dsn = given.worker
        asyncio.run(work(int(number), Size(*map(int, sizes)), dsn))
        return
    size = Size(given.customers, given.subscriptions, given.changes)
    console = Console(width=120)
    found = pure()
    show_pure(console, found)
    result: dict[str, Any] = {"pure": [asdict(one) for one in found]}
    if not given.pure_only:
        result["stored"] = asyncio.run(stored(size))
        show_stored(console, size, result["stored"])
    print(json.dumps(result))  # noqa: T201  # output


if __name__ == "__main__":
    main()
