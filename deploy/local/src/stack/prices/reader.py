"""Reads a price file; every mistake is reported with its line and column, all of them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stack.errors import StackError
from stack.positioned_yaml import Mistake, NoMapping, Positions, read, sentence
from stack.prices.format import PriceFile

WANTED = "a price file is a mapping of rules, promotions and fx_rates; see docs/prices.md"


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
    try:
        document = read(text, wanted=WANTED)
    except NoMapping as error:
        raise PriceFileError(path, [error.mistake]) from error
    mistakes = list(document.repeated)
    try:
        found = PriceFile.model_validate(document.data)
    except ValidationError as error:
        mistakes += [_fault(document.positions, fault) for fault in error.errors()]
        raise PriceFileError(path, mistakes) from error
    if mistakes:
        raise PriceFileError(path, mistakes)
    return found


def _fault(positions: Positions, fault: Any) -> Mistake:
    forbidden = fault["type"] == "extra_forbidden"
    message = "there is no such field; see docs/prices.md" if forbidden else sentence(fault)
    return positions.mistake(fault["loc"], message)
