"""How ConnectWise says no: one error shape for all but throttling and routing."""

from __future__ import annotations

from collections.abc import Sequence

from simulators.contract_problems import Problem
from simulators.http_messages import Answer, Call

_CODES = {"required": "MissingRequiredField", "length": "MaxLengthExceeded"}


class Refused(Exception):
    """The vendor's answer instead of doing what was asked."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def unauthorized() -> Answer:
    return Answer.of(
        401,
        {
            "code": "Unauthorized",
            "message": "Company/member keys or clientId are not valid.",
            "errors": None,
        },
    )


def unroutable() -> Answer:
    """What the load balancer says, before any API code runs: plain text, not JSON."""
    text = b"Cannot route. Codebase/company is invalid."
    return Answer(404, text, {"content-type": "text/plain; charset=utf-8"})


def not_found(resource: str, id: int | str) -> Answer:
    message = f"{resource} {id} not found"
    return Answer.of(404, {"code": "NotFound", "message": message, "errors": None})


def method_not_allowed(call: Call) -> Answer:
    message = f"The requested resource does not support {call.method}."
    return Answer.of(405, {"code": "MethodNotAllowed", "message": message, "errors": None})


def not_simulated(call: Call) -> Answer:
    message = f"{call.method} {call.path} exists at the vendor but is not simulated"
    return Answer.of(501, {"code": "NotSimulated", "message": message, "errors": None})


def invalid(resource: str, problems: Sequence[Problem]) -> Answer:
    errors = [
        {
            "code": _CODES.get(p.kind, "InvalidField"),
            "message": p.message,
            "resource": resource,
            "field": p.field,
        }
        for p in problems
    ]
    message = f"{resource} object is invalid"
    return Answer.of(400, {"code": "InvalidObject", "message": message, "errors": errors})


def bad_query(message: str) -> Answer:
    return Answer.of(400, {"code": "InvalidQuery", "message": message, "errors": None})


def in_use(agreement: int) -> Answer:
    message = f"Agreement {agreement} is held by an invoice run; try again when it has finished."
    return Answer.of(409, {"code": "RecordInUse", "message": message, "errors": None})


def refuse_field(resource: str, field: str, message: str) -> Refused:
    """One wrong field that only the records themselves can show to be wrong."""
    return Refused(invalid(resource, [Problem("invalid", field, message)]))
