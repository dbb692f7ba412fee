"""`tieout psa mappings …`: which contract and product is what in the PSA."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stack import output
from stack.errors import StackError
from stack.player.services import Row, Services
from stack.psa.asking import PSA, ask

EXIT_FAULTS = 1
SUGGESTIONS = "/v1/mappings/suggestions"

app = typer.Typer(help="Contracts and products by their ids in the PSA.", no_args_is_help=True)

Connection = Annotated[str, typer.Argument(help="id of the connection")]
AtLeast = Annotated[int, typer.Option("--at-least", min=1, max=100, help="confidence in percent")]


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="standard output without one")] = None,
) -> None:
    """All mappings as a CSV sheet that `import` takes back."""
    text = ask(lambda services: services.get_text(PSA, "/v1/mappings/export.csv"))
    if file is None:
        typer.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise StackError(f"{file} cannot be written: {error.strerror}") from error


@app.command("import")
def take_in(
    file: Path,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what it changes")] = False,
) -> None:
    """Apply a sheet: all its lines, or with one wrong line none."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"{file} cannot be read as UTF-8 text: {error}") from error
    params = {"dry_run": str(dry_run).lower()}
    report = ask(
        lambda services: services.post_text(
            PSA, "/v1/mappings/import", text, media="text/csv", params=params
        )
    )
    tell_report(output.console(), report, dry_run=dry_run)
    if report["errors"]:
        raise typer.Exit(EXIT_FAULTS)


@app.command()
def suggest(connection: Connection, at_least: AtLeast = 60) -> None:
    """What is not mapped, beside what the PSA has that looks like it. Maps nothing."""
    tell_suggestions(output.console(), ask(lambda s: _suggested(s, connection, at_least)))


@app.command()
def confirm(
    connection: Connection,
    keys: Annotated[list[str], typer.Argument(help="contract ids and product keys")],
    at_least: AtLeast = 60,
) -> None:
    """Map what `suggest` says about these contracts and products."""
    for row in ask(lambda services: _confirmed(services, connection, keys, at_least)):
        output.console().print(f"{row['key']} → {' / '.join(row['ids'])}", markup=False)


async def _suggested(services: Services, connection: str, at_least: int) -> dict[str, Any]:
    found: dict[str, Any] = await services.get(
        PSA, SUGGESTIONS, connection_id=connection, at_least=at_least
    )
    return found


async def _confirmed(
    services: Services, connection: str, keys: list[str], at_least: int
) -> list[Row]:
    """All keys must have one suggestion that can be believed, before the first is confirmed."""
    rows = (await _suggested(services, connection, at_least))["data"]
    chosen = []
    for key in keys:
        own = [row for row in rows if row["key"] == key and row["id"] is not None]
        if len(own) != 1:
            raise StackError(f"There is no single suggestion for {key}; map it by a sheet.")
        chosen.append(own[0])
    return [await services.post(PSA, f"{SUGGESTIONS}/{row['id']}:confirm", None) for row in chosen]


def tell_suggestions(console: Console, found: dict[str, Any]) -> None:
    """Suggestions as a table, and what nothing fits."""
    rows = found["data"]
    if rows:
        table = Table("what", "key", "name", "in the PSA", "ids", "sure", "because")
        for row in rows:
            theirs = " / ".join(
                row[name] for name in ("company_name", "target_name", "external_name") if row[name]
            )
            ids = " / ".join(
                row[name] for name in ("company_id", "target_id", "external_id") if row[name]
            )
            sure = f"{row['confidence']} %{', not alone' if row['ambiguous'] else ''}"
            table.add_row(row["kind"], row["key"], row["name"], theirs, ids, sure, row["because"])
        console.print(table)
    for key in found["without"]:
        console.print(f"nothing looks like {key}", markup=False)
    if not rows and not found["without"]:
        console.print("Nothing waits for a mapping.")


def tell_report(console: Console, report: dict[str, Any], *, dry_run: bool) -> None:
    """What a sheet changed, or would change, or why it changed nothing."""
    for error in report["errors"]:
        console.print(f"line {error['line']}: {error['detail']} [{error['code']}]", markup=False)
    if report["errors"]:
        console.print(f"{len(report['errors'])} of {report['lines']} lines are wrong.")
        console.print("Nothing was changed.")
        return
    for change in report["changes"]:
        before = change["before"] or "not mapped"
        words = f"line {change['line']}: {change['key']}: {before} → {change['after']}"
        console.print(words, markup=False)
    said = "would change" if dry_run else "changed"
    console.print(f"{len(report['changes'])} of {report['lines']} mappings {said}.")
