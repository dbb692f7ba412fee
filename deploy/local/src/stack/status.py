"""What runs and where it answers, as tables for a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
from rich.table import Table

from shared.contracts.topics import SERVICES
from stack.home import Home
from stack.pid_files import Entry, PidFiles
from stack.ports import Ports
from stack.readiness import HttpOk, Readiness, TcpOpen
from stack.state import is_running, read_state

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One part of the stack at this moment."""

    name: str
    pid: int
    ready: bool
    ports: tuple[int, ...]
    memory_mib: int


async def rows(home: Home, ports: Ports) -> list[Row]:
    """A row per child that was started and not stopped since."""
    entries = list(PidFiles(home.pids).entries()) if home.is_ours else []
    return list(await asyncio.gather(*(_row(home, ports, entry) for entry in entries)))


async def _row(home: Home, ports: Ports, entry: Entry) -> Row:
    process = entry.process
    is_ready = process is not None and await _readiness(entry, ports).holds()
    return Row(
        name=entry.name,
        pid=entry.pid,
        ready=is_ready,
        ports=entry.ports,
        memory_mib=_memory(process) // _MIB if process else 0,
    )


def _readiness(entry: Entry, ports: Ports) -> Readiness:
    if entry.name in SERVICES:
        return HttpOk(ports.management(entry.name), "/readyz")
    return TcpOpen(entry.ports[0])


def _memory(process: psutil.Process) -> int:
    """Of the process and what it started; shared pages count once where the system can tell."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            full = member.memory_full_info()
            total += getattr(full, "pss", full.uss)
        except psutil.AccessDenied:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def table(rows: Sequence[Row]) -> Table:
    """The rows, and what they take together."""
    result = Table(box=None, pad_edge=False)
    for heading in ("name", "pid", "ready", "ports", "memory"):
        result.add_column(heading, justify="right" if heading in {"pid", "memory"} else "left")
    for row in rows:
        result.add_row(
            row.name,
            str(row.pid),
            "[green]yes[/]" if row.ready else "[red]no[/]",
            " ".join(str(port) for port in row.ports),
            f"{row.memory_mib} MiB",
        )
    if rows:
        result.add_row("together", "", "", "", f"{sum(row.memory_mib for row in rows)} MiB")
    return result


def crashes(home: Home) -> list[str]:
    """What the supervisor had to say of children that died."""
    state = read_state(home)
    return list(state.crashes.values()) if state and is_running(home) else []


def addresses(home: Home, ports: Ports) -> Table:
    """Where the parts answer."""
    result = Table(box=None, pad_edge=False, show_header=False)
    for service in SERVICES:
        url = f"http://127.0.0.1:{ports.http(service)}"
        result.add_row(service, url, f"/readyz and /metrics on {ports.management(service)}")
    result.add_row("simulators", f"http://127.0.0.1:{ports.simulators}", "every vendor, one port")
    result.add_row("kafka", f"127.0.0.1:{ports.kafka}", "")
    result.add_row("postgres", f"127.0.0.1:{ports.postgres}/tieout", f"passwords in {home.keys}")
    result.add_row("logs", str(home.logs), "tieout logs NAME -f")
    return result
