"""What must hold whatever happens at the same time, twice, or half-way."""

from __future__ import annotations

import asyncio
import hashlib
import json
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from invoicing.handlers import HANDLERS
from invoicing.handlers.invoices import on_tax_determined
from invoicing.jobs import start_one_run
from shared.contracts.invoicing import CycleClosed, InvoiceDrafted
from shared.contracts.rating import ChargeRated
from shared.contracts.tax import TaxDetermined
from shared.runtime import audit
from shared.runtime.consumer import Outcome
from shared.runtime.postgres import Transaction
from support.billing_facts import charge, cycle_rated, revised, seats, tax_of
from support.harness import Harness
from support.invoicing_world import RATES, World

MAY = ("2026-05-01", "2026-06-01")


async def drafts_of(world: World, contracts: list[str], invoice_date: str) -> list[InvoiceDrafted]:
    """Bring these contracts to a draft of one line each."""
    await world.request(invoice_date, *contracts)
    for contract_id in contracts:
        run = await world.run_of(contract_id, invoice_date)
        one = seats(
            f"{contract_id}/A", quantity=1, unit_price="10", service=MAY, contract_id=contract_id
        )
        await world.rated(run["run_id"], invoice_date, [one])
    return await world.harness.published(InvoiceDrafted)


async def test_run_twice_bills_once(world: World) -> None:
    """Eight requests at the same time, then one more after the invoice is out: one run, one
    closing of the cycle, one invoice; the last is told that it is already billed."""
    await world.alder()
    body = {"invoice_date": "2026-05-01", "contract_ids": ["ALD-1"]}

    answers = await asyncio.gather(
        *(world.process.ok("POST", "/v1/invoice-runs", json=body) for _ in range(8))
    )
    await asyncio.gather(*(start_one_run(world.database) for _ in range(8)))
    await world.bill("2026-05-01", [seats("A", quantity=1, unit_price="10", service=MAY)])
    last = await world.process.ok("POST", "/v1/invoice-runs", json=body)
    everyone = await world.process.ok("POST", "/v1/invoice-runs", json={"invoice_date": MAY[0]})

    runs = {one["run_id"] for answer in answers for one in answer["data"]}
    assert len(runs) == 1
    assert [one["outcome"] for answer in answers for one in answer["data"]].count("requested") == 1
    assert len(await world.harness.published(CycleClosed)) == 1
    assert len((await world.get("/v1/invoices"))["data"]) == 1
    assert [one["outcome"] for one in last["data"]] == ["already billed"]
    assert [one["state"] for one in everyone["data"]] == ["finalised"]


async def test_the_same_answers_eight_times_at_once_finalise_once(world: World) -> None:
    """Two consumers on one message, and the same fact under several ids."""
    await world.alder()
    [draft] = await drafts_of(world, ["ALD-1"], "2026-05-01")
    answer = tax_of(draft, RATES)

    outcomes = await asyncio.gather(
        *(world.harness.deliver(answer) for _ in range(4)),
        *(world.harness.deliver(answer, id=f"copy {number}") for number in range(4)),
    )

    assert set(outcomes) <= {Outcome.HANDLED, Outcome.DUPLICATE}
    assert len(await world.finalised()) == 1
    assert (await world.invoice_of("ALD-1", "2026-05-01"))["number"] == "HUS-000001"


async def test_a_charge_and_the_end_of_its_cycle_at_once_always_meet(world: World) -> None:
    """Handled by two consumers in the same moment, in either order, the run is never stuck."""
    await world.alder()
    contracts = [f"C-{number:02d}" for number in range(12)]
    for contract_id in contracts:
        await world.contract(contract_id)
    await world.request("2026-05-01", *contracts)

    for contract_id in contracts:
        run = await world.run_of(contract_id, "2026-05-01")
        charges = [charge(f"{contract_id}/{n}", "1", contract_id=contract_id) for n in range(3)]
        end = cycle_rated(run["run_id"], "2026-05-01", charges)
        await asyncio.gather(*(world.harness.deliver(event) for event in (*charges, end)))

    assert await world.holds() == []
    states = (await world.get("/v1/invoice-runs", invoice_date="2026-05-01"))["data"]
    assert {run["state"] for run in states} == {"tax_requested"}


async def test_numbers_are_gapless_under_concurrency(world: World) -> None:
    """Twenty invoices of one seller finalised at once, a second seller beside it."""
    await world.alder()
    await world.seller("harbor-eu", invoice_prefix="HEU-")
    await world.account("other", selling_entity_id="harbor-eu")
    contracts = [f"C-{number:02d}" for number in range(20)]
    for contract_id in contracts:
        await world.contract(contract_id)
    await world.contract("OTHER", account_id="other")
    drafts = await drafts_of(world, [*contracts, "OTHER"], "2026-05-01")

    await asyncio.gather(*(world.harness.deliver(tax_of(draft, RATES)) for draft in drafts))

    numbers = sorted(event.number for event in await world.finalised())
    assert numbers == ["HEU-000001", *(f"HUS-{number:06d}" for number in range(1, 21))]


