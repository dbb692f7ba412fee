"""Scenarios 1, 2 and 5 through handlers, database, jobs and HTTP, to the cent."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import permutations

import pytest

from rating.domain.rules import CostPlus, Minimum, RuleKind
from shared.contracts.envelope import Event
from shared.contracts.ingest import ChangeKind
from shared.contracts.rating import (
    ChargeKind,
    ChargeRated,
    CycleRated,
    LicenceChangeRated,
    UsageFileRated,
)
from support.in_process import InProcess
from support.rating_facts import (
    E3,
    PREMIUM,
    PREMIUM_MONTHLY,
    alder_changes,
    april_lines,
    birch,
    birch_rules,
    change,
    contract,
    cycle_closed,
    day,
    fixed,
    late_lines,
    markup,
    opening,
    reservation,
    rule,
    sheet,
    usage_file,
)
from support.rating_service import (
    amounts,
    current,
    enter,
    expect_consistent,
    holds,
    last_answer,
    tell,
    total,
)

ALDER = contract()
ALDER_SHEET = sheet([(PREMIUM, "18.04", "22.00"), (PREMIUM_MONTHLY, "21.65", "26.40")])
ALDER_RUN = cycle_closed(ALDER, "2026-05-01")
SCENARIO_1 = [Decimal(n) for n in ("969.65", "162.36", "63.89", "-19.54")]


async def alder_prices(rating: InProcess) -> None:
    await enter(rating, fixed(PREMIUM, "22.55", contract_id="ALD-1"))
    await enter(rating, fixed(PREMIUM_MONTHLY, "27.06", contract_id="ALD-1"))


async def test_scenario_1(rating: InProcess) -> None:
    """The May invoice's licence lines, the log entries, and a control total that agrees."""
    await alder_prices(rating)
    await tell(rating, [ALDER_SHEET, ALDER, *alder_changes()])
    at_once = await rating.harness.published(ChargeRated)
    assert [c.kind for c in at_once] == [ChargeKind.PRORATION, ChargeKind.PRORATION]
    await tell(rating, [ALDER_RUN])
    assert await amounts(rating, "2026-05-01") == SCENARIO_1
    known = await current(rating)
    answer = await last_answer(rating)
    assert (answer.charges, answer.amount) == total(known.values(), day("2026-05-01"))
    assert answer.holds == 0
    logged = await rating.harness.published(LicenceChangeRated)
    assert [(e.change_id, e.prorated_amount) for e in logged] == [
        ("oA", Decimal(0)),
        ("oB", Decimal(0)),
        ("e1", Decimal("63.89")),
        ("e2", Decimal("-19.54")),
    ]
    await expect_consistent(rating)


@pytest.mark.parametrize("seed", range(6))
async def test_scenario_1_in_any_order(rating: InProcess, seed: int) -> None:
    """Facts, prices and the run itself in any order: the same charges, and no hold is left."""
    events: list[Event] = [ALDER_SHEET, ALDER, ALDER_RUN, *alder_changes()]
    random.Random(seed).shuffle(events)
    await alder_prices(rating)
    for event in events:
        await tell(rating, [event, event])
    assert await amounts(rating, "2026-05-01") == SCENARIO_1
    assert await holds(rating) == set()
    assert len(await rating.harness.published(CycleRated)) == 1
    logged = [e.change_id for e in await rating.harness.published(LicenceChangeRated)]
    assert sorted(logged) == ["e1", "e2", "oA", "oB"]
    await expect_consistent(rating)


@pytest.mark.parametrize("order", list(permutations(range(3)))[1:3])
async def test_replaying_everything_publishes_nothing(
    rating: InProcess, order: tuple[int, ...]
) -> None:
    """The same facts under new message ids, in another order: no news but answers to the run."""
    await alder_prices(rating)
    events: list[Event] = [ALDER_SHEET, ALDER, *alder_changes(), ALDER_RUN]
    await tell(rating, events)
    mark = await rating.harness.mark()
    again = [events[i] for i in order] + events
    for number, event in enumerate(again):
        await rating.harness.deliver(event, id=f"again-{number}")
    await rating.work()
    assert await rating.harness.outbox(after=mark) == [await last_answer(rating)]


