"""Additions that are on an agreement already, in our words, and the PATCH that makes one ours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from psa_connector.clients.connectwise import fields
from psa_connector.clients.connectwise.fields import Document, KeyField
from psa_connector.clients.psa import AdoptionGone, Refused
from psa_connector.domain.adopting import ExistingLine
from psa_connector.domain.operations import Addition, Product


def existing(shown: Mapping[str, Any], key: KeyField) -> ExistingLine:
    """An addition as it stands. Without a first day it bills since the agreement began."""
    effective_on = fields.day(shown.get("effectiveDate"))
    obstacles = []
    if effective_on is None:
        obstacles.append("it has no first day")
    if Decimal(shown.get("lessIncluded") or 0):
        obstacles.append(f"{shown['lessIncluded']} of its units are free")
    record = Addition(
        product=Product("", str(shown["product"]["id"])),
        quantity=Decimal(shown["quantity"]),
        unit_price=Decimal(shown["unitPrice"]),
        unit_cost=Decimal(shown.get("unitCost") or 0),
        effective_on=effective_on or date.min,
        last_on=fields.day(shown.get("cancelledDate")),
        taxable=bool(shown.get("taxableFlag")),
        charged=shown.get("billCustomer") == "Billable",
        description=str(shown.get("invoiceDescription") or ""),
    )
    return ExistingLine(str(shown["id"]), record, key.read(shown) or None, tuple(obstacles))


def adoption(
    addition: Addition, shown: Mapping[str, Any] | None, field: KeyField, key: str
) -> list[Document]:
    """The key into an addition that is still what a person agreed to; nothing else that bills.

    Custom fields travel as a whole: those of others are kept.

    Raises:
        AdoptionGone.
        Refused: it has changed, or somebody else's key is in it.
    """
    if shown is None:
        raise AdoptionGone("the addition to adopt is gone")
    there = field.read(shown)
    if there and there != key:
        raise Refused(f"the addition to adopt carries {there} where our key would stand")
    record = fields.record_of(addition, shown)
    changed = [str(one) for one in record.differences if one.field != "purchaseItemFlag"]
    if changed or record.last_on != addition.last_on:
        told = "; ".join(changed) or f"it ends on {record.last_on}"
        raise Refused(f"the addition to adopt has changed: {told}")
    values = _own(shown, field, key)
    if shown.get("purchaseItemFlag") is not False:
        values["purchaseItemFlag"] = False
    return [{"op": "replace", "path": name, "value": value} for name, value in values.items()]


def _own(shown: Mapping[str, Any], field: KeyField, key: str) -> Document:
    if field.id is None:
        return {"serialNumber": key}
    others = [
        {"id": one["id"], "caption": one.get("caption"), "value": one["value"]}
        for one in shown.get("customFields") or ()
        if one.get("id") != field.id and one.get("value") is not None
    ]
    (ours,) = field.put(key)["customFields"]
    return {"customFields": [*others, ours]}
