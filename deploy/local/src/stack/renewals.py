"""`tieout renewals`: what the renewal desk has to decide, with the money that depends on it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stack import output
from stack.errors import StackError
from stack.player.services import CallFailed, Row
from stack.running import require_running, services_of

LISTS = ("data", "windows", "price_changes")

Name = Annotated[str | None, typer.Option(help="only of this one")]


def renewals(
    since: Annotated[str | None, typer.Option("--from", metavar="DATE", help="today")] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="exclusive; three months later")
    ] = None,
    customer: Name = None,
    contract: Name = None,
) -> None:
    """Commitments that end, windows in which seats may still be given back, prices that change."""
    asked = {"from": since, "to": until, "customer_id": customer, "contract_id": contract}
    told = asyncio.run(_told({k: v for k, v in asked.items() if v is not None}))
    tell(output.console(), told)


async def _told(asked: dict[str, str]) -> dict[str, Any]:
    """All pages in one answer."""
    told: dict[str, Any] = {name: [] for name in LISTS}
    home, ports = require_running()
    async with services_of(home, ports) as (services, _):
        cursor: str | None = None
        try:
            while True:
                answer = await services.get(
                    "rating", "/v1/renewals", limit=200, cursor=cursor, **asked
                )
                told |= {"from": answer["from"], "to": answer["to"]}
                for name in LISTS:
                    told[name] += answer[name]
                cursor = answer["next_cursor"]
                if cursor is None:
                    return told
        except (CallFailed, OSError) as error:
            raise StackError(f"The renewal desk cannot be read: {error}") from error


def tell(console: Console, told: dict[str, Any]) -> None:
    """The answer of the desk as tables."""
    console.print(f"From {told['from']} to before {told['to']}")
    if not any(told[name] for name in LISTS):
        console.print("No commitment ends, no window closes, no price changes.")
    if rows := sorted(told["data"], key=lambda row: str(row["on"])):
        table = Table("renews on", "contract", "product", "seats", "auto", "now", "next", "a term")
        for row in rows:
            table.add_row(*_renewal(row))
        console.print(table)
    if rows := sorted(told["windows"], key=lambda row: str(row["closes"])):
        table = Table("window closes", "contract", "product", "seats", "since")
        for row in rows:
            table.add_row(
                _minute(row["closes"]), row["contract_id"] or "–", row["product_name"],
                str(row["seats"]), f"{row['kind']} {_minute(row['opened'])}",
            )  # fmt: skip
        console.print(table)
    if rows := sorted(told["price_changes"], key=lambda row: str(row["on"])):
        table = Table("new price on", "contract", "product", "seats", "before", "after")
        for row in rows:
            table.add_row(
                row["on"], row["contract_id"], row["product_name"], str(row["seats"]),
                _price(row["before"], row["currency"]), _price(row["after"], row["currency"]),
            )  # fmt: skip
        console.print(table)


def _renewal(row: Row) -> tuple[str, ...]:
    auto = {True: "yes", False: "no"}.get(row["auto_renew"], "unknown")
    per_term = row["next"].get("per_term")
    return (
        row["on"],
        row["contract_id"] or "–",
        row["product_name"] + _becomes(row),
        _seats(row),
        row["at_term_end"] or auto,
        _price(row["now"], row["currency"]),
        _price(row["next"], row["currency"]),
        f"{per_term} {row['currency']}" if per_term else "–",
    )


def _seats(row: Row) -> str:
    same = row["seats"] == row["next_seats"]
    return str(row["seats"]) if same else f"{row['seats']} → {row['next_seats']}"


def _becomes(row: Row) -> str:
    same = row["product_key"] == row["next_product_key"]
    return "" if same else f" → {row['next_product_key']}"


def _price(price: Row, currency: str | None) -> str:
    if price["unit_price"] is None:
        return f"unknown ({price['reason']})"
    cost = f"cost {price['unit_cost']} {price['cost_currency']}"
    return f"{price['unit_price']} {currency} ({cost})"


def _minute(instant: str) -> str:
    return instant[:16].replace("T", " ")
