"""From a requested run to a paid invoice, with rating and tax played by hand."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal
from typing import Any

import pytest

from shared.contracts.invoicing import InvoiceDrafted
from shared.contracts.rating import ChargeKind, ChargeRated
from shared.contracts.tax import TaxHeld
from shared.runtime.consumer import Outcome
from support.billing_facts import (
    charge,
    cycle_rated,
    day,
    fixed,
    period,
    revised,
    seats,
    seats_changed,
    tax_of,
    usage,
)
from support.invoicing_world import RATES, World
from support.servers import FreshDatabase

MAY = ("2026-05-01", "2026-06-01")
JUNE = ("2026-06-01", "2026-07-01")
APRIL = ("2026-04-01", "2026-05-01")


def alder_charges() -> list[ChargeRated]:
    return [
        seats("A", quantity=43, unit_price="22.55", service=MAY),
        seats("B", quantity=6, unit_price="27.06", service=MAY, term="P1M"),
        seats_changed("e1", added=5, unit_price="22.55", effective="2026-04-14", cycle=APRIL),
        seats_changed("e2", added=-2, unit_price="22.55", effective="2026-04-18", cycle=APRIL),
    ]


def figures(invoice: dict[str, Any]) -> tuple[str, str, str]:
    return invoice["net"], invoice["tax"], invoice["total"]


async def test_scenario_1_from_request_to_payment(world: World) -> None:
    """Alder's invoice of 1 May: five lines, 1,326.36 + 104.41 = 1,430.77, then paid."""
    await world.alder()
    await world.item()

    invoice = await world.bill("2026-05-01", alder_charges())

    assert [line["net"] for line in invoice["lines"]] == [
        "969.65", "162.36", "63.89", "-19.54", "150.00",
    ]  # fmt: skip
    assert [line["tax"] for line in invoice["lines"]] == [
        "86.06", "14.41", "5.67", "-1.73", "0.00",
    ]  # fmt: skip
    assert figures(invoice) == ("1326.36", "104.41", "1430.77")
    assert (invoice["number"], invoice["state"]) == ("HUS-000001", "finalised")
    assert (invoice["kind"], invoice["due_on"]) == ("invoice", "2026-05-16")
    [event] = await world.finalised()
    assert [line["net"] for line in invoice["lines"]] == [f"{one.net:f}" for one in event.lines]
    assert event.total == Decimal("1430.77")

    await world.paid(invoice)
    await world.paid(invoice)

    after = await world.get("/v1/invoices/HUS-000001")
    assert after["state"] == "paid"
    assert len(after["payments"]) == 1
    assert figures(after) == figures(invoice)
    assert after["lines"] == invoice["lines"]


async def test_closing_a_cycle_names_both_cycles(world: World) -> None:
    """Rating is told what recurs in May and what closed with April."""
    await world.alder()

    [run] = await world.request("2026-05-01")

    [event] = await world.closed_cycles()
    assert (event.run_id, event.contract_id) == (run["run_id"], "ALD-1")
    assert (event.recurring, event.closed) == (period(*MAY), period(*APRIL))
    assert (await world.run_of("ALD-1", "2026-05-01"))["state"] == "rating"


async def birch(world: World) -> None:
    await world.seller(
        "harbor-eu",
        name="Harbor Cloud B.V.",
        country="NL",
        tax_mode="per_group",
        invoice_prefix="HEU-",
        payment_terms_days=30,
    )
    await world.account(
        "birch",
        name="Birch Logistics",
        selling_entity_id="harbor-eu",
        country="NL",
        tax_jurisdiction="NL",
        currency="EUR",
    )
    await world.contract(
        "BIR-AZ",
        account_id="birch",
        currency="EUR",
        timing="arrears",
        invoice_offset_days=14,
        billed_through="2026-04-01",
        provider_customer_id="tenant-birch",
    )


