"""Service adjustments of the simulated Autotask: create only, and what they leave behind."""

from __future__ import annotations

from typing import Any

import pytest

ROOT = "/ContractServiceAdjustments"


def _adjust(**changes: Any) -> dict[str, Any]:
    given = {"contractServiceID": 21, "effectiveDate": "2026-06-09T00:00:00Z", "unitChange": -8}
    return {k: v for k, v in {**given, **changes}.items() if v is not None}


def _filter(field: str, value: object) -> dict[str, object]:
    return {"op": "eq", "field": field, "value": value}


async def test_adjustment_changes_the_units_from_its_day(client: Any) -> None:
    """30 units until 9 June, 22 from then on, in every later period too."""
    answer = await client.item("POST", ROOT, _adjust())

    assert isinstance(answer["itemId"], int)
    assert (await client.units())[:4] == [
        ("2026-05-12", "2026-06-09", 30),
        ("2026-06-09", "2026-06-11", 22),
        ("2026-06-12", "2026-07-11", 22),
        ("2026-07-12", "2026-08-11", 22),
    ]


async def test_delta_rows_are_a_switch_of_the_tenant(client: Any) -> None:
    """The same adjustment in the other reading."""
    await client.control("PATCH", "/tenant", {"unit_rows": "delta"})

    await client.item("POST", ROOT, _adjust())

    assert (await client.units())[:3] == [
        ("2026-05-12", "2026-06-11", 30),
        ("2026-06-09", "2026-06-11", -8),
        ("2026-06-12", "2026-07-11", 22),
    ]


async def test_repeated_adjustment_counts_twice(client: Any) -> None:
    """There is no idempotency: a blind retry loses eight more seats."""
    await client.item("POST", ROOT, _adjust())
    await client.item("POST", ROOT, _adjust())

    state = await client.control("GET", "/state")
    assert state["units_today"] == {"21": 14}
    assert [a["unitChange"] for a in state["adjustments"]] == [-8, -8]


async def test_first_adjustment_of_a_service_puts_it_on_the_contract(client: Any) -> None:
    """contractID + serviceID create the association where there is none."""
    body = _adjust(contractServiceID=None, contractID=7, serviceID=12, unitChange=8)

    await client.item("POST", ROOT, body)

    found = await client.query("ContractServices", _filter("serviceID", 12))
    assert [(s["contractID"], str(s["unitPrice"])) for s in found] == [(7, "59.9")]
    assert (await client.units(found[0]["id"]))[0] == ("2026-06-09", "2026-06-11", 8)


@pytest.mark.parametrize(("repeat", "services"), [(None, 1), (False, 1), (True, 2)])
async def test_same_service_is_repeated_only_when_allowed(
    client: Any, repeat: bool | None, services: int
) -> None:
    """Without allowRepeatService the service that is there is adjusted."""
    body = _adjust(contractServiceID=None, contractID=7, serviceID=11, allowRepeatService=repeat)

    await client.item("POST", ROOT, {**body, "unitChange": 4})

    found = await client.query("ContractServices", _filter("contractID", 7))
    assert len(found) == services


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"unitChange": None}, id="no unit change"),
        pytest.param({"effectiveDate": None}, id="no date"),
        pytest.param({"unitChange": 1.5}, id="half a unit"),
        pytest.param({"unitChange": "5"}, id="units as text"),
        pytest.param({"contractServiceID": None}, id="no target"),
        pytest.param({"contractServiceID": None, "contractID": 7}, id="half a target"),
        pytest.param({"contractServiceID": 99}, id="unknown target"),
        pytest.param({"effectiveDate": "2026-05-11T00:00:00Z"}, id="before the contract"),
        pytest.param({"effectiveDate": "2026-10-12T00:00:00Z"}, id="after the contract"),
        pytest.param({"unitChange": -31}, id="below zero"),
        pytest.param(
            {"contractServiceID": None, "contractID": 8, "serviceID": 11}, id="not recurring"
        ),
        pytest.param(
            {
                "contractServiceID": None,
                "contractID": 7,
                "serviceID": 12,
                "unitChange": 1,
                "effectiveDate": "2020-01-01T00:00:00Z",
            },
            id="new service before the contract",
        ),
    ],
)
async def test_refused_adjustment_leaves_nothing_behind(
    client: Any, changes: dict[str, Any]
) -> None:
    """HTTP 500 with texts; no service, no note, no units."""
    before = await client.control("GET", "/state")

    status, body = await client.api("POST", ROOT, _adjust(**changes))

    after = await client.control("GET", "/state")
    assert (status, list(body)) == (500, ["errors"])
    for table in ("adjustments", "contract_services", "notes", "units_today"):
        assert after[table] == before[table]


