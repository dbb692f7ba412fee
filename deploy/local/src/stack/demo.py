"""`tieout demo`: a partner's month through the real system, every figure checked.

Starts the stack if none is running, plays the stories that ship with it, prints what came out and
two figures explained, and ends with exit code 1 if anything differs.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stack import lifecycle, output
from stack.explain import explained
from stack.play import EXIT_DIFFERENT, Played, ReportFile, load, play_on_running_stack, show
from stack.state import is_running

STORIES = Path(__file__).parent / "stories"
SHOWN = ("alder-dental", "birch-logistics", "elm-legal", "azure-month", "multi-cloud")
EXPLAINED = (("alder-dental", 2), ("birch-logistics", 0))  # story and line index of an invoice

KeepRunning = Annotated[
    bool, typer.Option("--keep/--stop", help="leave the stack running, to look around")
]


def demo(report: ReportFile = None, keep: KeepRunning = True) -> None:
    """Play a partner's month through the real system and check every figure."""
    console = output.console()
    output.heading(
        "[bold]Tieout[/] · a Partner Center month becomes invoices, PSA records, a payment",
        to=console,
    )
    home, _ = lifecycle.here()
    if not is_running(home):
        lifecycle.up()
    scripts = load([STORIES / f"{name}.yaml" for name in SHOWN])
    played = asyncio.run(play_on_running_stack(scripts, console))
    show(console, played, report)
    problems = _explain_some(console, played)
    _say_what_next(console, played, keep)
    if not keep:
        lifecycle.down()
    if played.differences or problems:
        raise typer.Exit(EXIT_DIFFERENT)


def _explain_some(console: Console, played: Played) -> list[str]:
    """One licence line down to its webhook, one usage line down to its rows; what does not add
    up."""
    problems: list[str] = []
    output.heading("where two of these figures come from", to=console)
    for story, index in EXPLAINED:
        invoice = next((i for i in played.findings.invoices if i["story"] == story), None)
        if invoice is None or invoice["number"] is None or len(invoice["lines"]) <= index:
            continue
        line = invoice["lines"][index]["number"]
        told = asyncio.run(explained(invoice["number"], line))
        console.print(told.tree)
        problems += told.problems
    return problems


def _say_what_next(console: Console, played: Played, keep: bool) -> None:
    if not keep:
        return
    number = next((i["number"] for i in played.findings.invoices if i["number"]), "INVOICE")
    console.print(
        "\nThe stack keeps running. Look around:\n"
        f"  .venv/bin/tieout explain {number} 1         any line, down to its source\n"
        "  .venv/bin/tieout audit verify                 recompute every hash chain\n"
        "  .venv/bin/tieout play my-stories/one.yaml     your own contracts (docs/stories.md)\n"
        "  .venv/bin/tieout status                       processes, ports, memory\n"
        "  .venv/bin/tieout down                         stop; data stays",
        highlight=False,
    )