async def test_explain_leads_to_the_webhook(rating: InProcess) -> None:
    """L3 names e1, its audit record and webhook, the price, 17/30 and the exact amount."""
    await alder_prices(rating)
    await tell(rating, [ALDER_SHEET, ALDER, *alder_changes()])
    known = await current(rating)
    line = next(c for c in known.values() if c.source_ids == ("e1",))
    told = await rating.ok("GET", f"/v1/charges/{line.charge_id}/explain")
    source = told["sources"][0]
    assert (source["change_id"], source["audit_record_id"], source["webhook_id"]) == (
        "e1",
        "audit-e1",
        "webhook-e1",
    )
    assert told["arithmetic"].startswith("5 × 22.55 × 17/30 = 63.891666")
    assert (told["proration"]["days"], told["proration"]["cycle_days"]) == (17, 30)
    assert told["price"]["rule_text"] == "fixed 22.55 USD"
    assert all(check["holds"] for check in told["checks"])
    assert told["log_entries"][0]["charge_id"] == line.charge_id


BIRCH = birch()
MINIMUM = rule(
    "AZ-2-MIN",
    Minimum(Decimal("25.00"), "EUR"),
    RuleKind.MINIMUM,
    azure_subscription_id="AZ-2",
    contract_id="BIR-AZ",
    valid_from=day("2026-04-01"),
    valid_until=day("2026-05-01"),
)
SCENARIO_2 = [
    Decimal(n) for n in ("67.04", "58.94", "53.18", "30.38", "17.39", "7.60", "4.50", "3.11")
]


async def birch_prices(rating: InProcess) -> None:
    for one in [*birch_rules(), MINIMUM]:
        await enter(rating, one)


async def test_scenario_2(rating: InProcess) -> None:
    """April's invoice and cost, then the late line with lineage, April unchanged."""
    await birch_prices(rating)
    batches, closed = usage_file(april_lines(), per_batch=3)
    await tell(rating, [BIRCH, *batches, closed, reservation()])
    await tell(rating, [cycle_closed(BIRCH, "2026-05-01")])
    assert await amounts(rating, "2026-05-15") == SCENARIO_2
    april = await current(rating)
    assert sum(charge.cost for charge in april.values()) == Decimal("187.31")
    rated = (await rating.harness.published(UsageFileRated))[-1]
    assert (rated.lines, rated.rated, rated.held, rated.not_billable) == (8, 8, 0, 0)

    dearer = markup(
        "Virtual Machines", "12", contract_id="BIR-AZ", rule_id="p1", valid_from=day("2026-05-10")
    )
    await enter(rating, dearer)
    await rating.work()
    may_batches, may_closed = usage_file(late_lines(), month="2026-05")
    await tell(rating, [*may_batches, may_closed, cycle_closed(BIRCH, "2026-06-01")])
    assert await amounts(rating, "2026-06-15") == [Decimal("3.44")]
    assert await amounts(rating, "2026-05-15") == SCENARIO_2
    known = await current(rating)
    late = next(c for c in known.values() if c.bill_on == day("2026-06-15"))
    original = known[late.corrects or ""]
    assert (original.amount, original.product.name) == (Decimal("53.18"), "Azure Virtual Machines")
    answer = await last_answer(rating)
    assert (answer.charges, answer.amount, answer.holds) == (9, Decimal("245.58"), 0)
    await expect_consistent(rating)


