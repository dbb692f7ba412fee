"""`tieout simulate`: what would be billed, from a file alone; no stack has to run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stack.errors import StackError

app = typer.Typer(help="Compute from a file what would be billed; nothing has to run.")


@app.command("provider-lines")
def provider_lines(
    file: Annotated[str, typer.Argument(help="CSV of cases; - reads standard input")],
) -> None:
    """What Microsoft should bill for each case of a CSV file, one JSON object a row; exit code 1
    when a row could not be computed.

    Columns: case_id, sku_title, term, billing_plan, unit_price, currency, term_start, events.
    """
    _rating("provider-lines", file)


@app.command("charges")
def charges(
    file: Annotated[Path, typer.Argument(help="YAML or JSON; docs/simulations.md has an example")],
) -> None:
    """What customers would be charged for licence histories, and what another price sheet, term or
    rate would change; one JSON object."""
    if file.suffix in (".yaml", ".yml"):
        _rating("charges", "-", "--called", str(file), given=_as_json(file))
    _rating("charges", str(file))


def _rating(kind: str, file: str, *options: str, given: str | None = None) -> NoReturn:
    """The engine is rating's, and nobody but rating imports it."""
    command = [sys.executable, "-P", "-m", "rating", "simulate", kind, file, *options]
    done = subprocess.run(command, check=False, input=given, text=True)
    raise typer.Exit(done.returncode)


def _as_json(file: Path) -> str:
    """Scalars stay text, as in stories: `22.55` is an exact decimal."""
    try:
        return json.dumps(YAML(typ="base", pure=True).load(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise StackError(f"{file}: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise StackError(f"{file} is no YAML: {error}") from error
