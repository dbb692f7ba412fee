"""Recorded ConnectWise objects fit the schemas that the simulator is held to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulators.connectwise.contract import ConnectWiseContract
from simulators.contract_problems import Problem

SAMPLES = Path(__file__).parents[1] / "vendors" / "samples" / "connectwise"
SPACED_BY_HAND = "dateAcquired"  # the recording has blanks inside this instant
CONTRACT = ConnectWiseContract(lambda call: call.path)


def _sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def _surprises(problems: list[Problem]) -> list[str]:
    return [str(p) for p in problems if p.kind != "required" and p.field != SPACED_BY_HAND]


@pytest.mark.parametrize(
    ("name", "schema", "missing"),
    [
        ("agreement.json", "Agreement", ["contact"]),
        ("company.json", "Company", []),
        ("cw_version.json", "Info", []),
    ],
)
def test_recorded_object_fits_its_schema(name: str, schema: str, missing: list[str]) -> None:
    """Types, enums and lengths agree; what a trimmed recording leaves out is named here."""
    problems = CONTRACT.sample_problems(schema, _sample(name))

    assert [p.field for p in problems if p.kind == "required"] == missing
    assert _surprises(problems) == []


@pytest.mark.parametrize(
    ("name", "schema"),
    [("agreement_list.json", "Agreement"), ("company_list.json", "Company")],
)
def test_recorded_list_fits_its_schema(name: str, schema: str) -> None:
    """Lists are bare arrays of the same objects."""
    problems = [p for one in _sample(name) for p in CONTRACT.sample_problems(schema, one)]

    assert _surprises(problems) == []


async def test_company_info_has_the_recorded_members(client: Any) -> None:
    """Discovery answers with exactly what the vendor answers with."""
    answer = await client.http.get("/connectwise/login/companyinfo/msp")

    assert set(answer.json()) == set(_sample("company_info.json"))
