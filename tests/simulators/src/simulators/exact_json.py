"""JSON without floats: numbers come in as Decimal and go out with the digits they came with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

Document = dict[str, Any]
"""A JSON object as the vendors send it; its shape is held by a contract, not by Python types."""


def dumps(value: object) -> bytes:
    """Compact JSON; Decimals as numbers with their own digits, instants in RFC 3339."""
    return orjson.dumps(value, default=_exact, option=orjson.OPT_UTC_Z)


def loads(text: bytes | str) -> Any:
    """Parsed JSON with Decimal for every number that has a point or an exponent."""
    return json.loads(text, parse_float=Decimal)


def _exact(value: object) -> object:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
