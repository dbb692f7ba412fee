"""`tieout psa adopt …`: lines that are in the PSA already at cut-over."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stack import output
from stack.player.services import Row
from stack.psa.asking import PSA, ask

app = typer.Typer(
    help="Take over lines that are in the PSA already, so that nothing is billed twice.",
    no_args_is_help=True,
)

Contract = Annotated[str, typer.Argument(help="our id of the contract")]
External = Annotated[str, typer.Argument(help="the PSA's id of the line or service")]


@app.command("list")
def listing(contract: Contract) -> None:
    """What the PSA holds already of what is still to be written for a contract."""
    answer = ask(lambda services: services.get(PSA, "/v1/adoptions", contract_id=contract))
    tell(output.console(), answer["data"])


@app.command()
def confirm(
    intent: Annotated[str, typer.Argument(help="the intent that takes it over")],
    external: External,
) -> None:
    """This line is ours: our key goes into it, and no second one is written."""
    body = {"intent_id": intent, "external_id": external}
    ask(lambda services: services.post(PSA, "/v1/adoptions:confirm", body))
    output.console().print(f"{external} is taken over", markup=False)


@app.command()
def withdraw(
    intent: Annotated[str, typer.Argument(help="the intent that was to take a line over")],
) -> None:
    """Take a yes back, as long as it is not delivered; the line is asked about again."""
    ask(lambda services: services.post(PSA, "/v1/adoptions:withdraw", {"intent_id": intent}))
    output.console().print(f"{intent} takes nothing over", markup=False)


@app.command()
def dismiss(
    connection: Annotated[str, typer.Argument(help="id of the connection")], external: External
) -> None:
    """This line is something else: ours is written beside it."""
    body = {"connection_id": connection, "external_id": external}
    ask(lambda services: services.post(PSA, "/v1/adoptions:dismiss", body))
    output.console().print(f"{external} stays, ours goes beside it", markup=False)


def tell(console: Console, rows: list[Row]) -> None:
    """Proposals as a table; a line that differs says in what."""
    if not rows:
        console.print("Nothing in the PSA looks like what is still to be written.")
        return
    table = Table("line", "in the PSA", "what it says", "adoptable", "intent")
    for row in rows:
        adoptable = "yes" if row["adoptable"] else f"no: {'; '.join(row['differences'])}"
        theirs = f"{row['connection_id']} / {row['target_id']} / {row['external_id']}"
        words = str(row["description"]).partition("\n")[0]
        table.add_row(row["source_id"], theirs, words, adoptable, row["intent_id"])
    console.print(table)
