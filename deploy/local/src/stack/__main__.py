"""`python -m stack` is the `tieout` command."""

from stack.cli import app

app()
