"""Our words in ConnectWise's fields, and back: additions, agreements, catalog items.

Dates are calendar days that travel as midnight UTC; read by their first ten characters they cannot
move to the day before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from psa_connector.domain.operations import Addition
from psa_connector.domain.preflight import BillingCycle, ProductFacts, TargetFacts
from psa_connector.domain.snapshots import HeldRecord, Words
from psa_connector.domain.verdicts import Difference, Record
from shared.kernel.money import EXACT

KEY_CAPTION = "BCS Key"
Document = dict[str, Any]
_DAYS = frozenset({"effectiveDate", "cancelledDate"})
# What a field means that the vendor shows as null, or not at all.
_UNSET: Mapping[str, object] = {
    "lessIncluded": 0,
    "unitCost": 0,
    "taxableFlag": False,
    "invoiceDescription": "",
    "purchaseItemFlag": False,
}


@dataclass(frozen=True, slots=True)
class KeyField:
    """Where our key stands in an addition: a custom field, or else the serial number."""

    id: int | None

    def put(self, key: str) -> Document:
        if self.id is None:
            return {"serialNumber": key}
        return {"customFields": [{"id": self.id, "caption": KEY_CAPTION, "value": key}]}

    def read(self, addition: Mapping[str, Any]) -> str | None:
        if self.id is None:
            return addition.get("serialNumber")
        values = {item.get("id"): item.get("value") for item in addition.get("customFields") or ()}
        found = values.get(self.id)
        return None if found is None else str(found)


def addition_body(addition: Addition) -> Document:
    """Every field we own, always (C2)."""
    body: Document = {
        "product": {"id": _number(addition.product.external_id)},
        "quantity": addition.quantity,
        "lessIncluded": 0,
        "unitPrice": addition.unit_price,
        "unitCost": addition.unit_cost,
        "billCustomer": "Billable" if addition.charged else "NoCharge",
        "effectiveDate": instant(addition.effective_on),
        "taxableFlag": addition.taxable,
        "invoiceDescription": addition.description,
        "purchaseItemFlag": False,
    }
    if addition.last_on is not None:
        body["cancelledDate"] = instant(addition.last_on)
    return body


def record_of(addition: Addition, shown: Mapping[str, Any]) -> Record:
    """The record with our key, compared with what we asked for.

    A recurring addition may have been closed by a later operation of ours; its last day is that
    operation's business.
    """
    asked = addition_body(addition)
    told = {name: (_text(name, asked[name]), _text(name, _shown(shown, name))) for name in asked}
    differences = [Difference(name, ours, there) for name, (ours, there) in told.items()]
    differences = [one for one in differences if one.expected != one.found]
    return Record(
        external_id=str(shown["id"]),
        differences=tuple(differences),
        last_on=day(shown.get("cancelledDate")),
    )


def words_of(addition: Addition) -> Words:
    """What the PSA should show of an addition, an open end included."""
    asked = {"cancelledDate": None, **addition_body(addition)}
    return {name: _text(name, value) for name, value in asked.items()}


def held_record(
    shown: Mapping[str, Any], key: KeyField, invoiced: frozenset[date], template: Words
) -> HeldRecord:
    """An addition on an agreement with these months on its invoices."""
    starts, ends = day(shown.get("effectiveDate")), day(shown.get("cancelledDate"))
    info = shown.get("_info") or {}
    quantity = Decimal(shown.get("quantity") or 0) - Decimal(shown.get("lessIncluded") or 0)
    free = shown.get("billCustomer") != "Billable"
    return HeldRecord(
        external_id=str(shown["id"]),
        key=key.read(shown),
        words={name: _text(name, _shown(shown, name)) for name in template},
        amount=Decimal(0) if free else EXACT.multiply(quantity, Decimal(shown["unitPrice"])),
        billed=bill_months(starts, ends, invoiced),
        edited_by=info.get("updatedBy"),
        edited_at=info.get("lastUpdated"),
    )


def bill_months(starts: date | None, ends: date | None, invoiced: frozenset[date]) -> bool:
    """Whether one of the invoiced months lies within these days (C9)."""
    first = date.min if starts is None else starts.replace(day=1)
    return any(first <= month and (ends is None or month <= ends) for month in invoiced)


def repair_record(
    addition: Addition, shown: Mapping[str, Any], invoiced: frozenset[date]
) -> Record:
    """Compared strictly: a repair says how the record ends, too."""
    asked = words_of(addition)
    found = {name: _text(name, _shown(shown, name)) for name in asked}
    ends = day(shown.get("cancelledDate"))
    return Record(
        external_id=str(shown["id"]),
        differences=tuple(
            Difference(name, asked[name], found[name])
            for name in asked
            if asked[name] != found[name]
        ),
        last_on=ends,
        billed=bill_months(day(shown.get("effectiveDate")), ends, invoiced),
    )


def patch_of(addition: Addition) -> list[Document]:
    """Every owned field in one PATCH; an open end is a field to remove."""
    body = addition_body(addition)
    patch: list[Document] = [
        {"op": "replace", "path": name, "value": value} for name, value in body.items()
    ]
    if addition.last_on is None:
        patch.append({"op": "remove", "path": "cancelledDate"})
    return patch


def target_facts(agreement: Mapping[str, Any], billing_options: str | None) -> TargetFacts:
    currency = agreement.get("currency") or {}
    return TargetFacts(
        company_id=str((agreement.get("company") or {}).get("id", "")),
        active=agreement.get("agreementStatus", "Active") == "Active"
        and not agreement.get("cancelledFlag"),
        currency=currency.get("currencyCode") or currency.get("currencyIdentifier"),
        prorates=bool(
            agreement.get("prorateFlag") or agreement.get("invoiceProratedAdditionsFlag")
        ),
        cycle=_cycle(agreement, billing_options),
        starts_on=day(agreement.get("startDate")),
        ends_on=None if agreement.get("noEndingDateFlag") else day(agreement.get("endDate")),
        invoiced_before=day(agreement.get("nextInvoiceDate")),
    )


def product_facts(item: Mapping[str, Any]) -> ProductFacts:
    return ProductFacts(
        external_id=str(item["id"]),
        active=not item.get("inactiveFlag"),
        bundle=item.get("productClass") == "Bundle",
        reprices=bool(item.get("autoUpdateUnitPriceFlag")),
    )


def instant(on: date) -> str:
    return f"{on.isoformat()}T00:00:00Z"


def day(text: object) -> date | None:
    """Unset dates come as null, as an empty string, or not at all."""
    return date.fromisoformat(str(text)[:10]) if text else None


def _cycle(agreement: Mapping[str, Any], billing_options: str | None) -> BillingCycle:
    if agreement.get("oneTimeFlag") or billing_options == "NotRecurring":
        return BillingCycle.ONCE
    return BillingCycle.MONTHLY if billing_options == "Monthly" else BillingCycle.OTHER


def _shown(shown: Mapping[str, Any], name: str) -> object:
    """A field's value; unset is what it means."""
    value = shown.get(name)
    if value is None:
        return _UNSET.get(name)
    return {"id": value.get("id")} if name == "product" and isinstance(value, Mapping) else value


def _text(name: str, value: object) -> str:
    """One spelling for equal values: 1 and 1.0, a day at whatever hour."""
    match value:
        case bool():
            return str(value).lower()
        case int() | Decimal():
            return f"{Decimal(value).normalize():f}"
        case {"id": number}:
            return f"product {number}"
        case "" | None:
            return "nothing"
        case str() if name in _DAYS:
            return value[:10]
    return str(value).replace("\r\n", "\n").strip()


def _number(external_id: str | None) -> int:
    """Ids are numbers on the wire."""
    if external_id is None or not external_id.isdigit():
        raise ValueError(f"{external_id!r} is no ConnectWise id")
    return int(external_id)