def birch_charges() -> list[ChargeRated]:
    lines = [
        usage(f"{azure} {category}", exact, azure=azure, category=category)
        for azure, category, exact in (
            ("AZ-1", "Virtual Machines", "53.17968"),
            ("AZ-1", "Storage", "30.381835"),
            ("AZ-1", "Bandwidth", "7.604127"),
            ("AZ-1", "SQL Database", "58.936121"),
            ("AZ-2", "Virtual Machines", "4.500013"),
            ("AZ-2", "Storage", "3.110285"),
        )
    ]
    top_up = usage("top-up", "17.39", azure="AZ-2", category="Minimum commitment")
    reservation = usage("r1", "67.0432", azure="", category="Reservation")
    as_purchase = {"kind": ChargeKind.PURCHASE, "subscription_id": None, "price": fixed("67.0432")}
    return [
        *lines,
        top_up.model_copy(update={"kind": ChargeKind.MINIMUM}),
        reservation.model_copy(update=as_purchase),
    ]


async def test_scenario_2_april_then_late_usage_in_june(world: World) -> None:
    """242.14 + 50.85 = 292.99 on 15 May; on 15 June one line of 3.44 that points at line 1."""
    await birch(world)
    april = await world.bill("2026-05-15", birch_charges(), "BIR-AZ")

    late = usage(
        "late",
        "3.437456",
        azure="AZ-1",
        category="Virtual Machines",
        bill_on=day("2026-06-15"),
        corrects="AZ-1 Virtual Machines",
        source_ids=("u9", "u10"),
    )
    june = await world.bill("2026-06-15", [*birch_charges(), late], "BIR-AZ")

    assert figures(april) == ("242.14", "50.85", "292.99")
    assert [line["net"] for line in april["lines"]] == [
        "53.18", "30.38", "7.60", "58.94", "4.50", "3.11", "17.39", "67.04",
    ]  # fmt: skip
    assert {line["tax"] for line in april["lines"]} == {None}
    assert [(line["net"], line["corrects"]) for line in june["lines"]] == [("3.44", "HEU-000001/1")]
    assert figures(june) == ("3.44", "0.72", "4.16")
    assert await world.get("/v1/invoices/HEU-000001") == april


async def test_scenario_5_invoices_of_three_months(world: World) -> None:
    """Elm Legal: upgrade, renewal with a new price, reduction; 1,306.68, 1,190.18, 1,047.74."""
    await world.seller(tax_mode="per_group", invoice_prefix="ELM-", country="AU")
    await world.account(currency="AUD", country="AU", tax_jurisdiction="AU")
    await world.contract(
        "ALD-1", currency="AUD", anchor_day=12, starts_on="2026-05-12", billed_through="2026-06-12"
    )
    cycles = [
        ("2026-05-12", "2026-06-12"),
        ("2026-06-12", "2026-07-12"),
        ("2026-07-12", "2026-08-12"),
        ("2026-08-12", "2026-09-12"),
    ]
    e3 = charge("x", "0").product.model_copy(update={"key": "E3", "name": "E3", "term": "P1Y"})
    e5 = e3.model_copy(update={"key": "E5", "name": "E5"})
    aud: dict[str, Any] = {"currency": "AUD", "cost_currency": "AUD"}

    def recurring(name: str, quantity: int, price: str, cycle: int) -> ChargeRated:
        product = e3 if name == "E3" else e5
        return seats(
            f"{name} {cycle}",
            quantity=quantity,
            unit_price=price,
            service=cycles[cycle],
            product=product,
            **aud,
        )

    june = [
        recurring("E3", 22, "36.80", 1),
        recurring("E5", 8, "59.90", 1),
        seats_changed(
            "down", added=-8, unit_price="36.80", effective="2026-06-09", cycle=cycles[0],
            product=e3, **aud,
        ),
        seats_changed(
            "up", added=8, unit_price="59.90", effective="2026-06-09", cycle=cycles[0],
            product=e5, **aud,
        ),
    ]  # fmt: skip
    july = [recurring("E3", 19, "37.42", 2), recurring("E5", 8, "59.90", 2)]
    august = [
        recurring("E3", 17, "37.42", 3),
        recurring("E5", 8, "59.90", 3),
        seats_changed(
            "e3", added=-2, unit_price="37.42", effective="2026-07-15", cycle=cycles[2],
            product=e3, **aud,
        ),
    ]  # fmt: skip
    RATES_AU = {"licence": "0.10"}
    found = []
    known: list[ChargeRated] = []
    for invoice_date, charges in (
        ("2026-06-12", june),
        ("2026-07-12", july),
        ("2026-08-12", august),
    ):
        known += charges
        await world.request(invoice_date, "ALD-1")
        run = await world.run_of("ALD-1", invoice_date)
        await world.rated(run["run_id"], invoice_date, known)
        await world.taxed(RATES_AU)
        found.append(await world.invoice_of("ALD-1", invoice_date))

    assert [figures(invoice) for invoice in found] == [
        ("1306.68", "130.67", "1437.35"),
        ("1190.18", "119.02", "1309.20"),
        ("1047.74", "104.77", "1152.51"),
    ]
    assert [[line["net"] for line in invoice["lines"]] for invoice in found] == [
        ["809.60", "479.20", "-28.49", "46.37"],
        ["710.98", "479.20"],
        ["636.14", "479.20", "-67.60"],
    ]


