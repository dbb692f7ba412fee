"""Stripe's form encoding: `metadata[attempt_id]=x`, `expand[]=y`, `created[gte]=1`."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from simulators.exact_json import Document

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")


class FormError(ValueError):
    """A key that is not in the encoding, or two that contradict each other."""


def decoded(text: str) -> Document:
    """Nested values; every leaf is text. Lists come out as lists, whichever way they were sent.

    Raises:
        FormError: malformed or contradictory keys.
    """
    root: Document = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        found = _KEY.fullmatch(key)
        if found is None:
            raise FormError(f"Invalid parameter name {key!r}")
        _put(root, [found[1], *_PART.findall(found[2])], value)
    return {name: _with_lists(value) for name, value in root.items()}


def _put(target: Document, path: list[str], value: str) -> None:
    name = path[0] if path[0] else str(len(target))
    if len(path) == 1:
        if name in target:
            raise FormError(f"{name} was sent twice")
        target[name] = value
        return
    inner = target.setdefault(name, {})
    if not isinstance(inner, dict):
        raise FormError(f"{name} was sent as a value and as an object")
    _put(inner, path[1:], value)


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(one) for name, one in value.items()}
    numbered = list(inner) == [str(n) for n in range(len(inner))]
    return list(inner.values()) if inner and numbered else inner
