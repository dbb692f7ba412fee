"""How soon a seat change is in Autotask: from the provider's webhook leaving to our POST arriving.

    python -m tests.benchmarks.latency [--rates 5 50] [--seconds 20] [--customers 40] [--running]

Starts a stack of its own, or uses the running one. Every change is followed by its own ids through
the simulators' journals and the broker's records; a change that is lost or doubled ends the
benchmark. Prints a table and, as the last line, the same as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table
from tests.benchmarks.crowd import NOW, Crowd, write_story
from tests.benchmarks.effort import busy_seconds, per_change, processor_seconds
from tests.benchmarks.traces import STAGES, Lost, Trace, traces

from shared.runtime.clock import write_instant
from stack.errors import StackError
from stack.home import Home
from stack.launcher import Plan, running_stack
from stack.player.latencies import percentiles
from stack.player.numbering import in_use, number_plays
from stack.player.playing import Play
from stack.player.services import Addresses, Services
from stack.player.settling import settle
from stack.ports import Ports, free_base
from stack.running import require_running, services_of
from stack.story.reader import read_scripts

TARGET_P99_MS = 250
TARGET_RATE = 50
WARM_UP = 40
QUIET_S = 120


@dataclass(frozen=True, slots=True)
class Site:
    """The stack under measurement."""

    home: Home
    ports: Ports
    services: Services
    addresses: Addresses
    bootstrap_servers: str


@asynccontextmanager
async def own_stack(root: Path) -> AsyncIterator[Site]:
    """With the database as durable as it is for people."""
    home, ports = Home(root / "home"), Ports(free_base())
    plan = Plan(home=home, ports=ports, environ=own_environment())
    async with running_stack(plan) as stack, services_of(home, ports) as (services, addresses):
        yield Site(home, ports, services, addresses, stack.bootstrap_servers)
    home.remove()


def own_environment() -> dict[str, str]:
    """What `tieout up` would pass on, without servers of somebody else."""
    hidden = ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS")
    return {name: value for name, value in os.environ.items() if name not in hidden}


@asynccontextmanager
async def stack_that_runs() -> AsyncIterator[Site]:
    home, ports = require_running()
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{ports.kafka}")
    async with services_of(home, ports) as (services, addresses):
        yield Site(home, ports, services, addresses, servers)


async def bench(site: Site, story: Path, given: argparse.Namespace) -> list[dict[str, Any]]:
    """The results per rate, slowest first."""
    write_story(story, given.customers)
    (names,) = number_plays(read_scripts([story]), await in_use(site.services))
    play = Play([names], {"latency": story}, site.services, site.addresses, site.home.clock)
    await play.run()
    write_instant(site.home.clock, datetime.fromisoformat(NOW))
    crowd = Crowd(site.services, names)
    await crowd.ask(WARM_UP, 10)
    await rest(site)
    return [await measure(site, crowd, rate, given.seconds) for rate in sorted(given.rates)]


async def measure(site: Site, crowd: Crowd, rate: float, seconds: float) -> dict[str, Any]:
    before, began, busy = processor_seconds(site.home), perf_counter(), busy_seconds()
    changes, reached = await crowd.ask(round(rate * seconds), rate)
    await rest(site)
    after = processor_seconds(site.home)
    spent = per_change(before, after, len(changes))
    ours = sum(after.values()) - sum(before.values())
    others = (busy_seconds() - busy - ours) / (perf_counter() - began)
    found = await traces(site.services, site.bootstrap_servers, changes, crowd.contracts)
    rates = {"asked_per_s": f"{rate:g}", "reached_per_s": f"{reached:.1f}"}
    return {
        **rates,
        **figures(found),
        "processor_ms_per_change": spent,
        "others_cores": f"{max(0.0, others):.2f}",
    }


async def rest(site: Site) -> None:
    await site.services.webhooks_out()
    await settle(site.services, patience_s=QUIET_S)


def figures(found: Sequence[Trace]) -> dict[str, Any]:
    """Percentiles of the whole way and of each stage.

    Under overload a look for one change finds the next one, too, before its webhook has left; such
    changes have no way to measure and are only counted.
    """
    whole = [trace for trace in found if not trace.found_before_notified] or list(found)
    by_stage = zip(STAGES, zip(*(trace.stages_ms for trace in whole), strict=True), strict=True)
    return {
        "changes": len(found),
        "found_before_notified": len(found) - len(whole),
        "total_ms": percentiles([trace.total_ms for trace in whole]),
        "stages_ms": {stage: percentiles(list(values)) for stage, values in by_stage},
    }


def show(console: Console, results: Sequence[dict[str, Any]]) -> None:
    table = Table(title="Webhook leaves Partner Center → adjustment arrives at Autotask, in ms")
    headings = ("asked /s", "reached /s", "changes", "p50", "p99", "max")
    for heading in (*headings, *(f"{stage} p50/p99" for stage in STAGES)):
        table.add_column(heading, justify="right")
    for row in results:
        total, stages = row["total_ms"], row["stages_ms"]
        table.add_row(
            row["asked_per_s"], row["reached_per_s"], str(row["changes"]),
            total["p50"], total["p99"], total["max"],
            *(f"{stages[stage]['p50']} / {stages[stage]['p99']}" for stage in STAGES),
        )  # fmt: skip
    console.print(table)
    for row in results:
        spent = row["processor_ms_per_change"]
        whole = sum(float(ms) for ms in spent.values())
        parts = ", ".join(f"{name} {ms}" for name, ms in spent.items())
        console.print(f"{row['asked_per_s']} /s: {whole:.0f} ms of processor a change: {parts}")
        if overloaded(row):
            console.print(f"{row['asked_per_s']} /s is more than this machine can do.")
    console.print(verdict(results))
    console.print(
        f"{os.cpu_count()} cores, simulators and benchmark included; others used "
        f"{min(float(row['others_cores']) for row in results):.1f} to "
        f"{max(float(row['others_cores']) for row in results):.1f} of them."
    )


def meets(row: dict[str, Any]) -> bool:
    on_time = float(row["total_ms"]["p99"]) <= TARGET_P99_MS
    return on_time and not overloaded(row)


def overloaded(row: dict[str, Any]) -> bool:
    """Changes pile up: they could not be asked for in time, or were found before they were told."""
    late = float(row["reached_per_s"]) < 0.95 * float(row["asked_per_s"])
    return late or row["found_before_notified"] > 0.02 * row["changes"]


def verdict(results: Sequence[dict[str, Any]]) -> str:
    """The highest rate up to which every measured one met the target."""
    highest = None
    for row in results:
        if not meets(row):
            break
        highest = row["asked_per_s"]
    target = f"a p99 of at most {TARGET_P99_MS} ms"
    if highest is None:
        return f"No measured rate had {target}."
    aim = "" if float(highest) >= TARGET_RATE else f" The aim of {TARGET_RATE} /s was not reached."
    return f"Highest measured rate with {target}: {highest} /s.{aim}"


async def run(given: argparse.Namespace) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="tieout-bench-") as directory:
        root = Path(directory)
        place = stack_that_runs() if given.running else own_stack(root)
        async with place as site:
            return await bench(site, root / "latency.yaml", given)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.latency")
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[5.0, 10.0, 20.0, 30.0, 50.0], help="per second"
    )
    parser.add_argument("--seconds", type=float, default=20, help="how long each is kept up")
    parser.add_argument("--customers", type=int, default=40)
    parser.add_argument("--running", action="store_true", help="use the stack that runs here")
    given = parser.parse_args()
    console = Console(width=160)
    console.print(f"{given.customers} customers, then {given.rates} changes a second …")
    try:
        results = asyncio.run(run(given))
    except (StackError, Lost) as error:
        raise SystemExit(str(error)) from error
    show(console, results)
    print(json.dumps({"target_p99_ms": TARGET_P99_MS, "results": results}))  # noqa: T201  # output


if __name__ == "__main__":
    main()
