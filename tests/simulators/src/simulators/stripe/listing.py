"""Stripe's lists: newest first, walked by id, filtered by equality and creation time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from simulators.exact_json import Document
from simulators.stripe.errors import invalid

DEFAULT_LIMIT, LARGEST_LIMIT = 10, 100
_CLAUSE = re.compile(
    r"""(?P<field>\w+)(?:\[["'](?P<key>[^"']+)["']\])?\s*:\s*["'](?P<value>[^"']*)["']"""
)
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def page(rows: Iterable[Document], given: Document, url: str) -> Document:
    """One page of rows that match; `starting_after` and `ending_before` are ids."""
    newest_first = list(rows)[::-1]
    limit = given.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= LARGEST_LIMIT:
        raise invalid(f"limit must be between 1 and {LARGEST_LIMIT}", param="limit")
    if "starting_after" in given:
        newest_first = newest_first[_position(newest_first, given["starting_after"]) + 1 :]
    if "ending_before" in given:
        newest_first = newest_first[: _position(newest_first, given["ending_before"])][-limit:]
    return {
        "object": "list",
        "data": newest_first[:limit],
        "has_more": len(newest_first) > limit,
        "url": url,
    }


def matching(rows: Iterable[Document], given: Document, *fields: str) -> list[Document]:
    """Rows whose named fields equal the given ones and whose creation lies in `created`."""
    wanted = {f: given[f] for f in fields if f in given}
    return [
        row
        for row in rows
        if all(row.get(f) == v for f, v in wanted.items()) and _created_in(row, given)
    ]


def searched(rows: Iterable[Document], query: str) -> list[Document]:
    """`metadata["attempt_id"]:"x" AND status:"succeeded"`.

    Raises:
        StripeError: not in that form.
    """
    clauses = [c for c in re.split(r"\s+AND\s+", query.strip(), flags=re.IGNORECASE) if c]
    tests = [_CLAUSE.fullmatch(clause) for clause in clauses]
    if not tests or None in tests:
        raise invalid(f"We were unable to parse your search query: {query}", param="query")
    return [row for row in rows if all(_fits(row, t) for t in tests if t is not None)]


def _fits(row: Document, test: re.Match[str]) -> bool:
    found: Any = row.get(test["field"])
    if test["key"] is not None:
        found = found.get(test["key"]) if isinstance(found, dict) else None
    return found is not None and str(found) == test["value"]


def _created_in(row: Document, given: Document) -> bool:
    wanted = given.get("created")
    if wanted is None:
        return True
    if isinstance(wanted, dict):
        bounds = [(name, int(text)) for name, text in wanted.items()]
        return all(_COMPARE[name](row["created"], bound) for name, bound in bounds)
    return bool(row["created"] == int(wanted))


def _position(rows: list[Document], id: str) -> int:
    for number, row in enumerate(rows):
        if row["id"] == id:
            return number
    raise invalid(f"No such object: '{id}'", code="resource_missing", param="starting_after")
