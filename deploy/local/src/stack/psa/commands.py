"""The groups of `tieout psa`."""

from __future__ import annotations

import typer

from stack.psa import adoptions, drift, mappings, preflight, preview

app = typer.Typer(help="What goes to the PSAs, and where.", no_args_is_help=True)
app.add_typer(mappings.app, name="mappings")
app.add_typer(adoptions.app, name="adopt")
app.command()(preflight.preflight)
app.command()(preview.preview)
app.command()(drift.sweep)
app.add_typer(drift.app, name="drift")
