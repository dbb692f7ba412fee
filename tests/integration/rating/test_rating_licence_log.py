"""The License Change Log over HTTP: filters, sources, the file."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from support.in_process import InProcess
from support.rating_facts import (
    PREMIUM,
    PREMIUM_MONTHLY,
    alder_changes,
    contract,
    sheet,
)
from support.rating_service import tell

LOG = "/v1/licence-changes"


@pytest.fixture
async def alder(rating: InProcess) -> InProcess:
    """Scenario 1's history, at list price."""
    priced = sheet([(PREMIUM, "18.04", "22.55"), (PREMIUM_MONTHLY, "21.65", "27.06")])
    await tell(rating, [priced, contract(), *alder_changes()])
    return rating


async def test_an_entry_tells_both_sides_and_where_it_was_learnt(alder: InProcess) -> None:
    """Prices before and after, the effective instant, and the provider's record."""
    entries = (await alder.ok("GET", LOG))["data"]
    opening = entries[0]
    change = next(entry for entry in entries if entry["quantity_before"] > 0)

    assert (opening["unit_price_before"], opening["quantity_before"]) == (None, 0)
    assert change["unit_price_before"] == change["unit_price"] == "22.55"
    assert change["source"]["channel"] == "webhook"
    assert change["effective_at"].startswith(change["effective_on"])
    assert await alder.ok("GET", f"{LOG}/{change['entry_id']}") == change


async def test_the_log_is_filtered_by_what_people_ask_for(alder: InProcess) -> None:
    """By customer and by effective days, the last one left out."""
    whole = (await alder.ok("GET", LOG))["data"]
    days = sorted({entry["effective_on"] for entry in whole})

    async def some(**asked: str) -> list[str]:
        found = await alder.ok("GET", LOG, params=asked)
        return sorted({entry["effective_on"] for entry in found["data"]})

    assert await some(customer_id="nobody") == []
    assert await some(customer_id=whole[0]["customer_id"]) == days
    assert await some(**{"from": days[1]}) == days[1:]
    assert await some(until=days[1]) == days[:1]


async def test_the_file_has_every_entry_once(alder: InProcess) -> None:
    """The same figures as the pages."""
    entries = (await alder.ok("GET", LOG))["data"]

    answer = await alder.http.request("GET", f"{LOG}.csv")

    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(StringIO(answer.text)))
    assert [row["entry_id"] for row in rows] == [entry["entry_id"] for entry in entries]
    assert [row["prorated_amount"] for row in rows] == [e["prorated_amount"] for e in entries]
    assert rows[0]["product_key"] == entries[0]["product"]["key"]


async def test_an_entry_nobody_wrote_is_not_found(alder: InProcess) -> None:
    """A problem with a code."""
    answer = await alder.http.request("GET", f"{LOG}/nothing")

    assert (answer.status_code, answer.json()["code"]) == (404, "licence_change_unknown")
