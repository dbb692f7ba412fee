"""What a person sees after a play: invoices, what each PSA holds beside them, payments, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stack.player.collecting import Findings, Row
from stack.player.comparing import Difference
from stack.player.tying import Tied

LINES_SHOWN = 9


def print_findings(
    console: Console, findings: Findings, tied: Sequence[Tied], latencies: dict[str, Row]
) -> None:
    """Invoices with their lines, PSA contents, payments, and what waits."""
    for invoice in findings.invoices:
        console.print(invoice_table(invoice))
    if tied:
        console.print(_psa_table(tied))
    if findings.payments:
        console.print(_payment_table(findings))
    console.print(_health(findings, latencies))


def print_verdict(console: Console, checked: int, differences: Sequence[Difference]) -> None:
    """Either that every figure ties out, or each one that does not."""
    if not differences:
        console.print(f"[bold green]✓ {checked} figures checked, all of them tie out.[/]")
        return
    console.print(f"[bold red]✗ {len(differences)} of {checked} checks differ:[/]")
    for difference in differences:
        console.print(f"  [red]•[/] {escape(str(difference))}")


def _table(title: str, *columns: str) -> Table:
    """Columns whose name ends in `>` hold figures: at the right, and never cut."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in columns:
        figures = name.endswith(">")
        table.add_column(
            name.rstrip(">"),
            justify="right" if figures else "left",
            no_wrap=figures,
            overflow="fold",
        )
    return table


def invoice_table(invoice: Row, *, most: int | None = LINES_SHOWN) -> Table:
    """An invoice with at most so many lines, its taxes and its total."""
    number = invoice["number"] or f"draft, {invoice['state']}"
    title = (
        f"{number} · {invoice['contract_id']} · {invoice['invoice_date']} · {invoice['currency']}"
        + (" · paid" if invoice["state"] == "paid" else "")
    )
    lines = invoice["lines"]
    by_line = any(line["tax"] is not None for line in lines)
    table = _table(title, "#>", "line", "quantity>", "net>", *(["tax>"] if by_line else []))
    shown = lines if most is None or len(lines) <= most else lines[: most - 1]
    for line in shown:
        figures = [_plain(line["quantity"]), _amount(line["net"])]
        figures += [_amount(line["tax"])] if by_line else []
        table.add_row(str(line["number"]), escape(line["description"]), *figures)
    if len(lines) > len(shown):
        table.add_row("…", f"[dim]and {len(lines) - len(shown)} more lines[/]")
    table.add_section()
    sums = [_amount(invoice["net"]), *([_amount(invoice["tax"])] if by_line else [])]
    table.add_row("", "net, tax" if by_line else "net", "", *sums)
    if invoice["tax"] is None:
        hold = invoice.get("hold") or {}
        table.add_row("", f"[yellow]no tax yet: {escape(str(hold.get('detail', 'not asked')))}[/]")
        return table
    if not by_line:
        for tax in invoice["taxes"]:
            name = f"{escape(tax['name'])}: {percent(tax['rate'])} of {_amount(tax['taxable'])}"
            table.add_row("", name, "", _amount(tax["tax"]))
    table.add_row("", "[bold]total[/]", "", f"[bold]{_amount(invoice['total'])}[/]")
    return table


def _psa_table(tied: Sequence[Tied]) -> Table:
    table = _table(
        "What the PSAs hold",
        "contract", "PSA", "invoice", "records", "the PSA bills>", "invoiced>", ">",
    )  # fmt: skip
    for row in tied:
        tick = "[green]✓[/]" if row.agrees else "[red]✗[/]"
        table.add_row(
            row.contract, row.vendor, row.invoices, row.records,
            _amount(row.held), _amount(row.invoiced), tick if row.comparable else "–",
        )  # fmt: skip
    return table


def _payment_table(findings: Findings) -> Table:
    numbers = {i["invoice_id"]: i["number"] for i in findings.invoices}
    table = _table("Payments", "invoice", "customer", "state", "provider payment", "amount>")
    for payment in findings.payments:
        table.add_row(
            numbers.get(payment["invoice_id"], payment["invoice_id"]),
            payment["account_id"],
            payment["state"],
            escape(how_paid(payment)),
            f"{_amount(payment['amount'])} {payment['currency']}",
        )
    return table


def how_paid(payment: Row) -> str:
    """The provider's id, and why it came to nothing if it did."""
    if payment["reason"] == "no_profile":
        return "pays by transfer"
    why = payment.get("decline_code") or payment.get("reason") or payment.get("problem")
    told = [payment.get("provider_payment_id"), None if payment["state"] == "succeeded" else why]
    return ", ".join(str(part) for part in told if part)


def _health(findings: Findings, latencies: dict[str, Row]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    rated = sum(int(f["rated"]["rated"]) for f in findings.usage_files)
    no_sale = sum(int(f["rated"]["not_billable"]) for f in findings.usage_files)
    held = sum(int(f["rated"]["held"]) for f in findings.usage_files)
    lines = sum(int(f["rated"]["received"]["lines"]) for f in findings.usage_files)
    if lines:
        table.add_row(
            "usage lines",
            f"{lines:,} in = {rated:,} rated + {no_sale:,} not billable + {held:,} held",
        )
    table.add_row("held", _count(findings.holds, "reason"))
    table.add_row("dead letters", str(len(findings.dead_letters)))
    table.add_row("refused by the provider", _refused(findings))
    table.add_row("audit trail", _trails(findings))
    for name, row in latencies.items():
        what = name.removesuffix("_ms").replace("_", " ")
        table.add_row(what, f"p50 {row['p50']} ms, p99 {row['p99']} ms over {row['count']}")
    return table


def _trails(findings: Findings) -> str:
    """What this play added to the trails, and the state of the whole of them."""
    links = sum(int(v["links"]) for v in findings.audit.values())
    new = links - sum(int(v["links"]) for v in findings.audit_before.values())
    intact = all(v["intact"] for v in findings.audit.values())
    state = "intact" if intact else "[red]broken[/]"
    return f"{new:,} records of this play; all {links:,} on this stack {state}"


def _refused(findings: Findings) -> str:
    refused = [o.event for o in findings.outcomes if o.refused]
    return ", ".join(refused) if refused else "nothing"


def _count(rows: list[Row], name: str) -> str:
    if not rows:
        return "0"
    counts: dict[str, int] = {}
    for row in rows:
        counts[row[name]] = counts.get(row[name], 0) + 1
    return ", ".join(f"{reason} × {count}" for reason, count in sorted(counts.items()))


def _amount(value: Any) -> str:
    """Every digit that counts, and no zeros behind the cents."""
    if value is None:
        return ""
    amount = Decimal(str(value))
    text = f"{amount:,f}"
    if "." in text[:-3]:
        text = text.rstrip("0")
        return text if "." in text[:-2] else f"{amount:,.2f}"
    return text


def percent(rate: Any) -> str:
    """`0.08875` → `8.875 %`."""
    return f"{_plain(Decimal(str(rate)) * 100)} %"


def _plain(value: Any) -> str:
    text = f"{Decimal(str(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
