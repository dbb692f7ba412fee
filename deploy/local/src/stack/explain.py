"""`tieout explain INVOICE LINE`: one figure as a tree, down to the webhook and to usage rows."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from stack.errors import StackError
from stack.player.services import CallFailed, Services
from stack.running import require_running, services_of

Row = dict[str, Any]
USAGE_ROWS_SHOWN = 6

InvoiceNumber = Annotated[str, typer.Argument(help="number or id, for example HUS-000001")]
LineNumber = Annotated[int, typer.Argument(help="line, from 1")]


def explain(invoice: InvoiceNumber, line: LineNumber) -> None:
    """Explain one invoice line: price, basis, cost, and the facts behind it."""
    Console().print(asyncio.run(explained(invoice, line)))


async def explained(invoice: str, line: int) -> Tree:
    """The tree of a line, from the stack of this environment."""
    home, ports = require_running()
    async with services_of(home, ports) as (services, _):
        try:
            return await explanation(services, invoice, line)
        except (CallFailed, OSError) as error:
            raise StackError(f"{invoice} line {line} cannot be explained: {error}") from error


async def explanation(services: Services, invoice: str, line: int) -> Tree:
    """The tree of one line, asked from invoicing, rating and ingest."""
    found = await services.get("invoicing", f"/v1/invoices/{invoice}/lines/{line}/explain")
    head, row = found["invoice"], found["line"]
    tree = Tree(
        f"[bold]{head['number']} line {row['number']}[/]  {escape(row['description'])}  "
        f"[bold green]{_money(row['net'], head['currency'])}[/]"
    )
    _tax(tree, found)
    if found["corrects"]:
        tree.add(f"supplements line {found['corrects']} of a closed invoice")
    if found["charge"] is None:
        tree.add(f"one-time item {row['item_id']}, entered for this contract")
        return tree
    charge = await services.get("rating", f"/v1/charges/{row['charge_id']}/explain")
    _figure(tree, charge)
    _cost(tree, charge)
    await _sources(tree, services, charge)
    return tree


def _tax(tree: Tree, found: Row) -> None:
    tax, line = found["tax"], found["line"]
    if tax is None:
        return
    rate = Decimal(str(tax["rate"] or 0)) * 100
    amount = f" = {_money(line['tax'], found['invoice']['currency'])}" if line["tax"] else ""
    tree.add(f"tax {_short(rate)} %{amount}  [dim]rate row {tax['rate_id']}, {tax['engine']}[/]")


def _figure(tree: Tree, found: Row) -> None:
    charge, price = found["charge"], found["price"]
    node = tree.add(f"[bold]{escape(found['arithmetic'])}[/]")
    if price["rule_version"]:
        where = f"rule {price['rule_id']} version {price['rule_version']}"
    else:
        where = f"no customer rule: {price['rule_id']}"
    node.add(f"price: {escape(price['rule_text'])}  [dim]{where}[/]")
    if charge["proration"]:
        basis = charge["proration"]
        cycle = f"{basis['cycle']['start']} to {basis['cycle']['end']}"
        node.add(
            f"{basis['days']} of {basis['cycle_days']} {basis['unit']}s  "
            f"[dim]cycle {cycle}, end excluded, {escape(basis['convention'])}[/]"
        )
    for group in found.get("groups", ()):
        node.add(
            f"{escape(group['meter'])}: {group['quantity']} × {group['unit_price']} "
            f"{group['pricing_currency']}, partner credit {_percent(group['pec_rate'])} "
            f"→ {group['sale_exact']}  [dim]{group['lines']} lines[/]"
        )
    if charge["usage"]:
        usage = charge["usage"]
        day = f" of {usage['fx_on']}" if usage["fx_on"] else ""
        node.add(f"exchange rate {_short(usage['fx_rate'])}{day}  [dim]{usage['fx_source']}[/]")
    rounding = found["amount"]
    node.add(f"[dim]rounded {escape(str(rounding['rounding']))}[/]")


def _cost(tree: Tree, found: Row) -> None:
    cost = found["cost"]
    node = tree.add(f"costs us {_money(cost['amount'], cost['currency'])}")
    for meter in cost.get("meters", ()):
        node.add(
            f"{escape(meter['meter_name'])}: {meter['quantity']} × {meter['unit_cost']} "
            f"= {meter['exact']}, cut to {meter['priced']} {meter['pricing_currency']}, "
            f"× {meter['rate']} cut to {meter['cost']} {meter['billing_currency']}"
        )


async def _sources(tree: Tree, services: Services, found: Row) -> None:
    node = tree.add("because of")
    for source in found["sources"]:
        if source["kind"] == "subscription_change":
            await _change(node, services, source)
        elif source["kind"] == "usage_file":
            await _usage(node, services, found["charge"]["charge_id"], source)
        else:
            node.add(escape(_purchase(source)))


async def _change(tree: Tree, services: Services, source: Row) -> None:
    node = tree.add(
        f"{source['change']} {source['quantity_before']} → {source['quantity_after']} "
        f"at {source['effective_at']}  [dim]subscription {source['subscription_id']}[/]"
    )
    record = await services.get("ingest", f"/v1/changes/{source['change_id']}")
    if source["audit_record_id"]:
        node.add(f"Partner Center audit record {source['audit_record_id']}  by {source['actor']}")
    delivery = record.get("webhook")
    if delivery:
        node.add(f"webhook {delivery['event_name']}, received {delivery['received_at']}")
    elif source["webhook_id"]:
        node.add(f"webhook {source['webhook_id']}")
    else:
        node.add(f"found by {source['channel']}")


async def _usage(tree: Tree, services: Services, charge_id: str, source: Row) -> None:
    node = tree.add(
        f"provider invoice {source['provider_invoice']}  "
        f"[dim]usage file {source['file_id']}, version {source['version']}[/]"
    )
    rows = await services.pages("rating", f"/v1/charges/{charge_id}/usage-lines")
    mine = [row for row in rows if row["file_id"] == source["file_id"]]
    for row in mine[:USAGE_ROWS_SHOWN]:
        node.add(
            f"row {row['line_number']} {escape(row['line_id'])}: {row['usage_date']} "
            f"{escape(row['meter'])} {row['quantity']} × {row['unit_price']} → {row['sale_exact']}"
        )
    if len(mine) > USAGE_ROWS_SHOWN:
        node.add(f"[dim]and {len(mine) - USAGE_ROWS_SHOWN} more rows[/]")


def _purchase(source: Row) -> str:
    return (
        f"provider invoice {source['invoice_number']}: {source['description']}, "
        f"{source['quantity']} × {source['unit_price']} {source['pricing_currency']}, "
        f"billed {source['provider_subtotal']} {source['billing_currency']}"
    )


def _money(amount: Any, currency: str) -> str:
    return f"{Decimal(str(amount)):,f} {currency}"


def _percent(rate: Any) -> str:
    return f"{_short(Decimal(str(rate)) * 100)} %"


def _short(value: Any) -> str:
    text = f"{Decimal(str(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
