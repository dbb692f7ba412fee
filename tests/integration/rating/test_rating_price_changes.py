"""Prices through the API: dry runs that write nothing, four eyes, promotions, sheets, versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from shared.contracts.rating import ChargeKind
from shared.runtime.auth import Caller
from support.in_process import EverybodyIs, InProcess
from support.rating_facts import (
    PREMIUM,
    PREMIUM_MONTHLY,
    alder_changes,
    contract,
    cycle_closed,
    sheet,
)
from support.rating_service import amounts, current, tell

ALDER = contract()
SHEET = sheet([(PREMIUM, "18.04", "22.55"), (PREMIUM_MONTHLY, "21.65", "27.06")])
FACTS = [ALDER, SHEET, *alder_changes(), cycle_closed(ALDER, "2026-05-01")]
COUNTED = ("charge_revision", "outbox", "price_rule_version", "promotion_version", "price_change")


@contextmanager
def acting(rating: InProcess, subject: str, scopes: str = "pricing:admin") -> Iterator[None]:
    """Requests come from somebody else."""
    before = rating.app.state.verifier
    caller = Caller(subject=subject, scopes=frozenset({"billing:read", *scopes.split()}))
    rating.app.state.verifier = EverybodyIs(caller)
    try:
        yield
    finally:
        rating.app.state.verifier = before


def book(amount: str = "25.00", **changes: Any) -> dict[str, Any]:
    """A fixed price for Alder's annual seats."""
    rule = {
        "rule_id": "ALD-PREMIUM",
        "valid_from": "2026-01-01",
        "scope": {"kind": "licence", "contract_id": "ALD-1", "product_key": PREMIUM.key},
        "price": {"kind": "fixed", "amount": amount, "currency": "USD"},
    }
    return {"rules": [rule | changes]}


async def counts(rating: InProcess) -> dict[str, int]:
    async with rating.service.database.read() as reader:
        return {name: await reader.fetchval(f"SELECT count(*) FROM {name}") for name in COUNTED}


async def test_a_dry_run_says_what_a_rule_would_change_and_writes_nothing(
    rating: InProcess,
) -> None:
    """Before and after of every charge, the month to come, and the sum; then the real thing agrees
    with it to the cent."""
    await tell(rating, FACTS)
    before, kept = await amounts(rating), await counts(rating)
    told = await rating.ok("POST", "/v1/price-rules:dry-run", json=book())
    effect = told["effect"]
    assert before == await amounts(rating)
    assert kept == await counts(rating)
    assert effect["totals"] == {"USD": "110.16"}  # 105.35 + 6.94 − 2.13
    assert [(m["subscription_id"], m["before"], m["after"]) for m in effect["monthly"]] == [
        ("A", "969.65", "1075.00")
    ]
    await rating.ok("POST", "/v1/price-changes", json=book() | {"reason": "agreed"})
    await rating.work()
    moved = sum(await amounts(rating), Decimal(0)) - sum(before, Decimal(0))
    assert Decimal(effect["totals"]["USD"]) == moved


async def test_a_price_that_nobody_can_charge_is_no_small_change(rating: InProcess) -> None:
    """A slip of the currency: all that the seats bring is at stake, and why is said."""
    await tell(rating, FACTS)
    slip = {"kind": "fixed", "amount": "22.60", "currency": "EUR"}

    told = await rating.ok("POST", "/v1/price-rules:dry-run", json=book(price=slip))

    [row] = told["effect"]["monthly"]
    assert (row["before"], row["after"]) == ("969.65", "0")
    assert row["held"].startswith("no_price_in_currency: ")
    assert told["effect"]["at_stake"] == {"USD": "969.65"}


async def test_a_correction_of_what_is_billed_says_so(rating: InProcess) -> None:
    """Invoices are out: the difference goes on the next one."""
    await tell(rating, FACTS)

    told = await rating.ok("POST", "/v1/price-rules:dry-run", json=book())

    assert told["effect"]["billed_totals"] == told["effect"]["totals"] == {"USD": "110.16"}


