"""`tieout replay`: compute published charges again and show every cent that differs."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stack import output
from stack.errors import StackError
from stack.player.services import CallFailed, Row
from stack.prices.reader import read_prices
from stack.running import require_running, services_of

EXIT_DIFFERS = 1
COUNTS = ("customers", "contracts", "charges")
LISTS = ("differences", "log_entries_missing", "not_computed", "waiting", "failed")

Name = Annotated[str | None, typer.Option(help="only of this one")]


def replay(
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="service from")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DATE", help="and before")] = None,
    customer: Name = None,
    contract: Name = None,
    rules: Annotated[
        Path | None, typer.Option(help="a price file (docs/prices.md), as if it were applied")
    ] = None,
) -> None:
    """Compute every charge again from the facts; exit code 1 where one differs from what was
    published. Nothing is changed."""
    asked: dict[str, Any] = {
        "from": since,
        "to": until,
        "customer_id": customer,
        "contract_id": contract,
    }
    asked["prices"] = read_prices(rules).body() if rules else None
    told = asyncio.run(_replayed({k: v for k, v in asked.items() if v is not None}))
    console = output.console()
    _tell(console, told)
    if any(told[name] for name in LISTS):
        raise typer.Exit(EXIT_DIFFERS)


async def _replayed(asked: dict[str, Any]) -> dict[str, Any]:
    """All pages in one answer."""
    told: dict[str, Any] = dict.fromkeys(COUNTS, 0) | {name: [] for name in LISTS}
    home, ports = require_running()
    async with services_of(home, ports) as (services, _):
        cursor: str | None = None
        try:
            while True:
                answer = await services.post("rating", "/v1/replays", asked | {"cursor": cursor})
                for name in (*COUNTS, *LISTS):
                    told[name] += answer[name]
                cursor = answer["next_cursor"]
                if cursor is None:
                    return told
        except (CallFailed, OSError) as error:
            raise StackError(f"The charges cannot be computed again: {error}") from error


def _tell(console: Console, told: dict[str, Any]) -> None:
    charges, contracts = told["charges"], told["contracts"]
    done = f"{_many(charges, 'charge')} of {_many(contracts, 'contract')} recomputed"
    found = told["differences"]
    many = _many(len(found), "difference")
    console.print(f"{done}: {many if found else 'no difference'}")
    if found:
        console.print(_table(found))
        console.print(", ".join(f"{sum_:+,f} {name}" for name, sum_ in _sums(found).items()))
    if entries := told["log_entries_missing"]:
        text = "1 entry is" if len(entries) == 1 else f"{len(entries):,} entries are"
        console.print(f"[red]{text} not in the License Change Log[/]")
    for one in told["not_computed"]:
        text = f"not computed again: {one['object']}: {one['detail']} ({one['reason']})"
        console.print(text, style="red", markup=False)
    for one in told["failed"]:
        text = f"not computed again: customer {one['customer_id']}: {one['detail']}"
        console.print(text, style="red", markup=False)
    if waiting := told["waiting"]:
        console.print(f"[yellow]facts came that are not rated yet: {', '.join(waiting)}[/]")


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _table(found: list[Row]) -> Table:
    table = Table("contract", "charge", "period", "was", "now", "difference", "why")
    for one in found:
        period = one["service_period"]
        table.add_row(
            one["contract_id"],
            one["description"],
            f"{period['start']} – {period['end']}",
            f"{one['was']} {one['currency']}",
            f"{one['now']} {one['currency']}",
            f"{Decimal(one['difference']):+f}",
            "; ".join(one["why"]),
        )
    return table


def _sums(found: list[Row]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for one in found:
        sums[one["currency"]] = sums.get(one["currency"], Decimal(0)) + Decimal(one["difference"])
    return dict(sorted(sums.items()))