class Crash(Exception):
    """The process dies before commit."""


async def test_a_crash_before_commit_gives_the_number_back(world: World) -> None:
    """Killed after everything was written and before the commit: nothing exists, and the next
    handling of the same message takes the same number."""
    await world.alder()
    [draft] = await drafts_of(world, ["ALD-1"], "2026-05-01")

    async def dies(event: TaxDetermined, tx: Transaction) -> None:
        await on_tax_determined(event, tx)
        raise Crash

    with pytest.raises(Crash):
        async with world.database.transaction() as tx:
            await dies(tax_of(draft, RATES), tx)
    assert await world.finalised() == []

    await world.taxed()

    assert [event.number for event in await world.finalised()] == ["HUS-000001"]


async def test_a_held_invoice_takes_no_number(world: World) -> None:
    """A refused answer, then another contract's right one: no gap."""
    await world.alder()
    await world.contract("ALD-2")
    first, second = await drafts_of(world, ["ALD-1", "ALD-2"], "2026-05-01")

    wrong = tax_of(first, RATES)
    await world.deliver(wrong.model_copy(update={"tax": wrong.tax + 1}))
    await world.deliver(tax_of(second, RATES))

    assert [(one.contract_id, one.number) for one in await world.finalised()] == [
        ("ALD-2", "HUS-000001")
    ]


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        (charge("poison", "1e40", contract_id="C-050"), "amount_out_of_bounds"),
        (
            charge("poison", "1", quantity=Decimal("1e70"), contract_id="C-050"),
            "amount_out_of_bounds",
        ),
        (charge("poison", "1", currency="EUR", contract_id="C-050"), "currency_mismatch"),
        (charge("poison", "1.001", contract_id="C-050"), "amount_not_rounded"),
    ],
    ids=["amount", "quantity", "currency", "fraction"],
)
async def test_one_bad_customer_does_not_block(
    world: World, poison: ChargeRated, reason: str
) -> None:
    """One of 100 contracts has a charge no invoice may carry: 99 invoices, one hold with its
    reason, no dead letter; a corrected charge resumes it."""
    await world.alder()
    contracts = [f"C-{number:03d}" for number in range(100)]
    async with world.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO contract SELECT name, version, account_id, currency, timing, anchor_day,"
            " invoice_offset_days, starts_on, billed_through, ends_on, provider_customer_id,"
            " subscription_ids, convention, shared_subscription_ids, bill_to_account_id,"
            " market, changed_at FROM contract, unnest($1::text[]) AS name"
            " WHERE contract_id = 'ALD-1'",
            contracts,
        )

    runs = await world.request("2026-05-01", *contracts)
    for run in runs:
        contract_id = run["contract_id"]
        charges = [charge(contract_id, "10", contract_id=contract_id)]
        if contract_id == "C-050":
            charges.append(poison)
        await world.rated(run["run_id"], "2026-05-01", charges)
    await world.taxed()

    [hold] = await world.holds()
    assert (hold["key"], hold["reason"]) == ("C-050", reason)
    assert len(await world.finalised()) == 99
    assert await world.dead() == []

    two = Decimal(2)
    cured = revised(poison, amount=two, amount_exact=two, quantity=two, currency="USD")
    bad_run = await world.run_of("C-050", "2026-05-01")
    again = [charge("C-050", "10", contract_id="C-050"), cured]
    await world.deliver(cured)
    await world.harness.deliver(cycle_rated(bad_run["run_id"], "2026-05-01", again), id="again")
    await world.taxed()
    assert len(await world.finalised()) == 100


async def issued(world: World) -> dict[str, Any]:
    await world.alder()
    await world.item()
    return await world.bill(
        "2026-05-01", [seats("A", quantity=43, unit_price="22.55", service=MAY)]
    )


def digest(invoice: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(invoice, sort_keys=True).encode()).hexdigest()


async def test_issued_invoice_immutable(world: World) -> None:
    """A back-dated change after issue: the issued invoice is the same to the byte, the difference
    is on the next; applying the change twice makes no second difference."""
    before = await issued(world)
    may = seats("A", quantity=43, unit_price="22.55", service=MAY)
    changed = revised(may, quantity=44)

    june = await world.bill("2026-06-01", [changed])
    [july] = await world.request("2026-07-01")
    again = revised(changed)
    await world.rated(july["run_id"], "2026-07-01", [again])

    after = await world.get("/v1/invoices/HUS-000001")
    assert digest(after) == digest(before)
    assert [line["net"] for line in june["lines"]] == ["22.55"]
    assert (await world.run_of("ALD-1", "2026-07-01"))["state"] == "empty"


