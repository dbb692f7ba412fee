"""`tieout play FILE…`: plays stories through the running stack and says what came out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from stack import output
from stack.errors import StackError
from stack.home import Home
from stack.player.collecting import Findings
from stack.player.comparing import Difference
from stack.player.judging import judge
from stack.player.latencies import latencies
from stack.player.names import Names
from stack.player.numbering import in_use, number_plays, told
from stack.player.playing import Disorder, Play
from stack.player.printing import print_findings, print_verdict
from stack.player.reporting import report_of
from stack.player.services import CallFailed
from stack.player.settling import NotSettled
from stack.player.sources import Sources
from stack.player.tying import Tied, tie
from stack.ports import Ports
from stack.running import require_running, services_of
from stack.story.reader import Script, StoryErrors, read_scripts

EXIT_DIFFERENT = 1
EXIT_BAD_STORY = 64

Files = Annotated[list[Path], typer.Argument(help="story files, see docs/stories.md")]
ReportFile = Annotated[Path | None, typer.Option("--report", help="write everything as JSON here")]
Copies = Annotated[
    int,
    typer.Option("--deliver", min=0, help="deliver each webhook so many times; 0: lose them all"),
]
Shuffle = Annotated[
    int | None, typer.Option("--shuffle", help="deliver each day's webhooks in this seed's order")
]


def play(
    files: Files, report: ReportFile = None, deliver: Copies = 1, shuffle: Shuffle = None
) -> None:
    """Play stories on the running stack (`tieout up`); exit code 1 on any difference."""
    console = output.console()
    scripts = load(files)
    result = asyncio.run(
        play_on_running_stack(scripts, console, disorder=Disorder(copies=deliver, shuffle=shuffle))
    )
    show(console, result, report)
    if result.differences:
        raise typer.Exit(EXIT_DIFFERENT)


@dataclass(frozen=True)
class Played:
    """A finished play and its verdict."""

    plays: Sequence[Names]
    findings: Findings
    tied: Sequence[Tied]
    checked: int
    differences: list[Difference]
    latencies: dict[str, dict[str, Any]]

    def report(self) -> dict[str, Any]:
        return report_of(
            self.plays,
            self.findings,
            checked=self.checked,
            differences=self.differences,
            latencies=self.latencies,
        )


def load(files: Sequence[Path]) -> list[Script]:
    """The stories in these files; every mistake of all of them is printed before giving up."""
    try:
        return read_scripts(files)
    except StoryErrors as errors:
        raise refused(errors) from errors


def refused(errors: StoryErrors) -> typer.Exit:
    """Says what is wrong; to be raised."""
    output.console(stderr=True).print(str(errors), style="red", markup=False, soft_wrap=True)
    return typer.Exit(EXIT_BAD_STORY)


async def play_on_running_stack(
    scripts: Sequence[Script],
    console: Console,
    *,
    disorder: Disorder | None = None,
    home: Home | None = None,
    ports: Ports | None = None,
) -> Played:
    """Play on the stack of this environment.

    Raises:
        StackError: when it does not run, or something in it does not come to rest.
        typer.Exit: for a story that does not fit to what is there; nothing was written then.
    """
    if home is None or ports is None:
        home, ports = require_running()
    if not home.clock.exists():
        raise StackError(
            "This stack runs on the system's time, which nobody can move; "
            "`tieout down` and `tieout up` start one for stories."
        )
    async with services_of(home, ports) as (services, addresses):
        try:
            plays = number_plays(scripts, await in_use(services))
            for names in plays:
                if names.play > 1:
                    console.print(told(names), style="yellow", markup=False)
            with _Spinner(console) as progress:
                files = {script.story.story: script.path for script in scripts}
                play = Play(
                    plays, files, services, addresses, home.clock, disorder or Disorder(),
                    progress=progress,
                )  # fmt: skip
                return await run(play)
        except StoryErrors as errors:
            raise refused(errors) from errors
        except (CallFailed, NotSettled, OSError) as error:
            raise StackError(
                f"The play could not be finished: {error}. "
                "`tieout status` shows what runs, `tieout logs NAME` what it says."
            ) from error


async def run(play: Play) -> Played:
    """Play, compare, measure."""
    findings = await play.run()
    tied = tie(findings, play.plays)
    sources = Sources(play.services, findings.outcomes)
    checked, differences = await judge(play.plays, findings, tied, sources)
    took = await latencies(play.services, since=findings.started_at)
    return Played(play.plays, findings, tied, checked, differences, took)


def show(console: Console, played: Played, report: Path | None) -> None:
    """Print what a person wants to see; write the report if asked."""
    print_findings(console, played.findings, played.tied, played.latencies)
    print_verdict(console, played.checked, played.differences)
    for names in played.plays:
        if names.story.expect is None:
            console.print(
                f"[dim]{names.story.story} has no `expect`: its figures were held against PSAs and "
                "audit trails, not against what you expect.[/]"
            )
    if report is not None:
        report.write_text(json.dumps(played.report(), indent=2, ensure_ascii=False) + "\n")
        console.print(f"[dim]report: {report}[/]")


class _Spinner:
    """One line that says what is going on; nothing at all where the output is not a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip

    def __enter__(self) -> Callable[[str], None]:
        self._progress.start()
        task = self._progress.add_task("starting")
        return lambda what: self._progress.update(task, description=what)

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()
