"""`tieout play FILE…`: plays stories through the running stack and says what came out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from stack.errors import StackError
from stack.home import Home
from stack.player.collecting import Findings
from stack.player.comparing import Difference, compare
from stack.player.latencies import latencies
from stack.player.names import Names
from stack.player.playing import Disorder, Play
from stack.player.printing import print_findings, print_verdict
from stack.player.reporting import report_of
from stack.player.services import CallFailed
from stack.player.settling import NotSettled
from stack.player.sources import Sources
from stack.ports import Ports
from stack.running import require_running, services_of
from stack.story.format import Story
from stack.story.reader import StoryError, read_story

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
    console = Console()
    stories = load(files)
    result = asyncio.run(
        play_on_running_stack(stories, console, disorder=Disorder(copies=deliver, shuffle=shuffle))
    )
    show(console, result, report)
    if result.differences:
        raise typer.Exit(EXIT_DIFFERENT)


class Played:
    """A finished play and its verdict."""

    def __init__(
        self,
        plays: Sequence[Names],
        findings: Findings,
        checked: int,
        differences: list[Difference],
        latencies: dict[str, dict[str, Any]],
    ) -> None:
        self.plays = plays
        self.findings = findings
        self.checked = checked
        self.differences = differences
        self.latencies = latencies

    def report(self) -> dict[str, Any]:
        return report_of(
            self.plays,
            self.findings,
            checked=self.checked,
            differences=self.differences,
            latencies=self.latencies,
        )


def load(files: Sequence[Path]) -> dict[Path, Story]:
    """The stories in these files; every mistake of all of them is printed before giving up."""
    stories: dict[Path, Story] = {}
    mistakes = []
    for path in files:
        try:
            stories[path] = read_story(path)
        except StoryError as error:
            mistakes.append(str(error))
    if mistakes:
        Console(stderr=True).print("\n".join(mistakes), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_BAD_STORY)
    return stories


async def play_on_running_stack(
    stories: dict[Path, Story],
    console: Console,
    *,
    disorder: Disorder | None = None,
    home: Home | None = None,
    ports: Ports | None = None,
) -> Played:
    """Play on the stack of this environment.

    Raises:
        StackError: when it does not run, or something in it does not come to rest.
    """
    if home is None or ports is None:
        home, ports = require_running()
    if not home.clock.exists():
        raise StackError(
            "This stack runs on the system's time, which nobody can move; "
            "`tieout down` and `tieout up` start one for stories."
        )
    plays = [Names(story, next_play(home, story.story)) for story in stories.values()]
    files = {story.story: path for path, story in stories.items()}
    async with services_of(home, ports) as (services, addresses):
        with _progress(console) as (progress, task):
            play = Play(
                plays, files, services, addresses, home.clock, disorder or Disorder(),
                progress=lambda what: progress.update(task, description=what),
            )  # fmt: skip
            try:
                return await run(play)
            except (CallFailed, NotSettled, OSError) as error:
                raise StackError(
                    f"The play could not be finished: {error}. "
                    "`tieout status` shows what runs, `tieout logs NAME` what it says."
                ) from error


async def run(play: Play) -> Played:
    """Play, compare, measure."""
    findings = await play.run()
    sources = Sources(play.services, findings.outcomes)
    checked, differences = await compare(play.plays, findings, sources)
    return Played(play.plays, findings, checked, differences, await latencies(play.services))


def show(console: Console, played: Played, report: Path | None) -> None:
    """Print what a person wants to see; write the report if asked."""
    print_findings(console, played.findings, played.latencies)
    print_verdict(console, played.checked, played.differences)
    if report is not None:
        report.write_text(json.dumps(played.report(), indent=2, ensure_ascii=False) + "\n")
        console.print(f"[dim]report: {report}[/]")


def _progress(console: Console) -> Any:
    return _Spinner(console)


class _Spinner:
    """One line that says what is going on; nothing at all where the output is not a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
            console=console, transient=True,
        )  # fmt: skip

    def __enter__(self) -> tuple[Progress, Any]:
        self._progress.start()
        return self._progress, self._progress.add_task("starting")

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()


def next_play(home: Home, story: str) -> int:
    """1 for the first play of a story on this home, 2 for the second …"""
    path = home.root / "plays.json"
    counts: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    counts[story] = counts.get(story, 0) + 1
    path.write_text(json.dumps(counts))
    return counts[story]
