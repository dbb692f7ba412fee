"""Approve and post, and the invoice after it: what turns units and charges into billing items.

Posting locks: a posted period takes no more adjustments, a posted charge no more changes. Items
keep the charge they come from; service items are told apart by service and date only.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from shared.kernel.periods import Period
from simulators.autotask.refusals import Refused
from simulators.autotask.state import State, posted_key
from simulators.autotask.units import Item, items_of
from simulators.calendar_days import day_of, midnight, second_of
from simulators.exact_json import Document

_CENT = Decimal("0.01")
_CHARGE, _RECURRING = 4, 11  # billingItemType
_WHOLE, _PRORATED = 1, 2  # subType


def post(state: State, contract: int, through: date, now: datetime) -> list[Document]:
    """Approve and post what begins on or before a day: whole periods and billable charges."""
    if contract not in state.rows("contracts"):
        raise Refused(f"there is no contract {contract}")
    made = []
    for service in list(state.rows("contract_services").values()):
        if service["contractID"] != contract:
            continue
        for period in state.contract_periods(contract):
            key = posted_key(service["id"], period.start)
            if period.start <= through and key not in state.posted:
                state.posted[key] = second_of(now)
                made += _service_items(state, service, period, now)
    for charge in list(state.rows("charges").values()):
        open_ = charge["isBillableToCompany"] and not charge["isBilled"]
        if (
            open_
            and charge["contractID"] == contract
            and day_of(charge["datePurchased"]) <= through
        ):
            state.rows("charges")[charge["id"]] = {**charge, "isBilled": True}
            made.append(_charge_item(state, charge, now))
    return made


def invoice(state: State, company: int, now: datetime) -> Document:
    """One invoice over the posted items of a company that no invoice holds yet."""
    items = [
        i
        for i in state.rows("billing_items").values()
        if i["companyID"] == company and "invoiceID" not in i
    ]
    if not items:
        raise Refused(f"company {company} has nothing to invoice")
    id = state.new_id()
    row = {
        "id": id,
        "batchID": id,
        "companyID": company,
        "invoiceNumber": f"AT-{id}",
        "invoiceDateTime": second_of(now),
        "createDateTime": second_of(now),
        "invoiceTotal": sum((i["totalAmount"] for i in items), Decimal(0)),
        "totalTaxValue": Decimal(0),
        "isVoided": False,
    }
    state.rows("invoices")[id] = row
    for item in items:
        state.rows("billing_items")[item["id"]] = {**item, "invoiceID": id}
    return row


def _service_items(
    state: State, service: Document, period: Period, now: datetime
) -> list[Document]:
    opening, changes = state.opening(service["id"]), state.changes(service["id"])
    return [
        _item(state, service, now, **_service_fields(state, service, period, item))
        for item in items_of(period, opening, changes)
    ]


def _service_fields(state: State, service: Document, period: Period, item: Item) -> Document:
    catalogue = state.rows("services")[service["serviceID"]]
    return {
        "billingItemType": _RECURRING,
        "subType": _WHOLE if item.on == period.start else _PRORATED,
        "itemName": catalogue["name"],
        "itemDate": midnight(item.on),
        "quantity": item.quantity,
        "rate": item.rate,
        "extendedPrice": item.amount.quantize(_CENT, ROUND_HALF_UP),
        "ourCost": item.cost.quantize(_CENT, ROUND_HALF_UP),
        "serviceID": service["serviceID"],
        "billingCodeID": catalogue["billingCodeID"],
    }


def _charge_item(state: State, charge: Document, now: datetime) -> Document:
    amount = Decimal(charge["unitQuantity"]) * Decimal(charge["unitPrice"])
    cost = Decimal(charge["unitQuantity"]) * Decimal(charge["unitCost"])
    fields = {
        "billingItemType": _CHARGE,
        "subType": _WHOLE,
        "itemName": charge["name"],
        "itemDate": charge["datePurchased"],
        "quantity": charge["unitQuantity"],
        "rate": charge["unitPrice"],
        "extendedPrice": amount.quantize(_CENT, ROUND_HALF_UP),
        "ourCost": cost.quantize(_CENT, ROUND_HALF_UP),
        "contractChargeID": charge["id"],
    }
    for name in ("description", "purchaseOrderNumber", "billingCodeID"):
        if name in charge:
            fields[name] = charge[name]
    return _item(state, charge, now, **fields)


def _item(state: State, of: Document, now: datetime, **fields: object) -> Document:
    id = state.new_id()
    contract = state.rows("contracts")[of["contractID"]]
    row: Document = {
        "id": id,
        "companyID": contract["companyID"],
        "contractID": contract["id"],
        "postedDate": second_of(now),
        "postedOnTime": second_of(now),
        "nonBillable": 0,
        "taxDollars": Decimal(0),
        "totalAmount": fields["extendedPrice"],
        **fields,
    }
    state.rows("billing_items")[id] = row
    return row
