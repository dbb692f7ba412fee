"""Replaying what was published: silent where nothing moved, exact where something did."""

from __future__ import annotations

from typing import Any

import pytest

from rating.store import facts
from shared.contracts.envelope import Event
from support.in_process import InProcess
from support.rating_facts import (
    PREMIUM,
    PREMIUM_MONTHLY,
    alder_changes,
    april_lines,
    birch,
    birch_rules,
    change,
    contract,
    cycle_closed,
    fixed,
    reservation,
    sheet,
    usage_file,
)
from support.rating_service import enter, tell

ALDER = contract()
ALDER_SHEET = sheet([(PREMIUM, "18.04", "22.00"), (PREMIUM_MONTHLY, "21.65", "26.40")])
KEPT = ("charge", "charge_revision", "licence_change", "hold", "due", "usage_delta", "audit")


async def played(rating: InProcess) -> None:
    """Scenario 1, and scenario 2 with its usage and purchase."""
    await enter(rating, fixed(PREMIUM, "22.55", contract_id="ALD-1"))
    await enter(rating, fixed(PREMIUM_MONTHLY, "27.06", contract_id="ALD-1"))
    for rule in birch_rules():
        await enter(rating, rule)
    batches, closed = usage_file(april_lines())
    events: list[Event] = [ALDER_SHEET, ALDER, *alder_changes(), cycle_closed(ALDER, "2026-05-01")]
    events += [birch(), *batches, closed, reservation(), cycle_closed(birch(), "2026-05-01")]
    await tell(rating, events)


async def replay(rating: InProcess, **asked: Any) -> Any:
    return await rating.ok("POST", "/v1/replays", json=asked)


async def rows(rating: InProcess) -> dict[str, list[str]]:
    """Everything that is kept and published, as text."""
    tables = (*KEPT, "outbox")
    async with rating.service.database.read() as reader:
        found = {}
        for table in tables:
            told = await reader.fetch(f"SELECT t::text AS row FROM {table} t ORDER BY 1")
            found[table] = [record["row"] for record in told]
        return found


async def by_sql(rating: InProcess, statement: str) -> None:
    """Behind the back of the service: triggers that keep facts do not see it."""
    async with rating.service.database.transaction() as tx:
        await tx.execute(statement)


async def rule_by_sql(rating: InProcess, **price: str) -> None:
    """The next version of the price of Business Premium, with something else in its price."""
    ((name, value),) = price.items()
    await by_sql(
        rating,
        "CREATE TEMPORARY TABLE copied ON COMMIT DROP AS SELECT * FROM price_rule_version"
        f" WHERE rule_id = 'fixed-{PREMIUM.key}';"
        " UPDATE copied SET version = version + 1,"
        f" price = jsonb_set(price, '{{{name}}}', '\"{value}\"');"
        " INSERT INTO price_rule_version SELECT * FROM copied",
    )


async def test_replay_of_a_played_history_has_no_difference(rating: InProcess) -> None:
    """Licences, usage, purchase: all of it is computed again, and nothing is kept of that."""
    await played(rating)
    before = await rows(rating)
    told = await replay(rating)
    assert (told["customers"], told["contracts"]) == (2, 2)
    assert told["charges"] == len(before["charge"])
    empty = ("differences", "log_entries_missing", "not_computed", "waiting", "failed")
    assert {name: told[name] for name in empty} == {name: [] for name in empty}
    assert await rows(rating) == before


async def test_a_charge_altered_in_the_database_is_found(rating: InProcess) -> None:
    """One cent more than the facts say, on one charge: that charge, that cent, and no other."""
    await played(rating)
    await by_sql(
        rating,
        "UPDATE charge SET amount = 63.90, body = jsonb_set(body, '{amount}', '\"63.90\"')"
        " WHERE amount = 63.89",
    )
    before = await rows(rating)
    (found,) = (await replay(rating))["differences"]
    assert (found["was"], found["now"], found["difference"]) == ("63.90", "63.89", "-0.01")
    assert found["contract_id"] == "ALD-1"
    assert await rows(rating) == before


