"""What a vendor promises and demands: JSON Schemas per operation, for both directions.

A request that breaks the contract is the client's fault and is answered as the vendor would; an
answer that breaks it is a bug of the simulator and becomes a loud 500.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from simulators.exact_json import Document
from simulators.http_messages import Answer, Call

_PLACEHOLDER = re.compile(r"\{[^/{}]+\}")


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach. `side` is `client` or `simulator`."""

    side: str
    operation: str
    detail: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the vendor's API and the schemas of what goes in and comes out.

    `path` carries the mount prefix and `{placeholders}` for single segments. `responses` maps a
    status to a schema; a status that is missing is not allowed, an empty schema allows anything.
    """

    method: str
    path: str
    request: Document | None = None
    responses: Mapping[int, Document] = field(default_factory=dict)
    required_headers: Sequence[str] = ()
    query: Document | None = None  # schema of the query parameters, all of them strings

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


class Contract:
    """The operations of one vendor. Calls that no operation describes are the client's mistake."""

    def __init__(
        self, operations: Sequence[Operation], definitions: Mapping[str, Document] | None = None
    ) -> None:
        """`definitions` are reachable from every schema as `#/$defs/<name>`."""
        self._definitions = dict(definitions or {})
        self._operations = [(re.compile(_pattern(op.path)), op) for op in operations]
        self._validators: dict[int, tuple[Document, Validator]] = {}

    @property
    def operations(self) -> list[Operation]:
        return [op for _, op in self._operations]

    def operation_for(self, call: Call) -> Operation | None:
        for pattern, operation in self._operations:
            if operation.method == call.method and pattern.fullmatch(call.path):
                return operation
        return None

    def check_request(self, call: Call) -> list[str]:
        operation = self.operation_for(call)
        if operation is None:
            return [f"{call.method} {call.path} is not an operation of this API"]
        found = [
            f"header {h} is missing" for h in operation.required_headers if h not in call.headers
        ]
        if operation.query is not None:
            found += self.errors(operation.query, call.parameters)
        if operation.request is not None:
            found += self._body_errors(operation.request, call)
        return found

    def check_response(self, call: Call, answer: Answer) -> list[str]:
        operation = self.operation_for(call)
        if operation is None:
            return []
        schema = operation.responses.get(answer.status)
        if schema is None:
            return [f"status {answer.status} is not declared"]
        return self._body_errors(schema, answer) if schema else []

    def errors(self, schema: Document, value: Any) -> list[str]:
        """What is wrong with a value, a sentence each."""
        _, validator = self._validators.get(id(schema), (None, None))
        if validator is None:
            whole = {**schema, "$defs": {**self._definitions, **schema.get("$defs", {})}}
            validator = Draft202012Validator(whole)
            self._validators[id(schema)] = (schema, validator)  # keeps the id from being reused
        return [f"{e.json_path}: {e.message[:300]}" for e in validator.iter_errors(value)]

    def _body_errors(self, schema: Document, message: Call | Answer) -> list[str]:
        try:
            document = message.json()
        except ValueError:
            return ["the body is not JSON"]
        return self.errors(schema, document)


def _pattern(path: str) -> str:
    literal = _PLACEHOLDER.split(path)
    return "[^/]+".join(re.escape(part) for part in literal)
