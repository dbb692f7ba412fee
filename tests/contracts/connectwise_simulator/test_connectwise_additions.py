"""Agreement additions of the simulated ConnectWise: required fields, PATCH traps, derivation."""

from __future__ import annotations

from typing import Any

import pytest

ADDITIONS = "/finance/agreements/70/additions"


def addition(**changes: Any) -> dict[str, Any]:
    """The body of a complete addition, as a connector sends it."""
    return {
        "product": {"id": 5},
        "quantity": 43,
        "unitPrice": 22.55,
        "unitCost": 18.04,
        "billCustomer": "Billable",
        "effectiveDate": "2026-04-01T00:00:00Z",
        "cancelledDate": "2026-04-30T00:00:00Z",
        "taxableFlag": False,
        "invoiceDescription": "Business Premium",
        "customFields": [{"id": 12, "value": "bcs-1"}],
        **changes,
    }


async def test_created_addition_shows_derived_fields(client: Any) -> None:
    """Extended price, cost and margin come from quantity × price, billedQuantity from quantity."""
    row = await client.body("POST", ADDITIONS, addition(lessIncluded=3))

    shown = {k: str(row[k]) for k in ("billedQuantity", "extPrice", "extCost", "margin")}
    assert shown == {
        "billedQuantity": "40",
        "extPrice": "902.00",
        "extCost": "721.60",
        "margin": "180.40",
    }
    assert (row["agreementId"], row["agreementStatus"]) == (70, "Active")
    assert await client.violations() == []


async def test_posting_twice_makes_two_additions(client: Any) -> None:
    """There is no idempotency and no uniqueness: the second POST is a second line."""
    await client.body("POST", ADDITIONS, addition())
    await client.body("POST", ADDITIONS, addition())

    assert (await client.body("GET", f"{ADDITIONS}/count")) == {"count": 2}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"billCustomer": None}, "billCustomer", id="required enum"),
        pytest.param({"product": None}, "product", id="required reference"),
        pytest.param({"billCustomer": "Yes"}, "billCustomer", id="not in the enum"),
        pytest.param({"serialNumber": "x" * 51}, "serialNumber", id="longer than 50"),
        pytest.param({"quantity": "43"}, "quantity", id="number sent as text"),
        pytest.param({"effectiveDate": "2026-04-01"}, "effectiveDate", id="date without time"),
        pytest.param({"product": {"id": 7}}, "product", id="bundle"),
        pytest.param({"product": {"id": 99}}, "product", id="no such product"),
        pytest.param(
            {"customFields": [{"id": 9, "value": "x"}]}, "customFields", id="no such field"
        ),
    ],
)
async def test_invalid_addition_is_refused_with_the_field(
    client: Any, changes: dict[str, Any], field: str
) -> None:
    """400 InvalidObject names the field, and nothing is stored."""
    body = {k: v for k, v in addition(**changes).items() if v is not None}

    status, error, _ = await client.api("POST", ADDITIONS, body)

    assert (status, error["code"]) == (400, "InvalidObject")
    assert field in [e["field"] for e in error["errors"]]
    assert (await client.body("GET", f"{ADDITIONS}/count")) == {"count": 0}


async def test_unknown_and_derived_fields_are_ignored_but_recorded(client: Any) -> None:
    """The vendor drops them silently; our contract remembers that a client sent them."""
    row = await client.body("POST", ADDITIONS, addition(chargeDate="2026-04-01", extPrice=1))

    assert "chargeDate" not in row
    assert str(row["extPrice"]) == "969.65"
    assert await client.violations() == [
        "client: unknown chargeDate: chargeDate is not a known field",
        "client: derived extPrice: extPrice is set by the vendor",
    ]


async def test_patch_changes_the_named_fields_only(client: Any) -> None:
    """`quantity` is replaced, the price stays, and who did it is in the record."""
    row = await client.body("POST", ADDITIONS, addition())
    operations = [{"op": "replace", "path": "quantity", "value": 45}]

    after = await client.body("PATCH", f"{ADDITIONS}/{row['id']}", operations)

    assert (after["quantity"], str(after["unitPrice"])) == (45, "22.55")
    assert after["_info"]["updatedBy"] == "tieout-api"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("product/id", id="into a reference"),
        pytest.param("/customFields/0/value", id="into the custom fields"),
    ],
)
async def test_patch_into_an_object_is_a_false_success(client: Any, path: str) -> None:
    """200 and an unchanged record; recorded as the client's mistake."""
    row = await client.body("POST", ADDITIONS, addition())
    operations = [{"op": "replace", "path": path, "value": 6}]

    after = await client.body("PATCH", f"{ADDITIONS}/{row['id']}", operations)

    assert (after["product"]["id"], after["customFields"][0]["value"]) == (5, "bcs-1")
    assert len(await client.violations()) == 1


