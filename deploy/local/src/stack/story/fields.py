"""Which fields may stand at a place of a story: what to answer somebody who wrote another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from stack.story.format import Story


def instead_of(name: str, place: Sequence[str | int]) -> str:
    """A sentence about a field `name` that does not exist at `place`."""
    allowed = fields_at(place)
    near = get_close_matches(name, allowed, n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"there is no field {name} here{hint} Allowed: {', '.join(allowed)}"


def fields_at(place: Sequence[str | int]) -> list[str]:
    """The fields of the mapping at `place`, as a person writes them, in their order."""
    names: dict[str, None] = {}
    for model in _models(Story, list(place)):
        names |= {field.alias or name: None for name, field in model.model_fields.items()}
    return list(names)


def _models(kind: Any, place: list[str | int]) -> Iterator[type[BaseModel]]:
    """Every mapping type that may stand at the end of `place`, seen from `kind`."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not place:
            yield kind
            return
        for name, field in kind.model_fields.items():
            if place[0] == (field.alias or name):
                yield from _models(field.annotation, place[1:])
        return
    arguments = get_args(kind)
    if get_origin(kind) in (list, tuple, dict):
        if place:
            yield from _models(arguments[-1], place[1:])
        return
    for argument in arguments:  # alternatives, or a type with what is said about it
        yield from _models(argument, place)
