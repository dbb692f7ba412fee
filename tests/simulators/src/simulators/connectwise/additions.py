"""Agreement additions: what a product gives them, what is derived, what re-pointing does."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from shared.kernel.periods import Period
from simulators.calendar_days import day_of
from simulators.connectwise import reference_data as reference
from simulators.connectwise.agreements import status_of, terms_of
from simulators.connectwise.invoicing import CENT, Due, period_of
from simulators.connectwise.refusals import refuse_field
from simulators.connectwise.state import State, from_catalog
from simulators.exact_json import Document

_NULLABLE = ("unitCost", "lessIncluded", "purchaseItemFlag")  # when unset
_DEFAULTED = ("unitPrice", "unitCost", "taxableFlag", "invoiceDescription", "description", "uom")


def created(state: State, agreement: int, given: Document) -> Document:
    """A new addition; nothing stops a second one of the same product."""
    item = _product(state, given["product"])
    row = reference.with_defaults(reference.ADDITION, {**from_catalog(item), **_set(given)})
    row["product"] = from_catalog(item)["product"]
    return {**row, "id": state.new_id(), "agreementId": agreement}


def changed(state: State, row: Document, changes: Document) -> Document:
    """The addition after a PATCH. A new product brings its own price, cost, texts and tax along
    wherever the same PATCH does not say otherwise."""
    defaults: Document = {}
    if "product" in changes:
        item = _product(state, changes["product"])
        defaults = {**from_catalog(item), "billCustomer": item["billableOption"]}
        changes = {**changes, "product": defaults["product"]}
    return {k: v for k, v in {**row, **defaults, **changes}.items() if v is not None}


def replaced(state: State, row: Document, given: Document) -> Document:
    """The addition after a PUT: what was not sent falls back to the defaults."""
    fresh = created(state, row["agreementId"], given)
    return {**fresh, "id": row["id"]}


def reprice(state: State, item: Document) -> list[Document]:
    """Additions of a product with automatic updates, at the product's new price and cost."""
    changes: Document = {}
    if item.get("autoUpdateUnitPriceFlag"):
        changes["unitPrice"] = item["price"]
    if item.get("autoUpdateUnitCostFlag"):
        changes["unitCost"] = item["cost"]
    using = [a for a in state.additions.values() if a["product"]["id"] == item["id"]]
    return [{**a, **changes} for a in using if changes and {**a, **changes} != a]


def view(state: State, row: Document, today: date) -> Document:
    """The addition as the API shows it, with the derived fields."""
    agreement = state.agreements[row["agreementId"]]
    quantity = Decimal(row["quantity"]) - Decimal(row.get("lessIncluded") or 0)
    price, cost = Decimal(row["unitPrice"]), Decimal(row.get("unitCost") or 0)
    ext_price, ext_cost = _cents(price * quantity), _cents(cost * quantity)
    share = _prorated_share(agreement, row)
    return {
        **dict.fromkeys(_NULLABLE),
        **row,
        "billedQuantity": quantity,
        "extPrice": ext_price,
        "extCost": ext_cost,
        "margin": ext_price - ext_cost,
        "proratePrice": _cents(price * share),
        "prorateCost": _cents(cost * share),
        "extendedProratePrice": _cents(price * share * quantity),
        "extendedProrateCost": _cents(cost * share * quantity),
        "agreementStatus": status_of(agreement, today),
    }


def due(state: State, row: Document) -> Due:
    """The addition as invoicing sees it."""
    agreement = state.agreements[row["agreementId"]]
    effective = row.get("effectiveDate") or agreement["startDate"]
    cancelled = row.get("cancelledDate")
    return Due(
        id=row["id"],
        quantity=Decimal(row["quantity"]) - Decimal(row.get("lessIncluded") or 0),
        unit_price=Decimal(row["unitPrice"]),
        effective=day_of(effective),
        cancelled=day_of(cancelled) if cancelled else None,
        bills=row["billCustomer"],
        sequence=Decimal(row.get("sequenceNumber", 0)),
        taxable=bool(row.get("taxableFlag")),
        description=row.get("invoiceDescription", ""),
    )


def _prorated_share(agreement: Document, row: Document) -> Decimal:
    """How much of its first period an addition of a prorating agreement bills; else 0."""
    terms = terms_of(agreement)
    if not terms.prorate or not terms.recurs or not row.get("effectiveDate"):
        return Decimal(0)
    first: Period = period_of(terms, day_of(row["effectiveDate"]))
    share = first.from_day(day_of(row["effectiveDate"])).share_of(first)
    return Decimal(share.numerator) / Decimal(share.denominator)


def _product(state: State, reference_to: Document) -> Document:
    item = state.catalog.get(reference_to.get("id", 0))
    if item is None and "identifier" in reference_to:
        wanted = reference_to["identifier"]
        item = next((c for c in state.catalog.values() if c["identifier"] == wanted), None)
    if item is None:
        raise refuse_field("Addition", "product", "the product does not exist")
    if item["productClass"] == "Bundle":
        raise refuse_field("Addition", "product", "a bundle cannot be an agreement addition")
    if item["inactiveFlag"]:
        raise refuse_field("Addition", "product", "the product is inactive")
    return item


def _set(given: Document) -> Document:
    """What was sent, without nulls in fields that the product fills."""
    return {k: v for k, v in given.items() if v is not None or k not in _DEFAULTED}


def _cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)
