"""Our words in Autotask's fields, and back: adjustments, unit rows, charges, contracts.

Names are camelCase on the wire, ids are numbers (an id sent as text finds nothing), dates travel as
midnight and are read by their first ten characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from psa_connector.domain.adjustments import UnitRow
from psa_connector.domain.operations import ContractCharge, ServiceAdjustment
from psa_connector.domain.outcomes import Write
from psa_connector.domain.preflight import ProductFacts, TargetFacts
from psa_connector.domain.snapshots import HeldRecord, HeldService, Words
from psa_connector.domain.verdicts import Difference, Record
from shared.kernel.money import EXACT

RECURRING_SERVICE = 7  # contractType; the vendor's help names this number
INACTIVE = 0  # contract status
BILLING_CODE = "billing_code:"  # an external id that is a billing code, not a product
UNIT_FIELDS = ("contractServiceID", "startDate", "endDate", "units", "price")
CHARGE_FIELDS = (
    "contractID", "name", "description", "datePurchased", "unitQuantity", "unitPrice", "unitCost",
    "productID", "billingCodeID", "isBillableToCompany", "internalPurchaseOrderNumber",
)  # fmt: skip
SWEPT_CHARGE_FIELDS = (
    *CHARGE_FIELDS, "isBilled", "statusLastModifiedBy", "statusLastModifiedDate",
)  # fmt: skip
SWEPT_UNIT_FIELDS = ("contractID", *UNIT_FIELDS, "approveAndPostDate")
_COMPARED = frozenset(CHARGE_FIELDS) - {"contractID", "internalPurchaseOrderNumber"}
Document = dict[str, Any]


def adjustment_body(adjustment: ServiceAdjustment, wanted: Write, contract_id: int) -> Document:
    """Units always; price and cost only where they are restated (A2)."""
    body: Document = {
        "effectiveDate": instant(adjustment.effective_on),
        "unitChange": wanted.unit_change,
    }
    if wanted.service is not None:
        body["contractServiceID"] = int(wanted.service)
    else:
        body["contractID"] = contract_id
        body["serviceID"] = number(adjustment.product.external_id)
    if wanted.repeats_service:
        body["allowRepeatService"] = True
    if wanted.restate_price:
        body["adjustedUnitPrice"] = adjustment.unit_price
        if adjustment.unit_cost is not None:
            body["adjustedUnitCost"] = adjustment.unit_cost
    return body


def unit_row(shown: Mapping[str, Any]) -> UnitRow:
    price = shown.get("price")
    return UnitRow(
        id=int(shown["id"]),
        starts_on=day(shown["startDate"]),
        ends_on=day(shown["endDate"]),
        units=int(shown["units"]),
        price=None if price is None else Decimal(price),
    )


def charge_body(
    charge: ContractCharge, key: str, *, contract_id: int, charge_type: int
) -> Document:
    """Quantity one at the net amount (A6); our key in the internal order number."""
    body: Document = {
        "contractID": contract_id,
        "name": charge.name,
        "description": charge.description,
        "datePurchased": instant(charge.charged_on),
        "chargeType": charge_type,
        "unitQuantity": 1,
        "unitPrice": charge.amount,
        "isBillableToCompany": True,
        "internalPurchaseOrderNumber": key,
    }
    field, id = billed_as(charge.product.external_id)
    body[field] = id
    if charge.cost is not None:
        body["unitCost"] = charge.cost
    return body


def billed_as(external_id: str | None) -> tuple[str, int]:
    """A charge needs a product or a billing code; the mapping says which."""
    if external_id is not None and external_id.startswith(BILLING_CODE):
        return "billingCodeID", number(external_id.removeprefix(BILLING_CODE))
    return "productID", number(external_id)


def charge_record(charge: ContractCharge, key: str, shown: Mapping[str, Any]) -> Record:
    """The charge with our key, compared with what we asked for."""
    asked = charge_body(charge, key, contract_id=0, charge_type=0)
    asked = {name: asked[name] for name in asked if name in CHARGE_FIELDS and name != "contractID"}
    differences = [
        Difference(name, _text(asked[name]), _text(shown.get(name)))
        for name in asked
        if _text(asked[name]) != _text(shown.get(name))
    ]
    billed = bool(shown.get("isBilled"))
    return Record(str(shown["id"]), tuple(differences), billed=billed)


def words_of(charge: ContractCharge) -> Words:
    """What the PSA should show of a charge."""
    asked = charge_body(charge, "", contract_id=0, charge_type=0)
    return {name: _text(asked[name]) for name in asked if name in _COMPARED}


def held_charge(shown: Mapping[str, Any]) -> HeldRecord:
    by, at = shown.get("statusLastModifiedBy"), shown.get("statusLastModifiedDate")
    quantity, price = Decimal(shown["unitQuantity"]), Decimal(shown.get("unitPrice") or 0)
    free = shown.get("isBillableToCompany") is False
    return HeldRecord(
        external_id=str(shown["id"]),
        key=shown.get("internalPurchaseOrderNumber"),
        words={name: _text(shown.get(name)) for name in _COMPARED},
        amount=Decimal(0) if free else EXACT.multiply(quantity, price),
        billed=bool(shown.get("isBilled")),
        edited_by=None if by is None else f"resource {by}",
        edited_at=at,
    )


def held_service(service: str, shown: Sequence[Mapping[str, Any]]) -> HeldService:
    posted = [day(one["endDate"]) for one in shown if one.get("approveAndPostDate")]
    return HeldService(service, tuple(map(unit_row, shown)), max(posted, default=None))


def target_facts(contract: Mapping[str, Any]) -> TargetFacts:
    starts, ends = contract.get("startDate"), contract.get("endDate")
    return TargetFacts(
        company_id=str(contract.get("companyID", "")),
        active=contract.get("status") != INACTIVE,
        takes_services=contract.get("contractType") == RECURRING_SERVICE,
        starts_on=day(starts) if starts else None,
        ends_on=day(ends) if ends else None,
    )


def product_facts(external_id: str, shown: Mapping[str, Any]) -> ProductFacts:
    return ProductFacts(external_id=external_id, active=shown.get("isActive") is not False)


def number(external_id: str | None) -> int:
    """Ids are numbers on the wire."""
    if external_id is None or not external_id.isdigit():
        raise ValueError(f"{external_id!r} is no Autotask id")
    return int(external_id)


def instant(on: date) -> str:
    return f"{on.isoformat()}T00:00:00Z"


def day(text: object) -> date:
    return date.fromisoformat(str(text)[:10])


def _text(value: object) -> str:
    """One spelling for equal values."""
    match value:
        case bool():
            return str(value).lower()
        case int() | Decimal():
            return f"{Decimal(value).normalize():f}"
        case str() if value[10:19] == "T00:00:00":
            return value[:10]
        case None | "":
            return "nothing"
    return str(value).replace("\r\n", "\n").strip()
