"""PATCH as ConnectWise performs it, traps included.

Paths name top-level fields and are case sensitive. A path that reaches into an object, and one to a
field that the vendor computes, is answered 200 and does nothing. Arrays and objects are replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from simulators.contract_problems import Problem
from simulators.exact_json import Document

ValueProblems = Callable[[str, Any], list[Problem]]


def problems(operations: Any, schema: Document, value_problems: ValueProblems) -> Iterator[Problem]:
    """What is wrong with well-formed patch operations for a record of this schema."""
    for operation in operations:
        field = field_of(operation)
        known = schema["properties"].get(field.partition("/")[0])
        if known is None:
            yield Problem("path", field, f"{operation['path']} is not a field")
        elif "/" in field:
            text = "a path into an object is answered 200 and ignored"
            yield Problem("unknown", field, text)
        elif known.get("x-server-derived"):
            yield Problem("derived", field, f"{field} is computed by the vendor")
        elif operation["op"] == "remove":
            continue
        elif "value" not in operation:
            yield Problem("required", field, "the operation has no value")
        else:
            yield from value_problems(field, operation["value"])


def applied(operations: Sequence[Document], schema: Document) -> Document:
    """The fields that were sent and can be set, with their new values; None unsets a field. One
    that is sent with its old value counts: it keeps a new product from bringing its own."""
    changes: Document = {}
    for operation in operations:
        field = field_of(operation)
        known = schema["properties"].get(field)
        if known is None or known.get("x-server-derived") or field == "id":
            continue
        changes[field] = None if operation["op"] == "remove" else operation["value"]
    return changes


def field_of(operation: Document) -> str:
    """`quantity` and `/quantity` name the same field."""
    return str(operation["path"]).removeprefix("/")