async def test_patch_paths_are_case_sensitive(client: Any) -> None:
    """`Quantity` is not a field."""
    row = await client.body("POST", ADDITIONS, addition())
    operations = [{"op": "replace", "path": "Quantity", "value": 45}]

    status, error, _ = await client.api("PATCH", f"{ADDITIONS}/{row['id']}", operations)

    assert (status, error["code"]) == (400, "InvalidObject")


async def test_custom_fields_are_replaced_as_a_whole(client: Any) -> None:
    """An array without our field clears our key."""
    row = await client.body("POST", ADDITIONS, addition())
    operations = [{"op": "replace", "path": "customFields", "value": []}]

    after = await client.body("PATCH", f"{ADDITIONS}/{row['id']}", operations)

    assert after["customFields"] == [
        {
            "id": 12,
            "caption": "BCS Key",
            "type": "Text",
            "entryMethod": "EntryField",
            "numberOfDecimals": 0,
        }
    ]


async def test_pointing_at_another_product_re_prices_the_line(client: Any) -> None:
    """Price, cost, texts and tax come from the new product unless the same PATCH says otherwise."""
    row = await client.body("POST", ADDITIONS, addition(taxableFlag=True))
    operations = [
        {"op": "replace", "path": "product", "value": {"id": 6}},
        {"op": "replace", "path": "unitCost", "value": 20},
    ]

    after = await client.body("PATCH", f"{ADDITIONS}/{row['id']}", operations)

    shown = (after["unitPrice"], after["unitCost"], after["taxableFlag"])
    assert shown == (27, 20, False)
    assert after["invoiceDescription"] == "BP-M"


async def test_put_lets_omitted_fields_fall_back_to_defaults(client: Any) -> None:
    """The price that was not repeated is the catalog's again."""
    row = await client.body("POST", ADDITIONS, addition())
    body = {"product": {"id": 5}, "billCustomer": "Billable"}

    after = await client.body("PUT", f"{ADDITIONS}/{row['id']}", body)

    assert (after["quantity"], after["unitPrice"], "cancelledDate" in after) == (1, 22, False)


async def test_deleted_addition_is_gone(client: Any) -> None:
    """204, then 404."""
    row = await client.body("POST", ADDITIONS, addition())

    status, _, _ = await client.api("DELETE", f"{ADDITIONS}/{row['id']}")
    again, error, _ = await client.api("DELETE", f"{ADDITIONS}/{row['id']}")

    assert (status, again, error["code"]) == (204, 404, "NotFound")


async def test_catalog_updates_reach_additions_where_the_product_says_so(client: Any) -> None:
    """autoUpdateUnitPriceFlag lets the catalog rewrite our price: why a preflight refuses it."""
    row = await client.body("POST", ADDITIONS, addition())
    operations = [
        {"op": "replace", "path": "autoUpdateUnitPriceFlag", "value": True},
        {"op": "replace", "path": "price", "value": 30},
    ]

    await client.body("PATCH", "/procurement/catalog/5", operations)

    after = await client.body("GET", f"{ADDITIONS}/{row['id']}")
    assert (after["unitPrice"], str(after["unitCost"])) == (30, "18.04")


async def test_human_edit_is_in_the_audit_trail(client: Any) -> None:
    """Who changed what, newest first, beside our own creation."""
    row = await client.body("POST", ADDITIONS, addition())
    edit = {"kind": "addition", "id": row["id"], "set": {"unitPrice": 20}, "by": "j.smith"}

    await client.control("POST", "/edit", edit)

    trail = await client.body("GET", "/system/audittrail", type="AgreementAddition", id=row["id"])
    assert [(e["enteredBy"], e["auditSubType"]) for e in trail] == [
        ("j.smith", "Updated"),
        ("tieout-api", "Created"),
    ]
    assert "unitPrice from 22.55 to 20" in trail[0]["text"]


async def test_agreement_held_by_an_invoice_run_refuses_writes(client: Any) -> None:
    """409 while the run lasts, success afterwards."""
    await client.control("POST", "/invoice-run", {"agreement": 70, "hold": True})
    status, error, _ = await client.api("POST", ADDITIONS, addition())
    await client.control("POST", "/invoice-run", {"agreement": 70, "hold": False})
    after, _, _ = await client.api("POST", ADDITIONS, addition())

    assert (status, error["code"], after) == (409, "RecordInUse", 201)
