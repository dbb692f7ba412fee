"""A vendor's OpenAPI document as the contract of its simulator, stricter than the vendor itself.

Requests may not carry unknown, derived or create-only fields; answers may carry nothing that the
document does not describe. The extensions of our reduced documents are understood:
`x-required-on-create`, `x-required-one-of`, `x-create-only`, `x-server-derived`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from simulators.contract import Contract
from simulators.contract_problems import Problem, field_rules, problems_of
from simulators.exact_json import Document
from simulators.http_messages import Answer, Call
from simulators.openapi_schema import json_schema, reference

_HERE = Path(__file__).resolve()


def vendor_document(file_name: str) -> Document:
    """A contract file of `tests/contracts/vendors`, or of `TIEOUT_SIM_CONTRACTS` in an image."""
    folder = os.environ.get("TIEOUT_SIM_CONTRACTS", _HERE.parents[3] / "contracts" / "vendors")
    document: Document = json.loads((Path(folder) / file_name).read_text())
    return document


@dataclass(frozen=True, slots=True)
class Described:
    """One operation of the document."""

    method: str
    template: str
    body: Document


Relative = Callable[[Call], str | None]
"""The path below the API's base, or None when the call is not for the API."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document made ready once for all simulators of this process."""

    components: Document
    requests: Document
    answers: Document
    operations: list[tuple[re.Pattern[str], Described]]
    validators: dict[str, Draft202012Validator]


@cache
def prepared(file_name: str) -> Prepared:
    document = vendor_document(file_name)
    schemas: Document = document["components"]["schemas"]
    return Prepared(
        components=document["components"],
        requests={n: json_schema(s, "request") for n, s in schemas.items()},
        answers={n: json_schema(s, "answer") for n, s in schemas.items()},
        operations=sorted(_described(document), key=_literals_first),
        validators={},
    )


