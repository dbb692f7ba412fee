"""What can be wrong with a message, as schema rules and the extensions of our documents say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema import ValidationError

from simulators.exact_json import Document

_NAMES = {
    "maxLength": "length",
    "minimum": "range",
    "maximum": "range",
    "pattern": "format",
    "anyOf": "one_of",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a message. `kind` is the schema rule, or one of ours."""

    kind: str
    field: str
    message: str

    @property
    def harmless(self) -> bool:
        """The vendor does not notice: it ignores the field."""
        return self.kind in ("unknown", "derived")

    def __str__(self) -> str:
        return f"{self.kind} {self.field}: {self.message}"


def problems_of(error: ValidationError) -> list[Problem]:
    """One rule that a value breaks, as problems; of `X or null` only what is wrong with X."""
    options: Any = error.validator_value
    if error.validator == "anyOf" and {"type": "null"} in options:
        inner = [e for e in error.context or () if e.schema != {"type": "null"}]
        return [problem for one in inner for problem in problems_of(one)]
    where = ".".join(str(part) for part in error.absolute_path)
    prefix = f"{where}." if where else ""
    schema = error.schema
    if error.validator == "additionalProperties" and isinstance(schema, Mapping):
        instance: Document = dict(error.instance) if isinstance(error.instance, Mapping) else {}
        extra = sorted(set(instance) - set(schema.get("properties", ())))
        return [Problem("unknown", f"{prefix}{n}", f"{n} is not a known field") for n in extra]
    if error.validator == "required":
        name = error.message.split("'")[1]
        return [Problem("required", f"{prefix}{name}", f"{name} is required")]
    kind = str(error.validator)
    return [Problem(_NAMES.get(kind, kind), where, error.message[:300])]


def field_rules(schema: Document, value: Document, method: str) -> list[Problem]:
    found = [
        Problem("derived", name, f"{name} is set by the vendor")
        for name in value
        if _is_derived(schema["properties"].get(name, {}), name)
    ]
    if method == "POST":
        required: Sequence[str] = schema.get("x-required-on-create", ())
        missing = [n for n in required if value.get(n) is None]
        found += [Problem("required", name, f"{name} is required") for name in missing]
        choices = schema.get("x-required-one-of", ())
        if choices and not any(all(value.get(n) is not None for n in group) for group in choices):
            listed = " or ".join("+".join(group) for group in choices)
            found.append(Problem("one_of", listed, f"one of {listed} is required"))
    else:
        fixed = [n for n in value if schema["properties"].get(n, {}).get("x-create-only")]
        found += [Problem("create_only", n, f"{n} cannot be changed") for n in fixed]
    return found


def _is_derived(field: Document, name: str) -> bool:
    return bool(field.get("x-server-derived") or field.get("readOnly")) and name != "id"
