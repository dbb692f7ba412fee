"""Reads a story file; every mistake is reported with its line and column.

Scalars stay text until the format types them: `22.55` becomes an exact decimal, never a float.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from stack.story.format import Story

Path_ = tuple[str | int, ...]
Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing to correct; line and column count from 1."""

    line: int
    column: int
    message: str


class StoryError(Exception):
    """The file is not a story; `mistakes` says where and why."""

    def __init__(self, path: Path, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(f"{path}:{m.line}:{m.column}: {m.message}" for m in mistakes))
        self.path = path
        self.mistakes = mistakes


def read_story(path: Path) -> Story:
    """The story in `path`.

    Raises:
        StoryError: with every mistake found.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoryError(path, [Mistake(1, 1, f"cannot be read: {error}")]) from error
    try:
        node = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise StoryError(path, [Mistake(line, column, str(error.problem))]) from error
    if not isinstance(node, MappingNode):
        raise StoryError(path, [Mistake(1, 1, "a story is a mapping; see docs/stories.md")])
    positions: dict[Path_, Position] = {}
    mistakes: list[Mistake] = []
    data = _plain(node, (), positions, mistakes)
    if mistakes:
        raise StoryError(path, mistakes)
    try:
        return Story.model_validate(data)
    except ValidationError as error:
        found = [
            Mistake(*_nearest(positions, fault["loc"]), _sentence(fault["loc"], fault["msg"]))
            for fault in error.errors()
        ]
        raise StoryError(path, sorted(found, key=lambda m: (m.line, m.column))) from error


def _plain(node: Node, at: Path_, positions: dict[Path_, Position], mistakes: list[Mistake]) -> Any:
    """Plain lists, dicts and text, remembering where each stood."""
    positions[at] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, ScalarNode):
        return None if str(node.tag).endswith(":null") else str(node.value)
    if isinstance(node, SequenceNode):
        return [_plain(n, (*at, i), positions, mistakes) for i, n in enumerate(node.value)]
    assert isinstance(node, MappingNode)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
        if key in result:
            mistakes.append(Mistake(line, column, f"{key} is written twice"))
        result[key] = _plain(value_node, (*at, key), positions, mistakes)
        positions[(*at, key)] = (line, column)
    return result


def _nearest(positions: dict[Path_, Position], loc: Path_) -> Position:
    """Where the fault is, or the closest enclosing thing that stands in the file."""
    steps = list(loc)
    while steps and tuple(steps) not in positions:
        steps.pop()
    return positions.get(tuple(steps), (1, 1))


def _sentence(loc: Path_, message: str) -> str:
    where = ".".join(str(part) for part in loc)
    text = message.removeprefix("Value error, ")
    return f"{where}: {text}" if where else text
