"""`tieout psa preview`: what a push would write, with nothing written."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stack import output
from stack.errors import StackError
from stack.player.services import Row, Services
from stack.psa.asking import PSA, ask

PAGE = 200
EXIT_BLOCKED = 1
_OF_INTEREST = ("quantity", "unit_price", "amount", "effective_on", "charged_on", "last_on")


def preview(
    invoice: Annotated[str | None, typer.Argument(help="number or id of an invoice")] = None,
    contract: Annotated[
        str | None, typer.Option(help="all that is still to be pushed for this contract")
    ] = None,
) -> None:
    """Say per line: create, update, nothing or blocked, and why. Ends with 1 if any is blocked."""
    if (invoice is None) == (contract is None):
        raise StackError("Name an invoice, or a contract with --contract.")
    path = f"/v1/previews/invoices/{invoice}" if invoice else f"/v1/previews/contracts/{contract}"
    rows = ask(lambda services: _rows(services, path))
    tell(output.console(), rows)
    if any(row["action"] == "blocked" for row in rows):
        raise typer.Exit(EXIT_BLOCKED)


async def _rows(services: Services, path: str) -> list[Row]:
    """All pages; smaller ones than a list's, because each line costs a call to the PSA."""
    rows: list[Row] = []
    cursor: str | None = None
    while True:
        answer = await services.get(PSA, path, limit=PAGE, cursor=cursor)
        rows += answer["data"]
        cursor = answer["next_cursor"]
        if cursor is None:
            return rows


def tell(console: Console, rows: list[Row]) -> None:
    """The lines as a table, and their number by action."""
    if not rows:
        console.print("Nothing is left to push.")
        return
    table = Table("line", "where", "what", "values", "action", "because")
    for row in rows:
        where = " / ".join(filter(None, (row["connection_id"], row["target_id"]))) or "–"
        table.add_row(
            row["source_id"], where, row["kind"] or "–", _values(row["operation"]), row["action"],
            f"{row['detail']} ({row['reason']})",
        )  # fmt: skip
    console.print(table)
    actions = [row["action"] for row in rows]
    words = [f"{actions.count(action)} {action}" for action in sorted(set(actions))]
    console.print(f"{', '.join(words)}; nothing was written.")


def _values(operation: dict[str, Any] | None) -> str:
    if operation is None:
        return "–"
    if "units_after" in operation:
        units = f"{operation['units_before']} → {operation['units_after']} units"
        return f"{units} from {operation['effective_on']}"
    shown = [f"{name} {operation[name]}" for name in _OF_INTEREST if operation.get(name)]
    return ", ".join(shown)
