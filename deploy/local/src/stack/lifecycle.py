"""`tieout up | down | status | restart | logs | reset`: the life of the local stack."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from shared.contracts.topics import SERVICES
from stack import control, jars, output, status
from stack.broker import jar_directory
from stack.errors import StackError
from stack.home import Home
from stack.ports import Ports
from stack.state import is_running, read_state

console = output.console()
_TAIL_LINES = 100
_FOLLOW_S = 0.25

ClockOption = Annotated[
    str | None,
    typer.Option("--clock", help="Move simulated time to this instant (RFC 3339)."),
]
SystemTimeOption = Annotated[
    bool, typer.Option("--system-time", help="Run on the machine's time; stories need simulated.")
]
WithoutOption = Annotated[
    list[str] | None,
    typer.Option("--without", help="Leave this part out, to run it yourself. May be repeated."),
]


def up(
    clock: ClockOption = None, system_time: SystemTimeOption = False, without: WithoutOption = None
) -> None:
    """Start everything and leave it running; data of an earlier run is still there.

    Business time is simulated: it stands still until a story, or you, move it.
    """
    home, ports = here()
    arguments = [part for name in without or () for part in ("--without", name)]
    arguments += ["--clock", _instant(clock).isoformat()] if clock else []
    arguments += ["--system-time"] if system_time else []
    if not is_running(home):
        fetch_jars()
        with console.status("starting") as spinner:
            control.start(home, os.environ, arguments=arguments, report=spinner.update)
    elif arguments:
        raise StackError("The stack runs already; `tieout down` it to start it differently.")
    console.print(status.addresses(home, ports))


def down() -> None:
    """Stop everything; the data stays."""
    home, _ = here()
    with console.status("stopping"):
        was_running = control.stop(home)
    console.print("Stopped; the data stays." if was_running else "Nothing was running.")


def show_status() -> None:
    """What runs, whether it is ready, and how much memory it takes."""
    home, ports = here()
    rows = asyncio.run(status.rows(home, ports))
    console.print(status.table(rows) if rows else "Nothing is running; start it with `tieout up`.")
    for sentence in status.crashes(home):
        console.print(f"\n{sentence}", style="red", markup=False, soft_wrap=True)
    if not rows or not all(row.ready for row in rows):
        raise typer.Exit(1)


def restart(
    name: Annotated[
        str, typer.Argument(help=f"postgres, kafka, simulators, {', '.join(SERVICES)}")
    ],
) -> None:
    """Stop one part and start it again, for example after a change to its code."""
    home, _ = here()
    with console.status(f"restarting {name}"):
        control.restart(home, name)
    console.print(f"{name} is ready.")


def logs(
    name: Annotated[str, typer.Argument(help="A name from `tieout status`, or supervisor.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
) -> None:
    """The end of one part's log."""
    home, _ = here()
    path = home.log(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in home.logs.glob("*.log"))) or "none yet"
        raise StackError(f"There is no log called {name!r}; there are: {known}.")
    with path.open(errors="replace") as file:
        for line in file.readlines()[-_TAIL_LINES:]:
            typer.echo(line, nl=False)
        while follow:
            line = file.readline()
            if line:
                typer.echo(line, nl=False)
            else:
                time.sleep(_FOLLOW_S)


def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop everything and remove its data. Downloads are kept."""
    home, _ = here()
    if not home.root.exists():
        console.print("There is no data.")
        return
    if not yes:
        typer.confirm(f"Remove all local data in {home.root}?", abort=True)
    control.stop(home)
    home.remove()
    console.print(f"Removed {home.root}.")


def here() -> tuple[Home, Ports]:
    """The state directory that the environment names, and the ports that its stack has or gets."""
    home = Home.from_environment(os.environ)
    state = read_state(home)
    if state is not None and is_running(home):
        return home, Ports(state.port_base)
    return home, Ports.from_environment(os.environ)


def fetch_jars() -> None:
    """Download Kafka's jars where they are missing, with a bar: the one long wait there is."""
    if "KAFKA_BOOTSTRAP_SERVERS" in os.environ:
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("downloading Kafka", visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        jars.ensure(jars.locked(), jar_directory(), progress=show)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise StackError(
            f"--clock takes an instant like 2026-05-01T00:00:00Z, not {text!r}."
        ) from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
