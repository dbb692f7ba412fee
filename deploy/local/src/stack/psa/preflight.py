"""`tieout psa preflight`: would a PSA take what we push, and what to do where it would not."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stack import output
from stack.psa.asking import PSA, ask

EXIT_BLOCKED = 1
MARKS = {"ok": "ok", "warning": "look", "blocks": "STOP"}


def preflight(
    connection: Annotated[str, typer.Argument(help="id of the connection")],
    contract: Annotated[str | None, typer.Option(help="only this contract's agreement")] = None,
) -> None:
    """Permissions, clock, products and mapped agreements. Ends with 1 if a push would stop."""
    path = f"/v1/connections/{connection}/preflight"
    report = ask(lambda services: services.get(PSA, path, contract_id=contract))
    tell(output.console(), report)
    if report["level"] == "blocks":
        raise typer.Exit(EXIT_BLOCKED)


def tell(console: Console, report: dict[str, Any]) -> None:
    """Every check, the worst first, with what to do."""
    order = list(MARKS)
    rows = sorted(report["findings"], key=lambda row: -order.index(row["level"]))
    table = Table("", "what", "found", "what to do")
    for row in rows:
        found = f"{row['detail']} ({row['code']})"
        table.add_row(MARKS[row["level"]], row["object"], found, row["advice"] or "–")
    console.print(table)
    stops = sum(row["level"] == "blocks" for row in rows)
    said = f"{stops} of {len(rows)} checks would stop a push." if stops else "Nothing stops a push."
    console.print(said)
