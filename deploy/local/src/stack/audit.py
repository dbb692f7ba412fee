"""`tieout audit verify`: recompute the hash chain of every service."""

from __future__ import annotations

import asyncio
from typing import Any

import typer
from rich.table import Table

from shared.contracts.topics import SERVICES
from stack import output
from stack.errors import StackError
from stack.player.services import CallFailed
from stack.running import require_running, services_of

EXIT_BROKEN = 1

app = typer.Typer(help="The audit trail.", no_args_is_help=True)


@app.callback()
def trail() -> None:
    """Who did what, when and why, in a chain that cannot be quietly rewritten."""


@app.command()
def verify() -> None:
    """Recompute every service's hash chain; exit code 1 if one does not hold."""
    verdicts = asyncio.run(_verdicts())
    table = Table("service", "records", "verdict")
    for service, verdict in verdicts.items():
        text = "[green]intact[/]" if verdict["intact"] else f"[red]{verdict['reason']}[/]"
        table.add_row(service, f"{verdict['links']:,}", text)
    output.console().print(table)
    if not all(verdict["intact"] for verdict in verdicts.values()):
        raise typer.Exit(EXIT_BROKEN)


async def _verdicts() -> dict[str, dict[str, Any]]:
    home, ports = require_running()
    async with services_of(home, ports) as (services, _):
        try:
            return {s: await services.post(s, "/v1/audit:verify", {}) for s in SERVICES}
        except (CallFailed, OSError) as error:
            raise StackError(
                f"The trail cannot be read: {error}. Is the stack running (`tieout status`)?"
            ) from error