async def test_a_large_change_waits_for_a_second_person(rating: InProcess) -> None:
    """The author may not approve it; somebody else may, once; then it is in the books with both
    names, and proposing it again is no news."""
    await tell(rating, FACTS)
    body = book("60.00") | {"reason": "new tariff"}
    with acting(rating, "ann"):
        waiting = await rating.ok("POST", "/v1/price-changes", json=body)
        again = await rating.ok("POST", "/v1/price-changes", json=body)
        own = await rating.http.post(f"/v1/price-changes/{waiting['change_id']}:approve", json={})
    assert ("waiting", waiting["change_id"]) == (waiting["state"], again["change_id"])
    assert (own.status_code, own.json()["code"]) == (409, "approver_is_author")
    assert (await rating.ok("GET", "/v1/price-rules"))["data"] == []
    path = f"/v1/price-changes/{waiting['change_id']}:approve"
    with acting(rating, "bob"):
        active = await rating.ok("POST", path, json={"reason": "checked"})
        twice = await rating.http.post(path, json={})
    assert (
        active["state"], active["decided_by"], active["decision"],
    ) == ("active", "bob", "checked")  # fmt: skip
    assert twice.json()["code"] == "price_change_decided"
    (rule,) = (await rating.ok("GET", "/v1/price-rules"))["data"]
    assert (
        rule["entered_by"], rule["approved_by"], rule["reason"],
    ) == ("ann", "bob", "new tariff")  # fmt: skip
    with acting(rating, "ann"):
        assert (await rating.ok("POST", "/v1/price-changes", json=body))["state"] == "unchanged"
    await rating.work()
    assert Decimal("2580.00") in await amounts(rating, "2026-05-01")  # 43 × 60.00


async def test_a_single_rule_of_somebody_else_waits_too(rating: InProcess) -> None:
    """PUT is no way around the second person; below the threshold it is in the books at once."""
    await tell(rating, FACTS)
    rule = book("60.00")["rules"][0]
    path = f"/v1/price-rules/{rule.pop('rule_id')}"
    with acting(rating, "ann"):
        large = await rating.http.put(path, json=rule)
        rule["price"]["amount"] = "22.60"
        small = await rating.ok("PUT", path, json=rule)
        listed = await rating.ok("GET", "/v1/price-changes?state=waiting")
    assert (large.status_code, large.json()["state"]) == (202, "waiting")
    assert small["version"] == 1
    assert [large.json()["change_id"]] == [change["change_id"] for change in listed["data"]]
    with acting(rating, "bob"):
        stale = await rating.http.post(
            f"/v1/price-changes/{large.json()['change_id']}:approve", json={}
        )
        closed = await rating.ok(
            "POST", f"/v1/price-changes/{large.json()['change_id']}:reject", json={"reason": "old"}
        )
    assert (stale.status_code, stale.json()["code"]) == (409, "price_change_stale")
    assert closed["state"] == "rejected"


async def test_a_promotion_is_a_charge_of_its_own(rating: InProcess) -> None:
    """It arrives later, reduces what was charged, and explain tells its arithmetic."""
    await tell(rating, FACTS)
    promotion = {
        "promotion_id": "P10",
        "name": "Spring",
        "percent": "10",
        "starts": "2025-01-01",
        "seat_cap": 42,
        "scope": {"product_key": PREMIUM.key},
    }
    body = {"promotions": [promotion], "reason": "campaign"}
    change = await rating.ok("POST", "/v1/price-changes", json=body)
    assert change["state"] == "active"
    await rating.work()
    found = [c for c in (await current(rating)).values() if c.kind is ChargeKind.PROMOTION]
    assert {"-94.71", "-2.56", "1.29"} >= {f"{c.amount:f}" for c in found}
    whole = next(c for c in found if c.effective_at is None)
    told = await rating.ok("GET", f"/v1/charges/{whole.charge_id}/explain")
    assert told["arithmetic"] == "-42 × 2.255 = -94.71 USD"
    assert all(check["holds"] for check in told["checks"])
    ended = promotion | {"ends": "2025-01-02"}
    await rating.ok(
        "PUT", "/v1/promotions/P10", json={k: ended[k] for k in ended if k[-3:] != "_id"}
    )
    await rating.work()
    assert all(
        c.amount == 0 for c in (await current(rating)).values() if c.kind is ChargeKind.PROMOTION
    )


