"""`tieout psa sweep` and `tieout psa drift …`: what a PSA holds that is not what we delivered."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stack import output
from stack.player.services import Services
from stack.psa.asking import PSA, ask

app = typer.Typer(help="Differences that sweeps found.", no_args_is_help=True)

OPEN = ("waiting", "reported", "healing", "failed")
DriftId = Annotated[str, typer.Argument(metavar="ID", help="as listed")]
Only = Annotated[str | None, typer.Option(help="only of this one")]


def sweep(
    connection: Annotated[str | None, typer.Argument(help="all, without one")] = None,
    show: Annotated[bool, typer.Option("--show", help="only list the latest sweeps")] = False,
) -> None:
    """Read back everything that was delivered and compare it, in the background."""

    async def asked(services: Services) -> Any:
        if show:
            return await services.get(PSA, "/v1/sweeps", connection_id=connection)
        return await services.post(PSA, "/v1/sweeps", {"connection_id": connection})

    tell_sweeps(output.console(), ask(asked)["data"])


@app.command("list")
def listing(
    connection: Only = None,
    contract: Only = None,
    settled: Annotated[bool, typer.Option("--all", help="what is over, too")] = False,
) -> None:
    """Open drift with its three sides: what we want, what was seen last, what is there now."""
    rows = ask(
        lambda services: services.pages(
            PSA, "/v1/drift", connection_id=connection, contract_id=contract
        )
    )
    tell_drift(output.console(), [row for row in rows if settled or row["state"] in OPEN])


@app.command()
def approve(drift_id: DriftId) -> None:
    """Let a drift be healed, or try again what failed."""
    row = ask(lambda services: services.post(PSA, f"/v1/drift/{drift_id}:approve", {}))
    output.console().print(f"{row['object']}: {row['state']}")


@app.command()
def dismiss(drift_id: DriftId, reason: Annotated[str, typer.Option(help="why")]) -> None:
    """Leave the PSA as it is; the drift returns when something else is there."""
    body = {"reason": reason}
    row = ask(lambda services: services.post(PSA, f"/v1/drift/{drift_id}:dismiss", body))
    output.console().print(f"{row['object']}: {row['state']}")


def tell_sweeps(console: Console, rows: list[dict[str, Any]]) -> None:
    if not rows:
        console.print("There is no connection, or nothing was swept yet.")
        return
    table = Table("sweep", "connection", "state", "targets", "records", "calls", "news", "left out")
    for row in rows:
        numbers = [str(row[k]) for k in ("targets", "records", "calls", "found", "skipped")]
        state = " ".join(filter(None, (row["state"], row["detail"])))
        table.add_row(row["id"], row["connection_id"], state, *numbers)
    console.print(table)


def tell_drift(console: Console, rows: list[dict[str, Any]]) -> None:
    if not rows:
        console.print("The PSAs hold what was delivered, as far as the last sweeps have seen.")
        return
    table = Table("id", "kind", "contract", "source", "field", "wanted", "last seen", "now", "by",
                  "state")  # fmt: skip
    for row in rows:
        for number, one in enumerate(row["fields"] or [{}]):
            first = number == 0
            sides = [one.get(side, "–") for side in ("field", "wanted", "last_seen", "found")]
            head = [row["id"], row["kind"], row["contract_id"] or "–", row["source_id"] or "–"]
            tail = [row["edited_by"] or "–", row["state"]]
            table.add_row(*(head if first else [""] * 4), *sides, *(tail if first else [""] * 2))
    console.print(table)