async def test_scenario_2_lineage_in_both_directions(rating: InProcess) -> None:
    """From every line to its charge, and from every charge to its lines; none unreferenced."""
    await birch_prices(rating)
    batches, closed = usage_file(april_lines(), per_batch=3)
    await tell(rating, [BIRCH, *batches, closed, cycle_closed(BIRCH, "2026-05-01")])
    found: dict[str, str] = {}
    for charge in (await current(rating)).values():
        if charge.kind is not ChargeKind.USAGE:
            continue
        path = f"/v1/charges/{charge.charge_id}"
        page = await rating.ok("GET", f"{path}/usage-lines?limit=1")
        while True:
            for line in page["data"]:
                found[line["line_id"]] = charge.charge_id
            if page["next_cursor"] is None:
                break
            page = await rating.ok(
                "GET", f"{path}/usage-lines?limit=1&cursor={page['next_cursor']}"
            )
        told = await rating.ok("GET", f"{path}/explain")
        assert all(check["holds"] for check in told["checks"]), told["checks"]
        assert told["lines_total"] == len(told["lines"])
        assert told["sources"][0]["provider_invoice"] == "G2026-04"
    assert set(found) == {f"u{number}" for number in range(1, 9)}
    for line in april_lines():
        back = await rating.ok("GET", f"/v1/usage-files/{closed.file_id}/lines/{line.line_number}")
        assert (back["line_id"], back["charge_id"]) == (line.line_id, found[line.line_id])


async def test_scenario_2_explains_costs_and_top_up(rating: InProcess) -> None:
    """Costs as the provider computes them; the top-up by the lines it tops up."""
    await birch_prices(rating)
    batches, closed = usage_file(april_lines())
    run = cycle_closed(BIRCH, "2026-05-01")
    await tell(rating, [BIRCH, *batches, closed, reservation(), run])
    known = await current(rating)
    storage = next(c for c in known.values() if c.amount == Decimal("30.38"))
    told = await rating.ok("GET", f"/v1/charges/{storage.charge_id}/explain")
    meters = [(m["meter_name"], m["priced"], m["cost"]) for m in told["cost"]["meters"]]
    assert meters == [("blob-hot", "10.04", "9.22"), ("disk-p10", "16.75", "15.38")]
    top_up = next(c for c in known.values() if c.kind is ChargeKind.MINIMUM)
    why = await rating.ok("GET", f"/v1/charges/{top_up.charge_id}/explain")
    assert sorted(s["amount"] for s in why["sources"]) == ["3.11", "4.50"]
    assert why["arithmetic"] == "at least 25.00 EUR a month − 7.61 = 17.39 EUR"
    bought = next(c for c in known.values() if c.kind is ChargeKind.PURCHASE)
    why = await rating.ok("GET", f"/v1/charges/{bought.charge_id}/explain")
    assert why["sources"][0]["purchase_id"] == "r1"


async def test_a_replaced_purchase_is_taken_back_and_the_new_one_is_billed(
    rating: InProcess,
) -> None:
    """A corrected invoice line is another purchase; the earlier one is told again at nothing."""
    await birch_prices(rating)
    await tell(rating, [BIRCH, reservation()])
    [before] = (await current(rating)).values()
    none = Decimal(0)
    gone = reservation(version="v2", quantity=none, provider_subtotal=none)
    dearer = reservation(version="v2", purchase_id="r2", quantity=Decimal(2))

    await tell(rating, [gone, dearer])

    old, new = sorted((await current(rating)).values(), key=lambda c: c.amount)
    assert (old.charge_id, old.revision) == (before.charge_id, 2)
    assert (old.quantity, old.amount, old.amount_exact, old.cost) == (0, 0, 0, 0)
    assert (new.source_ids, new.amount) == (("r2",), Decimal("134.09"))
    await expect_consistent(rating)


async def test_a_purchase_that_was_taken_back_holds_nothing(rating: InProcess) -> None:
    """No rate is needed to charge nothing, and no contract either."""
    none = Decimal(0)
    gone = reservation(version="v2", quantity=none, provider_subtotal=none)
    await tell(rating, [reservation()])
    assert ("no_contract", "purchase/r1") in await holds(rating)

    await tell(rating, [gone])
    await tell(rating, [contract("BIR-JP", provider_customer_id="birch-tenant", currency="JPY")])

    assert await holds(rating) == set()
    assert await current(rating) == {}


