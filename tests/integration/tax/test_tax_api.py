"""Rates over HTTP: entering, repeating, refusing, listing."""

from __future__ import annotations

from typing import Any

import pytest

from shared.runtime import audit
from support.in_process import InProcess, in_process
from tax.clients.table import read_shipped

NEW_YORK = {
    "jurisdiction": "US-NY",
    "category": "licence",
    "name": "Sales tax",
    "rate": "0.08875",
    "valid_from": "2026-01-01",
}


async def test_a_rate_is_kept_with_every_digit(tax: InProcess) -> None:
    """The answer is the row as it decides from now on."""
    answer = await tax.ok("PUT", "/v1/rates/us-ny-licence", json=NEW_YORK)

    expected = NEW_YORK | {"rate_id": "us-ny-licence", "version": 1, "origin": "entered"}
    assert expected == answer


async def test_repeating_a_rate_makes_no_version(tax: InProcess) -> None:
    """PUT is idempotent, and silence in the audit trail shows it."""
    first = await tax.ok("PUT", "/v1/rates/us-ny-licence", json=NEW_YORK)
    await tax.ok("PUT", "/v1/rates/us-ny-licence", json=NEW_YORK | {"rate": "0.09"})
    third = await tax.ok("PUT", "/v1/rates/us-ny-licence", json=NEW_YORK | {"rate": "0.0900"})

    assert [first["version"], third["version"]] == [1, 2]
    async with tax.service.database.read() as reader:
        entered = await reader.fetch(
            "SELECT actor, after FROM audit WHERE action = 'rate.entered' ORDER BY seq"
        )
        verdict = await audit.verify(reader)
    assert [(row["actor"], row["after"]["rate"]) for row in entered] == [
        ("tester", "0.08875"),
        ("tester", "0.09"),
    ]
    assert verdict.intact


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"rate": 0.08875}, 422, "request_invalid"),
        ({"rate": 0}, 422, "request_invalid"),
        ({"rate": "8.875"}, 422, "request_invalid"),
        ({"rate": "-0.01"}, 422, "request_invalid"),
        ({"rate": "NaN"}, 422, "request_invalid"),
        ({"category": ""}, 422, "request_invalid"),
        ({"name": "Sales\x00tax"}, 422, "request_invalid"),
        ({"valid_from": 0}, 422, "request_invalid"),
        ({"valid_from": "0001-01-01"}, 422, "request_invalid"),
        ({"colour": "red"}, 422, "request_invalid"),
        ({"category": "usage"}, 409, "rate_id_taken"),
    ],
)
async def test_a_rate_that_makes_no_sense_is_refused(
    tax: InProcess, change: dict[str, Any], status: int, code: str
) -> None:
    """Binary fractions, percentages, unknown fields and moved ids."""
    await tax.ok("PUT", "/v1/rates/us-ny-licence", json=NEW_YORK)

    answer = await tax.http.put("/v1/rates/us-ny-licence", json=NEW_YORK | change)

    assert (status, code) == (answer.status_code, answer.json()["code"])


async def test_another_id_for_the_same_day_is_refused(tax: InProcess) -> None:
    """Two rows for one place and day could not both be right."""
    await tax.ok("PUT", "/v1/rates/us-ny-licence", json=NEW_YORK)

    answer = await tax.http.put("/v1/rates/new-york", json=NEW_YORK)

    assert (answer.status_code, answer.json()["code"]) == (409, "rate_overlaps")


async def test_rates_need_their_scope(tax: InProcess) -> None:
    """Reading is not entering."""
    async with in_process(tax.service, tax.clock, scopes="billing:read") as reader:
        refused = await reader.http.put("/v1/rates/us-ny-licence", json=NEW_YORK)
        allowed = await reader.http.get("/v1/rates")

    assert (refused.status_code, allowed.status_code) == (403, 200)


async def test_all_rates_are_listed_page_by_page(tax: InProcess) -> None:
    """Entered and shipped rows in one order, each once."""
    await tax.ok("PUT", "/v1/rates/us-ny-licence", json=NEW_YORK)
    await tax.ok("PUT", "/v1/rates/us-ny-licence", json=NEW_YORK | {"rate": "0.09"})

    seen: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await tax.ok("GET", f"/v1/rates?limit=50{cursor}")
        seen += answer["data"]
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"

    keys = [(row["rate_id"], row["valid_from"], row["version"]) for row in seen]
    assert sorted(set(keys)) == keys
    assert [row["version"] for row in seen if row["origin"] == "entered"] == [1, 2]
    assert 2 + len(read_shipped().rows) == len(seen)


async def test_rates_can_be_filtered(tax: InProcess) -> None:
    """By place and category, across both origins."""
    body = NEW_YORK | {"jurisdiction": "DE", "name": "VAT", "rate": "0.07"}
    await tax.ok("PUT", "/v1/rates/de-special", json=body)

    answer = await tax.ok("GET", "/v1/rates?jurisdiction=DE&category=licence")

    assert [row["rate"] for row in answer["data"]] == ["0.07", "0.19", "0.16", "0.19"]


@pytest.mark.parametrize("cursor", ["x", "W10", "WzEsMl0", "WyJhIiwiYiJd"])
@pytest.mark.parametrize("path", ["/v1/rates", "/v1/holds"])
async def test_a_cursor_of_elsewhere_is_refused(tax: InProcess, path: str, cursor: str) -> None:
    """Never a crash, whatever is sent as a cursor."""
    answer = await tax.http.get(path, params={"cursor": cursor})

    assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")


async def test_an_unknown_invoice_is_not_found(tax: InProcess) -> None:
    """There is no determination of something that never came here."""
    answer = await tax.http.get("/v1/determinations/inv-unknown")

    assert (answer.status_code, answer.json()["code"]) == (404, "determination_unknown")


@pytest.mark.parametrize(
    "path", ["/v1/determinations/a%00b", "/v1/rates?jurisdiction=%00", "/v1/rates?category=%00"]
)
async def test_control_characters_are_refused(tax: InProcess, path: str) -> None:
    """The database cannot store them, so they never reach it."""
    answer = await tax.http.get(path)

    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
