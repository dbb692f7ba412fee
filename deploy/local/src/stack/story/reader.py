"""Reads a story file; every mistake is reported with its line and column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stack.positioned_yaml import (
    Document,
    Mistake,
    NoMapping,
    Place,
    Positions,
    read,
    sentence,
)
from stack.story.checks import lost_references, misfits
from stack.story.fields import instead_of
from stack.story.format import Story


class StoryError(Exception):
    """The file is not a story, or not one for this stack; `mistakes` says where and why."""

    def __init__(self, path: Path, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(f"{path}:{m.line}:{m.column}: {m.message}" for m in mistakes))
        self.path = path
        self.mistakes = mistakes


class NoStory(StoryError):
    """There is no such text at all."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(path, [])
        self.args = (why,)


class StoryErrors(Exception):
    """Mistakes in several files; the text has a line for each."""

    def __init__(self, errors: Sequence[StoryError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))


@dataclass(frozen=True)
class Script:
    """A story with its file and the positions of everything in it."""

    path: Path
    story: Story
    positions: Positions

    def error(self, found: Iterable[tuple[Place, str]]) -> StoryError:
        """To be raised when the story does not fit to where it shall be played."""
        return StoryError(self.path, sorted(self.positions.mistake(*one) for one in found))


def read_script(path: Path) -> Script:
    """The story in `path` and where everything stands.

    Raises:
        StoryError: with every mistake found.
    """
    document = _document(path)
    data, positions = document.data, document.positions
    if document.repeated:
        raise StoryError(path, document.repeated)
    mistakes = [positions.mistake(*found) for found in lost_references(data)]
    story: Story | None = None
    try:
        story = Story.model_validate(data)
        mistakes += [positions.mistake(*found) for found in misfits(story, path.parent)]
    except ValidationError as error:
        mistakes += [_fault(positions, fault) for fault in error.errors()]
    if mistakes or story is None:
        raise StoryError(path, sorted(set(mistakes)))
    return Script(path, story, positions)


def read_scripts(paths: Sequence[Path]) -> list[Script]:
    """The stories in these files.

    Raises:
        StoryErrors: with every mistake in all of them.
    """
    scripts, errors = [], []
    for path in paths:
        try:
            scripts.append(read_script(path))
        except StoryError as error:
            errors.append(error)
    if errors:
        raise StoryErrors(errors)
    return scripts


def read_story(path: Path) -> Story:
    """The story in `path`.

    Raises:
        StoryError: with every mistake found.
    """
    return read_script(path).story


def _document(path: Path) -> Document:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NoStory(path, f"no such file: {path}") from error
    except IsADirectoryError as error:
        raise NoStory(path, f"{path} is a folder; name the story file in it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise NoStory(path, f"{path} cannot be read: {error}") from error
    try:
        return read(text, wanted="a story is a mapping; see docs/stories.md")
    except NoMapping as error:
        raise StoryError(path, [error.mistake]) from error


def _fault(positions: Positions, fault: Any) -> Mistake:
    place: Place = fault["loc"]
    if fault["type"] == "extra_forbidden":
        message = instead_of(str(place[-1]), positions.written(place[:-1]))
        return positions.mistake(place, message, named=False)
    return positions.mistake(place, sentence(fault))