async def test_a_rule_entered_behind_the_back_of_the_service(rating: InProcess) -> None:
    """A version that nobody concluded about: every changed cent with the rule that changed it."""
    await played(rating)
    await rule_by_sql(rating, amount="23.00")
    told = (await replay(rating))["differences"]
    cents = [("-19.54", "-19.93"), ("63.89", "65.17"), ("969.65", "989.00")]
    assert sorted((one["was"], one["now"]) for one in told) == cents
    assert all("unit price 22.55 → 23.00" in one["why"] for one in told)


async def test_replay_with_prices_that_are_not_in_the_books(rating: InProcess) -> None:
    """A changed rule lists every changed cent, of licences and usage alike; nothing is kept."""
    await played(rating)
    before = await rows(rating)
    premium = {
        "rule_id": f"fixed-{PREMIUM.key}",
        "valid_from": "2020-01-01",
        "scope": {"kind": "licence", "contract_id": "ALD-1", "product_key": PREMIUM.key},
        "price": {"kind": "fixed", "amount": "23.00", "currency": "USD"},
    }
    storage = {
        "rule_id": "AZ-RULE Storage",
        "valid_from": "2020-01-01",
        "scope": {"kind": "usage", "meter_category": "Storage"},
        "price": {"kind": "usage_markup", "percent": "16", "pec_share": "1/3"},
    }
    told = (await replay(rating, prices={"rules": [premium, storage]}))["differences"]
    licences = sorted((one["was"], one["now"]) for one in told if one["contract_id"] == "ALD-1")
    assert licences == [("-19.54", "-19.93"), ("63.89", "65.17"), ("969.65", "989.00")]
    assert {one["kind"] for one in told if one["contract_id"] == "BIR-AZ"} == {"usage"}
    assert await rows(rating) == before
    assert (await replay(rating))["differences"] == []


async def test_a_fact_that_was_not_concluded_about(rating: InProcess) -> None:
    """A late change that is kept but not rated: the missing charge, and the missing log entry."""
    await played(rating)
    late = change("e3", (43, 44), "2026-04-21T08:00:00", version=4)
    async with rating.service.database.transaction() as tx:
        await facts.add_change(tx, late)
    told = await replay(rating)
    assert [(one["was"], one["now"], one["why"]) for one in told["differences"]] == [
        ("0", "7.52", ["was never published"]),
        ("969.65", "992.20", ["quantity 43 → 44", "cost 775.72 USD → 793.76 USD"]),
    ]
    assert len(told["log_entries_missing"]) == 1


async def test_replay_of_a_period_a_customer_a_contract(rating: InProcess) -> None:
    """Charges are chosen by service period, customers by id, and pages go on where one ended."""
    await played(rating)
    april = await replay(rating, customer_id="alder-tenant", **{"to": "2026-05-01"})
    may = await replay(rating, contract_id="ALD-1", **{"from": "2026-05-01"})
    assert (april["charges"], may["charges"]) == (2, 2)
    first = await replay(rating, limit=1)
    second = await replay(rating, limit=1, cursor=first["next_cursor"])
    assert (first["contracts"], second["contracts"]) == (1, 1)
    assert first["charges"] + second["charges"] == (await replay(rating))["charges"]


async def test_what_can_no_longer_be_computed_is_said(rating: InProcess) -> None:
    """A price in a currency that is not the contract's: the charges keep their amounts, and the
    replay does not claim to have computed them."""
    await played(rating)
    await rule_by_sql(rating, currency="EUR")
    told = await replay(rating)
    assert told["differences"] == []
    assert {one["reason"] for one in told["not_computed"]} == {"no_price_in_currency"}


@pytest.mark.parametrize("cursor", ["nonsense", "WzFd"])
async def test_a_foreign_cursor_is_refused(rating: InProcess, cursor: str) -> None:
    """A cursor that we did not make is no beginning."""
    answer = await rating.http.post("/v1/replays", json={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")


@pytest.mark.parametrize("until", ["2026-05-01", "2026-06-01"])
async def test_a_period_without_a_day_is_refused(rating: InProcess, until: str) -> None:
    """Nothing compared is no clean result: neither of charges nor of the log."""
    body = {"from": "2026-06-01", "to": until}
    charges = await rating.http.post("/v1/replays", json=body)
    log = await rating.http.get(f"/v1/licence-changes?from=2026-06-01&until={until}")
    for answer in (charges, log):
        assert (answer.status_code, answer.json()["code"]) == (422, "period_empty")
