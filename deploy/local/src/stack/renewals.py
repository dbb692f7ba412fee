"""`tieout renewals`: what the renewal desk has to decide, with the money that depends on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stack import naming, output
from stack.naming import Contract, Customer, short_ids
from stack.output import minute, money
from stack.player.services import CallFailed, Row
from stack.running import complaint, require_running, services_of

LISTS = ("data", "windows", "price_changes")

From = Annotated[
    date | None,
    typer.Option("--from", metavar="DATE", parser=naming.day, help="today, on the stack's clock"),
]
To = Annotated[
    date | None,
    typer.Option("--to", metavar="DATE", parser=naming.day, help="exclusive; three months later"),
]
Ids = Annotated[bool, typer.Option("--ids", help="whole ids of subscriptions and customers")]


def renewals(
    since: From = None,
    until: To = None,
    customer: Customer = None,
    contract: Contract = None,
    ids: Ids = False,
) -> None:
    """Commitments that end, windows in which seats may still be given back, prices that change.
    Today is the day of the stack's simulated clock."""
    naming.require_days(since, until)
    asked = {"from": since.isoformat()} if since else {}
    asked |= {"to": until.isoformat()} if until else {}
    tell(output.console(), asyncio.run(_told(asked, customer=customer, contract=contract)), ids=ids)


async def _told(
    asked: dict[str, str], *, customer: str | None, contract: str | None
) -> dict[str, Any]:
    """All pages in one answer."""
    told: dict[str, Any] = {name: [] for name in LISTS}
    home, ports = require_running()
    async with services_of(home, ports) as (services, _):
        cursor: str | None = None
        try:
            asked |= await naming.narrowed(services, customer=customer, contract=contract)
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
            raise complaint(error, "The renewal desk cannot be read") from error


def tell(console: Console, told: dict[str, Any], *, ids: bool = False) -> None:
    """The answer of the desk as tables."""
    console.print(f"From {told['from']} to before {told['to']}")
    if not any(told[name] for name in LISTS):
        console.print("No commitment ends, no window closes, no price changes.")
    whole = [row["subscription_id"] for row in (*told["data"], *told["windows"])]
    names = {one: one for one in whole} if ids else short_ids(whole)
    if rows := sorted(told["data"], key=lambda row: str(row["on"])):
        console.print(_renewals(rows, names))
    if rows := sorted(told["windows"], key=lambda row: str(row["closes"])):
        console.print(_windows(rows, names))
    if rows := sorted(told["price_changes"], key=lambda row: str(row["on"])):
        console.print(_price_changes(rows))
    if ids:
        for line in customers_of(rows for name in LISTS for rows in told[name]):
            console.print(line, markup=False)


def customers_of(rows: Iterable[Row]) -> list[str]:
    """A line for each contract: the customer's id at the provider."""
    known = {(row["contract_id"] or "no contract", row["customer_id"]) for row in rows}
    return [f"{contract}: customer {customer}" for contract, customer in sorted(known)]


def _renewals(rows: list[Row], names: dict[str, str]) -> Table:
    table = Table(
        "renews on", "contract", "product", "seats", "auto", "now", "next", "a term", "subscription"
    )
    for row in rows:
        per_term = row["next"].get("per_term")
        table.add_row(
            row["on"],
            row["contract_id"] or "–",
            row["product_name"] + _becomes(row),
            _seats(row),
            row["at_term_end"] or {True: "yes", False: "no"}.get(row["auto_renew"], "unknown"),
            _price(row["now"], row["currency"]),
            _price(row["next"], row["currency"]),
            f"{money(per_term)} {row['currency']}" if per_term else "–",
            names[row["subscription_id"]],
        )
    return table


def _windows(rows: list[Row], names: dict[str, str]) -> Table:
    table = Table("window closes, UTC", "contract", "product", "seats", "since", "subscription")
    for row in rows:
        table.add_row(
            minute(row["closes"]), row["contract_id"] or "–", row["product_name"],
            f"{row['seats']:,}", f"{row['kind'].replace('_', ' ')} {minute(row['opened'])}",
            names[row["subscription_id"]],
        )  # fmt: skip
    return table


def _price_changes(rows: list[Row]) -> Table:
    table = Table("new price on", "contract", "product", "seats", "before", "after")
    for row in rows:
        table.add_row(
            row["on"], row["contract_id"], row["product_name"], f"{row['seats']:,}",
            _price(row["before"], row["currency"]), _price(row["after"], row["currency"]),
        )  # fmt: skip
    return table


def _seats(row: Row) -> str:
    same = row["seats"] == row["next_seats"]
    return f"{row['seats']:,}" if same else f"{row['seats']:,} → {row['next_seats']:,}"


def _becomes(row: Row) -> str:
    same = row["product_key"] == row["next_product_key"]
    return "" if same else f" → {row['next_product_key']}"


def _price(price: Row, currency: str | None) -> str:
    if price["unit_price"] is None:
        return f"unknown ({price['reason']})"
    cost = f"cost {money(price['unit_cost'])} {price['cost_currency']}"
    return f"{money(price['unit_price'])} {currency} ({cost})"
