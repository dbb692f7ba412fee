"""Reads a story file; every mistake is reported with its line and column.

Scalars stay text until the format types them: `22.55` becomes an exact decimal, never a float.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from stack.story.checks import Place, lost_references, misfits
from stack.story.fields import instead_of
from stack.story.format import Story


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing to correct; line and column count from 1."""

    line: int
    column: int
    message: str


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
class Positions:
    """Where everything of a file stands."""

    _found: dict[Place, tuple[int, int]] = field(default_factory=dict)

    def keep(self, place: Place, node: Node) -> None:
        self._found[place] = (node.start_mark.line + 1, node.start_mark.column + 1)

    def written(self, place: Place) -> Place:
        """The steps of `place` that stand in the file: what is missing has no position, and
        alternatives of the format are no steps."""
        known: Place = ()
        for step in place:
            if (*known, step) in self._found:
                known = (*known, step)
        return known

    def mistake(self, place: Place, message: str, *, named: bool = True) -> Mistake:
        """What is wrong, at the place or at the closest thing around it."""
        known = self.written(place)
        missing = place[-1:] if place and known[-1:] != place[-1:] else ()
        where = ".".join(str(step) for step in (*known, *missing))
        text = f"{where}: {message}" if where and named else message
        return Mistake(*self._found.get(known, (1, 1)), text)


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
    positions = Positions()
    mistakes: list[Mistake] = []
    data = _plain(_document(path), (), positions, mistakes)
    if mistakes:
        raise StoryError(path, mistakes)
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


def _document(path: Path) -> MappingNode:
    """The file as YAML nodes, which know their positions."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NoStory(path, f"no such file: {path}") from error
    except IsADirectoryError as error:
        raise NoStory(path, f"{path} is a folder; name the story file in it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise NoStory(path, f"{path} cannot be read: {error}") from error
    try:
        node = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise StoryError(path, [Mistake(line, column, str(error.problem))]) from error
    if not isinstance(node, MappingNode):
        raise StoryError(path, [Mistake(1, 1, "a story is a mapping; see docs/stories.md")])
    return node


def _plain(node: Node, at: Place, positions: Positions, mistakes: list[Mistake]) -> Any:
    """Plain lists, dicts and text, remembering where each stood."""
    positions.keep(at, node)
    if isinstance(node, ScalarNode):
        return None if str(node.tag).endswith(":null") else str(node.value)
    if isinstance(node, SequenceNode):
        return [_plain(n, (*at, i), positions, mistakes) for i, n in enumerate(node.value)]
    assert isinstance(node, MappingNode)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        place = (*at, key)
        written_before = key in result
        result[key] = _plain(value_node, place, positions, mistakes)
        positions.keep(place, key_node)
        if written_before:
            mistakes.append(positions.mistake(place, f"{key} is written twice", named=False))
    return result


def _fault(positions: Positions, fault: Any) -> Mistake:
    """What pydantic found, as a sentence for somebody who does not know it."""
    place: Place = fault["loc"]
    match fault["type"]:
        case "missing":
            message = "this is missing"
        case "extra_forbidden":
            name = str(place[-1])
            message = instead_of(name, positions.written(place[:-1]))
            return positions.mistake(place, message, named=False)
        case "dict_type" | "model_type" | "model_attributes_type":
            message = "here are fields expected, each on a line of its own"
        case "literal_error":
            message = f"write {fault['ctx']['expected']}"
        case kind if kind.startswith("date_"):
            message = "write a day of the calendar such as 2026-04-30"
        case _:
            message = str(fault["msg"]).removeprefix("Value error, ")
    return positions.mistake(place, message)
