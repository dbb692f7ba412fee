"""Queries with paging, counts and single records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from simulators.autotask import views
from simulators.autotask.entities import Entity
from simulators.autotask.query import (
    MOST_RECORDS,
    Fields,
    QueryError,
    check,
    ids_asked_for,
    matches,
    selected,
)
from simulators.autotask.refusals import Refused, not_found
from simulators.autotask.state import State
from simulators.exact_json import Document, loads
from simulators.http_messages import Answer, Call

LONGEST_URL = 2_048


@dataclass(frozen=True, slots=True)
class Source:
    """Where a query looks: an entity of a state, with the schema of its fields."""

    state: State
    entity: Entity
    schema: Document

    @property
    def fields(self) -> Fields:
        return Fields(self.entity.schema, self.schema)


def query(source: Source, call: Call, url: str) -> Answer:
    """The same for GET (`search=`) and POST (body); the next page keeps verb and query."""
    wanted = _query_of(call)
    size = int(wanted.get("maxRecords", MOST_RECORDS))
    found = _found(source, wanted)
    after = _after(call.parameters)
    left = [r for r in found if r["id"] > after]
    shown = left[:size]
    next_url = None
    if len(left) > size:
        next_url = _next_url(url, call, size=size, last=shown[-1]["id"])
    try:
        names = wanted.get("includeFields", ())
        items = [selected(r, names, source.fields) for r in shown]
    except QueryError as error:
        raise Refused(str(error)) from error
    details = {
        "count": len(items),
        "requestCount": size,
        "prevPageUrl": None,
        "nextPageUrl": next_url,
    }
    return Answer.of(200, {"items": items, "pageDetails": details})


def count(source: Source, call: Call) -> Answer:
    return Answer.of(200, {"queryCount": len(_found(source, _query_of(call)))})


def one(source: Source, id: int) -> Answer:
    row = find(source, id)
    return not_found(f"{source.entity.name}/{id}") if row is None else Answer.of(200, {"item": row})


def find(source: Source, id: int) -> Document | None:
    known = {} if source.entity.rows == "units" else {"id": id}
    rows = views.records(source.state, source.entity, known=known)
    return next((r for r in rows if r["id"] == id), None)


def of_contract(source: Source, contract: int) -> Answer:
    """A child collection: everything of one contract, without paging."""
    rows = views.records(source.state, source.entity, known={"contractID": contract})
    details = {
        "count": len(rows),
        "requestCount": MOST_RECORDS,
        "prevPageUrl": None,
        "nextPageUrl": None,
    }
    return Answer.of(200, {"items": rows, "pageDetails": details})


def _query_of(call: Call) -> Document:
    if call.method == "POST":
        given: Document = call.json()
        return given
    if len(call.path) + len(call.query) > LONGEST_URL:
        raise Refused("The request URL is too long; use POST.")
    try:
        given = loads(call.parameters["search"])
    except ValueError as error:
        raise Refused("The search parameter is not JSON.") from error
    return given


def _found(source: Source, wanted: Document) -> list[Document]:
    fields, filters = source.fields, wanted.get("filter", [])
    if not filters:
        raise Refused("A query needs at least one filter.")
    try:
        check(filters, fields)
        known = ids_asked_for(filters, fields)
        rows = views.records(source.state, source.entity, known=known)
        return [r for r in rows if matches(r, filters, fields)]
    except QueryError as error:
        raise Refused(str(error)) from error


def _after(parameters: Mapping[str, str]) -> int:
    text = parameters.get("paging")
    return int(json.loads(text)["previousId"]) if text else 0


def _next_url(url: str, call: Call, *, size: int, last: int) -> str:
    paging = quote(json.dumps({"pageSize": size, "previousId": last}))
    search = call.parameters.get("search")
    rest = f"&search={quote(search)}" if search else ""
    base = url.removesuffix("/next")
    return f"{base}/next?paging={paging}{rest}"
