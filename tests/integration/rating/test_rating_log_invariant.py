"""Σ entries = our changes = the provider: what differs is held visibly, and heals by itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from prometheus_client import REGISTRY

from rating.domain.log_invariant import REASON
from rating.store import due, facts
from rating.store.due import DueKind
from support.in_process import InProcess
from support.rating_facts import (
    PREMIUM,
    PREMIUM_MONTHLY,
    alder_changes,
    change,
    contract,
    day,
    fixed,
    sheet,
)
from support.rating_service import enter, holds, tell

SHEET = sheet([(PREMIUM, "18.04", "22.00"), (PREMIUM_MONTHLY, "21.65", "26.40")])
DIFFERS = (REASON, "subscription/A")


async def played(rating: InProcess, **terms: Any) -> None:
    """Scenario 1: 40 → 45 → 43 seats, all of it logged."""
    await enter(rating, fixed(PREMIUM, "22.55"))
    await tell(rating, [SHEET, contract(**terms), *alder_changes()])
    assert DIFFERS not in await holds(rating)


async def plant(rating: InProcess, name: str, seats: tuple[int, int]) -> None:
    """An entry that no change made."""
    async with rating.service.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO licence_change"
            " (entry_id, change_id, contract_id, subscription_id, body, logged_at)"
            " SELECT $1, change_id, contract_id, subscription_id,"
            " body || jsonb_build_object('quantity_before', $2::int, 'quantity_after', $3::int),"
            " logged_at FROM licence_change WHERE change_id = 'e2' LIMIT 1",
            name,
            *seats,
        )
    await rating.work()


async def test_a_planted_entry_is_found_and_heals(rating: InProcess) -> None:
    """Two seats more in the log than there are: held with the figures, counted, released."""
    await played(rating)
    await plant(rating, "planted", (43, 45))
    (hold,) = (await rating.ok("GET", "/v1/holds"))["data"]
    assert (hold["reason"], hold["object"], hold["key"]) == (*DIFFERS, "alder-tenant")
    assert hold["detail"].startswith("the entries of the log sum to +45 seats and should to +43")
    assert REGISTRY.get_sample_value("tieout_licence_log_differs") == Decimal(1)
    await plant(rating, "taken back", (45, 43))
    assert await holds(rating) == set()
    assert REGISTRY.get_sample_value("tieout_licence_log_differs") == Decimal(0)


async def test_a_change_that_was_not_rated_is_found(rating: InProcess) -> None:
    """Kept but neither logged nor due; once it is concluded about, the log agrees again."""
    await played(rating)
    late = change("e3", (43, 44), "2026-04-21T08:00:00", version=4)
    async with rating.service.database.transaction() as tx:
        await facts.add_change(tx, late)
    await rating.work()
    assert await holds(rating) == {DIFFERS}
    async with rating.service.database.transaction() as tx:
        await due.make_due(tx, DueKind.SETTLE, ["alder-tenant"])
    await rating.work()
    assert await holds(rating) == set()


async def test_a_change_that_is_missing_is_found(rating: InProcess) -> None:
    """The provider tells 50 seats, the changes sum to 48: the one between has not come yet."""
    await played(rating)
    await tell(rating, [change("e4", (45, 50), "2026-04-22T08:00:00", version=5)])
    assert await holds(rating) == {DIFFERS}
    await tell(rating, [change("e3", (43, 45), "2026-04-21T08:00:00", version=4)])
    assert await holds(rating) == set()


async def test_what_happens_under_no_contract_is_in_no_log(rating: InProcess) -> None:
    """The contract ended, then the seats went: nothing is missing."""
    await played(rating, ends_on=day("2026-04-25"))
    await tell(rating, [change("e3", (43, 0), "2026-04-27T08:00:00", version=4)])
    assert await holds(rating) == {("no_contract", "subscription/B")}


async def test_what_was_there_before_the_first_change_is_no_entry(rating: InProcess) -> None:
    """The first that is known of a subscription is 40 → 45: the log has five seats, and agrees."""
    await enter(rating, fixed(PREMIUM, "22.55"))
    changes = [c for c in alder_changes() if c.change_id in ("e1", "e2")]
    await tell(rating, [SHEET, contract(), *changes])
    assert await holds(rating) == set()
    late = change("e0", (43, 44), "2026-04-08T08:00:00", version=4)
    await tell(rating, [late])
    assert await holds(rating) == set()
