"""What is missing is held visibly, releases itself when it arrives, and stops nothing else."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from decimal import Decimal

import pytest

from rating import jobs
from rating.domain.rules import Minimum, RuleKind
from rating.handlers import settling
from shared.contracts.envelope import Event
from shared.contracts.ingest import ChangeKind
from shared.contracts.rating import ChargeKind, LicenceChangeRated
from shared.kernel.errors import Invalid
from shared.runtime.consumer import Outcome
from shared.runtime.postgres import Transaction
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
ALDER_SHEET = sheet([(PREMIUM, "18.04", "22.55"), (PREMIUM_MONTHLY, "21.65", "27.06")])
BIRCH = birch()
APRIL_RUN = cycle_closed(BIRCH, "2026-05-01")


async def test_seats_under_no_contract(rating: InProcess) -> None:
    """Held per subscription until a contract covers it; then everything is rated, in order."""
    await tell(rating, [ALDER_SHEET, *alder_changes()])
    assert await holds(rating) == {
        ("no_contract", "subscription/A"),
        ("no_contract", "subscription/B"),
    }
    assert await current(rating) == {}
    await tell(rating, [ALDER])
    assert await holds(rating) == set()
    assert await amounts(rating) == [Decimal("63.89"), Decimal("-19.54")]
    logged = await rating.harness.published(LicenceChangeRated)
    of_a = [entry.change_id for entry in logged if entry.subscription_id == "A"]
    assert (of_a, len(logged)) == (["oA", "e1", "e2"], 4)


async def test_an_unknown_product(rating: InProcess) -> None:
    """The run answers and tells of the hold; the sheet releases it, and the rest follows."""
    only_monthly = sheet([(PREMIUM_MONTHLY, "21.65", "27.06")])
    run = cycle_closed(ALDER, "2026-05-01")
    await tell(rating, [only_monthly, ALDER, *alder_changes(), run])
    assert await holds(rating) == {("unknown_product", "subscription/A")}
    assert await amounts(rating) == [Decimal("162.36")]
    answer = await last_answer(rating)
    assert (answer.charges, answer.amount, answer.holds) == (1, Decimal("162.36"), 1)
    await tell(rating, [sheet([(PREMIUM, "18.04", "22.55")], sheet_id="sheet-2")])
    assert await holds(rating) == set()
    assert len(await amounts(rating, "2026-05-01")) == 4


async def test_usage_under_no_contract(rating: InProcess) -> None:
    """Lines are kept unrated, counted as held, and rated when the contract arrives."""
    for one in birch_rules():
        await enter(rating, one)
    batches, closed = usage_file(april_lines(), per_batch=3)
    await tell(rating, [*batches, closed])
    assert await holds(rating) == {
        ("no_contract", "azure-subscription/AZ-1"),
        ("no_contract", "azure-subscription/AZ-2"),
    }
    path = f"/v1/usage-files/{closed.file_id}"
    file = await rating.ok("GET", path)
    assert (file["state"], file["rated"], file["held"], file["not_billable"]) == (
        "current",
        0,
        8,
        0,
    )
    await tell(rating, [BIRCH, APRIL_RUN])
    assert await holds(rating) == set()
    assert len(await amounts(rating, "2026-05-15")) == 6
    file = await rating.ok("GET", path)
    assert (file["rated"], file["held"]) == (8, 0)
    assert all(check["holds"] for check in file["checks"])
    await expect_consistent(rating)


async def test_usage_without_a_rule(rating: InProcess) -> None:
    """Categories without a rule wait; entering the rule rates them, also after the cycle closed."""
    for one in birch_rules()[:2]:
        await enter(rating, one)
    batches, closed = usage_file(april_lines())
    await tell(rating, [BIRCH, *batches, closed, APRIL_RUN])
    assert await holds(rating) == {("no_price_rule", "azure-subscription/AZ-1")}
    answer = await last_answer(rating)
    assert (answer.charges, answer.holds) == (4, 2)
    await enter(rating, birch_rules()[2])
    await rating.work()
    assert await holds(rating) == set()
    assert len(await amounts(rating, "2026-05-15")) == 6
    await expect_consistent(rating)


async def test_usage_without_a_rate(rating: InProcess) -> None:
    """A contract in a third currency waits for an entered rate, for usage and purchases alike."""
    await enter(rating, markup(None, "0"))
    batches, closed = usage_file(april_lines()[4:5])
    pounds = birch(currency="GBP")
    await tell(rating, [pounds, *batches, closed, reservation(), APRIL_RUN])
    assert await holds(rating) == {
        ("no_fx_rate", "azure-subscription/AZ-1"),
        ("no_fx_rate", "purchase/r1"),
    }
    body = {"rate": "0.75", "source": "ECB"}
    told = await rating.ok("PUT", "/v1/fx-rates/USD-GBP/2026-04-28", json=body)
    assert (told["version"], told["rate"]) == (1, "0.75")
    await rating.work()
    assert await holds(rating) == set()
    assert await amounts(rating) == [Decimal("54.75"), Decimal("5.75")]
    corrected = {"rate": "0.76", "source": "ECB, corrected"}
    await rating.ok("PUT", "/v1/fx-rates/USD-GBP/2026-04-28", json=corrected)
    await rating.work()
    assert await amounts(rating) == [Decimal("55.48"), Decimal("5.83")]


async def test_a_file_that_is_not_all_here(rating: InProcess) -> None:
    """The run answers and tells of it; nothing of the file is charged before its last batch."""
    for one in birch_rules():
        await enter(rating, one)
    batches, closed = usage_file(april_lines(), per_batch=3)
    await tell(rating, [BIRCH, *batches[:2], closed, APRIL_RUN])
    assert await holds(rating) == {("usage_incomplete", f"usage-file/{closed.file_id}")}
    answer = await last_answer(rating)
    assert (answer.charges, answer.holds) == (0, 1)
    await tell(rating, batches[2:])
    assert await holds(rating) == set()
    assert len(await amounts(rating, "2026-05-15")) == 6


async def test_control_totals_that_differ(rating: InProcess) -> None:
    """Every batch is here and the sums are not: the file does not count."""
    await enter(rating, markup(None, "0"))
    batches, closed = usage_file(april_lines())
    control = closed.control.model_copy(update={"quantity": Decimal(1)})
    wrong = closed.model_copy(update={"control": control})
    await tell(rating, [BIRCH, *batches, wrong, APRIL_RUN])
    assert await holds(rating) == {("control_total_mismatch", f"usage-file/{closed.file_id}")}
    assert await current(rating) == {}
    again, closed_again = usage_file(april_lines(), version="v2")
    await tell(rating, [*again, closed_again])
    assert len(await amounts(rating, "2026-05-15")) == 6


async def test_a_newer_version_replaces_a_data_set(rating: InProcess) -> None:
    """Lines that are gone no longer count; a late batch of the old version changes nothing."""
    for one in birch_rules():
        await enter(rating, one)
    old, old_closed = usage_file(april_lines(), per_batch=3)
    await tell(rating, [BIRCH, *old, old_closed, APRIL_RUN])
    before = await amounts(rating, "2026-05-15")
    fewer = [line for line in april_lines() if line.line_id not in ("u5", "u7")]
    new, new_closed = usage_file(fewer, version="v2")
    rating.clock.set(rating.clock.now().replace(day=9))
    await tell(rating, [*new, new_closed])
    after = await amounts(rating, "2026-05-15")
    assert sorted(set(before) - set(after)) == [Decimal("4.50"), Decimal("7.60")]
    states = {}
    for closed in (old_closed, new_closed):
        file = await rating.ok("GET", f"/v1/usage-files/{closed.file_id}")
        states[closed.version] = file["state"]
    assert states == {"v1": "superseded", "v2": "current"}
    await expect_consistent(rating)


async def test_an_older_version_that_completes_late_is_superseded_at_once(
    rating: InProcess,
) -> None:
    """What counts is which version was announced last, not which one was read last."""
    await enter(rating, markup(None, "0"))
    old, old_closed = usage_file(april_lines()[:1], version="v1")
    new, new_closed = usage_file(april_lines(), version="v2")
    await tell(rating, [BIRCH, old_closed])
    rating.clock.set(rating.clock.now().replace(day=9))
    await tell(rating, [*new, new_closed, APRIL_RUN])
    before = await amounts(rating)
    await tell(rating, old)
    assert await amounts(rating) == before
    file = await rating.ok("GET", f"/v1/usage-files/{old_closed.file_id}")
    assert file["state"] == "superseded"


async def test_estimates_are_rated_and_never_charged(rating: InProcess) -> None:
    """Unbilled usage is a preview: counted by outcome, on no invoice."""
    await enter(rating, markup(None, "0"))
    batches, closed = usage_file(april_lines(), estimate=True, data_set="unbilled/USD/current")
    await tell(rating, [BIRCH, *batches, closed, APRIL_RUN])
    file = await rating.ok("GET", f"/v1/usage-files/{closed.file_id}")
    assert (file["state"], file["rated"], file["estimate"]) == ("current", 8, True)
    assert await current(rating) == {}


async def test_lines_that_are_not_billable_are_counted(rating: InProcess) -> None:
    """Tax, covered and earlier lines each have their class; in = rated + held + not billable."""
    await enter(rating, markup(None, "0"))
    base = april_lines()
    lines = [
        *base,
        replace(base[0], charge_type="Tax", line_number=9),
        replace(
            base[1], effective_unit_price=Decimal(0), billing_pretax=Decimal(0), line_number=10
        ),
        replace(base[2], usage_date=day("2026-03-31"), line_number=11),
        replace(base[3], customer_id="stranger", line_number=12),
    ]
    batches, closed = usage_file(lines, per_batch=5)
    await tell(rating, [BIRCH, *batches, closed])
    file = await rating.ok("GET", f"/v1/usage-files/{closed.file_id}")
    assert (file["rated"], file["held"], file["not_billable"]) == (8, 1, 3)
    assert {o["outcome"]: o["lines"] for o in file["outcomes"]} == {
        "rated": 8, "no_contract": 1, "tax": 1, "covered_by_benefit": 1, "before_contract": 1,
    }  # fmt: skip
    await expect_consistent(rating)


async def test_a_late_change_corrects_closed_cycles(rating: InProcess) -> None:
    """The recurring charge gets a revision, the change its proration; withdrawn is zero."""
    run = cycle_closed(ALDER, "2026-05-01")
    first = [ALDER_SHEET, ALDER, opening("o", 40), run]
    await tell(rating, first)
    assert await amounts(rating) == [Decimal("902.00")]
    late = change("e1", (40, 45), "2026-04-14T09:12:00", version=2)
    await tell(rating, [late])
    assert await amounts(rating, "2026-05-01") == [Decimal("1014.75"), Decimal("63.89")]
    gone = change("e2", (45, 0), "2026-04-20T00:00:00", version=3, kind=ChangeKind.CANCELLED)
    await tell(rating, [gone])
    known = await current(rating)
    withdrawn = [c for c in known.values() if c.kind is ChargeKind.RECURRING]
    assert [(c.revision, c.amount, c.quantity) for c in withdrawn] == [(3, 0, 0)]
    history = await rating.ok("GET", f"/v1/charges/{withdrawn[0].charge_id}")
    assert [r["amount"] for r in history["revisions"]] == ["902.00", "1014.75", "0"]
    told = await rating.ok("GET", f"/v1/charges/{withdrawn[0].charge_id}/explain")
    assert told["withdrawn"] is True


async def test_an_explanation_of_what_was_billed_stays_when_the_charge_moves_on(
    rating: InProcess,
) -> None:
    """By its revision; the current one stands beside it, and there is no fourth."""
    run = cycle_closed(ALDER, "2026-05-01")
    await tell(rating, [ALDER_SHEET, ALDER, opening("o", 40), run])
    [charge] = (await current(rating)).values()
    gone = change("e1", (40, 0), "2026-04-20T00:00:00", version=2, kind=ChangeKind.CANCELLED)
    await tell(rating, [gone])
    path = f"/v1/charges/{charge.charge_id}/explain"

    billed = await rating.ok("GET", path, params={"revision": 1})
    now = await rating.ok("GET", path)
    unknown = await rating.http.get(path, params={"revision": 4})

    assert billed["arithmetic"] == "40 × 22.55 = 902.00 USD"
    assert billed["cost"]["arithmetic"] == "40 × 18.04 = 721.60 USD"
    assert [check["name"] for check in billed["checks"] if not check["holds"]] == []
    assert billed["latest"] == {"revision": 2, "amount": "0", "withdrawn": True}
    assert (now["charge"]["revision"], now["withdrawn"]) == (2, True)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "revision_unknown")


async def test_a_price_change_inside_the_term(rating: InProcess) -> None:
    """Neither a dearer sheet nor a dearer rule touches the running term."""
    run = cycle_closed(ALDER, "2026-05-01")
    await enter(rating, fixed(PREMIUM, "22.55", contract_id="ALD-1"))
    await tell(rating, [ALDER_SHEET, ALDER, opening("o", 40), run])
    dearer = sheet([(PREMIUM, "30.00", "40.00")], sheet_id="sheet-2", effective_from="2026-05-02")
    later = fixed(PREMIUM, "35.00", contract_id="ALD-1", valid_from=day("2026-05-02"))
    await tell(rating, [dearer])
    assert (await enter(rating, later))["version"] == 2
    await tell(rating, [cycle_closed(ALDER, "2026-06-01")])
    assert await amounts(rating) == [Decimal("902.00"), Decimal("902.00")]


async def test_a_corrected_rule_corrects_what_it_priced(rating: InProcess) -> None:
    """A version with the same start replaces the wrong one: revisions, not new charges."""
    run = cycle_closed(ALDER, "2026-05-01")
    await enter(rating, fixed(PREMIUM, "2.255", contract_id="ALD-1"))
    await tell(rating, [ALDER_SHEET, ALDER, opening("o", 40), run])
    assert await amounts(rating) == [Decimal("90.20")]
    await enter(rating, fixed(PREMIUM, "22.55", contract_id="ALD-1"))
    await rating.work()
    known = list((await current(rating)).values())
    assert [(c.revision, c.amount) for c in known] == [(2, Decimal("902.00"))]


async def test_a_run_before_its_contract(rating: InProcess) -> None:
    """The answer waits for the contract and then comes, once."""
    await tell(rating, [ALDER_SHEET, cycle_closed(ALDER, "2026-05-01"), *alder_changes()])
    assert ("contract_unknown", "invoice-run/ALD-1/2026-05-01") in await holds(rating)
    await tell(rating, [ALDER])
    answer = await last_answer(rating)
    known = await current(rating)
    assert (answer.charges, answer.amount) == total(known.values(), day("2026-05-01"))
    assert answer.charges == 4
    assert await holds(rating) == set()


async def test_a_contract_that_takes_over(rating: InProcess) -> None:
    """From the day it starts, and what the old one charged beyond its end is withdrawn."""
    open_ended = contract(billed_through=day("2026-04-01"))
    run = cycle_closed(open_ended, "2026-05-01")
    await tell(rating, [ALDER_SHEET, open_ended, opening("o", 40), run])
    ended = open_ended.model_copy(update={"version": 2, "ends_on": day("2026-05-01")})
    heir = contract("ALD-2", starts_on=day("2026-05-01"), billed_through=day("2026-05-01"))
    await tell(rating, [ended, heir, cycle_closed(heir, "2026-05-01")])
    by_contract: dict[str, list[Decimal]] = {}
    for charge in (await current(rating)).values():
        by_contract.setdefault(charge.contract_id, []).append(charge.amount)
    assert {k: sorted(v) for k, v in by_contract.items()} == {
        "ALD-1": [Decimal(0), Decimal("902.00")],
        "ALD-2": [Decimal("902.00")],
    }


async def test_no_minimum_without_the_months_file(rating: InProcess) -> None:
    """The top-up waits for the provider's file, and comes with it."""
    minimum = rule("min", Minimum(Decimal("25.00"), "EUR"), RuleKind.MINIMUM, contract_id="BIR-AZ")
    await enter(rating, minimum)
    await enter(rating, markup(None, "0"))
    await tell(rating, [BIRCH, APRIL_RUN])
    assert await holds(rating) == {("usage_file_missing", "contract/BIR-AZ")}
    assert await current(rating) == {}
    batches, closed = usage_file(april_lines()[4:5])
    await tell(rating, [*batches, closed])
    assert await amounts(rating) == [Decimal("17.96"), Decimal("7.04")]
    assert await holds(rating) == set()


