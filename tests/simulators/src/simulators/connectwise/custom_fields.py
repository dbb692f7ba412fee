"""Custom fields: defined per screen by an administrator, written only as the whole array.

A field that the written array leaves out loses its value.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from simulators.connectwise.refusals import refuse_field
from simulators.connectwise.state import State
from simulators.exact_json import Document


def stored(state: State, screen: str, label: str, given: list[Document]) -> list[Document]:
    """The values of a written array, by field id.

    Raises:
        Refused: a field this screen does not have, or a value of the wrong type.
    """
    kept = []
    for item in given:
        field = _definition(state, screen, item)
        if field is None:
            raise refuse_field(label, "customFields", f"{item} is no custom field of {screen}")
        value = item.get("value")
        if value is None or value == "":
            continue
        if not _fits(field["type"], value):
            raise refuse_field(label, "customFields", f"{value!r} does not fit {field['type']}")
        kept.append({"id": field["id"], "value": value})
    return kept


def shown(state: State, screen: str, row: Document) -> list[Document]:
    """Every field of the screen, with its value where it has one."""
    values = {item["id"]: item["value"] for item in row.get("customFields", [])}
    fields = [f for f in state.custom_fields.values() if f["screen"] == screen]
    return [
        {
            "id": f["id"],
            "caption": f["caption"],
            "type": f["type"],
            "entryMethod": f["entryMethod"],
            "numberOfDecimals": f.get("numberOfDecimals", 0),
            **({"value": values[f["id"]]} if f["id"] in values else {}),
        }
        for f in sorted(fields, key=lambda one: int(one["id"]))
    ]


def definition_view(field: Document) -> Document:
    """The field as `/system/userDefinedFields` lists it."""
    return {
        "id": field["id"],
        "podId": _PODS[field["screen"]],
        "caption": field["caption"],
        "sequenceNumber": 1,
        "screenId": field["screen"],
        "fieldTypeIdentifier": field["type"],
        "entryTypeIdentifier": field["entryMethod"],
        "numberDecimals": field.get("numberOfDecimals", 0),
        "requiredFlag": False,
        "displayOnScreenFlag": True,
        "readOnlyFlag": False,
    }


_PODS = {"additions": 1, "agreements": 2, "catalog": 3, "companies": 4}


def _definition(state: State, screen: str, item: Document) -> Document | None:
    for field in state.custom_fields.values():
        same = field["id"] == item.get("id") or (
            "id" not in item and field["caption"] == item.get("caption")
        )
        if same and field["screen"] == screen:
            return field
    return None


def _fits(kind: str, value: Any) -> bool:
    if kind in ("Number", "Currency", "Percent"):
        return isinstance(value, int | Decimal) and not isinstance(value, bool)
    if kind == "Checkbox":
        return isinstance(value, bool)
    return isinstance(value, str)
