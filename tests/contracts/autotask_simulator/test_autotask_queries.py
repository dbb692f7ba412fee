"""Queries of the simulated Autotask: operators, type traps, limits, fields and pages."""

from __future__ import annotations

import json
from typing import Any

import pytest


def _f(op: str, field: str, value: object = None) -> dict[str, object]:
    return {"op": op, "field": field, "value": value}


CONTRACTS = [
    pytest.param([_f("eq", "id", 7)], [7], id="eq"),
    pytest.param([_f("noteq", "id", 7)], [8], id="noteq"),
    pytest.param([_f("gt", "id", 7)], [8], id="gt"),
    pytest.param([_f("gte", "id", 7)], [7, 8], id="gte"),
    pytest.param([_f("lt", "id", 8)], [7], id="lt"),
    pytest.param([_f("lte", "id", 7)], [7], id="lte"),
    pytest.param([_f("beginsWith", "contractName", "elm")], [7], id="beginsWith"),
    pytest.param([_f("endsWith", "contractName", "-1")], [7], id="endsWith"),
    pytest.param([_f("contains", "contractName", "LOCK")], [8], id="contains"),
    pytest.param([_f("exist", "description")], [], id="exist"),
    pytest.param([_f("notExist", "description")], [7, 8], id="notExist"),
    pytest.param([_f("in", "id", [7, 9])], [7], id="in"),
    pytest.param([_f("notIn", "id", [7, 9])], [8], id="notIn"),
    pytest.param([_f("eq", "contractType", 7), _f("eq", "id", 8)], [], id="filters add up"),
    pytest.param([_f("gt", "startDate", "2026-05-01")], [7], id="dates"),
    pytest.param([_f("eq", "CONTRACTNAME", "elm-1")], [7], id="names without case"),
    pytest.param(
        [{"op": "or", "items": [_f("eq", "id", 8), _f("eq", "id", 7)]}], [7, 8], id="or group"
    ),
    pytest.param(
        [{"op": "and", "items": [_f("gt", "id", 1), _f("lt", "id", 8)]}], [7], id="and group"
    ),
    pytest.param([_f("eq", "id", "7")], [], id="an id sent as text finds nothing"),
    pytest.param([_f("eq", "companyID", "3")], [], id="a reference sent as text finds nothing"),
]


@pytest.mark.parametrize(("filters", "expected"), CONTRACTS)
async def test_filter_finds(client: Any, filters: list[Any], expected: list[int]) -> None:
    """Operators, groups and the silent type trap."""
    found = await client.query("Contracts", *filters)

    assert [c["id"] for c in found] == expected


@pytest.mark.parametrize(
    "filters",
    [
        pytest.param([_f("eq", "contractType", "Recurring Service")], id="label of a picklist"),
        pytest.param([_f("eq", "isDefaultContract", "yes")], id="boolean as text"),
        pytest.param([_f("eq", "startDate", "soon")], id="not a date"),
        pytest.param([_f("eq", "chargeDate", 1)], id="unknown field"),
        pytest.param([_f("in", "id", list(range(501)))], id="more than 500 alternatives"),
        pytest.param([], id="no filter"),
        pytest.param(
            [
                {"op": "eq", "field": "a", "value": "1", "udf": True},
                {"op": "eq", "field": "b", "value": "1", "udf": True},
            ],
            id="two user defined fields",
        ),
    ],
)
async def test_filter_is_refused_with_http_500(client: Any, filters: list[Any]) -> None:
    """Also validation errors are an HTTP 500 with texts."""
    status, body = await client.api("POST", "/Contracts/query", {"filter": filters})

    assert (status, list(body)) == (500, ["errors"])


async def test_unknown_operator_is_a_breach_of_the_contract(client: Any) -> None:
    """Refused by the vendor, recorded by us."""
    status, _ = await client.api("POST", "/Contracts/query", {"filter": [_f("like", "id", 7)]})

    assert status == 500
    assert "enum" in (await client.violations())[0]


async def test_include_fields_selects(client: Any) -> None:
    """Only what was named."""
    found = await client.query("Contracts", _f("eq", "id", 7), includeFields=["id", "contractName"])

    assert found == [{"id": 7, "contractName": "ELM-1"}]


async def test_count_and_single_record(client: Any) -> None:
    """queryCount and item."""
    count = await client.item("POST", "/Contracts/query/count", {"filter": [_f("gt", "id", 0)]})
    one = await client.item("GET", "/Contracts/7")
    status, _ = await client.api("GET", "/Contracts/99")

    assert count == {"queryCount": 2}
    assert one["item"]["contractName"] == "ELM-1"
    assert status == 404


async def _thousand_charges(client: Any) -> None:
    state = await client.control("GET", "/state")
    charge = {
        "contractID": 7,
        "name": "usage",
        "datePurchased": "2026-05-31T00:00:00Z",
        "chargeType": 31,
        "unitQuantity": 1,
        "unitPrice": 1,
        "unitCost": 1,
        "isBilled": False,
        "isBillableToCompany": True,
    }
    charges = [{**charge, "id": 1_000 + n} for n in range(1_001)]
    await client.control("PUT", "/state", {**state, "charges": charges})


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_pages_hold_500_and_are_followed_with_the_same_verb(client: Any, method: str) -> None:
    """nextPageUrl until it is null; every record once."""
    await _thousand_charges(client)
    search = {"filter": [_f("eq", "contractID", 7)]}
    body = search if method == "POST" else None
    url = "/ContractCharges/query"
    if method == "GET":
        url += f"?search={json.dumps(search)}"
    sizes, seen = [], set()
    while url:
        page = await client.item(method, url, body)
        sizes.append(page["pageDetails"]["count"])
        seen |= {c["id"] for c in page["items"]}
        url = page["pageDetails"]["nextPageUrl"]

    assert sizes == [500, 500, 1]
    assert len(seen) == 1_001
    assert await client.violations() == []


async def test_max_records_is_bounded(client: Any) -> None:
    """More than 500 at once is refused."""
    body = {"filter": [_f("gt", "id", 0)], "maxRecords": 501}

    status, _ = await client.api("POST", "/Contracts/query", body)

    assert status == 500


async def test_child_collection_lists_a_contract(client: Any) -> None:
    """GET below the contract, without a filter."""
    body = await client.item("GET", "/Contracts/7/Services")

    assert [s["id"] for s in body["items"]] == [21]


async def test_seeded_catalog_is_read_as_the_vendor_shows_it(client: Any) -> None:
    """Every readable entity answers within the contract, prices as numbers."""
    for entity in ("Companies", "Services", "BillingCodes", "Products", "Contracts"):
        await client.query(entity, _f("gt", "id", 0))

    found = await client.query("Services", _f("eq", "id", 11))
    assert str(found[0]["unitPrice"]) == "36.80"
