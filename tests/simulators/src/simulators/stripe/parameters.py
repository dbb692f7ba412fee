"""Request parameters against the vendor's parameter types: text in, typed values or faults out.

Stripe refuses what it does not know; there is no ignoring here. Enums marked open in the document
accept unknown values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simulators.exact_json import Document

_CARD_WORDS = frozenset({"number", "cvc", "cvv"})
_INTEGER = re.compile(r"-?\d{1,18}")
_METADATA = (50, 40, 500)  # keys, length of a key, length of a value


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong parameter; `code` is Stripe's."""

    param: str
    code: str
    message: str


class _Unfit(Exception):
    """A value that is not of the type."""


def typed(schema: Document | None, given: Document) -> tuple[Document, list[Fault]]:
    """The parameters with their types, and everything wrong with them."""
    known = schema["properties"] if schema else {}
    values: Document = {}
    faults: list[Fault] = []
    for name, value in given.items():
        if name not in known:
            faults.append(Fault(name, "parameter_unknown", f"Received unknown parameter: {name}"))
            continue
        try:
            values[name] = _as_type(known[name], value)
        except _Unfit as error:
            faults.append(Fault(name, str(error), f"Invalid {name}: {str(value)[:80]}"))
    for name in schema.get("required", ()) if schema else ():
        if name not in given:
            faults.append(Fault(name, "parameter_missing", f"Missing required param: {name}."))
    return values, faults


def card_fields(given: Document, prefix: str = "") -> Iterator[str]:
    """Parameters that are named like card data, at any depth."""
    for name, value in given.items():
        path = f"{prefix}{name}"
        if name.lower() in _CARD_WORDS and prefix != "metadata.":
            yield path
        if isinstance(value, dict):
            yield from card_fields(value, f"{path}.")


def _as_type(spec: Document, value: Any) -> Any:
    if "anyOf" in spec:
        return _first_fit(spec["anyOf"], value)
    convert = _CONVERT.get(spec.get("type", "string"), _text)
    result = convert(spec, value)
    if "enum" in spec and not spec.get("open") and result not in spec["enum"]:
        raise _Unfit("parameter_invalid")
    return result


def _first_fit(options: list[Document], value: Any) -> Any:
    for option in options:
        try:
            return _as_type(option, value)
        except _Unfit:
            continue
    raise _Unfit("parameter_invalid")


def _integer(spec: Document, value: Any) -> int:
    del spec
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        raise _Unfit("parameter_invalid_integer")
    return int(value)


def _boolean(spec: Document, value: Any) -> bool:
    del spec
    if value not in ("true", "false"):
        raise _Unfit("parameter_invalid")
    return bool(value == "true")


def _array(spec: Document, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _Unfit("parameter_invalid")
    return [_as_type(spec.get("items", {}), one) for one in value]


def _object(spec: Document, value: Any) -> Document:
    del spec
    if not isinstance(value, dict):
        raise _Unfit("parameter_invalid")
    return value


def _map(spec: Document, value: Any) -> Document:
    """Metadata: texts within Stripe's bounds; an empty text clears the whole map."""
    if value == "":
        return {}
    found = _object(spec, value)
    keys, key_length, value_length = _METADATA
    fits = len(found) <= keys and all(
        isinstance(v, str) and len(k) <= key_length and len(v) <= value_length
        for k, v in found.items()
    )
    if not fits:
        raise _Unfit("parameter_invalid")
    return found


def _text(spec: Document, value: Any) -> str:
    del spec
    if not isinstance(value, str):
        raise _Unfit("parameter_invalid")
    return value


_CONVERT = {
    "integer": _integer,
    "boolean": _boolean,
    "array": _array,
    "object": _object,
    "map": _map,
    "string": _text,
}
