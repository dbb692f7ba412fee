"""YAML that knows where everything stands, so that each mistake is told with its line and column.

Scalars stay text until a format types them: `22.55` becomes an exact decimal, never a float.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing to correct; line and column count from 1."""

    line: int
    column: int
    message: str


class NoMapping(Exception):
    """The text is no YAML, or its outermost part has no fields; `mistake` says where."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(mistake.message)
        self.mistake = mistake


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


@dataclass(frozen=True, slots=True)
class Document:
    """A file as plain lists, dicts and text. `repeated`: fields that are written twice."""

    data: dict[str, Any]
    positions: Positions
    repeated: tuple[Mistake, ...]


def read(text: str, *, wanted: str) -> Document:
    """The document in a text; `wanted` is said to whoever wrote something else than fields.

    Raises:
        NoMapping: it is none.
    """
    try:
        node = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise NoMapping(Mistake(line, column, str(error.problem))) from error
    if not isinstance(node, MappingNode):
        raise NoMapping(Mistake(1, 1, wanted))
    positions, repeated = Positions(), list[Mistake]()
    data = _plain(node, (), positions, repeated)
    return Document(data, positions, tuple(repeated))


def sentence(fault: Any) -> str:
    """What pydantic found, for somebody who does not know it."""
    match fault["type"]:
        case "missing":
            return "this is missing"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "here are fields expected, each on a line of its own"
        case "list_type" | "tuple_type":
            return "here is a list expected, each item after a dash"
        case "literal_error":
            return f"write {fault['ctx']['expected']}"
        case kind if kind.startswith("date_"):
            return "write a day of the calendar such as 2026-04-30"
        case kind if kind.startswith("int_"):
            return "write a whole number"
        case _:
            return str(fault["msg"]).removeprefix("Value error, ")


def _plain(node: Node, at: Place, positions: Positions, repeated: list[Mistake]) -> Any:
    positions.keep(at, node)
    if isinstance(node, ScalarNode):
        return None if str(node.tag).endswith(":null") else str(node.value)
    if isinstance(node, SequenceNode):
        return [_plain(n, (*at, i), positions, repeated) for i, n in enumerate(node.value)]
    assert isinstance(node, MappingNode)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        place = (*at, key)
        written_before = key in result
        result[key] = _plain(value_node, place, positions, repeated)
        positions.keep(place, key_node)
        if written_before:
            repeated.append(positions.mistake(place, f"{key} is written twice", named=False))
    return result
