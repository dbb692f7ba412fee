"""Lists of the simulated ConnectWise: conditions, order, fields, and the two ways of paging."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from simulators.connectwise.conditions import ConditionError, parse
from simulators.connectwise.matching import holds, holds_for_custom_field

AGREEMENTS = "/finance/agreements"
RECORD = {
    "id": 7,
    "name": "Alder Dental",
    "cancelledFlag": False,
    "billAmount": 100,
    "company": {"id": 250, "identifier": "Alder"},
    "types": [{"name": "Customer"}, {"name": "Vendor"}],
    "_info": {"lastUpdated": "2026-03-02T00:00:00Z"},
    "customFields": [{"id": 12, "caption": "BCS Key", "value": "bcs-1"}],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id = 7", True),
        ("id=8", False),
        ("id != 8 and billAmount >= 100 and billAmount < 100.5", True),
        ("id > 7 or id <= 7", True),
        ("id = 8 or id = 7 and cancelledFlag = True", False),
        ("(id = 8 or id = 7) and cancelledFlag = False", True),
        ('name = "alder dental"', True),
        ('name like "Ald*"', True),
        ('name like "Ald"', False),
        ('name like "*dent*"', True),
        ('name contains "DENT"', True),
        ('name not contains "dent"', False),
        ("id in (1, 7, 9)", True),
        ("id not in (1,7)", False),
        ("not id = 7", False),
        ("company/id = 250", True),
        ('company/identifier != "Alder"', False),
        ('types/name = "Vendor"', True),
        ("_info/lastUpdated > [2026-03-01T00:00:00Z]", True),
        ("_info/lastUpdated > [2026-03-02T00:00:00Z]", False),
        ("endDate = null", True),
        ("name = null", False),
        ("endDate < [2026-03-01T00:00:00Z]", False),
    ],
)
def test_condition_holds_as_the_vendor_reads_it(text: str, expected: bool) -> None:
    """Operators, precedence, references, wildcards, null and instants."""
    assert holds(parse(text), RECORD) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('caption="BCS Key" AND value="bcs-1"', True),
        ('caption="BCS Key" AND value="bcs-2"', False),
        ('caption="Other" AND value="bcs-1"', False),
    ],
)
def test_custom_field_condition_speaks_of_one_field(text: str, expected: bool) -> None:
    """Caption and value must belong to the same custom field."""
    assert holds_for_custom_field(parse(text), RECORD) is expected


@pytest.mark.parametrize("text", ["id =", "id ~ 7", "name = Alder", "id = 7 id = 8", "(id = 7", ""])
def test_malformed_condition_is_refused(text: str) -> None:
    """Strings without quotes, unknown operators, open brackets."""
    with pytest.raises(ConditionError):
        parse(text)


async def _sixty_agreements(client: Any) -> None:
    for number in range(60):
        body = {
            "name": f"AGR-{number:02}",
            "type": {"id": 1},
            "company": {"id": 250},
            "contact": {"id": 1},
        }
        await client.body("POST", AGREEMENTS, body)


def _next(headers: Any) -> dict[str, str] | None:
    found = re.search(r'<([^>]*)>; rel="next"', headers.get("link", ""))
    return dict(parse_qsl(urlsplit(found[1]).query)) if found else None


async def test_numbered_pages_have_25_records_and_links(client: Any) -> None:
    """The default page size is 25; the last page has no next link."""
    await _sixty_agreements(client)

    _, first, headers = await client.api("GET", AGREEMENTS, orderBy="name desc")
    _, last, end = await client.api("GET", AGREEMENTS, page=3)

    assert (len(first), first[0]["name"], len(last)) == (25, "ALD-1", 11)
    assert _next(headers) == {"orderBy": "name desc", "page": "2"}
    assert _next(end) is None
    assert set(re.findall(r'rel="(\w+)"', end["link"])) == {"first", "prev", "last"}


async def test_forward_only_walk_sees_every_record_once(client: Any) -> None:
    """pageId means id greater than; the walk ends when there is no next link."""
    await _sixty_agreements(client)
    seen: list[int] = []
    query: dict[str, str] | None = {"pageSize": "20"}
    while query is not None:
        headers = {"pagination-type": "forward-only"}
        _, page, answered = await client.api("GET", AGREEMENTS, headers=headers, **query)
        seen += [a["id"] for a in page]
        query = _next(answered)

    assert len(seen) == 61
    assert seen == sorted(set(seen))


async def test_forward_only_refuses_an_order(client: Any) -> None:
    """orderBy and pageId contradict each other."""
    headers = {"pagination-type": "forward-only"}

    status, _, _ = await client.api("GET", AGREEMENTS, headers=headers, orderBy="name")

    assert status == 400


async def test_audit_trail_has_no_forward_only_pages(client: Any) -> None:
    """The vendor offers numbered pages only there."""
    headers = {"pagination-type": "forward-only"}
    given = {"type": "Agreement", "id": "70"}

    status, _, _ = await client.api("GET", "/system/audittrail", headers=headers, **given)

    assert status == 400


async def test_fields_reduce_the_answer(client: Any) -> None:
    """Only what was named comes back, references by slash."""
    found = await client.body("GET", AGREEMENTS, fields="id,company/id")

    assert found == [{"id": 70, "company": {"id": 250}}]


async def test_addition_is_found_by_its_key(client: Any) -> None:
    """Read before write: custom field caption and value."""
    body = {"product": {"id": 5}, "billCustomer": "Billable"}
    for key in ("bcs-1", "bcs-2"):
        fields = [{"id": 12, "value": key}]
        await client.body("POST", f"{AGREEMENTS}/70/additions", {**body, "customFields": fields})
    conditions = 'caption="BCS Key" AND value="bcs-2"'

    found = await client.body("GET", f"{AGREEMENTS}/70/additions", customFieldConditions=conditions)

    assert [a["customFields"][0]["value"] for a in found] == ["bcs-2"]


async def test_custom_field_definitions_are_listed(client: Any) -> None:
    """The id of the key field is looked up by its caption."""
    found = await client.body(
        "GET", "/system/userDefinedFields", conditions='caption="BCS Key"', fields="id,caption"
    )

    assert found == [{"id": 12, "caption": "BCS Key"}]


async def test_companies_and_catalog_are_matched_by_reference(client: Any) -> None:
    """Deleted companies are filtered by flag, products found by integrationXRef."""
    companies = await client.body("GET", "/company/companies", conditions="deletedFlag=False")
    catalog = await client.body(
        "GET", "/procurement/catalog", conditions='integrationXRef="bp-annual"'
    )

    assert [c["id"] for c in companies] == [250]
    assert [c["identifier"] for c in catalog] == ["BP-A"]
