"""What the author of a seed may write loosely, and what not."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TypeVar

from simulators.exact_json import Document

T = TypeVar("T")


def with_numbers(document: Document, names: Iterable[str]) -> Document:
    """The document with these members as numbers; a seed may write `"36.80"` to keep the digits."""
    texts = {n: Decimal(document[n]) for n in names if isinstance(document.get(n), str)}
    return {**document, **texts}


def known_members(kind: type[T], document: Document) -> T:
    """A dataclass from its members by name.

    Raises:
        ValueError: a member it does not have.
    """
    try:
        return kind(**document)
    except TypeError as error:
        raise ValueError(str(error)) from error
