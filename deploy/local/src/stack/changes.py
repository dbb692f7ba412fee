"""`tieout changes`: the License Change Log, with what the PSA has of each entry."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stack import naming, output
from stack.naming import Contract, Customer, short_ids
from stack.output import minute, money
from stack.player.services import CallFailed, Row, Services
from stack.psa.asking import PSA
from stack.renewals import Ids, customers_of
from stack.running import complaint, require_running, services_of

AT_ONCE = 16
WITH_INVOICE, NOT_SENT, NO_PSA = "with the invoice", "not sent", "no PSA"
LEGEND = {
    WITH_INVOICE: "ConnectWise gets the charge with the invoice, as an addition "
    "(`tieout psa preview`)",
    NOT_SENT: "nothing of this entry was sent to the PSA of its contract",
    NO_PSA: "its contract is mapped to no PSA",
}

Subscription = Annotated[
    str | None, typer.Option(help="only of this one: its id, or the beginning of it")
]
Since = Annotated[
    date | None,
    typer.Option(metavar="DATE", parser=naming.day, help="effective from this day, 2026-04-01"),
]
Until = Annotated[
    date | None, typer.Option(metavar="DATE", parser=naming.day, help="and before this one")
]


@dataclass(slots=True)
class Log:
    """Entries in the order they took effect; what the PSA has of each, by its id."""

    entries: list[Row] = field(default_factory=list)
    psa: dict[str, str] = field(default_factory=dict)


def changes(
    customer: Customer = None,
    contract: Contract = None,
    subscription: Subscription = None,
    since: Since = None,
    until: Until = None,
    ids: Ids = False,
) -> None:
    """The License Change Log: what changed, what it was worth, and whether the PSA has it."""
    naming.require_days(since, until)
    asked = {"from": since.isoformat()} if since else {}
    asked |= {"until": until.isoformat()} if until else {}
    names = {"customer": customer, "contract": contract, "subscription": subscription}
    tell(output.console(), asyncio.run(_read(asked, names)), ids=ids)


def tell(console: Console, log: Log, *, ids: bool = False) -> None:
    """The log as a table, and what is not plain in it."""
    if not log.entries:
        console.print("No licence change is logged that fits.")
        return
    whole = [one["subscription_id"] for one in log.entries]
    names = {one: one for one in whole} if ids else short_ids(whole)
    table = Table(
        "effective, UTC", "contract", "product", "kind", "seats", "unit price", "prorated", "by",
        "PSA", "subscription",
    )  # fmt: skip
    for entry in log.entries:
        psa = log.psa[entry["entry_id"]]
        table.add_row(*_cells(entry), psa, names[entry["subscription_id"]])
    console.print(table)
    said = set(log.psa.values())
    for words, meaning in LEGEND.items():
        if words in said:
            console.print(f"{words}: {meaning}", markup=False, soft_wrap=True)
    if ids:
        for line in customers_of(log.entries):
            console.print(line, markup=False)


async def _read(asked: dict[str, str], names: dict[str, str | None]) -> Log:
    home, ports = require_running()
    async with services_of(home, ports) as (services, _):
        try:
            asked |= await naming.narrowed(services, **names)
            found = await services.pages("rating", "/v1/licence-changes", **asked)
            vendors = await _vendors(services) if found else {}
            gate = asyncio.Semaphore(AT_ONCE)
            states = await asyncio.gather(
                *(_delivery(services, gate, one, vendors) for one in found)
            )
        except (CallFailed, OSError) as error:
            raise complaint(error, "The log cannot be read") from error
    psa = {one["entry_id"]: state for one, state in zip(found, states, strict=True)}
    return Log(sorted(found, key=_instant), psa)


async def _vendors(services: Services) -> dict[str, str]:
    """The vendor of the PSA that a contract goes to, by contract."""
    connections = await services.pages(PSA, "/v1/connections")
    vendors = {row["id"]: row["vendor"] for row in connections}
    mapped = await services.pages(PSA, "/v1/mappings/contracts")
    return {
        row["contract_id"]: vendors[row["connection_id"]] for row in mapped if row["connection_id"]
    }


async def _delivery(
    services: Services, gate: asyncio.Semaphore, entry: Row, vendors: dict[str, str]
) -> str:
    async with gate:
        answer = await services.get(PSA, "/v1/intents", source_id=entry["entry_id"])
    states = [
        f"{one['state']} {one['external_id'] or one['reason'] or ''}".strip()
        for one in answer["data"]
    ]
    return ", ".join(states) or unsent(vendors.get(entry["contract_id"]))


def unsent(vendor: str | None) -> str:
    """What an entry without a delivery of its own means."""
    if vendor is None:
        return NO_PSA
    return WITH_INVOICE if vendor == "connectwise" else NOT_SENT


def _instant(entry: Row) -> str:
    return str(entry["effective_at"] or entry["effective_on"])


def _cells(entry: Row) -> tuple[str, ...]:
    amount = Decimal(str(entry["prorated_amount"]))
    return (
        minute(_instant(entry)),
        entry["contract_id"],
        entry["product"]["name"],
        entry["kind"].replace("_", " "),
        f"{entry['quantity_before']:,} → {entry['quantity_after']:,}",
        f"{money(entry['unit_price'])} {entry['currency']}",
        money(amount) if amount else "–",
        _by(entry["source"] or {}),
    )


def _by(source: Row) -> str:
    """Who did it as far as the provider says; an order of ours is one of `tieout order list`."""
    who = source.get("actor") or "not told"
    if order := source.get("order_id"):
        return f"order {order}" + (f" ({source['actor']})" if source.get("actor") else "")
    return f"{who} ({source['channel']})" if source.get("channel") else str(who)