async def test_late_usage_keeps_the_minimum_and_shrinks_the_top_up(rating: InProcess) -> None:
    """The revision of April's top-up goes down when May's file brings April usage."""
    minimum = rule(
        "min", Minimum(Decimal("25.00"), "EUR"), RuleKind.MINIMUM,
        contract_id="BIR-AZ", valid_until=day("2026-05-01"),
    )  # fmt: skip
    await enter(rating, minimum)
    await enter(rating, markup(None, "0"))
    april_batches, april_closed = usage_file(april_lines()[4:5])
    may_batches, may_closed = usage_file(late_lines(), month="2026-05")
    await tell(rating, [BIRCH, *april_batches, april_closed, APRIL_RUN])
    assert await amounts(rating) == [Decimal("17.96"), Decimal("7.04")]
    await tell(rating, [*may_batches, may_closed, cycle_closed(BIRCH, "2026-06-01")])
    late = Decimal("3.12")  # 15.5 × 0.2304 × 0.95 × 0.9211 = 3.1249…
    assert await amounts(rating) == [Decimal("17.96") - late, Decimal("7.04"), late]


async def test_an_absurd_amount(rating: InProcess) -> None:
    """A price of twenty digits holds what it prices; everything else is concluded."""
    absurd = sheet([(PREMIUM, "1", f"{10**19}"), (PREMIUM_MONTHLY, "1", "2")])
    facts = [opening("o", 40), alder_changes()[1]]
    await tell(rating, [ALDER, *facts, cycle_closed(ALDER, "2026-05-01"), absurd])
    assert await amounts(rating) == [Decimal("12.00")]
    assert await holds(rating) == {("amount_out_of_bounds", "subscription/A")}