class OpenApiContract(Contract):
    """Holds calls and answers to an OpenAPI document whose base path may move."""

    def __init__(self, file_name: str, relative: Relative) -> None:
        super().__init__(())
        self._relative = relative
        ready = prepared(file_name)
        self._parameters = ready.components.get("parameters", {})
        self._responses = ready.components.get("responses", {})
        self._schemas: Document = ready.components["schemas"]
        self._requests, self._answers = ready.requests, ready.answers
        self._described, self._ready = ready.operations, ready.validators

    def described(self, call: Call) -> Described | None:
        path = self._relative(call)
        for pattern, operation in self._described:
            if operation.method == call.method and path and pattern.fullmatch(path):
                return operation
        return None

    def methods_of(self, path: str) -> set[str]:
        """The verbs the document knows for a relative path; empty when it knows no such path."""
        return {o.method for pattern, o in self._described if pattern.fullmatch(path)}

    def schema(self, name: str) -> Document:
        """A schema as the document has it."""
        found: Document = self._schemas[name]
        return found

    def check_request(self, call: Call) -> list[str]:
        return [str(problem) for problem in self.problems(call)]

    def problems(self, call: Call) -> list[Problem]:
        """Everything wrong with a call, most basic first."""
        if self._relative(call) is None:
            return []
        operation = self.described(call)
        if operation is None:
            text = f"{call.method} {call.path} is not an operation of this API"
            return [Problem("route", call.path, text)]
        return [*self._parameter_problems(operation, call), *self._body_problems(operation, call)]

    def check_response(self, call: Call, answer: Answer) -> list[str]:
        operation = self.described(call)
        if operation is None:
            return []
        schema = self._answer_schema(operation, answer)
        if schema is None or (answer.status >= 400 and not _is_json(answer)):
            return []
        partial = "fields" in call.parameters
        found = self._found(schema, answer.json(), self._answers, f"{answer.status}", operation)
        return [str(p) for p in found if not (partial and p.kind == "required")]

    def value_problems(self, schema_name: str, field: str, value: Any) -> list[Problem]:
        """What is wrong with one field's new value, as a PATCH sends it."""
        wanted = self._requests[schema_name]["properties"].get(field)
        if wanted is None:
            return [Problem("unknown", field, f"{schema_name} has no field {field}")]
        return self._problems({"properties": {field: wanted}}, {field: value}, self._requests, None)

    def sample_problems(self, schema_name: str, value: Any) -> list[Problem]:
        """How a recorded answer of the vendor differs from the schema; new fields are allowed,
        and so are nulls, which older versions printed for whatever was unset."""
        given = _without_nulls(value)
        found = self._problems(reference(schema_name), given, self._answers, f"?{schema_name}")
        return [p for p in found if p.kind != "unknown"]

    def _parameter_problems(self, operation: Described, call: Call) -> list[Problem]:
        known = {p["name"]: p for p in self._parameters_of(operation) if p["in"] == "query"}
        for name, parameter in known.items():
            if parameter.get("required") and name not in call.parameters:
                return [Problem("required", name, f"query parameter {name} is missing")]
        found = []
        for name, text in call.parameters.items():
            if name not in known:
                found.append(Problem("unknown", name, f"query parameter {name} is not known"))
            elif known[name]["schema"].get("type") == "integer" and not text.lstrip("-").isdigit():
                found.append(Problem("type", name, f"{text!r} is not a number"))
        return found

    def _parameters_of(self, operation: Described) -> Iterator[Document]:
        for parameter in operation.body.get("parameters", []):
            name = parameter.get("$ref", "").rpartition("/")[2]
            yield self._parameters[name] if name else parameter

    def _body_problems(self, operation: Described, call: Call) -> list[Problem]:
        wanted = operation.body.get("requestBody")
        if wanted is None:
            return []
        try:
            value = call.json()
        except ValueError:
            return [Problem("body", "", "the body is not JSON")]
        raw: Document = wanted["content"]["application/json"]["schema"]
        found = self._found(json_schema(raw, "request"), value, self._requests, "body", operation)
        name = raw.get("$ref", "").rpartition("/")[2]
        if not name or not isinstance(value, dict):
            return found
        return found + field_rules(self._schemas[name], value, call.method)

    def _answer_schema(self, operation: Described, answer: Answer) -> Document | None:
        responses = operation.body["responses"]
        described = responses.get(str(answer.status))
        if described is None and answer.status < 400:
            raise ValueError(f"{operation.method} {operation.template}: {answer.status} undeclared")
        described = described or responses["default"]
        if "$ref" in described:
            described = self._responses[described["$ref"].rpartition("/")[2]]
        content = described.get("content", {}).get("application/json")
        return json_schema(content["schema"], "answer") if content else None

    def _found(
        self, schema: Document, value: Any, defs: Document, what: str, operation: Described
    ) -> list[Problem]:
        return self._problems(
            schema, value, defs, f"{operation.method} {operation.template} {what}"
        )

    def _problems(
        self, schema: Document, value: Any, defs: Document, key: str | None
    ) -> list[Problem]:
        validator = self._ready.get(key) if key else None
        if validator is None:
            validator = Draft202012Validator({**schema, "$defs": defs})
            if key:
                self._ready[key] = validator
        return [p for error in validator.iter_errors(value) for p in problems_of(error)]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


def _described(document: Document) -> Iterator[tuple[re.Pattern[str], Described]]:
    for template, verbs in document["paths"].items():
        parts = re.split(r"\{[^/{}]+\}", template)
        pattern = re.compile("[^/]+".join(re.escape(p) for p in parts), re.IGNORECASE)
        for verb, body in verbs.items():
            yield pattern, Described(verb.upper(), template, body)


def _literals_first(entry: tuple[re.Pattern[str], Described]) -> tuple[int, str]:
    return entry[1].template.count("{"), entry[1].template


def _is_json(answer: Answer) -> bool:
    return answer.headers.get("content-type", "").startswith(
        ("application/json", "application/vnd")
    )
