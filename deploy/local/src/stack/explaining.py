"""One invoice line as a tree: price, basis, cost, tax, and the facts behind it.

The charge is explained in the revision that the line billed. What does not add up to the line is a
problem, and said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from rich.markup import escape
from rich.tree import Tree

from stack.player.services import Services

Row = dict[str, Any]
USAGE_ROWS_SHOWN = 6


@dataclass(frozen=True)
class Explained:
    """The tree, and what in it does not add up."""

    tree: Tree
    problems: list[str] = field(default_factory=list)

    def must_be(self, expected: Decimal, found: Decimal, what: str) -> None:
        """Two ways to the same figure must meet."""
        if expected != found:
            self.problems.append(f"{what}: {found:,f} instead of {expected:,f}")
            self.tree.add(f"[bold red]✗ {escape(self.problems[-1])}[/]")


async def explanation(services: Services, invoice: str, line: int) -> Explained:
    """The tree of one line, asked from invoicing, rating and ingest."""
    found = await services.get("invoicing", f"/v1/invoices/{invoice}/lines/{line}/explain")
    head, row = found["invoice"], found["line"]
    told = Explained(
        Tree(
            f"[bold]{head['number'] or 'draft'} line {row['number']}[/]  "
            f"{escape(row['description'])}  "
            f"[bold green]{_money(row['net'], head['currency'])}[/]"
        )
    )
    tree = told.tree
    if found["charge"] is None:
        tree.add(
            f"{_short(row['quantity'])} × {row['unit_price']}  "
            f"[dim]one-time item {escape(str(row['item_id']))}, entered for this contract[/]"
        )
        await _tax(tree, services, found)
        return told
    path = f"/v1/charges/{row['charge_id']}/explain"
    charge = await services.get("rating", path, revision=row["charge_revision"])
    _figure(tree, charge)
    _billed(told, found, charge)
    await _tax(tree, services, found)
    _cost(tree, charge, on_line=Decimal(row["cost"]))
    await _sources(tree, services, charge)
    for check in charge["checks"]:
        if not check["holds"]:
            told.must_be(Decimal(check["expected"]), Decimal(check["found"]), check["name"])
    return told


def _billed(told: Explained, found: Row, charge: Row) -> None:
    """How the charge led to the line: less what earlier lines billed of it; and what came later."""
    row, currency = found["line"], found["invoice"]["currency"]
    amount = Decimal(charge["amount"]["rounded"])
    if found["corrects"]:
        told.tree.add(f"supplements line {found['corrects']} of a closed invoice")
    for other in found["billed_by"]:
        if other["charge_revision"] < row["charge_revision"]:
            amount -= Decimal(other["net"])
            told.tree.add(
                f"less {_money(other['net'], currency)} billed by "
                f"{other['invoice_number']} line {other['number']}"
            )
    told.must_be(Decimal(row["net"]), amount, "the explained amount is not that of the line")
    latest = charge["latest"]
    if latest["revision"] == row["charge_revision"]:
        return
    later = [o for o in found["billed_by"] if o["charge_revision"] > row["charge_revision"]]
    where = ", ".join(f"{o['invoice_number']} line {o['number']}" for o in later)
    settled = f"settled by {where}" if later else "to be settled by the next invoice"
    what = (
        "withdrawn later"
        if latest["withdrawn"]
        else f"later revised to {_money(latest['amount'], currency)}"
    )
    told.tree.add(f"[yellow]{what}[/]  [dim]revision {latest['revision']}, {settled}[/]")


async def _tax(tree: Tree, services: Services, found: Row) -> None:
    """On the line, or on the sum of all lines with its rate: whichever the seller does."""
    tax, line, head = found["tax"], found["line"], found["invoice"]
    if tax is None or tax["rate"] is None:
        tree.add("[yellow]not taxed yet[/]")
        return
    rate, currency = f"{_percent(tax['rate'])}", head["currency"]
    basis = f"[dim]rate row {tax['rate_id']}, {tax['engine']}[/]"
    if line["tax"] is not None:
        exact = _short(Decimal(line["net"]) * Decimal(tax["rate"]))
        tree.add(f"tax {rate} of {line['net']} = {_rounded(exact, line['tax'], currency)}  {basis}")
        return
    node = tree.add(f"tax {rate}, on the sum of all lines with this rate  {basis}")
    invoice = await services.get("invoicing", f"/v1/invoices/{head['invoice_id']}")
    for group in invoice["taxes"]:
        if Decimal(group["rate"]) == Decimal(tax["rate"]):
            exact = _short(Decimal(group["taxable"]) * Decimal(group["rate"]))
            node.add(
                f"{escape(group['name'])}: {rate} of {group['taxable']} = "
                f"{_rounded(exact, group['tax'], currency)} on the whole invoice"
            )


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
            f"{group['pricing_currency']}{_credit(group)} "
            f"→ {group['sale_exact']}  [dim]{_count(group['lines'], 'line')}[/]"
        )
    usage = charge["usage"]
    if usage and usage["pricing_currency"] != charge["currency"]:
        day = f" of {usage['fx_on']}" if usage["fx_on"] else ""
        node.add(f"exchange rate {_short(usage['fx_rate'])}{day}  [dim]{usage['fx_source']}[/]")
    amount = found["amount"]
    if Decimal(amount["exact"]) != Decimal(amount["rounded"]):
        node.add(f"[dim]rounded {escape(str(amount['rounding']))}[/]")


def _credit(group: Row) -> str:
    return f", partner credit {_percent(group['pec_rate'])}" if Decimal(group["pec_rate"]) else ""


def _cost(tree: Tree, found: Row, *, on_line: Decimal) -> None:
    cost = found["cost"]
    node = tree.add(f"costs us {_money(cost['amount'], cost['currency'])}")
    if on_line != Decimal(cost["amount"]):
        node.add(f"of which this line carries {_money(on_line, cost['currency'])}")
    if cost["arithmetic"]:
        node.add(f"{cost['arithmetic']}  [dim]unit cost {cost['unit_cost']} of the price sheet[/]")
    for meter in cost.get("meters", ()):
        node.add(f"{escape(meter['meter_name'])}: {_meter(meter, found.get('groups', ()))}")


def _meter(meter: Row, groups: Sequence[Row]) -> str:
    """`240.5 × 0.19584 = 47.09952, cut to 47.09 USD, × 0.9184 = 43.247…, cut to 43.24 EUR`."""
    text = f"{meter['quantity']} × {_unit_cost(meter, groups)} = {meter['exact']}"
    if meter["priced"] != meter["exact"]:
        text += f", cut to {meter['priced']}"
    text += f" {meter['pricing_currency']}"
    if Decimal(meter["rate"]) != 1 or meter["pricing_currency"] != meter["billing_currency"]:
        billed = _short(Decimal(meter["priced"]) * Decimal(meter["rate"]))
        text += (
            f", × {meter['rate']} = {billed}, cut to {meter['cost']} {meter['billing_currency']}"
        )
    return text


def _unit_cost(meter: Row, groups: Sequence[Row]) -> str:
    """The unit cost, and how partner credit makes it of the unit price where it does."""
    if meter["unit_cost"] is None:
        return "unit costs that differ by line"
    cost = Decimal(meter["unit_cost"])
    for group in groups:
        price, credit = Decimal(group["unit_price"]), Decimal(group["pec_rate"])
        if group["meter_id"] == meter["meter_id"] and credit and price * (1 - credit) == cost:
            return f"{meter['unit_cost']} ({group['unit_price']} less {_percent(credit)} credit)"
    return str(meter["unit_cost"])


async def _sources(tree: Tree, services: Services, found: Row) -> None:
    node = tree.add("because of")
    for source in found["sources"]:
        if source["kind"] == "subscription_change":
            await _change(node, services, source)
        elif source["kind"] == "usage_file":
            await _usage(node, services, found, source)
        elif source["kind"] == "usage_charge":
            node.add(f"{escape(source['description'])}: {source['amount']}")
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


async def _usage(tree: Tree, services: Services, found: Row, source: Row) -> None:
    charge = found["charge"]
    node = tree.add(
        f"provider invoice {source.get('provider_invoice')}  "
        f"[dim]usage file {source['file_id']}, version {source.get('version')}[/]"
    )
    if charge["revision"] != found["latest"]["revision"]:
        node.add("[dim]its lines were replaced or priced anew since[/]")
        return
    rows = await services.pages("rating", f"/v1/charges/{charge['charge_id']}/usage-lines")
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


def _rounded(exact: str, amount: str, currency: str) -> str:
    """`5.6702375 → 5.67 USD`; one figure where nothing was rounded."""
    told = _money(amount, currency)
    return told if Decimal(exact) == Decimal(amount) else f"{exact} → {told}"


def _money(amount: Any, currency: str) -> str:
    return f"{Decimal(str(amount)):,f} {currency}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _percent(rate: Any) -> str:
    return f"{_short(Decimal(str(rate)) * 100)} %"


def _short(value: Any) -> str:
    text = f"{Decimal(str(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
