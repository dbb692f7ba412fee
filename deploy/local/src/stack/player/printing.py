"""What a person sees after a play: invoices, what each PSA holds beside them, payments, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from stack.player.collecting import Findings, Row
from stack.player.comparing import Difference

LINES_SHOWN = 9


def print_findings(console: Console, findings: Findings, latencies: dict[str, Row]) -> None:
    """Invoices with their lines, PSA contents, payments, and what waits."""
    for invoice in findings.invoices:
        console.print(_invoice_table(invoice))
    if findings.psa:
        console.print(_psa_table(findings))
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
        console.print(f"  [red]•[/] {difference}", markup=True, highlight=False)


def _invoice_table(invoice: Row) -> Table:
    number = invoice["number"] or f"draft, {invoice['state']}"
    title = (
        f"{number} · {invoice['contract']} · {invoice['invoice_date']} · {invoice['currency']}"
        + (" · paid" if invoice["state"] == "paid" else "")
    )
    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False)
    table.add_column("#", justify="right", style="dim")
    table.add_column("line", overflow="fold", ratio=1)
    for name in ("quantity", "net", "tax"):
        table.add_column(name, justify="right", no_wrap=True)
    lines = invoice["lines"]
    shown = lines if len(lines) <= LINES_SHOWN else lines[: LINES_SHOWN - 1]
    for line in shown:
        table.add_row(
            str(line["number"]), line["description"], _plain(line["quantity"]),
            _amount(line["net"]), _amount(line["tax"]),
        )  # fmt: skip
    if len(lines) > len(shown):
        table.add_row("…", f"[dim]and {len(lines) - len(shown)} more lines[/]", "", "", "")
    table.add_section()
    table.add_row("", "net, tax", "", _amount(invoice["net"]), _amount(invoice["tax"]))
    table.add_row("", "[bold]total[/]", "", f"[bold]{_amount(invoice['total'])}[/]", "")
    return table


def _psa_table(findings: Findings) -> Table:
    table = Table(title="What the PSAs hold", title_justify="left", title_style="bold")
    for name in ("contract", "PSA", "invoice", "records"):
        table.add_column(name)
    table.add_column("held in the PSA", justify="right")
    table.add_column("invoice net", justify="right")
    table.add_column("")
    for place in findings.psa:
        for invoice in findings.invoices:
            if (invoice["story"], invoice["contract"]) == (place["story"], place["contract"]):
                table.add_row(*_psa_row(place, invoice))
        if place.get("adjustments"):
            units = ", ".join(f"{a['effective']} {a['units']:+d}" for a in place["adjustments"])
            table.add_row(place["contract"], place["vendor"], "at once", units, "", "", "")
    return table


def _psa_row(place: Row, invoice: Row) -> list[str]:
    records = place.get("additions") or place.get("charges") or []
    mine = [r for r in records if r["invoice"] == invoice["number"]]
    held = sum(
        (
            Decimal(r["extended"]) if "extended" in r
            else Decimal(r["unit_price"]) * Decimal(r["quantity"])
            for r in mine
        ),
        Decimal(0),
    )  # fmt: skip
    kind = "additions" if "additions" in place else "charges"
    expected = sum(
        (Decimal(x["net"]) for x in invoice["lines"] if kind == "additions" or not _is_licence(x)),
        Decimal(0),
    )
    tick = "[green]✓[/]" if held == expected else "[red]✗[/]"
    return [
        place["contract"], place["vendor"], str(invoice["number"]), f"{len(mine)} {kind}",
        f"{held:,.2f}", f"{expected:,.2f}", tick,
    ]  # fmt: skip


def _is_licence(line: Row) -> bool:
    """Autotask gets licence changes as adjustments, not from the invoice."""
    return line["kind"] in {"recurring", "proration"}


def _payment_table(findings: Findings) -> Table:
    table = Table(title="Payments", title_justify="left", title_style="bold")
    numbers = {i["invoice_id"]: i["number"] for i in findings.invoices}
    for name in ("invoice", "customer", "state", "provider payment"):
        table.add_column(name)
    table.add_column("amount", justify="right")
    for payment in findings.payments:
        table.add_row(
            numbers.get(payment["invoice_id"], payment["invoice_id"]),
            payment["customer"],
            payment["state"],
            str(payment.get("provider_payment_id") or payment.get("reason") or ""),
            f"{_amount(payment['amount'])} {payment['currency']}",
        )
    return table


def _health(findings: Findings, latencies: dict[str, Row]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
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
    links = sum(int(v["links"]) for v in findings.audit.values())
    intact = all(v["intact"] for v in findings.audit.values())
    table.add_row(
        "audit trail", f"{links:,} records, " + ("intact" if intact else "[red]broken[/]")
    )
    for name, row in latencies.items():
        what = name.removesuffix("_ms").replace("_", " ")
        table.add_row(what, f"p50 {row['p50']} ms, p99 {row['p99']} ms over {row['count']}")
    return table


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
    return "" if value is None else f"{Decimal(str(value)):,f}"


def _plain(value: Any) -> str:
    text = f"{Decimal(str(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
