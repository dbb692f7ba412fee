"""Contract charges of the simulated Autotask: required fields, updates, the lock of billing."""

from __future__ import annotations

from typing import Any

import pytest

CHARGES = "/Contracts/7/Charges"


def _charge(**changes: Any) -> dict[str, Any]:
    given = {
        "name": "Azure usage April",
        "datePurchased": "2026-05-31T00:00:00Z",
        "chargeType": 31,
        "unitQuantity": 1,
        "unitPrice": 242.14,
        "unitCost": 201.5,
        "billingCodeID": 5,
        "isBillableToCompany": True,
        "internalPurchaseOrderNumber": "bcs-1",
        **changes,
    }
    return {k: v for k, v in given.items() if v is not None}


def _filter(field: str, value: object) -> dict[str, object]:
    return {"op": "eq", "field": field, "value": value}


async def _created(client: Any, **changes: Any) -> dict[str, Any]:
    id = (await client.item("POST", CHARGES, _charge(**changes)))["itemId"]
    item: dict[str, Any] = (await client.item("GET", f"/ContractCharges/{id}"))["item"]
    return item


async def test_charge_is_found_by_our_key(client: Any) -> None:
    """Read before write: contract and internal purchase order number."""
    row = await _created(client)

    found = await client.query(
        "ContractCharges", _filter("contractID", 7), _filter("internalPurchaseOrderNumber", "bcs-1")
    )

    assert [c["id"] for c in found] == [row["id"]]
    assert (str(row["billableAmount"]), row["isBilled"]) == ("242.1400", False)
    assert await client.violations() == []


async def test_missing_price_is_that_of_the_billing_code(client: Any) -> None:
    """9.00 from the material code, although we meant something else."""
    row = await _created(client, unitPrice=None, unitCost=None)

    assert (str(row["unitPrice"]), str(row["unitCost"])) == ("9.0000", "4.0000")


async def test_amounts_are_rounded_to_four_places(client: Any) -> None:
    """What was sent is not what is kept."""
    row = await _created(client, unitPrice=1.23456, unitQuantity=3)

    assert (str(row["unitPrice"]), str(row["billableAmount"])) == ("1.2346", "3.7038")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"name": None}, id="no name"),
        pytest.param({"datePurchased": None}, id="no date"),
        pytest.param({"chargeType": None}, id="no charge type"),
        pytest.param({"unitQuantity": None}, id="no quantity"),
        pytest.param({"billingCodeID": None}, id="neither product nor billing code"),
        pytest.param({"billingCodeID": 99}, id="unknown billing code"),
        pytest.param({"chargeType": 1}, id="another tenant's picklist id"),
        pytest.param({"name": "x" * 101}, id="name too long"),
        pytest.param({"internalPurchaseOrderNumber": "x" * 51}, id="key too long"),
        pytest.param({"contractID": 8}, id="another contract than the path"),
    ],
)
async def test_invalid_charge_is_refused(client: Any, changes: dict[str, Any]) -> None:
    """HTTP 500 with texts, nothing stored."""
    status, body = await client.api("POST", CHARGES, _charge(**changes))

    assert (status, list(body)) == (500, ["errors"])
    assert await client.query("ContractCharges", _filter("contractID", 7)) == []


async def test_read_only_and_invented_fields_are_ignored_but_recorded(client: Any) -> None:
    """The vendor drops them; our contract remembers."""
    row = await _created(client, billableAmount=1, chargeDate="2026-05-31")

    assert str(row["billableAmount"]) == "242.1400"
    assert sorted(v.split(":")[1].split()[0] for v in await client.violations()) == [
        "derived",
        "unknown",
    ]


async def test_patch_goes_to_the_collection_with_the_id_in_the_body(client: Any) -> None:
    """Only the fields that were sent change; PATCH on the item is 405."""
    row = await _created(client)

    refused, _ = await client.api("PATCH", f"{CHARGES}/{row['id']}", {"unitPrice": 1})
    await client.item("PATCH", CHARGES, {"id": row["id"], "unitPrice": 250})

    after = (await client.item("GET", f"{CHARGES}/{row['id']}"))["item"]
    assert refused == 405
    assert (str(after["billableAmount"]), after["name"]) == ("250.0000", "Azure usage April")


async def test_put_unsets_what_was_not_sent(client: Any) -> None:
    """Why nobody should use it."""
    row = await _created(client, description="April")
    body = {k: row[k] for k in ("id", "name", "unitQuantity", "unitPrice", "unitCost")}

    await client.item("PUT", CHARGES, {**body, "isBillableToCompany": True})

    after = (await client.item("GET", f"/ContractCharges/{row['id']}"))["item"]
    assert ("description" in after, "internalPurchaseOrderNumber" in after) == (False, False)


async def test_contract_of_a_charge_cannot_be_changed(client: Any) -> None:
    """contractID is create only."""
    row = await _created(client)

    status, body = await client.api("PATCH", CHARGES, {"id": row["id"], "contractID": 8})

    assert (status, body["errors"]) == (500, ["contractID: the field is read only."])


async def test_unbilled_charge_can_be_deleted(client: Any) -> None:
    """And is gone."""
    row = await _created(client)

    await client.item("DELETE", f"{CHARGES}/{row['id']}")

    status, _ = await client.api("GET", f"/ContractCharges/{row['id']}")
    assert status == 404


async def test_posting_bills_a_charge_and_locks_it(client: Any) -> None:
    """The item names the charge; neither PATCH nor DELETE works afterwards."""
    row = await _created(client)
    await _created(client, isBillableToCompany=False)

    await client.control("POST", "/post", {"contract": 7, "through": "2026-05-31"})

    items = await client.query("BillingItems", _filter("contractChargeID", row["id"]))
    patched, _ = await client.api("PATCH", CHARGES, {"id": row["id"], "unitPrice": 1})
    deleted, _ = await client.api("DELETE", f"{CHARGES}/{row['id']}")
    all_items = await client.query("BillingItems", {"op": "exist", "field": "contractChargeID"})
    assert [str(i["totalAmount"]) for i in items] == ["242.14"]
    assert (patched, deleted, len(all_items)) == (500, 500, 1)


async def test_negative_charge_is_a_refund(client: Any) -> None:
    """Quantity one and a negative price."""
    row = await _created(client, unitPrice=-12.5, unitCost=0)

    assert str(row["billableAmount"]) == "-12.5000"


async def test_invoice_takes_the_posted_items_of_a_company(client: Any) -> None:
    """Items get the invoice's id; the total is theirs."""
    await _created(client)
    await client.control("POST", "/post", {"contract": 7, "through": "2026-05-31"})

    invoice = await client.control("POST", "/invoice", {"company": 3})

    items = await client.query("BillingItems", _filter("invoiceID", invoice["id"]))
    shown = (await client.item("GET", f"/Invoices/{invoice['id']}"))["item"]
    assert len(items) == 2
    assert str(shown["invoiceTotal"]) == "1346.14"
