"""The `tieout` command. A command is a function registered here; its errors are one sentence."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer
from typer.core import TyperGroup

from stack import (
    audit,
    changes,
    demo,
    explain,
    lifecycle,
    order,
    output,
    play,
    renewals,
    replay,
    simulate,
)
from stack.errors import StackError
from stack.prices import commands as prices
from stack.psa import commands as psa

_errors = output.console(stderr=True)


class _Sentences(TyperGroup):
    """Says what a `StackError` says and nothing else, and ends with its exit code."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # typer's Context
        try:
            return super().invoke(ctx)
        except StackError as error:
            _errors.print(str(error), style="red", markup=False, soft_wrap=True)
            raise typer.Exit(error.exit_code) from error


app = typer.Typer(
    cls=_Sentences,
    help="Tieout, the whole system on this machine.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tieout {version('tieout-stack')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, help="say which this is")
]


@app.callback()
def tieout(version: Version = False) -> None:
    """Tieout, the whole system on this machine."""


app.command()(lifecycle.up)
app.command()(lifecycle.down)
app.command("status")(lifecycle.show_status)
app.command()(lifecycle.restart)
app.command()(lifecycle.logs)
app.command()(lifecycle.reset)
app.command()(play.play)
app.command()(demo.demo)
app.command()(explain.explain)
app.command()(changes.changes)
app.command()(replay.replay)
app.command()(renewals.renewals)
app.add_typer(audit.app, name="audit")
app.add_typer(prices.app, name="prices")
app.add_typer(order.app, name="order")
app.add_typer(psa.app, name="psa")
app.add_typer(simulate.app, name="simulate")
