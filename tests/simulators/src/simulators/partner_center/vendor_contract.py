"""Every call of the simulated vendor with the shapes of both directions.

The schemas in `schemas/` are derived from the vendor's documentation; each documentation sample
kept with the contract tests validates against them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

from simulators.contract import Contract, Operation
from simulators.exact_json import Document

_ANY: Document = {}
_PC = "/partner-center"
_ONE = f"{_PC}/v1/customers/{{customer}}"
_SUB = f"{_ONE}/subscriptions/{{subscription}}"
_HOOKS = f"{_PC}/webhooks/v1/registration"
_GRAPH = "/graph/{version}/reports/partners/billing"


@cache
def definitions() -> Mapping[str, Document]:
    """The schemas by name."""
    folder = resources.files("simulators.partner_center") / "schemas"
    return {
        entry.name.removesuffix(".json"): json.loads(entry.read_text())
        for entry in folder.iterdir()
        if entry.name.endswith(".json")
    }


def vendor_contract() -> Contract:
    return Contract(
        [*_transitions(), *_rest(), *_activity(), *_money(), *_graph(), *_sign_in()], definitions()
    )


def _ref(name: str) -> Document:
    return {"$ref": f"#/$defs/{name}"}


def _operation(
    method: str, path: str, answers: Mapping[int, Document], *, request: str | None = None
) -> Operation:
    """An operation of the REST API; its errors are the same everywhere."""
    failures = {s: _ref("error") for s in (400, 401, 403, 404, 409, 412)}
    responses = {**failures, 429: _ref("throttled"), **answers}
    return Operation(method, path, _ref(request) if request else None, responses)


def _rest() -> list[Operation]:
    cart, order = _ref("cart"), _ref("order")
    return [
        _operation("GET", f"{_PC}/v1/customers", {200: _ref("customer_collection")}),
        _operation("GET", _ONE, {200: _ref("customer")}),
        _operation("GET", f"{_ONE}/subscriptions", {200: _ref("subscription_collection")}),
        _operation("GET", _SUB, {200: _ref("subscription")}),
        _operation(
            "PATCH", _SUB, {200: _ref("subscription"), 202: _ANY}, request="subscription_patch"
        ),
        _operation("GET", f"{_SUB}/provisioningstatus", {200: {"type": "object"}}),
        _operation("POST", f"{_ONE}/carts", {201: cart}, request="cart_request"),
        _operation("GET", f"{_ONE}/carts/{{cart}}", {200: cart}),
        _operation("PUT", f"{_ONE}/carts/{{cart}}", {200: cart}, request="cart_request"),
        _operation(
            "POST",
            f"{_ONE}/carts/{{cart}}/checkout",
            {201: _ref("checkout_result"), 207: _ref("checkout_result")},
        ),
        _operation("GET", f"{_ONE}/orders", {200: _ref("order_collection")}),
        _operation("POST", f"{_ONE}/orders", {201: order}, request="order_request"),
        _operation("GET", f"{_ONE}/orders/{{order}}", {200: order}),
        _operation("GET", f"{_ONE}/orders/{{order}}/provisioningstatus", {200: {"type": "object"}}),
    ]


def _transitions() -> list[Operation]:
    term_ends = {200: _ref("term_end_collection")}
    return [
        _operation("GET", f"{_ONE}/subscriptions/customTermEndDates", term_ends),
        _operation("GET", f"{_SUB}/addons", {200: _ref("subscription_collection")}),
        _operation(
            "GET",
            f"{_SUB}/transitionEligibilities",
            {200: _ref("transition_eligibility_collection")},
        ),
        _operation("GET", f"{_SUB}/transitions", {200: _ref("transition_collection")}),
        _operation(
            "POST", f"{_SUB}/transitions", {200: _ref("transition")}, request="transition_request"
        ),
    ]


def _activity() -> list[Operation]:
    event_names: Document = {"type": "array", "items": {"type": "string"}}
    registration = _ref("registration")
    return [
        _operation("GET", f"{_PC}/v1/auditrecords", {200: _ref("audit_record_collection")}),
        _operation(
            "GET", f"{_PC}/auditactivity/v1/auditrecords/{{record}}", {200: _ref("audit_record")}
        ),
        _operation("GET", _HOOKS, {200: registration}),
        _operation("POST", _HOOKS, {200: registration}, request="registration_request"),
        _operation("PUT", _HOOKS, {200: registration}, request="registration_request"),
        _operation("GET", f"{_HOOKS}/events", {200: event_names}),
        _operation("POST", f"{_HOOKS}/validationEvents", {200: _ref("validation")}),
        _operation(
            "GET", f"{_HOOKS}/validationEvents/{{correlation}}", {200: _ref("validation_result")}
        ),
        _operation("GET", f"{_PC}/certificates/{{name}}", {200: _ANY}),
    ]


def _money() -> list[Operation]:
    return [
        _operation("GET", f"{_PC}/v1/invoices", {200: _ref("invoice_collection")}),
        _operation("GET", f"{_PC}/v1/invoices/{{invoice}}", {200: _ref("invoice")}),
        _operation("GET", f"{_PC}/v1.0/sales/pricesheets({{arguments}})/$value", {200: _ANY}),
        _operation("GET", f"{_PC}/v1.0/sales/fxrates({{arguments}})/$value", {200: _ANY}),
    ]


def _graph() -> list[Operation]:
    failures = {s: _ref("graph_error") for s in (400, 401, 404, 410, 429)}
    exports = [
        Operation(
            "POST",
            f"{_GRAPH}/{what}/{state}/export",
            _ref(f"{state}_export_request"),
            {**failures, 202: _ANY},
        )
        for what in ("usage", "reconciliation")
        for state in ("billed", "unbilled")
    ]
    return [
        *exports,
        Operation("GET", f"{_GRAPH}/operations/{{id}}", None, {**failures, 200: _ref("operation")}),
        Operation("GET", f"{_GRAPH}/manifests/{{id}}", None, {**failures, 200: _ref("manifest")}),
        Operation(
            "GET", "/blob/{container}/{manifest}/{name}", None, {200: _ANY, 403: _ANY, 404: _ANY}
        ),
    ]


def _sign_in() -> list[Operation]:
    answers = {200: _ref("token"), 400: _ref("token_error"), 401: _ref("token_error")}
    return [Operation("POST", "/login/{tenant}/oauth2/v2.0/token", None, answers)]
