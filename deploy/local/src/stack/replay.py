"""`tieout replay`: compute published charges again and show every cent that differs."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stack import naming, output
from stack.naming import Contract, Customer
from stack.output import many
from stack.player.services import CallFailed, Row
from stack.prices.reader import read_prices
from stack.running import complaint, require_running, services_of

EXIT_DIFFERS = 1
COUNTS = ("customers", "contracts", "charges")
LISTS = ("differences", "log_entries_missing", "not_computed", "waiting", "failed")

From = Annotated[
    date | None, typer.Option("--from", metavar="DATE", parser=naming.day, help="service from")
]
To = Annotated[
    date | None, typer.Option("--to", metavar="DATE", parser=naming.day, help="and before")
]


def replay(
    since: From = None,
    until: To = None,
    customer: Customer = None,
    contract: Contract = None,
    rules: Annotated[
        Path | None, typer.Option(help="a price file (docs/prices.md), as if it were applied")
    ] = None,
) -> None:
    """Compute every charge again from the facts; exit code 1 where one differs from what was
    published. Nothing is changed."""
    naming.require_days(since, until)
    asked: dict[str, Any] = {}
    asked |= {"from": since.isoformat()} if since else {}
    asked |= {"to": until.isoformat()} if until else {}
    asked |= {"prices": read_prices(rules).body()} if rules else {}
    told = asyncio.run(_replayed(asked, customer=customer, contract=contract))
    _tell(output.console(), told)
    if any(told[name] for name in LISTS):
        raise typer.Exit(EXIT_DIFFERS)


async def _replayed(
    asked: dict[str, Any], *, customer: str | None, contract: str | None
) -> dict[str, Any]:
    """All pages in one answer."""
    told: dict[str, Any] = dict.fromkeys(COUNTS, 0) | {name: [] for name in LISTS}
    home, ports = require_running()
    async with services_of(home, ports) as (services, _):
        cursor: str | None = None
        try:
            asked |= await naming.narrowed(services, customer=customer, contract=contract)
            while True:
                answer = await services.post("rating", "/v1/replays", asked | {"cursor": cursor})
                for name in (*COUNTS, *LISTS):
                    told[name] += answer[name]
                cursor = answer["next_cursor"]
                if cursor is None:
                    return told
        except (CallFailed, OSError) as error:
            raise complaint(error, "The charges cannot be computed again") from error


def _tell(console: Console, told: dict[str, Any]) -> None:
    charges, contracts = told["charges"], told["contracts"]
    found = told["differences"]
    if not charges and not any(told[name] for name in LISTS):
        of = many(contracts, "contract")
        console.print(f"Nothing was compared: no charge of {of} is in this period.")
        return
    done = f"{many(charges, 'charge')} of {many(contracts, 'contract')} recomputed"
    said = many(len(found), "difference") if found else "no difference"
    console.print(f"{done}: {said}")
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


def _table(found: list[Row]) -> Table:
    table = Table("contract", "charge", "period", "was", "now", "difference", "why")
    for one in found:
        period = one["service_period"]
        table.add_row(
            one["contract_id"],
            one["description"],
            f"{period['start']} – {period['end']}",
            f"{output.money(one['was'])} {one['currency']}",
            f"{output.money(one['now'])} {one['currency']}",
            f"{Decimal(one['difference']):+,f}",
            "; ".join(one["why"]),
        )
    return table


def _sums(found: list[Row]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for one in found:
        sums[one["currency"]] = sums.get(one["currency"], Decimal(0)) + Decimal(one["difference"])
    return dict(sorted(sums.items()))
