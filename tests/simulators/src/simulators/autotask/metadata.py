"""What a tenant says of its own entities: permissions, fields, and picklists with their ids."""

from __future__ import annotations

from simulators.autotask.entities import Entity
from simulators.exact_json import Document

_TYPES = {"int32": "integer", "int64": "long", "double": "double", "date-time": "datetime"}


def entity_information(entity: Entity, schema: Document) -> Document:
    return {
        "info": {
            "name": entity.schema,
            "canCreate": entity.can_create,
            "canDelete": entity.can_delete,
            "canQuery": entity.can_query,
            "canUpdate": entity.can_update,
            "hasUserDefinedFields": bool(schema.get("x-udf")),
            "supportsWebhookCallouts": entity.name == "Companies",
        }
    }


def field_information(
    entity: Entity, schema: Document, picklists: dict[str, dict[str, str]]
) -> Document:
    """One entry per field; a picklist's ids and labels belong to the tenant."""
    required = schema.get("x-required-on-create", ())
    return {
        "fields": [
            {
                "name": name,
                "dataType": _data_type(spec),
                "length": spec.get("maxLength", 0),
                "isRequired": name in required,
                "isReadOnly": bool(spec.get("readOnly")),
                "isQueryable": entity.can_query,
                "isReference": name.endswith("ID") and not spec.get("x-picklist"),
                "referenceEntityType": _referred(name),
                "isPickList": f"{entity.name}.{name}" in picklists,
                "picklistValues": _values(picklists.get(f"{entity.name}.{name}", {})),
                "picklistParentValueField": "",
                "isSupportedWebhookField": False,
            }
            for name, spec in schema["properties"].items()
            if name != "userDefinedFields"
        ]
    }


def _values(labels: dict[str, str]) -> list[Document]:
    return [
        {
            "value": value,
            "label": label,
            "isDefaultValue": False,
            "sortOrder": number,
            "parentValue": "",
            "isActive": True,
            "isSystem": False,
        }
        for number, (value, label) in enumerate(labels.items(), start=1)
    ]


def _data_type(spec: Document) -> str:
    return _TYPES.get(spec.get("format", ""), str(spec.get("type", "string")))


def _referred(name: str) -> str:
    """`contractServiceID` → `ContractService`; empty for fields that refer to nothing."""
    return f"{name[0].upper()}{name[1:-2]}" if name.endswith("ID") else ""
