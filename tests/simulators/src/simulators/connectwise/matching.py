"""Which records a ConnectWise list returns, in which order and with which fields.

Text compares without regard to case, as the vendor's database does. A comparison with an unset
field is false, except the comparison with null itself.
"""

from __future__ import annotations

import operator as operators
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from simulators.connectwise.conditions import (
    All,
    AnyOf,
    Comparison,
    Condition,
    ConditionError,
    Not,
    Value,
)
from simulators.exact_json import Document

_TESTS = {
    "=": operators.eq,
    "!=": operators.ne,
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}


def holds(condition: Condition, record: Document) -> bool:
    """Whether a record satisfies a condition; through a list, any element may satisfy it."""
    match condition:
        case All(parts):
            return all(holds(part, record) for part in parts)
        case AnyOf(parts):
            return any(holds(part, record) for part in parts)
        case Not(inner):
            return not holds(inner, record)
        case Comparison(path, operator, value):
            found = list(_values(record, path)) or [None]
            if operator == "!=":
                return all(_compare(one, "!=", value) for one in found)
            return any(_compare(one, operator, value) for one in found)


def holds_for_custom_field(condition: Condition, record: Document) -> bool:
    """Whether one custom field of the record satisfies the whole condition."""
    return any(holds(condition, one) for one in record.get("customFields", []))


def in_order(records: Iterable[Document], order_by: str | None) -> list[Document]:
    """Sorted by `field [asc|desc], …`; without an order, by id."""
    result = sorted(records, key=lambda record: int(record["id"]))
    for clause in reversed((order_by or "").split(",")):
        words = clause.split()
        if not words:
            continue
        if len(words) > 2 or (len(words) == 2 and words[1].lower() not in ("asc", "desc")):
            raise ConditionError(f"orderBy {clause.strip()!r} is not `field asc` or `field desc`")
        key = partial(_sort_key, tuple(words[0].split("/")))
        result.sort(key=key, reverse=words[-1].lower() == "desc")
    return result


def with_fields(record: Document, fields: str | None) -> Document:
    """Only the named fields, references by slash (`company/id`); all when none are named."""
    names = [name.strip() for name in (fields or "").split(",") if name.strip()]
    if not names:
        return record
    chosen: Document = {}
    for name in names:
        _copy_path(record, chosen, name.split("/"))
    return chosen


def _copy_path(source: Any, target: Document, path: Sequence[str]) -> None:
    if not isinstance(source, dict) or path[0] not in source:
        return
    value = source[path[0]]
    if len(path) == 1:
        target[path[0]] = value
    elif isinstance(value, dict):
        _copy_path(value, target.setdefault(path[0], {}), path[1:])


def _values(record: Any, path: Sequence[str]) -> Iterator[Any]:
    if isinstance(record, list):
        for one in record:
            yield from _values(one, path)
    elif not path:
        yield record
    elif isinstance(record, dict):
        yield from _values(record.get(path[0]), path[1:])


def _compare(found: Any, operator: str, value: Value) -> bool:
    if isinstance(value, tuple):
        return any(_compare(found, "=", one) for one in value)
    if value is None:
        return (found in (None, "")) == (operator == "=")
    if found is None or found == "":
        return operator == "!="
    if operator in ("contains", "like"):
        return _text_matches(str(found), operator, str(value))
    left, right = _comparable(found, value), _comparable(value, value)
    if left is None or right is None:
        return operator == "!="
    return bool(_TESTS[operator](left, right))


def _text_matches(found: str, operator: str, pattern: str) -> bool:
    if operator == "contains":
        return pattern.casefold() in found.casefold()
    expression = "".join(".*" if c in "*%" else re.escape(c) for c in pattern)
    return re.fullmatch(expression, found, re.IGNORECASE | re.DOTALL) is not None


def _comparable(found: Any, like: Value) -> Any:
    """`found` as the type the condition speaks of; None when it cannot be."""
    if isinstance(like, bool):
        return found if isinstance(found, bool) else None
    if isinstance(like, Decimal):
        is_number = isinstance(found, int | Decimal) and not isinstance(found, bool)
        return Decimal(found) if is_number else None
    if isinstance(like, datetime):
        return _as_instant(found)
    return str(found).casefold()


def _as_instant(found: Any) -> datetime | None:
    if isinstance(found, datetime):
        return found
    try:
        instant = datetime.fromisoformat(str(found))
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _sort_key(path: Sequence[str], record: Document) -> tuple[int, Decimal, str]:
    value = next(_values(record, path), None)
    if value is None:
        return (0, Decimal(0), "")
    if isinstance(value, int | Decimal):
        return (1, Decimal(value), "")
    return (2, Decimal(0), str(value).casefold())
