"""`tieout explain INVOICE [LINE]`: where a figure comes from, down to webhook and usage rows."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Annotated

import typer
from rich.console import Console

from stack import output
from stack.errors import StackError
from stack.explaining import Explained, Row, explanation
from stack.player.printing import how_paid, invoice_table
from stack.player.services import CallFailed
from stack.running import require_running, services_of

EXIT_DIFFERENT = 1

InvoiceNumber = Annotated[str, typer.Argument(help="number or id, for example HUS-000001")]
LineNumber = Annotated[
    int | None, typer.Argument(help="line, from 1; without one the lines are listed", min=1)
]


def explain(invoice: InvoiceNumber, line: LineNumber = None) -> None:
    """Explain one invoice line: price, basis, cost, tax, and the facts behind it. Exit code 1 when
    the explanation does not add up to the line."""
    console = output.console()
    if line is None:
        list_lines(console, *asyncio.run(_invoice(invoice)))
        return
    told = asyncio.run(explained(invoice, line))
    console.print(told.tree)
    if told.problems:
        raise typer.Exit(EXIT_DIFFERENT)


async def explained(invoice: str, line: int) -> Explained:
    """The explanation of a line, from the stack of this environment."""
    home, ports = require_running()
    async with services_of(home, ports) as (services, _):
        try:
            return await explanation(services, invoice, line)
        except (CallFailed, OSError) as error:
            raise StackError(f"{invoice} line {line} cannot be explained: {error}") from error


async def _invoice(number: str) -> tuple[Row, list[Row]]:
    """The invoice and the attempts to collect it."""
    home, ports = require_running()
    async with services_of(home, ports) as (services, _):
        try:
            invoice = await services.get("invoicing", f"/v1/invoices/{number}")
            attempts = await services.pages(
                "payments", "/v1/attempts", invoice_id=invoice["invoice_id"]
            )
        except (CallFailed, OSError) as error:
            raise StackError(f"{number} cannot be shown: {error}") from error
    return invoice, attempts


def list_lines(console: Console, invoice: Row, attempts: list[Row]) -> None:
    """The whole invoice, and what to type for one of its lines."""
    console.print(invoice_table(invoice, most=None))
    for attempt in attempts:
        amount = f"{Decimal(str(attempt['amount'])):,f} {attempt['currency']}"
        console.print(f"payment of {amount}: {attempt['state']}, {how_paid(attempt)}")
    if invoice["lines"]:
        name = invoice["number"] or invoice["invoice_id"]
        first = invoice["lines"][0]["number"]
        console.print(f"\nOne line, down to its source: tieout explain {name} {first}")
