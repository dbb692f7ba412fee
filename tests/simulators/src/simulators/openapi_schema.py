"""OpenAPI 3.0 schemas as JSON Schema 2020-12, closed: objects with properties allow no others."""

from __future__ import annotations

from typing import Any, Literal

from simulators.exact_json import Document

Direction = Literal["request", "answer"]
_COPIED = ("type", "enum", "maxLength", "required", "minimum", "maximum")
_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})?$"


def json_schema(node: Any, direction: Direction) -> Any:
    """The schema of what travels in one direction; references lead to `#/$defs`."""
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = reference(node["$ref"].rpartition("/")[2])
        return {"anyOf": [target, {"type": "null"}]} if node.get("nullable") else target
    result = {k: v for k, v in node.items() if k in _COPIED}
    _add_format(result, node.get("format"))
    _add_children(result, node, direction)
    if _may_be_null(node, direction):
        result["type"] = [result["type"], "null"]
        if "enum" in result:
            result["enum"] = [*result["enum"], None]
    return result


def reference(name: str) -> Document:
    return {"$ref": f"#/$defs/{name}"}


def _add_format(result: Document, format: str | None) -> None:
    if format in _RANGES:
        result["minimum"], result["maximum"] = _RANGES[format]
    elif format == "date-time":
        result["pattern"] = _INSTANT


def _add_children(result: Document, node: Document, direction: Direction) -> None:
    if "items" in node:
        result["items"] = json_schema(node["items"], direction)
    others = node.get("additionalProperties")
    if "properties" in node:
        result["properties"] = {k: json_schema(v, direction) for k, v in node["properties"].items()}
        result["additionalProperties"] = False
    elif isinstance(others, dict):
        result["additionalProperties"] = json_schema(others, direction)


def _may_be_null(node: Document, direction: Direction) -> bool:
    """A request may clear any plain value; an answer only what the document says."""
    plain = node.get("type") not in ("object", "array")
    return "type" in node and (bool(node.get("nullable")) or (plain and direction == "request"))
