"""Facts in any order, repeated and corrected, end in one state; regression tests of other billing
systems' lessons by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pytest

from rating.domain.rules import Rule
from rating.main import assemble
from rating.settings import RatingSettings
from shared.contracts.envelope import Event
from shared.contracts.ingest import ChangeKind, ChangeSource, SubscriptionChanged
from shared.contracts.rating import ChargeRated
from shared.kernel.clock import FrozenClock
from support.harness import opened
from support.in_process import InProcess, in_process
from support.rating_facts import (
    PREMIUM,
    PREMIUM_MONTHLY,
    alder_changes,
    change,
    contract,
    cycle_closed,
    day,
    fixed,
    opening,
    sheet,
)
from support.rating_service import amounts, enter, tell
from support.servers import FreshDatabase

ALDER = contract()
SHEET = sheet([(PREMIUM, "18.04", "22.55"), (PREMIUM_MONTHLY, "21.65", "27.06")])
AUTUMN = sheet([(PREMIUM, "19.04", "24.00")], sheet_id="autumn", effective_from="2026-10-01")
NEXT_TERM = {"term_start": day("2026-10-01"), "term_end": day("2027-10-01")}
Fact = Event | Rule

STATE = """
SELECT charge_id, (body - 'revision')::text AS row FROM charge
WHERE amount <> 0 OR body ->> 'quantity' <> '0' ORDER BY charge_id
"""
LOG = "SELECT entry_id, body::text AS row FROM licence_change ORDER BY entry_id"


@asynccontextmanager
async def another(fresh_database: FreshDatabase) -> AsyncIterator[InProcess]:
    """A rating service that knows nothing yet."""
    made = await fresh_database("rating")
    clock = FrozenClock(datetime(2026, 5, 2, 0, 30, tzinfo=UTC))
    settings = RatingSettings.model_validate(
        {"DATABASE_URL": made.app_dsn, "KAFKA_BOOTSTRAP_SERVERS": "unused"}
    )
    async with (
        opened(made.app_dsn, "rating", clock=clock) as database,
        in_process(assemble(settings, database, clock), clock) as service,
    ):
        yield service


async def hear(rating: InProcess, facts: Sequence[Fact]) -> None:
    """In this order; each may come again later as another message."""
    for number, fact in enumerate(facts):
        if isinstance(fact, Rule):
            await enter(rating, fact)
        else:
            await rating.harness.deliver(fact, id=f"message-{number}")
    await rating.work()


async def rows(rating: InProcess, statement: str) -> list[str]:
    async with rating.service.database.read() as reader:
        return [record["row"] for record in await reader.fetch(statement)]


def corrected() -> list[SubscriptionChanged]:
    """Three seats found by a sweep on the 20th; then the audit record says it was the 16th, so the
    estimate is taken back and told again: two more facts, never an edit."""
    estimate = ChangeSource(channel="sweep", estimated_time=True)
    return [
        change("s1", (43, 46), "2026-04-20T03:00:00", version=4, source=estimate),
        change("s1-undo", (46, 43), "2026-04-20T03:00:00", version=5, source=estimate),
        change("a1", (43, 46), "2026-04-16T11:30:00", version=6),
    ]


@pytest.mark.parametrize("seed", range(4))
async def test_late_repeated_reordered_and_corrected_facts_end_in_one_state(
    rating: InProcess, fresh_database: FreshDatabase, seed: int
) -> None:
    """Charges and log are the same byte for byte, whatever came when and how often."""
    facts: list[Fact] = [SHEET, ALDER, *alder_changes(), *corrected()]
    facts += [cycle_closed(ALDER, "2026-05-01"), cycle_closed(ALDER, "2026-06-01")]
    await hear(rating, facts)
    random = Random(seed)
    other = [*facts, *random.choices(facts, k=len(facts))]
    random.shuffle(other)

    async with another(fresh_database) as second:
        await hear(second, other)
        assert await rows(rating, STATE) == await rows(second, STATE)
        assert await rows(rating, LOG) == await rows(second, LOG)
        assert (await second.ok("POST", "/v1/replays", json={}))["differences"] == []


@pytest.mark.parametrize("place", [0, 4, 8])
async def test_a_price_corrected_at_any_time_ends_in_one_state(
    rating: InProcess, fresh_database: FreshDatabase, place: int
) -> None:
    """A rule entered before everything, in the middle, or after the cycle was closed."""
    facts: list[Fact] = [SHEET, ALDER, *alder_changes(), cycle_closed(ALDER, "2026-05-01")]
    rule = fixed(PREMIUM, "21.00", contract_id="ALD-1")
    await hear(rating, [rule, *facts])

    async with another(fresh_database) as second:
        await hear(second, [*facts[:place], rule, *facts[place:]])
        assert await rows(rating, STATE) == await rows(second, STATE)


async def test_repair_is_idempotent(rating: InProcess) -> None:
    """A back-dated change after the cycle was closed repairs once; told again, it is silence."""
    late = change("late", (43, 46), "2026-04-10T08:00:00", version=4)
    await tell(rating, [SHEET, ALDER, *alder_changes(), cycle_closed(ALDER, "2026-05-01")])
    before = len(await rating.harness.published(ChargeRated))

    await rating.harness.deliver(late, id="first")
    repaired = await rating.harness.published(ChargeRated)
    for name in ("second", "third"):
        await rating.harness.deliver(late, id=name)
    await rating.work()

    news = sorted((one.kind.value, f"{one.amount:f}") for one in repaired[before:])
    assert news == [("proration", "47.36"), ("recurring", "1037.30")]
    assert repaired == await rating.harness.published(ChargeRated)
    assert (await rating.ok("POST", "/v1/replays", json={}))["differences"] == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_pending_change_and_quantity_change(
    rating: InProcess, order: tuple[int, int]
) -> None:
    """Seats added in the old term at its price until it ends; all seats at the next term's price
    from then; whichever is heard first."""
    changes = [
        change("more", (10, 15), "2026-09-10T10:00:00", version=2),
        change(
            "renewal", (15, 15), "2026-10-01T00:00:00", version=3, kind=ChangeKind.RENEWED,
            **NEXT_TERM,
        ),
    ]  # fmt: skip
    first, then = (changes[place] for place in order)

    await tell(rating, [SHEET, AUTUMN, ALDER, opening("o", 10), first, then])
    await tell(rating, [cycle_closed(ALDER, "2026-10-01")])

    assert await amounts(rating, "2026-10-01") == [Decimal("360.00"), Decimal("78.93")]


async def test_two_changes_at_the_same_instant_are_two_charges(rating: InProcess) -> None:
    """Two lines, and hearing both again in the other order adds none."""
    both = [
        change("plus20", (40, 60), "2026-04-14T09:12:00", version=2),
        change("plus35", (60, 95), "2026-04-14T09:12:00", version=3),
    ]
    await tell(rating, [SHEET, ALDER, opening("o", 40), *both])
    once = await rating.harness.published(ChargeRated)

    for number, fact in enumerate(reversed(both)):
        await rating.harness.deliver(fact, id=f"again-{number}")
    await rating.work()

    assert await amounts(rating) == [Decimal("447.24"), Decimal("255.57")]
    assert once == await rating.harness.published(ChargeRated)
