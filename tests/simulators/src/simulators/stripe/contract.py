"""Stripe's operations, parameters and objects, reduced from the vendor's own type definitions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

from jsonschema import Draft202012Validator

from simulators.card_numbers import contains_card_number
from simulators.contract import Contract
from simulators.contract_problems import Problem, problems_of
from simulators.exact_json import Document
from simulators.http_messages import Answer, Call
from simulators.stripe.forms import FormError, decoded
from simulators.stripe.parameters import card_fields, typed
from simulators.vendor_openapi import vendor_document

PREFIX = "/stripe"
API_VERSION = "2026-10-28.endive"
_FORM = "application/x-www-form-urlencoded"
_LISTS = {"list": "list", "search_result": "search_result"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint of the document; `ids` are the values its path carries, in order."""

    name: str
    method: str
    params: Document | None
    returns: str


@dataclass(frozen=True, slots=True)
class Matched:
    operation: Operation
    ids: tuple[str, ...]


@cache
def _document() -> Document:
    return vendor_document("stripe.json")


@cache
def _operations() -> list[tuple[re.Pattern[str], Operation]]:
    document = _document()
    found = []
    for endpoint in sorted(document["endpoints"], key=lambda e: str(e["path"]).count("{")):
        pattern = re.sub(r"\{[^/{}]+\}", "([^/]+)", endpoint["path"])
        params = document["params"][endpoint["params"]] if endpoint["params"] else None
        operation = Operation(endpoint["op"], endpoint["method"], params, endpoint["returns"])
        found.append((re.compile(PREFIX + pattern), operation))
    return found


@cache
def _definitions() -> Document:
    return {name: _closed(schema) for name, schema in _document()["schemas"].items()}


@cache
def _validator(returns: str) -> Draft202012Validator:
    kind, _, item = returns.rstrip(">").partition("<")
    if kind in _LISTS:
        schema: Document = {
            "type": "object",
            "required": ["object", "data", "has_more", "url"],
            "properties": {
                "object": {"enum": [kind]},
                "data": {"type": "array", "items": _reference(item)},
            },
        }
    else:
        schema = _reference(returns)
    return Draft202012Validator({**schema, "$defs": _definitions()})


class StripeContract(Contract):
    """Form parameters in, documented objects out."""

    def __init__(self) -> None:
        super().__init__(())

    def matched(self, call: Call) -> Matched | None:
        for pattern, operation in _operations():
            found = pattern.fullmatch(call.path)
            if found is not None and operation.method == call.method:
                return Matched(operation, found.groups())
        return None

    def check_request(self, call: Call) -> list[str]:
        return [str(p) for p in self.problems(call)]

    def problems(self, call: Call) -> list[Problem]:
        """Everything wrong with a request. The card number itself is not repeated."""
        text = unquote_plus(f"{call.path}?{call.query} {call.body.decode(errors='replace')}")
        if contains_card_number(text):
            return [Problem("card_number", "", "the request contains something like a card number")]
        matched = self.matched(call)
        if matched is None:
            return [Problem("route", call.path, f"{call.method} {call.path} is not an operation")]
        found = self._header_problems(call)
        try:
            given = parameters_of(call)
        except FormError as error:
            return [*found, Problem("parameter_invalid", "", str(error))]
        found += [Problem("card_field", p, f"{p} is card data") for p in card_fields(given)]
        _, faults = typed(matched.operation.params, given)
        return found + [Problem(f.code, f.param, f.message) for f in faults]

    def check_response(self, call: Call, answer: Answer) -> list[str]:
        matched = self.matched(call)
        if matched is None:
            return []
        body = answer.json()
        if answer.status >= 400:
            return _errors("ErrorObject", body.get("error"))
        return _errors(matched.operation.returns, body)

    def sample_problems(self, schema: str, value: Any) -> list[Problem]:
        """How a recorded object differs from the schema; fields we left out are allowed."""
        found = [p for e in _validator(schema).iter_errors(value) for p in problems_of(e)]
        return [p for p in found if p.kind != "unknown"]

    def _header_problems(self, call: Call) -> list[Problem]:
        found = []
        version = call.headers.get("stripe-version")
        if version is None:
            text = "the API version is not pinned by a Stripe-Version header"
            found.append(Problem("version_missing", "Stripe-Version", text))
        elif version != API_VERSION:
            text = f"Invalid Stripe API version: {version}"
            found.append(Problem("version", "Stripe-Version", text))
        kind = call.headers.get("content-type", _FORM)
        if call.body and not kind.startswith(_FORM):
            found.append(Problem("encoding", "Content-Type", f"{kind} is not {_FORM}"))
        return found


def parameters_of(call: Call) -> Document:
    """The parameters of a call, untyped, wherever its verb carries them."""
    return decoded(call.query if call.method == "GET" else call.body.decode())


def typed_parameters(operation: Operation, call: Call) -> Document:
    """The parameters of a call that has no faults."""
    return typed(operation.params, parameters_of(call))[0]


def _errors(schema: str, value: Any) -> list[str]:
    found = _validator(schema).iter_errors(value)
    return [str(p) for error in found for p in problems_of(error)]


def _reference(name: str) -> Document:
    return {"$ref": f"#/$defs/{name}"}


def _closed(node: Any) -> Any:
    """A schema of the document as JSON Schema; objects allow no fields but the described ones."""
    if not isinstance(node, Mapping):
        return node
    if "anyOf" in node:
        return {"anyOf": [_closed(one) for one in node["anyOf"]]}
    if "$ref" in node:
        target = _reference(node["$ref"].rpartition("/schemas/")[2])
        return {"anyOf": [target, {"type": "null"}]} if node.get("nullable") else target
    kind = "object" if node.get("type") == "map" else node.get("type")
    result: Document = {"type": [kind, "null"] if node.get("nullable") else kind}
    if "expand" in node:  # an id, or the object itself when it was asked for
        result = {"type": [kind, "object", *(["null"] if node.get("nullable") else [])]}
    if "enum" in node:
        result["enum"] = [*node["enum"], *([None] if node.get("nullable") else [])]
    if "items" in node:
        result["items"] = _closed(node["items"])
    if "properties" in node:
        result["properties"] = {k: _closed(v) for k, v in node["properties"].items()}
        result["additionalProperties"] = False
    return result
