"""`tieout order …`: change a subscription at the provider, and wait for what it says."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.table import Table

from stack import output
from stack.errors import StackError
from stack.player.services import CallFailed, Row, Services
from stack.running import require_running, services_of

EXIT_REFUSED = 1
PATIENCE_S, LOOK_S = 60.0, 0.2
OPEN = frozenset({"planned", "checked", "sending", "unknown"})
ORDERS = "/v1/subscription-orders"

app = typer.Typer(help="Change subscriptions at the provider.", no_args_is_help=True)

Subscription = Annotated[str, typer.Argument(help="the provider's id of the subscription")]


class Ending(StrEnum):
    """What happens when the term ends."""

    RENEW = "renew"
    CANCEL = "cancel_at_term_end"
    EXTEND = "extended_service"


@app.command()
def seats(subscription: Subscription, quantity: Annotated[int, typer.Argument(min=1)]) -> None:
    """Set the number of seats now; fewer only where the provider still takes them back."""
    _place({"kind": "quantity", "subscription_id": subscription, "quantity": quantity})


@app.command()
def schedule(
    subscription: Subscription,
    quantity: Annotated[int | None, typer.Option("--seats", min=1)] = None,
    term: Annotated[str | None, typer.Option(help="P1M, P1Y, P3Y")] = None,
    plan: Annotated[str | None, typer.Option(help="monthly, annual, triennial")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="take back what was scheduled")] = False,
) -> None:
    """Say what the next term shall be."""
    wish = {"quantity": quantity, "term": term, "billing_plan": plan, "clear": clear or None}
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
    subscription: Annotated[str | None, typer.Option(help="only of this one")] = None,
) -> None:
    """Orders, newest first."""
    rows = asyncio.run(_with_services(lambda services: _listed(services, subscription)))
    if not rows:
        output.console().print("No order was placed.")
        return
    table = Table("order", "asked", "subscription", "kind", "state", "what was said")
    for row in rows:
        at = str(row["requested_at"])[:16].replace("T", " ")
        name = row["subscription_id"] or "–"
        table.add_row(row["id"], at, name, row["kind"], row["state"], _said(row))
    output.console().print(table)


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
    placed = await services.post("ingest", ORDERS, body, key=str(uuid4()))
    order: Row = {}
    for _ in range(round(PATIENCE_S / LOOK_S)):
        order = await services.get("ingest", f"{ORDERS}/{placed['id']}")
        if order["state"] not in OPEN:
            break
        await asyncio.sleep(LOOK_S)
    return order


async def _listed(services: Services, subscription: str | None) -> list[Row]:
    return await services.pages("ingest", ORDERS, subscription_id=subscription)


async def _with_services(ask: Any) -> Any:
    home, ports = require_running()
    async with services_of(home, ports) as (services, _):
        try:
            return await ask(services)
        except (CallFailed, OSError) as error:
            raise StackError(str(error)) from error


def _said(order: Row) -> str:
    own = ": ".join(filter(None, (order["code"], order["detail"])))
    theirs = " ".join(filter(None, (order["provider_code"], order["provider_words"])))
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
