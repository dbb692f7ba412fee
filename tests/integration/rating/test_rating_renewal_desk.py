"""The renewal desk by HTTP: scenario 5 before its renewal, as rows and as a calendar."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rating.domain.rules import CostPlus
from shared.contracts.ingest import NextTerm, RenewalScheduled
from support.in_process import InProcess
from support.rating_facts import E3, at, change, contract, day, fixed, opening, rule, sheet
from support.rating_service import enter, tell

JULY = "from=2026-07-01&to=2026-08-01"
TERM = {"product": E3, "term_start": day("2025-07-12"), "term_end": day("2026-07-12")}


def elm(contract_id: str = "ELM-1", **given: Any) -> Any:
    terms = {"currency": "AUD", "anchor_day": 12, "starts_on": day("2026-05-12")}
    return contract(contract_id, billed_through=day("2026-06-12"), **terms | given)


async def played(rating: InProcess, *contracts: Any) -> None:
    """30 seats, two prices, a window that closes in July."""
    await enter(rating, fixed(E3, "36.80", currency="AUD", rule_id="e3"))
    renewed = rule(
        "e3", CostPlus(Decimal(18)), product_key=E3.key, valid_from=day("2026-07-01")
    )  # fmt: skip
    await enter(rating, renewed)
    new = sheet(
        [(E3, "31.71", "41.00")], market="AU", currency="AUD", sheet_id="sheet-2",
        effective_from="2026-07-01", fetched="2026-06-30",
    )  # fmt: skip
    grown = change("e1", (28, 30), "2026-06-30T10:00:00", version=2, auto_renew=True, **TERM)
    old = sheet([(E3, "30.20", "40.00")], market="AU", currency="AUD")
    await tell(rating, [old, new, *contracts, opening("o", 28, **TERM), grown])


async def test_the_renewal_of_scenario_5(rating: InProcess) -> None:
    """Both prices, the money of a cycle and a term on both sides, the window, the new price."""
    await played(rating, elm())
    told = await rating.ok("GET", f"/v1/renewals?{JULY}")
    (row,) = told["data"]
    assert (row["contract_id"], row["on"], row["seats"]) == ("ELM-1", "2026-07-12", 30)
    assert (row["now"]["unit_price"], row["next"]["unit_price"]) == ("36.80", "37.42")
    assert (row["price_change"], row["change_per_cycle"]) == ("0.62", "18.60")
    assert (row["next"]["per_term"], row["next"]["cost_per_term"]) == ("13471.20", "11415.60")
    assert (row["auto_renew"], row["currency"]) == (True, "AUD")
    (window,) = told["windows"]
    assert (window["seats"], window["closes"]) == (2, "2026-07-07T10:00:00+00:00")
    (price,) = told["price_changes"]
    assert (price["on"], price["seats"]) == ("2026-07-01", 30)
    assert (price["before"]["unit_price"], price["after"]["unit_price"]) == ("36.80", "37.42")


async def test_what_is_scheduled_is_what_renews(rating: InProcess) -> None:
    """The latest saying counts, whatever the order; the calendar has it too."""
    await played(rating, elm())
    said = [
        RenewalScheduled(
            customer_id="alder-tenant", subscription_id="A", term_end=day("2026-07-12"),
            next_term=NextTerm(quantity=seats), at_term_end=None,
            observed_at=at("2026-06-20"), snapshot=snapshot,
        )
        for seats, snapshot in ((19, 9), (25, 8))
    ]  # fmt: skip

    await tell(rating, said)

    (row,) = (await rating.ok("GET", f"/v1/renewals?{JULY}"))["data"]
    assert (row["seats"], row["next_seats"], row["scheduled"]) == (30, 19, True)
    assert (row["next"]["per_cycle"], row["change_per_cycle"]) == ("710.98", "-393.02")
    text = (await rating.http.get(f"/v1/renewals.ics?{JULY}")).text.replace("\r\n ", "")
    assert f"Scheduled: 19 seats of {E3.key}" in text


async def test_the_calendar_says_the_same(rating: InProcess) -> None:
    """Two whole days and an instant; fetched again, the same events under the same ids."""
    await played(rating, elm())
    answer = await rating.http.get(f"/v1/renewals.ics?{JULY}")
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    text = answer.text.replace("\r\n ", "")
    days = [x for x in text.split("\r\n") if x.startswith("DTSTART")]
    assert sorted(days) == [
        "DTSTART:20260707T100000Z",
        "DTSTART;VALUE=DATE:20260701",
        "DTSTART;VALUE=DATE:20260712",
    ]
    assert "SUMMARY:Renewal: 30 × Business Premium – annual (ELM-1)" in text
    assert "Next term: 37.42 AUD a seat\\, 1122.60 a charge cycle (cost 951.30 AUD)" in text
    assert "\\, 13471.20 a term (cost 11415.60 AUD)" in text
    assert (await rating.http.get(f"/v1/renewals.ics?{JULY}")).text == answer.text


async def test_a_contract_that_ends_first_renews_nothing(rating: InProcess) -> None:
    """The commitment ends all the same; what the next term brings is unknown, with the reason."""
    await played(rating, elm(ends_on=day("2026-07-12")))
    (row,) = (await rating.ok("GET", f"/v1/renewals?{JULY}"))["data"]
    assert (row["contract_id"], row["now"]["unit_price"]) == ("ELM-1", "36.80")
    assert (row["next"]["unit_price"], row["next"]["reason"]) == (None, "no_contract")


async def test_each_site_renews_its_part(rating: InProcess) -> None:
    """A shared subscription is a row per contract, with that contract's seats."""
    shares: dict[str, Any] = {"subscription_ids": (), "shared_subscription_ids": ("A",)}
    await played(rating, elm("ELM-1", **shares), elm("ELM-2", **shares))
    sites = [{"contract_id": "ELM-1", "seats": 19}, {"contract_id": "ELM-2", "seats": 11}]
    body = {
        "subscription_id": "A", "kind": "opening", "effective_on": "2026-07-01",
        "sites": sites, "cause": "two sites",
    }  # fmt: skip
    await rating.ok("PUT", "/v1/allocations/a1", json=body)
    rows = (await rating.ok("GET", f"/v1/renewals?{JULY}"))["data"]
    assert {row["contract_id"]: row["seats"] for row in rows} == {"ELM-1": 19, "ELM-2": 11}
    (row,) = (await rating.ok("GET", f"/v1/renewals?{JULY}&contract_id=ELM-2"))["data"]
    assert row["next"]["per_cycle"] == "411.62"


