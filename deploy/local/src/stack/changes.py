"""`tieout changes`: the License Change Log, with what the PSA has of each entry."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Annotated

import typer
from rich.table import Table

from stack import output
from stack.errors import StackError
from stack.player.services import CallFailed, Row, Services
from stack.running import require_running, services_of

AT_ONCE = 16

Name = Annotated[str | None, typer.Option(help="only of this one")]


def changes(
    customer: Name = None,
    contract: Name = None,
    subscription: Name = None,
    since: Annotated[str | None, typer.Option(help="effective from this day, 2026-04-01")] = None,
    until: Annotated[str | None, typer.Option(help="and before this one")] = None,
) -> None:
    """The License Change Log: what changed, what it was worth, and whether the PSA has it."""
    asked = {
        "customer_id": customer, "contract_id": contract, "subscription_id": subscription,
        "from": since, "until": until,
    }  # fmt: skip
    entries = asyncio.run(_entries({k: v for k, v in asked.items() if v is not None}))
    console = output.console()
    if not entries:
        console.print("No licence change is logged.")
        return
    table = Table(
        "effective", "contract", "product", "seats", "unit price", "prorated", "by", "PSA"
    )
    for entry, psa in entries:
        table.add_row(*_cells(entry), psa)
    console.print(table)


async def _entries(asked: dict[str, str]) -> list[tuple[Row, str]]:
    home, ports = require_running()
    async with services_of(home, ports) as (services, _):
        try:
            found = await services.pages("rating", "/v1/licence-changes", **asked)
            gate = asyncio.Semaphore(AT_ONCE)
            states = await asyncio.gather(*(_delivery(services, gate, one) for one in found))
        except (CallFailed, OSError) as error:
            raise StackError(f"The log cannot be read: {error}") from error
    order = sorted(zip(found, states, strict=True), key=lambda pair: pair[0]["effective_on"])
    return order


async def _delivery(services: Services, gate: asyncio.Semaphore, entry: Row) -> str:
    async with gate:
        answer = await services.get("psa-connector", "/v1/intents", source_id=entry["entry_id"])
    states = [
        f"{one['state']} {one['external_id'] or one['reason'] or ''}".strip()
        for one in answer["data"]
    ]
    return ", ".join(states) or "–"


def _cells(entry: Row) -> tuple[str, ...]:
    source = entry["source"] or {}
    amount = Decimal(str(entry["prorated_amount"]))
    return (
        entry["effective_on"],
        entry["contract_id"],
        entry["product"]["name"],
        f"{entry['quantity_before']} → {entry['quantity_after']}",
        f"{entry['unit_price']} {entry['currency']}",
        f"{amount:,f}" if amount else "–",
        " ".join(filter(None, (source.get("channel"), source.get("actor")))) or "–",
    )