async def test_tenant_may_refuse_to_go_to_zero(client: Any) -> None:
    """Some tenants do; a client has to find out."""
    await client.item("POST", ROOT, _adjust(unitChange=-30, effectiveDate="2026-09-12T00:00:00Z"))
    await client.control("PATCH", "/tenant", {"zero_units": False})

    status, _ = await client.api("POST", ROOT, _adjust(unitChange=-30))

    assert status == 500


async def test_every_change_of_services_leaves_a_note(client: Any) -> None:
    """Who did it: our API user, or somebody in the UI."""
    await client.item("POST", ROOT, _adjust())
    edit = {"kind": "adjustment", "create": _adjust(unitChange=1), "resource": 4}

    await client.control("POST", "/edit", edit)

    notes = await client.query("ContractNotes", _filter("contractID", 7))
    assert [n["creatorResourceID"] for n in notes] == [29_000_001, 4]
    assert notes[0]["description"] == "E3 annual: units changed by -8 effective 2026-06-09"


async def test_posted_period_takes_no_more_adjustments(client: Any) -> None:
    """approveAndPostDate is on the rows; the next period stays open."""
    await client.control("POST", "/post", {"contract": 7, "through": "2026-06-11"})
    refused, body = await client.api("POST", ROOT, _adjust())
    accepted, _ = await client.api("POST", ROOT, _adjust(effectiveDate="2026-06-12T00:00:00Z"))

    rows = await client.query("ContractServiceUnits", _filter("contractServiceID", 21))
    posted = [r["startDate"][:10] for r in rows if "approveAndPostDate" in r]
    assert (refused, accepted) == (500, 200)
    assert "approved and posted" in body["errors"][0]
    assert posted == ["2026-05-12"]


async def test_posting_bills_units_and_prorated_changes(client: Any) -> None:
    """22.00 seats whole, the change prorated and rounded to the cent."""
    await client.item("POST", ROOT, _adjust())

    await client.control("POST", "/post", {"contract": 7, "through": "2026-06-11"})

    items = await client.query("BillingItems", _filter("contractID", 7))
    assert [(i["quantity"], str(i["totalAmount"])) for i in items] == [
        (30, "1104.00"),
        (-8, "-28.49"),
    ]


async def test_service_on_a_contract_carries_no_quantity(client: Any) -> None:
    """ContractServices have no unit field; only texts can be changed."""
    row = (await client.item("GET", "/ContractServices/21"))["item"]
    await client.item("PATCH", "/Contracts/7/Services", {"id": 21, "invoiceDescription": "E3"})
    refused, _ = await client.api("PATCH", "/Contracts/7/Services", {"id": 21, "unitPrice": 1})

    after = (await client.item("GET", "/ContractServices/21"))["item"]
    assert "units" not in row
    assert (after["invoiceDescription"], str(after["unitPrice"])) == ("E3", "36.80")
    assert refused == 500


async def test_adjusted_price_is_on_the_service(client: Any) -> None:
    """The price in force stands beside the original one."""
    await client.item("POST", ROOT, _adjust(unitChange=0, adjustedUnitPrice=37.42))

    row = (await client.item("GET", "/ContractServices/21"))["item"]
    assert str(row["internalCurrencyAdjustedPrice"]) == "37.42"
