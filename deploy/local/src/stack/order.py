"""`tieout order …`: change a subscription at the provider, and wait for what it says."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stack import naming, output
from stack.errors import Mistaken
from stack.naming import short_ids
from stack.output import minute
from stack.player.services import CallFailed, Row, Services
from stack.running import complaint, require_running, services_of

EXIT_REFUSED = 1
PATIENCE_S, LOOK_S = 60.0, 0.2
OPEN = frozenset({"planned", "checked", "sending", "unknown"})
ORDERS = "/v1/subscription-orders"
SEATS_MAX = 1_000_000
WISHES = ("quantity", "term", "billing_plan", "custom_term_end", "ending")
WORDS_MAX = 60

app = typer.Typer(help="Change subscriptions at the provider.", no_args_is_help=True)

Subscription = Annotated[
    str,
    typer.Argument(help="its id, or the beginning of it; `tieout changes` and `renewals` show it"),
]


def _seats(text: str) -> int:
    """A number of seats as it was typed.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        number = int(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no number of seats") from error
    if number < 1:
        words = "a subscription has at least one seat; `tieout order ending` lets it end"
        raise typer.BadParameter(words)
    if number > SEATS_MAX:
        raise typer.BadParameter(f"at most {SEATS_MAX:,} seats")
    return number


class Term(StrEnum):
    """How long a term is."""

    MONTH = "P1M"
    YEAR = "P1Y"
    THREE_YEARS = "P3Y"


class Plan(StrEnum):
    """How often it is charged."""

    MONTHLY = "monthly"
    ANNUAL = "annual"
    TRIENNIAL = "triennial"


class Ending(StrEnum):
    """What happens when the term ends."""

    RENEW = "renew"
    CANCEL = "cancel_at_term_end"
    EXTEND = "extended_service"


@app.command(context_settings={"ignore_unknown_options": True})  # -2 is a number, not an option
def seats(
    subscription: Subscription,
    quantity: Annotated[int, typer.Argument(parser=_seats, metavar="SEATS")],
) -> None:
    """Set the number of seats now; fewer only where the provider still takes them back."""
    _place({"kind": "quantity", "subscription_id": subscription, "quantity": quantity})


@app.command()
def schedule(
    subscription: Subscription,
    quantity: Annotated[int | None, typer.Option("--seats", parser=_seats, metavar="SEATS")] = None,
    term: Term | None = None,
    plan: Plan | None = None,
    clear: Annotated[bool, typer.Option("--clear", help="take back what was scheduled")] = False,
) -> None:
    """Say what the next term shall be."""
    wish = {"quantity": quantity, "term": term, "billing_plan": plan, "clear": clear or None}
    if not any(wish.values()):
        raise Mistaken(
            "order_empty", "Say what the next term shall be: --seats, --term, --plan, or --clear."
        )
    body = {"kind": "schedule", "subscription_id": subscription}
    _place(body | {name: value for name, value in wish.items() if value is not None})


@app.command()
def ending(subscription: Subscription, choice: Ending) -> None:
    """Say what happens when the term ends: renew, cancel, or go on month by month."""
    body = {"kind": "renewal_instruction", "subscription_id": subscription}
    _place(body | {"ending": choice.value})


@app.command()
def cancel(subscription: Subscription) -> None:
    """Cancel now, inside the provider's window."""
    _place({"kind": "cancel", "subscription_id": subscription})


@app.command()
def suspend(subscription: Subscription) -> None:
    """Suspend; the provider goes on billing, turns renewal off and drops what is scheduled."""
    _place({"kind": "suspend", "subscription_id": subscription})


@app.command()
def resume(subscription: Subscription) -> None:
    """End a suspension; renewal stays off until `order ending SUBSCRIPTION renew`."""
    _place({"kind": "resume", "subscription_id": subscription})


@app.command("list")
def listing(
    subscription: Annotated[
        str | None, typer.Option(help="only of this one: its id, or the beginning of it")
    ] = None,
    ids: Annotated[bool, typer.Option("--ids", help="whole ids, whole words")] = False,
) -> None:
    """Orders, newest first."""
    rows = asyncio.run(_with_services(lambda services: _listed(services, subscription)))
    tell(output.console(), rows, ids=ids)


def tell(console: Console, rows: list[Row], *, ids: bool = False) -> None:
    """Orders as a table."""
    if not rows:
        console.print("No order was placed.")
        return
    whole = [row["subscription_id"] or "–" for row in rows]
    names = {one: one for one in whole} if ids else short_ids(whole)
    table = Table(
        "asked, UTC", "contract", "product", "wish", "state", "what was said", "subscription"
    )
    if ids:
        table.add_column("order")
    for row, name in zip(rows, whole, strict=True):
        words = _said(row)
        if not ids and len(words) > WORDS_MAX:
            words = f"{words[:WORDS_MAX]}…"
        cells = [
            minute(str(row["requested_at"])), row["contract"], row["product"], wished(row),
            row["state"], words, names[name],
        ]  # fmt: skip
        table.add_row(*map(escape, [*cells, row["id"]] if ids else cells))
    console.print(table)


def wished(order: Row) -> str:
    """What was asked for, in a few words."""
    wish = order["wish"] or {}
    parts = [str(wish[name]) for name in WISHES if wish.get(name) is not None]
    parts += ["clear"] if wish.get("clear") else []
    return " ".join([order["kind"], *parts]).replace("_", " ")


def _place(body: Row) -> None:
    order = asyncio.run(_with_services(lambda services: _placed(services, body)))
    console = output.console()
    console.print(f"{order['kind']}: {order['state']}", markup=False)
    for words in filter(None, (_said(order), _offered(order))):
        console.print(words, markup=False, soft_wrap=True)
    if order["state"] in OPEN:
        console.print(
            f"still under way: tieout order list --subscription {body['subscription_id']}"
        )
    elif order["state"] != "confirmed":
        raise typer.Exit(EXIT_REFUSED)


async def _placed(services: Services, body: Row) -> Row:
    """Place it, once, and see how it ends."""
    body |= await naming.narrowed(services, subscription=body["subscription_id"])
    placed = await services.post("ingest", ORDERS, body, key=str(uuid4()))
    order: Row = {}
    for _ in range(round(PATIENCE_S / LOOK_S)):
        order = await services.get("ingest", f"{ORDERS}/{placed['id']}")
        if order["state"] not in OPEN:
            break
        await asyncio.sleep(LOOK_S)
    return order


async def _listed(services: Services, subscription: str | None) -> list[Row]:
    """Orders with the names that people know their subscription by."""
    found = await naming.narrowed(services, subscription=subscription)
    rows = await services.pages("ingest", ORDERS, **found)
    if not rows:
        return []
    mirrored = await services.pages("ingest", "/v1/subscriptions")
    products = {one["subscription_id"]: one["state"] for one in mirrored}
    contracts: dict[str, list[str]] = {}
    for one in await services.pages("invoicing", "/v1/contracts"):
        contracts.setdefault(one["provider_customer_id"], []).append(one["contract_id"])
    return [
        row
        | {
            "product": (products.get(row["subscription_id"]) or {}).get("product_name") or "–",
            "contract": ", ".join(contracts.get(row["customer_id"], ())) or "–",
        }
        for row in rows
    ]


async def _with_services(ask: Any) -> Any:
    home, ports = require_running()
    async with services_of(home, ports) as (services, _):
        try:
            return await ask(services)
        except (CallFailed, OSError) as error:
            raise complaint(error, "The order cannot be placed or read") from error


def _said(order: Row) -> str:
    own = ": ".join(filter(None, (order["code"], order["detail"])))
    words = order["provider_words"] if order["provider_words"] != order["detail"] else None
    theirs = " ".join(filter(None, (order["provider_code"], words)))
    return own + (f" (the provider: {theirs})" if theirs else "")


def _offered(order: Row) -> str:
    """What the provider would take instead, as a command where there is one."""
    offer, name = order["offer"], order["subscription_id"]
    if not offer:
        return ""
    match offer:
        case {"kind": "schedule", "quantity": quantity}:
            return f"at renewal instead: tieout order schedule {name} --seats {quantity}"
        case {"kind": "renewal_instruction", "ending": choice}:
            return f"instead: tieout order ending {name} {choice}"
        case _:
            return f"instead: {offer}"
