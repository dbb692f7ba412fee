"""Recorded Autotask objects fit the schemas that the simulator is held to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulators.autotask.contract import AutotaskContract
from simulators.contract_problems import Problem

SAMPLES = Path(__file__).parents[1] / "vendors" / "samples" / "autotask"
CONTRACT = AutotaskContract()
# The recordings were trimmed and typed by hand: text where the vendor's own document has numbers
# and an empty text for an empty list.
TYPED_BY_HAND = {
    "contractPeriodType",
    "userDefinedFields",
    "externalNumber",
    "billToZipCode",
    "postalCode",
}


def _sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def _surprises(problems: list[Problem]) -> list[str]:
    return [str(p) for p in problems if p.field not in TYPED_BY_HAND]


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("account.json", "Company"),
        ("contract.json", "Contract"),
        ("billing_code.json", "BillingCode"),
    ],
)
def test_recorded_page_fits_its_schema(name: str, schema: str) -> None:
    """Items and page details, with the oddities of the recordings named above."""
    page = _sample(name)
    problems = [p for item in page["items"] for p in CONTRACT.sample_problems(schema, item)]

    assert _surprises(problems) == []
    assert CONTRACT.sample_problems("PageDetails", page["pageDetails"]) == []


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("account_type_field.json", "FieldInformationResult"),
        ("use_type_field.json", "FieldInformationResult"),
        ("billing_code_type_field.json", "FieldInformationResult"),
        ("udf.json", "UserDefinedFieldInformationResult"),
    ],
)
def test_recorded_field_information_fits_its_schema(name: str, schema: str) -> None:
    """Picklists as tenants describe them."""
    assert [str(p) for p in CONTRACT.sample_problems(schema, _sample(name))] == []


async def test_empty_page_looks_like_the_recorded_one(client: Any) -> None:
    """No items, and both page urls null."""
    body = {"filter": [{"op": "eq", "field": "id", "value": 0}]}

    page = await client.item("POST", "/Contracts/query", body)

    assert page == _sample("empty.json")