async def test_one_customer_that_cannot_be_concluded(
    rating: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is held with the reason; the others are concluded, and the next fact tries again."""
    other = contract("OK-1", provider_customer_id="fine")
    fine = opening("f", 2, customer_id="fine", subscription_id="F")
    await tell(rating, [ALDER, other, opening("o", 40), fine])
    await tell(rating, [cycle_closed(ALDER, "2026-05-01"), cycle_closed(other, "2026-05-01")])

    async def settle(tx: Transaction, customer_id: str) -> None:
        if customer_id == "alder-tenant":
            raise Invalid("broken", "on purpose")
        await settling.settle_customer(tx, customer_id)

    with monkeypatch.context() as patched:
        patched.setattr(jobs, "settle_customer", settle)
        await tell(rating, [ALDER_SHEET])
    assert await amounts(rating) == [Decimal("45.10")]
    assert ("rating_failed", "customer/alder-tenant") in await holds(rating)
    await tell(rating, [sheet([(PREMIUM, "18.04", "22.55")], sheet_id="sheet-2")])
    assert await amounts(rating) == [Decimal("902.00"), Decimal("45.10")]
    assert await holds(rating) == set()


async def test_a_subscription_of_nobody_is_a_dead_letter_never(rating: InProcess) -> None:
    """Facts of strangers are kept and held; the consumer goes on."""
    stranger = opening("s", 1, customer_id="nobody")
    assert await rating.harness.deliver(stranger) is Outcome.HANDLED
    assert await holds(rating) == {("no_contract", "subscription/A")}


@pytest.mark.parametrize("seed", range(5))
async def test_concurrent_halves_find_each_other(rating: InProcess, seed: int) -> None:
    """Contract, prices, changes, usage and runs handled at the same time: nothing is missed."""
    for one in birch_rules():
        await enter(rating, one)
    batches, closed = usage_file(april_lines(), per_batch=1)
    events: list[Event] = [
        ALDER_SHEET, ALDER, *alder_changes(), cycle_closed(ALDER, "2026-05-01"),
        BIRCH, *batches, closed, reservation(), APRIL_RUN,
    ]  # fmt: skip
    random.Random(seed).shuffle(events)
    outcomes = await asyncio.gather(*(rating.harness.deliver(event) for event in events))
    await rating.work()
    assert set(outcomes) == {Outcome.HANDLED}
    assert await holds(rating) == set()
    assert await amounts(rating, "2026-05-01") == [
        Decimal(n) for n in ("969.65", "162.36", "63.89", "-19.54")
    ]
    assert len(await amounts(rating, "2026-05-15")) == 7
    await expect_consistent(rating)
