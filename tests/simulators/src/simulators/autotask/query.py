"""The query language of Autotask: filters with their type traps, field selection and paging.

A value of the wrong type mostly finds nothing instead of being refused: an id sent as text is the
classic. Picklists and booleans do refuse.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from simulators.exact_json import Document

MOST_RECORDS = 500
MOST_ALTERNATIVES = 500
_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "noteq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_TEXT: Mapping[str, Callable[[str, str], bool]] = {
    "beginsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": operator.contains,
}


class QueryError(ValueError):
    """The vendor answers HTTP 500 with this text."""


@dataclass(frozen=True, slots=True)
class Field:
    """What the query language needs to know of a field."""

    name: str
    type: str  # integer, number, string, boolean, instant
    picklist: bool = False


class Fields:
    """The fields of one entity, found without regard to case."""

    def __init__(self, entity: str, schema: Document) -> None:
        self._entity = entity
        self._fields = {
            name.lower(): Field(name, _type_of(spec), bool(spec.get("x-picklist")))
            for name, spec in schema["properties"].items()
        }

    def named(self, name: object) -> Field:
        found = self._fields.get(str(name).lower())
        if found is None:
            raise QueryError(f"Unable to find {name} in the {self._entity} Entity.")
        return found


def check(filters: Sequence[Document], fields: Fields) -> None:
    """Refuse what the vendor refuses before it looks at any record.

    Raises:
        QueryError: unknown field, bad value, too many alternatives, two user defined fields.
    """
    if _alternatives(filters) > MOST_ALTERNATIVES:
        raise QueryError(f"A query may have at most {MOST_ALTERNATIVES} OR conditions.")
    leaves = list(_leaves(filters))
    if sum(1 for leaf in leaves if leaf.get("udf")) > 1:
        raise QueryError("Only one user defined field is allowed per query.")
    for leaf in leaves:
        if not leaf.get("udf"):
            _check_value(fields.named(leaf.get("field")), leaf)


def matches(record: Document, filters: Sequence[Document], fields: Fields) -> bool:
    """Whether a record satisfies all filters."""
    return all(_holds(record, one, fields) for one in filters)


def ids_asked_for(filters: Sequence[Document], fields: Fields) -> dict[str, int]:
    """The whole numbers that every record found must have, by field."""
    plain = (f for f in filters if f["op"] == "eq" and not f.get("udf"))
    asked = ((fields.named(f.get("field")).name, f.get("value")) for f in plain)
    return {name: value for name, value in asked if type(value) is int}


def selected(record: Document, names: Sequence[str], fields: Fields) -> Document:
    """The record with only the named fields; all when none are named."""
    if not names:
        return record
    wanted = {fields.named(name).name for name in names}
    return {k: v for k, v in record.items() if k in wanted}


def _holds(record: Document, one: Document, fields: Fields) -> bool:
    if one["op"] in ("and", "or"):
        every = all if one["op"] == "and" else any
        return every(_holds(record, inner, fields) for inner in one.get("items", []))
    if one.get("udf"):
        held = {u["name"]: u.get("value") for u in record.get("userDefinedFields", [])}
        return _compare(Field(one["field"], "string"), held.get(one["field"]), one)
    field = fields.named(one["field"])
    return _compare(field, record.get(field.name), one)


def _compare(field: Field, found: Any, one: Document) -> bool:
    op: str = one["op"]
    value = one.get("value")
    if op in ("exist", "notExist"):
        return (found is not None) == (op == "exist")
    if op in ("in", "notIn"):
        inside = any(_ordered(field, found, "eq", each) for each in value or [])
        return inside == (op == "in")
    if op in _TEXT:
        text = "" if found is None else str(found)
        return _TEXT[op](text.casefold(), str(value).casefold())
    return _ordered(field, found, op, value)


def _ordered(field: Field, found: Any, op: str, value: Any) -> bool:
    left, right = _as_type(field, found), _as_type(field, value)
    if left is None or right is None:
        return op == "noteq" and value is not None and right is not None
    return bool(_ORDER[op](left, right))


def _as_type(field: Field, value: Any) -> Any:
    """A comparable value, or None where the type does not fit: then nothing is found."""
    if value is None:
        return None
    if field.type in ("integer", "number"):
        is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        return Decimal(value) if is_number else None
    if field.type == "boolean":
        return value if isinstance(value, bool) else None
    if field.type == "instant":
        return _instant(value)
    return str(value).casefold()


def _check_value(field: Field, leaf: Document) -> None:
    values = leaf.get("value")
    for value in values if isinstance(values, list) else [values]:
        if value is None:
            continue
        if field.picklist and isinstance(value, str) and not value.lstrip("-").isdigit():
            raise QueryError(f"Unable to convert value {value} of field {field.name} to a number.")
        if field.type == "boolean" and not isinstance(value, bool):
            raise QueryError(f"Value {value} of field {field.name} must be true or false.")
        if field.type == "instant" and _instant(value) is None:
            raise QueryError(f"Unable to convert value {value} of field {field.name} to a date.")


def _alternatives(filters: Sequence[Document]) -> int:
    count = 0
    for one in filters:
        if one["op"] in ("in", "notIn"):
            count += len(one.get("value") or [])
        elif one["op"] == "or":
            count += len(one.get("items", []))
        count += _alternatives(one.get("items", []))
    return count


def _leaves(filters: Sequence[Document]) -> list[Document]:
    found: list[Document] = []
    for one in filters:
        found += _leaves(one.get("items", [])) if one["op"] in ("and", "or") else [one]
    return found


def _instant(value: Any) -> datetime | None:
    try:
        instant = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _type_of(spec: Document) -> str:
    if spec.get("format") == "date-time":
        return "instant"
    return str(spec.get("type", "string"))