async def test_duplicates_and_any_order_give_the_same_invoice(
    world: World, fresh_database: FreshDatabase
) -> None:
    """Charges twice, shuffled, old revisions last, and the cycle's end before them: the draft waits
    until the control totals match and then has the same lines."""
    from support.invoicing_world import invoicing_world

    first_guess = seats("A", quantity=45, unit_price="22.55", service=MAY)
    current = [revised(first_guess, quantity=43), *alder_charges()[1:]]

    async def nets(world: World, seed: int | None) -> list[str]:
        await world.alder()
        [run] = await world.request("2026-05-01")
        events = [first_guess, *current, cycle_rated(run["run_id"], "2026-05-01", current)]
        if seed is not None:
            events = random.Random(seed).sample(events * 2, 2 * len(events))
        await world.deliver(*events)
        await world.taxed()
        invoice = await world.invoice_of("ALD-1", "2026-05-01")
        assert not await world.dead()
        assert await world.holds() == []
        return [f"{line['charge_id']} {line['net']} {line['tax']}" for line in invoice["lines"]]

    expected = await nets(world, None)
    for seed in range(8):
        made = await fresh_database("invoicing")
        async with invoicing_world(made.app_dsn) as other:
            assert expected == await nets(other, seed)


async def test_every_revision_is_kept_and_only_newer_ones_count(world: World) -> None:
    """A late old revision is history, not news."""
    await world.alder()
    revisions = [charge("x", "10")]
    for amount in ("11", "12"):
        revisions.append(revised(revisions[-1], amount=Decimal(amount)))

    await world.deliver(revisions[1], revisions[2], revisions[0])

    async with world.database.read() as reader:
        kept = await reader.fetchval("SELECT count(*) FROM charge_revision WHERE charge_id = 'x'")
        now = await reader.fetchrow("SELECT revision, amount FROM charge WHERE charge_id = 'x'")
    assert kept == 3
    assert now is not None
    assert (now["revision"], now["amount"]) == (3, Decimal(12))


async def test_a_run_waits_for_every_charge_rating_counted(world: World) -> None:
    """One of four charges is missing: held with both figures, resumed by its arrival."""
    await world.alder()
    [run] = await world.request("2026-05-01")
    *some, last = alder_charges()
    await world.deliver(*some, cycle_rated(run["run_id"], "2026-05-01", [*some, last]))

    [hold] = await world.holds()
    assert (hold["reason"], hold["object"]) == (
        "charges_incomplete",
        f"invoice-run/{run['run_id']}",
    )
    assert (
        "rating counts 4 charges that sum to 1176.36; here are 3 that sum to 1195.90"
        in (hold["detail"])
    )
    assert (await world.run_of("ALD-1", "2026-05-01"))["state"] == "held"

    await world.deliver(last)

    assert await world.holds() == []
    assert (await world.run_of("ALD-1", "2026-05-01"))["state"] == "tax_requested"