async def test_pages_go_on_where_one_ended(rating: InProcess) -> None:
    """A page counts customers; what is due later or elsewhere is not in it."""
    await played(rating, elm())
    other = elm("OAK-1", provider_customer_id="oak-tenant")
    mine = {**TERM, "subscription_id": "K", "customer_id": "oak-tenant"}
    await tell(rating, [other, opening("k", 3, **mine)])
    first = await rating.ok("GET", f"/v1/renewals?{JULY}&limit=1")
    second = await rating.ok("GET", f"/v1/renewals?{JULY}&limit=1&cursor={first['next_cursor']}")
    found = [row["contract_id"] for page in (first, second) for row in page["data"]]
    assert found == ["ELM-1", "OAK-1"]
    (row,) = (await rating.ok("GET", f"/v1/renewals?{JULY}&customer_id=oak-tenant"))["data"]
    assert (row["subscription_id"], row["auto_renew"]) == ("K", "unknown")
    empty = await rating.ok("GET", "/v1/renewals?from=2026-08-01")
    assert (empty["data"], empty["to"]) == ([], "2026-11-01")


@pytest.mark.parametrize(
    ("asked", "code"),
    [("from=2026-08-01&to=2026-08-01", "period_empty"), ("to=2099-01-01", "period_too_long"),
     ("cursor=WzFd", "cursor_invalid")],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(rating: InProcess, asked: str, code: str) -> None:
    """A period without days, one of decades, a cursor of somebody else."""
    answer = await rating.http.get(f"/v1/renewals?{asked}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
