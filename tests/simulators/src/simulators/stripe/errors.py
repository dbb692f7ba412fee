"""Stripe's error envelope, one shape for everything."""

from __future__ import annotations

from typing import Any

from simulators.contract_problems import Problem
from simulators.http_messages import Answer


class StripeError(Exception):
    """An answer other than success. `executed`: the request began, so its key remembers it."""

    def __init__(self, answer: Answer, *, executed: bool = False) -> None:
        super().__init__(answer.status)
        self.answer = answer
        self.executed = executed


def error(status: int, type: str, message: str, **more: Any) -> Answer:
    return Answer.of(status, {"error": {"type": type, "message": message, **more}})


def invalid(message: str, *, code: str | None = None, param: str | None = None) -> StripeError:
    more = {k: v for k, v in (("code", code), ("param", param)) if v is not None}
    return StripeError(error(400, "invalid_request_error", message, **more))


def missing(kind: str, id: str, param: str = "id") -> StripeError:
    message = f"No such {kind}: '{id}'"
    answer = error(404, "invalid_request_error", message, code="resource_missing", param=param)
    return StripeError(answer)


def unauthorized() -> Answer:
    return error(401, "invalid_request_error", "Invalid API Key provided.")


def unroutable(method: str, path: str) -> Answer:
    text = f"Unrecognized request URL ({method}: {path})."
    return error(404, "invalid_request_error", text)


def not_simulated(name: str) -> Answer:
    return error(501, "api_error", f"{name} exists at the vendor but is not simulated")


def refusal(problem: Problem) -> Answer:
    """The vendor's answer to the first thing wrong with a request."""
    if problem.kind in ("card_number", "card_field"):
        text = (
            "Sending credit card numbers directly to the Stripe API is generally unsafe. "
            "Use Stripe's own forms."
        )
        return error(400, "invalid_request_error", text)
    more = {"param": problem.field} if problem.field else {}
    code = problem.kind if problem.kind.startswith("parameter_") else None
    if code in _CODES:
        more["code"] = code
    return error(400, "invalid_request_error", problem.message, **more)


_CODES = ("parameter_unknown", "parameter_missing", "parameter_invalid_integer")
