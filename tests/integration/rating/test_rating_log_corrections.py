"""What turns out not to be so stays in the log, beside what takes it back and what is so."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from shared.contracts.ingest import ChangeKind, ChangeSource, SubscriptionChanged
from shared.contracts.rating import LicenceChangeRated
from support.in_process import InProcess
from support.rating_facts import PREMIUM, change, contract, cycle_closed, fixed, opening, sheet
from support.rating_service import amounts, enter, holds, tell

SHEET = sheet([(PREMIUM, "18.04", "22.00")])
OPENED = opening("e1", 40)
GUESSED = ChangeSource(channel="sweep", estimated_time=True)
GUESS = change("guess", (40, 45), "2026-04-16T02:00:00", version=2, source=GUESSED)
TRUTH = change("truth", (40, 45), "2026-04-14T09:00:00", version=4, supersedes="guess",
               detected_at="2026-04-17T05:00:00Z")  # fmt: skip
LATER = change("e3", (45, 43), "2026-04-18T09:00:00", version=3)


async def entries(rating: InProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await rating.ok("GET", "/v1/licence-changes"))["data"]
    return found


def told(entry: dict[str, Any]) -> tuple[int, int, str, str]:
    seats = (entry["quantity_before"], entry["quantity_after"])
    return (*seats, entry["effective_on"], entry["prorated_amount"])


async def test_the_truth_about_a_guess_supersedes_it(rating: InProcess) -> None:
    """Guessed for the 16th, it was the 14th: the guess's entry is taken back on its own day, the
    truth is logged on its, each knows the other, and the charges are those of the truth."""
    await enter(rating, fixed(PREMIUM, "22.55"))
    await tell(rating, [SHEET, contract(), OPENED, GUESS, LATER])
    before = await entries(rating)

    await tell(rating, [TRUTH, cycle_closed(contract(), "2026-05-01")])

    log = await entries(rating)
    assert log[: len(before)] == [
        *before[:1], log[1], *before[2:],
    ]  # fmt: skip
    _, guess, _, reversal, truth = log
    assert [told(entry) for entry in (guess, reversal, truth)] == [
        (40, 45, "2026-04-16", "56.38"),
        (45, 40, "2026-04-16", "-56.38"),
        (40, 45, "2026-04-14", "63.89"),
    ]
    assert (truth["supersedes"], guess["superseded_by"]) == (
        [guess["entry_id"]],
        [truth["entry_id"]],
    )
    assert (reversal["reverses"], guess["reversed_by"]) == (guess["entry_id"], reversal["entry_id"])
    assert guess | {"superseded_by": [], "reversed_by": None} == before[1]
    assert sum(entry["quantity_after"] - entry["quantity_before"] for entry in log) == 43
    assert await amounts(rating) == [Decimal("969.65"), Decimal("63.89"), Decimal("-19.54")]
    assert await holds(rating) == set()


async def test_two_records_may_be_the_truth_about_one_guess(rating: InProcess) -> None:
    """+5 in a sweep was +2 and +3: the guess is taken back once."""
    await enter(rating, fixed(PREMIUM, "22.55"))
    parts = [
        change("t1", (40, 42), "2026-04-14T09:00:00", version=4, supersedes="guess"),
        change("t2", (42, 45), "2026-04-15T09:00:00", version=5, supersedes="guess"),
    ]

    await tell(rating, [SHEET, contract(), OPENED, GUESS, LATER, *parts])

    log = await entries(rating)
    assert [entry["reverses"] is not None for entry in log].count(True) == 1
    assert [told(entry)[:3] for entry in log if entry["supersedes"]] == [
        (40, 42, "2026-04-14"), (42, 45, "2026-04-15"),
    ]  # fmt: skip
    assert sum(entry["quantity_after"] - entry["quantity_before"] for entry in log) == 43
    assert await holds(rating) == set()


@pytest.mark.parametrize("order", list(permutations([GUESS, LATER, TRUTH])))
async def test_whatever_comes_first_charges_and_seats_are_those_of_the_truth(
    rating: InProcess, order: tuple[SubscriptionChanged, ...]
) -> None:
    """A guess that is known to be one is not even logged."""
    await enter(rating, fixed(PREMIUM, "22.55"))

    await tell(rating, [SHEET, contract(), OPENED, *order, *order])
    await tell(rating, [cycle_closed(contract(), "2026-05-01")])

    log = await rating.harness.published(LicenceChangeRated)
    assert sum(entry.quantity_after - entry.quantity_before for entry in log) == 43
    guessed = order.index(GUESS) < order.index(TRUTH)
    assert any(entry.change_id == "guess" for entry in log) == guessed
    assert await amounts(rating) == [Decimal("969.65"), Decimal("63.89"), Decimal("-19.54")]
    assert await holds(rating) == set()
    replayed = await rating.ok("POST", "/v1/replays", json={})
    assert (replayed["differences"], replayed["log_entries_missing"]) == ([], [])


async def test_an_opening_that_goes_stale_gets_the_difference(rating: InProcess) -> None:
    """What a late record says happened before the contract began was there when it began."""
    await enter(rating, fixed(PREMIUM, "22.55"))
    await tell(rating, [SHEET, contract(), OPENED])
    first = change("e0", (40, 44), "2026-03-10T09:00:00", version=2)
    back = change("e00", (44, 43), "2026-03-20T09:00:00", version=3)

    await tell(rating, [first, back])

    log = await entries(rating)
    assert [told(entry) for entry in log] == [
        (0, 40, "2026-04-01", "0"), (40, 44, "2026-04-01", "0"), (44, 43, "2026-04-01", "0"),
    ]  # fmt: skip
    opened, more, less = log
    assert (more["supersedes"], less["supersedes"]) == ([opened["entry_id"]], [more["entry_id"]])
    assert opened["superseded_by"] == [more["entry_id"]]
    assert [entry["kind"] for entry in log] == ["opening", "quantity_changed", "quantity_changed"]
    assert await holds(rating) == set()


async def test_a_guess_before_the_contract_only_moves_the_opening(rating: InProcess) -> None:
    """The guess fell into the contract, the truth does not: entry taken back, opening corrected."""
    await enter(rating, fixed(PREMIUM, "22.55"))
    await tell(rating, [SHEET, contract(), OPENED, GUESS])
    truth = TRUTH.model_copy(
        update={"effective_at": change("x", (0, 1), "2026-03-30T09:00:00").effective_at}
    )

    await tell(rating, [truth, cycle_closed(contract(), "2026-05-01")])

    log = await entries(rating)
    assert sorted(told(entry)[:3] for entry in log) == [
        (0, 40, "2026-04-01"), (40, 45, "2026-04-01"), (40, 45, "2026-04-16"),
        (45, 40, "2026-04-16"),
    ]  # fmt: skip
    assert await amounts(rating) == [Decimal("1014.75")]
    assert await holds(rating) == set()


async def test_an_upgrade_before_the_contract_opens_with_the_new_product(rating: InProcess) -> None:
    """The old product's opening is taken back whole, the new one's is logged."""
    other = PREMIUM.model_copy(update={"sku_id": "0009"})
    await enter(rating, fixed(PREMIUM, "22.55"))
    await tell(rating, [sheet([(PREMIUM, "18.04", "22.00"), (other, "28.00", "35.00")]), contract(),
                        OPENED])  # fmt: skip
    upgrade = change(
        "up", (40, 40), "2026-03-10T09:00:00", version=2, product=other, product_name="Other",
        kind=ChangeKind.UPGRADED,
    )  # fmt: skip

    await tell(rating, [upgrade])

    log = await entries(rating)
    assert [(entry["product"]["key"].split(":")[1], *told(entry)[:2]) for entry in log] == [
        (PREMIUM.sku_id, 0, 40), (PREMIUM.sku_id, 40, 0), ("0009", 0, 40),
    ]  # fmt: skip
    assert await holds(rating) == set()
