"""Reads a price file; every mistake is reported with its line and column, all of them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from stack.errors import StackError
from stack.prices.format import PriceFile
from stack.story.checks import Place
from stack.story.reader import Mistake, Positions


class PriceFileError(StackError):
    """The file is no price file; the text has a line for each mistake."""

    def __init__(self, path: Path, mistakes: list[Mistake]) -> None:
        ordered = sorted(set(mistakes))
        super().__init__("\n".join(f"{path}:{m.line}:{m.column}: {m.message}" for m in ordered))
        self.mistakes = ordered


def read_prices(path: Path) -> PriceFile:
    """The prices in a file.

    Raises:
        PriceFileError: with every mistake found.
        StackError: when the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"{path} cannot be read: {error}") from error
    return parse(text, path)


def parse(text: str, path: Path) -> PriceFile:
    """The prices in a text; `path` is what mistakes are reported against."""
    positions, mistakes = Positions(), list[Mistake]()
    try:
        node = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise PriceFileError(path, [Mistake(line, column, str(error.problem))]) from error
    if not isinstance(node, MappingNode):
        wanted = "a price file is a mapping of rules, promotions and fx_rates; see docs/prices.md"
        raise PriceFileError(path, [Mistake(1, 1, wanted)])
    data = _plain(node, (), positions, mistakes)
    try:
        found = PriceFile.model_validate(data)
    except ValidationError as error:
        mistakes += [_fault(positions, fault) for fault in error.errors()]
        raise PriceFileError(path, mistakes) from error
    if mistakes:
        raise PriceFileError(path, mistakes)
    return found


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
        repeated = key in result
        result[key] = _plain(value_node, (*at, key), positions, mistakes)
        positions.keep((*at, key), key_node)
        if repeated:
            mistakes.append(positions.mistake((*at, key), f"{key} is written twice", named=False))
    return result


def _fault(positions: Positions, fault: Any) -> Mistake:
    """What pydantic found, as a sentence for somebody who does not know it."""
    place: Place = fault["loc"]
    match fault["type"]:
        case "missing":
            message = "this is missing"
        case "extra_forbidden":
            message = "there is no such field; see docs/prices.md"
        case "dict_type" | "model_type" | "model_attributes_type":
            message = "here are fields expected, each on a line of its own"
        case "list_type":
            message = "here is a list expected, each item after a dash"
        case "literal_error":
            message = f"write {fault['ctx']['expected']}"
        case kind if kind.startswith("date_"):
            message = "write a day of the calendar such as 2026-04-30"
        case kind if kind.startswith("int_"):
            message = "write a whole number"
        case _:
            message = str(fault["msg"]).removeprefix("Value error, ")
    return positions.mistake(place, message)
