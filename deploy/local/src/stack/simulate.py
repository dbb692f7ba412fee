"""`tieout simulate`: what would be billed, from a file alone; no stack has to run."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

app = typer.Typer(help="Compute from a file what would be billed; nothing has to run.")


@app.command("provider-lines")
def provider_lines(
    file: Annotated[str, typer.Argument(help="CSV of cases; - reads standard input")],
) -> None:
    """What Microsoft should bill for each case of a CSV file, one JSON object a row.

    Columns: case_id, sku_title, term, billing_plan, unit_price, currency, term_start, events.
    """
    # The engine is rating's, and nobody but rating imports it.
    command = [sys.executable, "-P", "-m", "rating", "simulate", "provider-lines", file]
    raise typer.Exit(subprocess.run(command, check=False).returncode)
