"""Charges that are on a contract already, in our words, and the PATCH that makes one ours."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from psa_connector.clients.autotask import fields
from psa_connector.clients.autotask.fields import Document
from psa_connector.clients.psa import AdoptionGone, Refused
from psa_connector.domain.adopting import ExistingLine
from psa_connector.domain.operations import ContractCharge, Product

FIELDS = (*fields.CHARGE_FIELDS, "isBilled")


def existing(shown: Mapping[str, Any]) -> ExistingLine:
    """A charge as it stands. What is billed is locked by the vendor."""
    obstacles = []
    if shown.get("isBilled"):
        obstacles.append("it is billed already")
    quantity = Decimal(shown["unitQuantity"])
    if quantity != 1:
        obstacles.append(f"its quantity is {quantity:f}, not 1")
    cost = shown.get("unitCost")
    record = ContractCharge(
        product=Product("", _billed_as(shown)),
        name=str(shown.get("name") or ""),
        description=str(shown.get("description") or ""),
        charged_on=fields.day(shown["datePurchased"]),
        amount=Decimal(shown.get("unitPrice") or 0),
        cost=None if cost is None else Decimal(cost),
    )
    key = str(shown.get("internalPurchaseOrderNumber") or "") or None
    return ExistingLine(str(shown["id"]), record, key, tuple(obstacles))


def adoption(charge: ContractCharge, shown: Mapping[str, Any] | None, key: str) -> Document:
    """The key into a charge that is still what a person agreed to.

    Raises:
        AdoptionGone.
        Refused: it has changed, is billed, or carries another number.
    """
    if shown is None:
        raise AdoptionGone("the charge to adopt is gone")
    there = shown.get("internalPurchaseOrderNumber")
    if there and there != key:
        raise Refused(f"the charge to adopt carries {there} where our key would stand")
    if shown.get("isBilled"):
        raise Refused("the charge to adopt is billed already")
    record = fields.charge_record(charge, key, shown)
    changed = [d for d in record.differences if d.field != "internalPurchaseOrderNumber"]
    if changed:
        raise Refused(f"the charge to adopt has changed: {'; '.join(map(str, changed))}")
    return {"id": int(shown["id"]), "internalPurchaseOrderNumber": key}


def _billed_as(shown: Mapping[str, Any]) -> str:
    product = shown.get("productID")
    return f"{fields.BILLING_CODE}{shown.get('billingCodeID')}" if product is None else str(product)