async def test_an_operator_asks_rating_again(world: World) -> None:
    """A held run can be asked about; the new answer is compared afresh."""
    await world.alder()
    [run] = await world.request("2026-05-01")
    charges = alder_charges()
    await world.rated(run["run_id"], "2026-05-01", charges, charges=5)

    await world.process.ok("POST", f"/v1/invoice-runs/{run['run_id']}:retry")
    again = await world.run_of("ALD-1", "2026-05-01")
    await world.harness.deliver(cycle_rated(run["run_id"], "2026-05-01", charges), id="answer-2")

    assert again["state"] == "rating"
    assert len(await world.closed_cycles()) == 2
    assert (await world.run_of("ALD-1", "2026-05-01"))["state"] == "tax_requested"
    refused = await world.process.http.post(f"/v1/invoice-runs/{run['run_id']}:retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "run_not_waiting")


async def test_a_run_asked_about_again_is_still_woken_by_its_charges(world: World) -> None:
    """The second answer repeats the first: held again, and the missing charge resumes it."""
    await world.alder()
    [run] = await world.request("2026-05-01")
    *some, last = alder_charges()
    counted = cycle_rated(run["run_id"], "2026-05-01", [*some, last])
    await world.deliver(*some, counted)
    await world.process.ok("POST", f"/v1/invoice-runs/{run['run_id']}:retry")

    assert await world.harness.deliver(counted, id="answer-2") is Outcome.HANDLED

    [hold] = await world.holds()
    assert hold["reason"] == "charges_incomplete"
    await world.deliver(last)
    assert (await world.run_of("ALD-1", "2026-05-01"))["state"] == "tax_requested"


async def test_nothing_due_ends_as_empty_without_an_invoice(world: World) -> None:
    """No charge, no item, no number; asking again says so."""
    await world.alder()
    [run] = await world.request("2026-05-01")

    await world.rated(run["run_id"], "2026-05-01", [])
    [again] = await world.request("2026-05-01")

    assert (again["state"], again["outcome"]) == ("empty", "nothing due")
    assert (await world.get("/v1/invoices"))["data"] == []
    assert await world.harness.published(InvoiceDrafted) == []


async def test_runs_of_one_contract_are_serial_and_missed_dates_are_billed(world: World) -> None:
    """Asked for July only, May and June come first, each on its own invoice, dated as due."""
    await world.alder()

    runs = await world.request("2026-07-01", "ALD-1")

    assert [run["invoice_date"] for run in runs] == ["2026-05-01", "2026-06-01", "2026-07-01"]
    assert [event.invoice_date for event in await world.closed_cycles()] == [day("2026-05-01")]

    known: list[ChargeRated] = []
    for run, service in zip(runs, (MAY, JUNE, ("2026-07-01", "2026-08-01")), strict=True):
        known.append(seats(service[0], quantity=1, unit_price="10", service=service))
        await world.rated(run["run_id"], run["invoice_date"], known)
        await world.taxed()

    found = (await world.get("/v1/invoices"))["data"]
    assert [(one["invoice_date"], one["net"], one["number"]) for one in found] == [
        ("2026-05-01", "10.00", "HUS-000001"),
        ("2026-06-01", "10.00", "HUS-000002"),
        ("2026-07-01", "10.00", "HUS-000003"),
    ]


async def test_a_held_run_holds_its_contract_s_next_dates_only(world: World) -> None:
    """The next month waits behind it; another contract does not."""
    await world.alder()
    await world.contract("ALD-2")
    [run] = await world.request("2026-05-01", "ALD-1")
    await world.rated(run["run_id"], "2026-05-01", [], charges=1)

    await world.request("2026-06-01")

    assert (await world.run_of("ALD-1", "2026-06-01"))["state"] == "requested"
    assert (await world.run_of("ALD-2", "2026-05-01"))["state"] == "rating"


async def test_tax_held_waits_visibly_and_a_later_answer_releases_it(world: World) -> None:
    """No rate yet: state tax_held with tax's reason; the answer for that revision finalises."""
    await world.alder()
    [run] = await world.request("2026-05-01")
    await world.rated(run["run_id"], "2026-05-01", alder_charges())
    [draft] = await world.harness.published(InvoiceDrafted)
    held = TaxHeld(
        invoice_id=draft.invoice_id,
        revision=1,
        account_id="alder",
        reason="no_rate_for_jurisdiction",
        detail="'US-NY' has no licence rate",
    )

    await world.deliver(held)

    waiting = await world.invoice_of("ALD-1", "2026-05-01")
    [hold] = await world.holds()
    assert (waiting["state"], waiting["number"]) == ("tax_held", None)
    assert waiting["hold"]["reason"] == "no_rate_for_jurisdiction"
    assert (hold["reason"], hold["object"]) == (
        "no_rate_for_jurisdiction",
        f"invoice/{draft.invoice_id}",
    )
    assert len(waiting["lines"]) == 4

    await world.taxed()
    await world.harness.deliver(held, id="again")  # overtaken by the answer

    assert (await world.invoice_of("ALD-1", "2026-05-01"))["state"] == "finalised"
    assert await world.holds() == []


async def test_a_retry_asks_with_a_new_revision_and_old_answers_are_void(world: World) -> None:
    """The answer to revision 1 comes late and is ignored; revision 2 finalises."""
    await world.alder()
    [run] = await world.request("2026-05-01")
    await world.rated(run["run_id"], "2026-05-01", alder_charges())
    [draft] = await world.harness.published(InvoiceDrafted)
    held = TaxHeld(
        invoice_id=draft.invoice_id, revision=1, account_id="alder", reason="no_rate", detail="-"
    )
    await world.deliver(held)

    answer = await world.process.ok("POST", f"/v1/invoices/{draft.invoice_id}:retry-tax")

    assert (answer["state"], answer["revision"]) == ("draft", 2)
    assert await world.holds() == []
    stale = tax_of(draft, {"licence": "0.99"})
    assert await world.deliver(stale) == [Outcome.HANDLED]
    assert await world.finalised() == []
    await world.taxed()
    [event] = await world.finalised()
    assert event.tax == Decimal("104.41")
    refused = await world.process.http.post(f"/v1/invoices/{event.number}:retry-tax")
    assert (refused.status_code, refused.json()["code"]) == (409, "invoice_finalised")


async def test_a_corrected_jurisdiction_asks_tax_again_by_itself(world: World) -> None:
    """Changing the account is the cure; the held draft is asked about anew."""
    await world.alder()
    [run] = await world.request("2026-05-01")
    await world.rated(run["run_id"], "2026-05-01", alder_charges())
    [draft] = await world.harness.published(InvoiceDrafted)
    await world.deliver(
        TaxHeld(invoice_id=draft.invoice_id, revision=1, account_id="alder", reason="x", detail="-")
    )

    await world.account(tax_jurisdiction="US-NJ")

    _, second = await world.harness.published(InvoiceDrafted)
    assert (second.revision, second.tax_jurisdiction) == (2, "US-NJ")
    assert second.lines == draft.lines
    assert (await world.run_of("ALD-1", "2026-05-01"))["state"] == "tax_requested"


async def test_tax_that_does_not_tie_holds_the_invoice(world: World) -> None:
    """A wrong sum from tax never becomes an invoice; a right answer later does."""
    await world.alder()
    [run] = await world.request("2026-05-01")
    await world.rated(run["run_id"], "2026-05-01", alder_charges())
    [draft] = await world.harness.published(InvoiceDrafted)
    right = tax_of(draft, RATES)

    await world.deliver(right.model_copy(update={"tax": right.tax + 1}))

    [hold] = await world.holds()
    assert hold["reason"] == "tax_does_not_tie"
    assert (await world.invoice_of("ALD-1", "2026-05-01"))["state"] == "tax_held"

    await world.deliver(right)

    assert (await world.invoice_of("ALD-1", "2026-05-01"))["number"] == "HUS-000001"


async def test_what_changes_between_draft_and_tax_is_billed_next(world: World) -> None:
    """The draft stands; the new revision's difference is a line of June."""
    await world.alder()
    [run] = await world.request("2026-05-01")
    before = seats("A", quantity=43, unit_price="22.55", service=MAY)
    await world.rated(run["run_id"], "2026-05-01", [before])
    after = revised(before, quantity=44)
    await world.deliver(after)
    await world.taxed()

    may = await world.invoice_of("ALD-1", "2026-05-01")
    june = await world.bill("2026-06-01", [after])

    assert [line["net"] for line in may["lines"]] == ["969.65"]
    assert [(line["net"], line["corrects"]) for line in june["lines"]] == [
        ("22.55", "HUS-000001/1")
    ]


async def test_late_change_gives_proration_and_full_cycle_line_on_the_next_invoice(
    world: World,
) -> None:
    """C14, end to end: one seat more from 20 April, learned after the invoice of 1 May."""
    await world.alder()
    charges = alder_charges()
    await world.bill("2026-05-01", charges)
    late = [
        revised(charges[0], quantity=44),
        seats_changed("e5", added=1, unit_price="22.55", effective="2026-04-20", cycle=APRIL),
        seats("A-june", quantity=44, unit_price="22.55", service=JUNE),
    ]

    june = await world.bill("2026-06-01", [*charges[1:], *late])

    assert [(line["kind"], line["net"], line["corrects"]) for line in june["lines"]] == [
        ("recurring", "992.20", None),
        ("recurring", "22.55", "HUS-000001/1"),
        ("proration", "8.27", None),
    ]


async def test_a_negative_total_is_a_credit_note(world: World) -> None:
    """More taken back than charged: finalised like any other, kind credit_note."""
    await world.alder()
    charges = alder_charges()
    first = await world.bill("2026-05-01", charges)
    cancelled = [revised(one, amount=Decimal(0), quantity=Decimal(0)) for one in charges]

    note = await world.bill("2026-06-01", cancelled)

    assert (note["kind"], note["state"]) == ("credit_note", "finalised")
    assert [Decimal(figure) for figure in figures(note)] == [
        -Decimal(figure) for figure in figures(first)
    ]
    assert [line["corrects"] for line in note["lines"]] == [
        f"HUS-000001/{number}" for number in (1, 2, 3, 4)
    ]


async def test_proration_invoice_next_to_periodic(world: World) -> None:
    """The guard is on contract and invoice date, not on what is billed: the periodic line of May,
    a correction of May on the next invoice, and a second contract's May of the same account all
    exist."""
    await world.alder()
    await world.contract("ALD-2")
    may = seats("A", quantity=10, unit_price="10", service=MAY)
    other = seats("other", quantity=1, unit_price="10", service=MAY, contract_id="ALD-2")

    await world.bill("2026-05-01", [may])
    await world.bill("2026-05-01", [other], "ALD-2")
    june = await world.bill("2026-06-01", [revised(may, quantity=12)])

    assert [(line["net"], line["service_period"]["start"]) for line in june["lines"]] == [
        ("20.00", "2026-05-01")
    ]
    assert len((await world.get("/v1/invoices"))["data"]) == 3


@pytest.mark.parametrize(
    ("currency", "amounts", "expected"),
    [
        ("JPY", ["107625", "5638"], ("113263", "10052", "123315")),
        ("KWD", ["1.125", "0.010"], ("1.135", "0.101", "1.236")),
        ("CLP", ["990", "-11"], ("979", "87", "1066")),
    ],
)
async def test_zero_decimal_and_three_decimal_end_to_end(
    world: World, currency: str, amounts: list[str], expected: tuple[str, str, str]
) -> None:
    """Lines, tax and totals in whole minor units of currencies that do not have two."""
    await world.seller()
    await world.account(currency=currency)
    await world.contract(currency=currency)
    charges = [
        charge(f"c{number}", amount, currency=currency, cost_currency=currency)
        for number, amount in enumerate(amounts)
    ]

    invoice = await world.bill("2026-05-01", charges)

    assert figures(invoice) == expected
    assert sorted(line["net"] for line in invoice["lines"]) == sorted(amounts)


async def test_one_time_items_are_billed_once_on_the_first_invoice_from_their_day(
    world: World,
) -> None:
    """The April item on 1 May; the 2 May item on 1 June; neither again."""
    await world.alder()
    await world.item()
    await world.item(item_id="o2", on="2026-05-02")

    may = await world.bill("2026-05-01", [])
    june = await world.bill("2026-06-01", [])
    [july] = await world.request("2026-07-01")
    await world.rated(july["run_id"], "2026-07-01", [])

    assert [line["item_id"] for line in may["lines"]] == ["o1"]
    assert [line["item_id"] for line in june["lines"]] == ["o2"]
    assert (await world.run_of("ALD-1", "2026-07-01"))["state"] == "empty"
    listed = (await world.get("/v1/contracts/ALD-1/one-time-items"))["data"]
    assert [(one["item_id"], one["billed_line"]) for one in listed] == [
        ("o1", "HUS-000001/1"),
        ("o2", "HUS-000002/1"),
    ]


async def test_part_payments_pay_when_they_reach_the_total(world: World) -> None:
    """Half is noted, the rest makes it paid; another currency is refused."""
    await world.alder()
    invoice = await world.bill("2026-05-01", alder_charges())

    await world.paid(invoice, attempt_id="a1", amount=Decimal("500.00"))
    half = await world.get("/v1/invoices/HUS-000001")
    wrong = await world.paid(invoice, attempt_id="a2", currency="EUR")
    unknown = await world.paid(invoice, attempt_id="a3", invoice_id="nobody's")

    assert (half["state"], half["paid_at"]) == ("finalised", None)
    assert [wrong, unknown] == [Outcome.DEAD, Outcome.PARKED]  # one account, one order
    assert [row["error_code"] for row in await world.dead()] == ["payment_currency_mismatch"]


async def test_a_charge_that_moves_between_contracts_is_refused(world: World) -> None:
    """What was billed to one payer cannot become another's."""
    await world.alder()
    await world.contract("ALD-2")
    one = charge("x", "10")

    await world.deliver(one)
    [outcome] = await world.deliver(revised(one, contract_id="ALD-2"))

    assert outcome is Outcome.DEAD
    assert [row["error_code"] for row in await world.dead()] == ["charge_moved"]


async def test_answers_nobody_asked_for_become_dead_letters(world: World) -> None:
    """An unknown run, an unknown invoice: visible, not swallowed."""
    await world.alder()
    [run] = await world.request("2026-05-01")
    await world.rated(run["run_id"], "2026-05-01", alder_charges())
    [draft] = await world.harness.published(InvoiceDrafted)

    await world.deliver(
        cycle_rated("no run", "2026-05-01", []),
        tax_of(draft, RATES).model_copy(update={"invoice_id": "no invoice"}),
    )

    codes = [row["error_code"] for row in await world.dead()]
    assert codes == ["run_unknown", "invoice_unknown"]


async def test_an_ended_contract_is_not_billed_past_its_end(world: World) -> None:
    """Ended while a later run was waiting: that run ends empty, without asking rating."""
    await world.alder()
    first, *_ = await world.request("2026-07-01", "ALD-1")
    await world.contract(ends_on="2026-05-10")

    for invoice_date in ("2026-05-01", "2026-06-01"):
        run = await world.run_of("ALD-1", invoice_date)
        await world.rated(run["run_id"], invoice_date, [])
        await world.process.work()

    assert first["invoice_date"] == "2026-05-01"
    states = (await world.get("/v1/invoice-runs", contract_id="ALD-1"))["data"]
    assert [(one["invoice_date"], one["state"]) for one in states] == [
        ("2026-05-01", "empty"),
        ("2026-06-01", "empty"),
        ("2026-07-01", "empty"),
    ]
    assert [event.invoice_date for event in await world.closed_cycles()] == [
        day("2026-05-01"),
        day("2026-06-01"),
    ]


async def test_the_story_of_an_invoice_is_in_the_audit_trail(world: World) -> None:
    """Every step, in order, in one chain."""
    await world.alder()
    await world.paid(await world.bill("2026-05-01", alder_charges()))

    async with world.database.read() as reader:
        rows = await reader.fetch("SELECT action FROM audit ORDER BY seq")
    actions = [key for key, _ in itertools.groupby(row["action"] for row in rows)]
    assert actions == [
        "selling-entity.changed",
        "account.changed",
        "contract.changed",
        "invoice-run.requested",
        "invoice-run.rating",
        "invoice.drafted",
        "invoice.finalised",
        "invoice.paid",
    ]