FORBIDDEN = [
    "UPDATE invoice SET net = net + 1, total = total + 1",
    "UPDATE invoice SET tax = tax + 1, total = total + 1",
    "UPDATE invoice SET number = 'HUS-000002'",
    "UPDATE invoice SET due_on = due_on + 30",
    "UPDATE invoice SET invoice_date = invoice_date + 1",
    "UPDATE invoice SET account_id = 'other'",
    "UPDATE invoice SET currency = 'EUR'",
    "UPDATE invoice SET kind = 'credit_note'",
    "UPDATE invoice SET state = 'draft', number = NULL, total = NULL",
    "DELETE FROM invoice",
    "UPDATE invoice_line SET net = net + 1",
    "UPDATE invoice_line SET description = 'something else'",
    "UPDATE invoice_line SET cost = 0",
    "DELETE FROM invoice_line",
    "INSERT INTO invoice_line SELECT invoice_id, number + 100, charge_id, charge_revision,"
    " item_id, kind, product_key, product_name, tax_category, description, subscription_id,"
    " quantity, unit_price, net, net_exact, cost, cost_currency, service_start, service_end,"
    " recurring, corrects, tax, tax_rate, tax_rate_id FROM invoice_line",
    "UPDATE invoice_tax SET tax = 0",
    "DELETE FROM invoice_tax",
    "INSERT INTO invoice_tax SELECT invoice_id, position + 100, name, rate, taxable, tax"
    " FROM invoice_tax",
    "UPDATE invoice_draft SET payload = '{}'",
    "UPDATE charge_revision SET payload = '{}'",
    "DELETE FROM charge_revision",
    "UPDATE contract_version SET terms = '{}'",
    "TRUNCATE invoice_tax",
    "TRUNCATE invoice_line",
    "TRUNCATE invoice CASCADE",
]


async def test_the_database_refuses_to_change_what_is_issued(world: World) -> None:
    """Not by convention: by trigger or by right, for every figure and every part."""
    await issued(world)

    allowed = []
    for statement in FORBIDDEN:
        try:
            async with world.database.transaction() as tx:
                await tx.execute(statement)
                allowed.append(statement)
        except asyncpg.InsufficientPrivilegeError:
            continue

    assert allowed == []


async def test_the_fact_of_payment_is_the_only_thing_that_can_be_added(world: World) -> None:
    """And it cannot be taken back here."""
    invoice = await issued(world)
    await world.paid(invoice)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with world.database.transaction() as tx:
            await tx.execute("UPDATE invoice SET state = 'finalised', paid_at = NULL")


async def test_an_invoice_whose_lines_do_not_add_up_gets_no_number(world: World) -> None:
    """The database's own check, should the code ever be wrong."""
    await world.alder()
    await drafts_of(world, ["ALD-1"], "2026-05-01")

    with pytest.raises(asyncpg.CheckViolationError, match="does not add up"):
        async with world.database.transaction() as tx:
            await tx.execute(
                "UPDATE invoice SET state = 'finalised', number = 'X-1', tax = 0, total = net"
            )


async def test_billed_amounts_are_the_sum_of_the_lines(world: World) -> None:
    """After a month, corrections and corrections of corrections, the two books agree."""
    await world.alder()
    current = [
        seats("A", quantity=43, unit_price="22.55", service=MAY),
        charge("x", "-76.00"),
        charge("y", "0.01"),
    ]
    for month, quantity in ((5, 43), (6, 40), (7, 44), (8, 0)):
        current[0] = revised(current[0], quantity=Decimal(quantity))
        current[1] = revised(current[1], amount=Decimal(-10 * month))
        await world.bill(f"2026-{month:02d}-01", current)

    async with world.database.read() as reader:
        rows = await reader.fetch(
            "SELECT c.charge_id, c.amount, c.billed_amount,"
            " (SELECT sum(net) FROM invoice_line l WHERE l.charge_id = c.charge_id) AS lines"
            " FROM charge c"
        )
    assert len(rows) == 3
    for row in rows:
        assert row["amount"] == row["billed_amount"] == row["lines"]


async def test_the_audit_chain_holds_under_concurrency(world: World) -> None:
    """Many writers, one chain."""
    await world.alder()
    contracts = [f"C-{number:02d}" for number in range(10)]
    await asyncio.gather(*(world.contract(contract_id) for contract_id in contracts))
    drafts = await drafts_of(world, contracts, "2026-05-01")
    await asyncio.gather(*(world.harness.deliver(tax_of(draft, RATES)) for draft in drafts))

    async with world.database.read() as reader:
        verdict = await audit.verify(reader)
    assert verdict.intact


async def test_replaying_everything_changes_nothing(world: World) -> None:
    """Every fact a second time, under new ids: no event, no invoice, no line more."""
    await world.alder()
    charges = [seats("A", quantity=43, unit_price="22.55", service=MAY)]
    invoice = await world.bill("2026-05-01", charges)
    run = await world.run_of("ALD-1", "2026-05-01")
    [draft] = await world.harness.published(InvoiceDrafted)
    mark = await world.harness.mark()
    again = Harness(world.database, world.clock, HANDLERS)

    for number, event in enumerate(
        (*charges, cycle_rated(run["run_id"], "2026-05-01", charges), tax_of(draft, RATES))
    ):
        await again.deliver(event, id=f"replay {number}")

    assert await world.harness.outbox(after=mark) == []
    assert await world.get("/v1/invoices/HUS-000001") == invoice