async def test_explain_says_which_rule_won_and_which_lost(rating: InProcess) -> None:
    """With the step of the order that decided."""
    await tell(rating, FACTS)
    general = book("24.00", rule_id="ALL", scope={"kind": "licence", "term": "P1Y"})["rules"]
    body = {"rules": [*book()["rules"], *general], "reason": "agreed"}
    await rating.ok("POST", "/v1/price-changes", json=body)
    await rating.work()
    charge = next(c for c in (await current(rating)).values() if c.amount == Decimal("1075.00"))
    choice = (await rating.ok("GET", f"/v1/charges/{charge.charge_id}/explain"))["price_choice"]
    assert (choice["won"]["rule_id"], choice["agrees"]) == ("ALD-PREMIUM", True)
    assert choice["reason"].startswith("the contract's rule before")
    assert [lost["rule_id"] for lost in choice["lost"]] == ["ALL"]


async def test_a_newer_sheet_of_the_month_replaces_the_older(rating: InProcess) -> None:
    """What it does not list any more is not sold by the older one either; another month, market,
    currency or view replaces nothing; the history keeps everything."""
    both = [(PREMIUM, "18.04", "22.55"), (PREMIUM_MONTHLY, "21.65", "27.06")]
    old = sheet(both, sheet_id="s1", fetched="2026-05-02")
    new = sheet([(PREMIUM, "19.00", "23.00")], sheet_id="s2", fetched="2026-05-20")
    french = sheet(both, sheet_id="s3", market="FR", fetched="2026-05-21")
    est = sheet([(PREMIUM, "21.00", "26.00")], sheet_id="s4", fetched="2026-05-22")
    est = est.model_copy(update={"view": "licensebasedest"})
    await tell(rating, [new, old, french, est])
    sheets = (await rating.ok("GET", "/v1/price-sheets"))["data"]
    assert {one["sheet_id"]: one["replaced_by"] for one in sheets} == {
        "s1": "s2",
        "s2": None,
        "s3": None,
        "s4": None,
    }
    path = f"/v1/product-prices?product_key={PREMIUM.product_id}&market=US"
    history = (await rating.ok("GET", path))["data"]
    assert len(history) == 4
    now = (await rating.ok("GET", f"{path}&on=2026-05-30"))["data"]
    assert {("updatedlicensebased", "23.00"), ("licensebasedest", "26.00")} == {
        (row["view"], row["erp_price"]) for row in now
    }
    rows = await rating.ok("GET", "/v1/price-sheets/s1/rows?limit=1")
    rest = await rating.ok("GET", f"/v1/price-sheets/s1/rows?cursor={rows['next_cursor']}")
    assert len(rows["data"] + rest["data"]) == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"rules": [book()["rules"][0]] * 2}, "price_item_repeated"),
        ({"promotions": [{"promotion_id": "p", "name": "p", "percent": "0"}]}, "request_invalid"),
        ({"surprise": []}, "request_invalid"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    rating: InProcess, body: dict[str, Any], code: str
) -> None:
    """Before anything is computed."""
    answer = await rating.http.post("/v1/price-rules:dry-run", json=body)
    assert (422, code) == (answer.status_code, answer.json()["code"])


async def test_a_corrected_rate_is_another_version(rating: InProcess) -> None:
    """Both stay in the list, with source and author."""
    path = "/v1/fx-rates/USD-EUR/2026-04-30"
    for rate in ("0.9184", "0.9184", "0.92"):
        await rating.ok("PUT", path, json={"rate": rate, "source": "ECB"})
    found = (await rating.ok("GET", "/v1/fx-rates"))["data"]
    assert [(row["version"], row["rate"], row["entered_by"]) for row in found] == [
        (1, "0.9184", "tester"),
        (2, "0.92", "tester"),
    ]
