"""GET: one record, lists with conditions, order, fields and both ways of paging, and counts."""

from __future__ import annotations

from datetime import date

from simulators.connectwise.conditions import ConditionError, parse
from simulators.connectwise.matching import holds, holds_for_custom_field, in_order, with_fields
from simulators.connectwise.paging import PagingError, page_of
from simulators.connectwise.refusals import bad_query, not_found
from simulators.connectwise.resources import Resource
from simulators.connectwise.state import State
from simulators.exact_json import Document
from simulators.http_messages import Answer, Call


def one(state: State, resource: Resource, row: Document | None, call: Call, today: date) -> Answer:
    if row is None:
        return not_found(resource.label, call.path.rpartition("/")[2])
    shown = resource.view(state, row, today)
    return Answer.of(200, with_fields(shown, call.parameters.get("fields")))


def listed(records: list[Document], call: Call, url: str) -> Answer:
    """A page of records that are already in the form of the API."""
    try:
        found = in_order(_matching(records, call), call.parameters.get("orderBy"))
        forward = call.headers.get("pagination-type", "").lower() == "forward-only"
        page = page_of(found, call.parameters, url=url, forward_only=forward)
    except (ConditionError, PagingError) as error:
        return bad_query(str(error))
    shown = [with_fields(r, call.parameters.get("fields")) for r in page.records]
    answer = Answer.of(200, shown)
    return answer.with_header("link", page.link) if page.link else answer


def counted(records: list[Document], call: Call) -> Answer:
    try:
        return Answer.of(200, {"count": len(_matching(records, call))})
    except ConditionError as error:
        return bad_query(str(error))


def audit_trail(state: State, call: Call, url: str) -> Answer:
    """The trail of one record, newest first; it knows numbered pages only."""
    given = call.parameters
    if "type" not in given or not given.get("id", "").isdigit():
        return bad_query("type and id are required")
    if call.headers.get("pagination-type", "").lower() == "forward-only":
        return bad_query("forward-only pagination is not available on the audit trail")
    entries = [
        {
            "text": entry.text,
            "enteredDate": entry.at,
            "enteredBy": entry.by,
            "auditType": entry.kind,
            "auditSubType": entry.action,
            "auditSource": "API" if entry.by == state.tenant.member else "Application",
        }
        for entry in reversed(state.audit)
        if entry.kind == given["type"] and entry.id == int(given["id"])
    ]
    try:
        page = page_of(entries, given, url=url, forward_only=False)
    except PagingError as error:
        return bad_query(str(error))
    answer = Answer.of(200, page.records)
    return answer.with_header("link", page.link) if page.link else answer


def _matching(records: list[Document], call: Call) -> list[Document]:
    given = call.parameters
    for name in ("conditions", "childConditions"):
        if given.get(name):
            condition = parse(given[name])
            records = [r for r in records if holds(condition, r)]
    if given.get("customFieldConditions"):
        condition = parse(given["customFieldConditions"])
        records = [r for r in records if holds_for_custom_field(condition, r)]
    return records
