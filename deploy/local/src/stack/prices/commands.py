"""`tieout prices diff|apply|approve|reject|waiting|export`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from stack import output
from stack.errors import NotPermitted, StackError
from stack.prices import showing
from stack.prices.client import Books, books
from stack.prices.reader import read_prices
from stack.prices.writing import price_file

Row = dict[str, Any]

EXIT_DIFFERENT = 1

app = typer.Typer(
    help="Customer prices as files: review, dry run, apply, approve.", no_args_is_help=True
)

File = Annotated[Path, typer.Argument(help="price file (YAML), as docs/prices.md describes it")]
Change = Annotated[str, typer.Argument(help="id of a change, as apply printed it")]
Url = Annotated[
    str | None,
    typer.Option(help="rating's address; default: the local stack", envvar="TIEOUT_RATING_URL"),
]
Token = Annotated[
    str | None, typer.Option(help="bearer token for that address", envvar="TIEOUT_TOKEN")
]
Person = Annotated[
    str | None, typer.Option("--as", help="who you are, in the local stack; default: tieout-cli")
]
Reason = Annotated[str | None, typer.Option(help="why; goes into the audit trail")]


@app.command()
def diff(file: File, url: Url = None, token: Token = None) -> None:
    """What a file would add, change and end, and the money it would move; nothing is written. Exit
    code 1 when it would change something."""
    wanted = read_prices(file)

    async def work() -> tuple[Row, dict[str, Row], list[str]]:
        async with books(url, token, None) as found:
            told = await found.post("/v1/price-rules:dry-run", wanted.body())
            return told, await _known(found), await found.unknown(wanted.contracts())

    told, known, unknown = asyncio.run(work())
    console = output.console()
    showing.show_unknown(console, unknown)
    if not told["items"]:
        console.print("Everything in the file is in the books already.")
        return
    showing.show_items(console, told["items"], known)
    showing.show_effect(console, told["effect"])
    if told["needs_approval"]:
        console.print("Applying it needs the approval of a second person.")
    raise typer.Exit(EXIT_DIFFERENT)


@app.command()
def apply(
    file: File,
    reason: Reason = None,
    url: Url = None,
    token: Token = None,
    person: Person = None,
) -> None:
    """Put a file into the books; what moves too much money waits for a second person. Applying it
    again changes nothing."""
    wanted = read_prices(file)
    why = reason or wanted.reason
    if why is None:
        raise StackError(f"Say why: write `reason:` into {file}, or give --reason.")

    async def work() -> tuple[Row, list[str]]:
        async with books(url, token, person) as found:
            answer: Row = await found.post("/v1/price-changes", wanted.body() | {"reason": why})
            return answer, await found.unknown(wanted.contracts())

    change, unknown = asyncio.run(work())
    showing.show_unknown(output.console(), unknown)
    if change["state"] == "unchanged":
        output.console().print("Everything in the file is in the books already.")
        return
    showing.show_change(output.console(), change)


@app.command()
def approve(
    change: Change,
    reason: Reason = None,
    url: Url = None,
    token: Token = None,
    person: Person = None,
) -> None:
    """Let a waiting change become active; its author may not."""
    body = {"reason": reason} if reason else {}
    path = f"/v1/price-changes/{change}:approve"
    showing.show_change(output.console(), asyncio.run(_decide(path, body, (url, token, person))))


@app.command()
def reject(
    change: Change,
    reason: Annotated[str, typer.Option(help="why not")],
    url: Url = None,
    token: Token = None,
    person: Person = None,
) -> None:
    """Close a waiting change for good."""
    path = f"/v1/price-changes/{change}:reject"
    told = asyncio.run(_decide(path, {"reason": reason}, (url, token, person)))
    showing.show_change(output.console(), told)


@app.command()
def waiting(url: Url = None, token: Token = None) -> None:
    """Changes that wait for a second person."""

    async def work() -> list[Row]:
        async with books(url, token, None) as found:
            return await found.pages("/v1/price-changes", state="waiting")

    console, changes = output.console(), asyncio.run(work())
    if not changes:
        console.print("Nothing waits.")
    for change in changes:
        console.print(f"{change['change_id']}: {change['reason']}, by {change['author']}")
        showing.show_change(console, change)


@app.command()
def export(url: Url = None, token: Token = None) -> None:
    """The books as a price file, on standard output."""

    async def work() -> str:
        async with books(url, token, None) as found:
            rules = await found.pages("/v1/price-rules")
            promotions = await found.pages("/v1/promotions")
            return price_file(rules, promotions, await found.pages("/v1/fx-rates"))

    typer.echo(asyncio.run(work()), nl=False)


async def _decide(path: str, body: Row, who: tuple[str | None, str | None, str | None]) -> Row:
    try:
        async with books(*who) as found:
            answer: Row = await found.post(path, body)
            return answer
    except NotPermitted as error:
        if "[approver_is_author]" not in str(error) or who[0] is not None:
            raise
        decision = path.rpartition("/")[2]
        change, _, verb = decision.rpartition(":")
        raise NotPermitted(
            f"{error}; here --as says who that is: tieout prices {verb} {change} --as NAME"
        ) from error


async def _known(found: Books) -> dict[str, Row]:
    """The latest version of everything, by the name that changes have for it."""
    rules = await found.pages("/v1/price-rules")
    promotions = await found.pages("/v1/promotions")
    rates = await found.pages("/v1/fx-rates")
    return {
        **{f"price-rule/{row['rule_id']}": row for row in rules},
        **{f"promotion/{row['promotion_id']}": row for row in promotions},
        **{f"fx-rate/{row['from']}-{row['to']}/{row['date']}": row for row in rates},
    }