async def test_the_same_file_twice_shuffled_and_cut_differently(rating: InProcess) -> None:
    """Importing it again changes nothing; a newer version of the same lines keeps the figures."""
    await birch_prices(rating)
    batches, closed = usage_file(april_lines(), per_batch=3)
    run = cycle_closed(BIRCH, "2026-05-01")
    await tell(rating, [closed, BIRCH, *reversed(batches), run, reservation()])
    assert await amounts(rating, "2026-05-15") == SCENARIO_2
    mark = await rating.harness.mark()
    for number, event in enumerate([*batches, closed]):
        await rating.harness.deliver(event, id=f"again-{number}")
    await rating.work()
    assert await rating.harness.outbox(after=mark) == []
    shuffled = april_lines()
    random.Random(7).shuffle(shuffled)
    again, closed_again = usage_file(shuffled, per_batch=1, version="v2")
    await tell(rating, [*again, closed_again])
    assert await amounts(rating, "2026-05-15") == SCENARIO_2
    sources = {c.source_ids for c in (await current(rating)).values() if c.kind is ChargeKind.USAGE}
    assert sources == {(closed_again.file_id,)}
    await expect_consistent(rating)


async def test_scenario_5(rating: InProcess) -> None:
    """Partial reduction, renewal at the new price, reduction in the window: three invoices."""
    elm = contract(
        "ELM-1",
        currency="AUD",
        anchor_day=12,
        starts_on=day("2026-05-12"),
        billed_through=day("2026-06-12"),
    )
    await enter(rating, fixed(E3, "36.80", currency="AUD", rule_id="e3", contract_id="ELM-1"))
    renewed_price = rule(
        "e3",
        CostPlus(Decimal(18)),
        product_key=E3.key,
        contract_id="ELM-1",
        valid_from=day("2026-07-01"),
    )
    assert (await enter(rating, renewed_price))["version"] == 2
    old_sheet = sheet([(E3, "30.20", "40.00")], market="AU", currency="AUD")
    new_sheet = sheet(
        [(E3, "31.71", "41.00")], market="AU", currency="AUD", sheet_id="sheet-2",
        effective_from="2026-07-01", fetched="2026-06-30",
    )  # fmt: skip
    old = {"product": E3, "term_start": day("2025-07-12"), "term_end": day("2026-07-12")}
    new = {"product": E3, "term_start": day("2026-07-12"), "term_end": day("2027-07-12")}
    await tell(
        rating,
        [
            old_sheet,
            elm,
            opening("o", 30, **old),
            change("e1", (30, 22), "2026-06-09T10:00:00", version=2, **old),
            cycle_closed(elm, "2026-06-12"),
            new_sheet,
            change("e2", (22, 19), "2026-07-12", version=3, kind=ChangeKind.RENEWED, **new),
            cycle_closed(elm, "2026-07-12"),
            change("e3", (19, 17), "2026-07-15T09:00:00", version=4, **new),
            cycle_closed(elm, "2026-08-12"),
        ],
    )
    assert await amounts(rating, "2026-06-12") == [Decimal("809.60"), Decimal("-28.49")]
    assert await amounts(rating, "2026-07-12") == [Decimal("710.98")]
    assert await amounts(rating, "2026-08-12") == [Decimal("636.14"), Decimal("-67.60")]
    entries = await rating.ok("GET", "/v1/licence-changes?subscription_id=A")
    assert [
        (e["change_id"], e["quantity_after"] - e["quantity_before"], e["unit_price"])
        for e in entries["data"]
    ] == [("o", 30, "36.80"), ("e1", -8, "36.80"), ("e2", -3, "37.42"), ("e3", -2, "37.42")]
    assert [e["price_changed"] for e in entries["data"]] == [False, False, True, False]
