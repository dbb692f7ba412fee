"""From a draft to its determination: repeats, redrafts, holds and their release."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from shared.contracts.envelope import PeriodField
from shared.contracts.invoicing import InvoiceDrafted, InvoiceLine, TaxMode
from shared.contracts.tax import TaxDetermined, TaxHeld
from shared.runtime.consumer import Outcome
from support.in_process import InProcess
from tax import store
from tax.clients.table import Shipped, TableEngine, read_shipped
from tax.domain.determination import Determination, Document
from tax.domain.rates import Entered, Origin, Rate
from tax.jobs import determine_next

NEW_YORK = {
    "us-ny-licence": ("licence", "0.08875"),
    "us-ny-service": ("service", "0"),
}
ALDER = (
    ("licence", "969.65"),
    ("licence", "162.36"),
    ("licence", "63.89"),
    ("licence", "-19.54"),
    ("service", "150.00"),
)


def line(number: int, category: str, net: str) -> InvoiceLine:
    return InvoiceLine(
        number=number,
        charge_id=f"charge-{number}",
        charge_revision=1,
        item_id=None,
        kind="recurring",
        product_key="thing",
        product_name="Thing",
        tax_category=category,
        description="Thing",
        subscription_id=None,
        quantity=Decimal(1),
        unit_price=None,
        net=Decimal(net),
        net_exact=Decimal(net),
        cost=Decimal(0),
        cost_currency="USD",
        service_period=PeriodField(start=date(2026, 5, 1), end=date(2026, 6, 1)),
        recurring=True,
    )


def draft(lines: Sequence[tuple[str, str]] = ALDER, **changes: Any) -> InvoiceDrafted:
    facts: dict[str, Any] = {
        "invoice_id": "inv-alder",
        "revision": 1,
        "account_id": "alder",
        "contract_id": "ALD-1",
        "selling_entity_id": "hc-us",
        "seller_country": "US",
        "tax_jurisdiction": "US-NY",
        "tax_mode": TaxMode.PER_LINE,
        "currency": "USD",
        "invoice_date": date(2026, 5, 1),
        "lines": tuple(line(n, c, net) for n, (c, net) in enumerate(lines, start=1)),
        "net": sum((Decimal(net) for _, net in lines), Decimal(0)),
    }
    return InvoiceDrafted(**facts | changes)


async def enter(tax: InProcess, rate_id: str, **changes: str) -> dict[str, Any]:
    category, rate = NEW_YORK.get(rate_id, ("licence", "0.10"))
    body = {
        "jurisdiction": "US-NY",
        "category": category,
        "name": "Sales tax",
        "rate": rate,
        "valid_from": "2026-01-01",
    }
    answer: dict[str, Any] = await tax.ok("PUT", f"/v1/rates/{rate_id}", json=body | changes)
    return answer


async def enter_new_york(tax: InProcess) -> None:
    for rate_id in NEW_YORK:
        await enter(tax, rate_id)


async def test_scenario_1_is_taxed_to_the_cent(tax: InProcess) -> None:
    """Entered New York rates, per line: 86.06, 14.41, 5.67, -1.73, 0.00."""
    await enter_new_york(tax)

    await tax.harness.deliver(draft())
    await tax.work()

    (determined,) = await tax.harness.published(TaxDetermined)
    assert [f"{x.tax}" for x in determined.lines] == ["86.06", "14.41", "5.67", "-1.73", "0.00"]
    assert Decimal("104.41") == determined.tax
    assert ("alder", 1, date(2026, 5, 1), "embedded", "eu-vat-0.1.0+2") == (
        determined.account_id,
        determined.revision,
        determined.tax_date,
        determined.engine,
        determined.engine_version,
    )
    assert {"us-ny-licence", "us-ny-service"} == {x.rate_id for x in determined.lines}


async def test_scenario_2_needs_no_entered_rate(tax: InProcess) -> None:
    """Dutch VAT is shipped: one amount of 50.85 on 242.14."""
    nets = ("53.18", "30.38", "7.60", "58.94", "4.50", "3.11")
    lines = [*(("usage", net) for net in nets), ("minimum", "17.39"), ("reservation", "67.04")]

    await tax.harness.deliver(
        draft(
            lines,
            invoice_id="inv-birch",
            account_id="birch",
            tax_jurisdiction="NL",
            tax_mode=TaxMode.PER_GROUP,
            currency="EUR",
            invoice_date=date(2026, 5, 15),
        )
    )
    await tax.work()

    (determined,) = await tax.harness.published(TaxDetermined)
    assert Decimal("50.85") == determined.tax
    assert [("VAT", Decimal("242.14"), Decimal("50.85"))] == [
        (t.name, t.taxable, t.tax) for t in determined.taxes
    ]
    assert {None} == {x.tax for x in determined.lines}


async def test_a_repeated_draft_is_answered_once(tax: InProcess) -> None:
    """The same message again, and the same revision in another message, change nothing."""
    await enter_new_york(tax)
    outcomes = [
        await tax.harness.deliver(draft()),
        await tax.harness.deliver(draft()),
        await tax.harness.deliver(draft(), id="sent-again"),
    ]
    await tax.work()
    await tax.harness.deliver(draft(), id="sent-much-later")
    await tax.work()

    assert outcomes == [Outcome.HANDLED, Outcome.DUPLICATE, Outcome.HANDLED]
    assert len(await tax.harness.published(TaxDetermined)) == 1


async def test_a_revision_never_changes_its_content(tax: InProcess) -> None:
    """Two different drafts under one revision: the second is a dead letter, not an answer."""
    await tax.harness.deliver(draft())

    outcome = await tax.harness.deliver(draft(ALDER[:1]))

    assert outcome is Outcome.DEAD


async def test_only_the_latest_revision_is_answered(tax: InProcess) -> None:
    """A redraft makes the open question before it void, and an old revision asks nothing."""
    await enter_new_york(tax)
    await tax.harness.deliver(draft(revision=2))
    await tax.harness.deliver(draft(ALDER[:1], revision=3))
    await tax.harness.deliver(draft(ALDER[:2], revision=1))

    await tax.work()

    (determined,) = await tax.harness.published(TaxDetermined)
    assert (3, Decimal("86.06")) == (determined.revision, determined.tax)


async def test_a_missing_rate_holds_the_draft_visibly(tax: InProcess) -> None:
    """No American state is shipped: the hold names the lines, and no tax of zero is published."""
    await tax.harness.deliver(draft())
    await tax.work()

    (held,) = await tax.harness.published(TaxHeld)
    holds = await tax.ok("GET", "/v1/holds")
    answer = await tax.ok("GET", "/v1/determinations/inv-alder")
    assert (
        held.invoice_id,
        held.revision,
        held.reason,
    ) == ("inv-alder", 1, "no_rate_for_jurisdiction")
    assert "line 5: 'US-NY' has no service rate on 2026-05-01" in held.detail
    assert [(hold["reason"], hold["object"], hold["key"]) for hold in holds["data"]] == [
        ("no_rate_for_jurisdiction", "invoice/inv-alder", "US-NY")
    ]
    assert (answer["state"], answer["reason"]) == ("held", "no_rate_for_jurisdiction")
    assert await tax.harness.published(TaxDetermined) == []


async def test_a_new_rate_releases_what_waited_for_it(tax: InProcess) -> None:
    """The first rate changes the reason, the second answers; nobody has to ask again."""
    await tax.harness.deliver(draft())
    await tax.work()
    await enter(tax, "us-ny-licence")
    await tax.work()
    before = await tax.harness.published(TaxDetermined)

    await enter(tax, "us-ny-service")
    await tax.work()

    (determined,) = await tax.harness.published(TaxDetermined)
    held = await tax.harness.published(TaxHeld)
    assert before == []
    assert Decimal("104.41") == determined.tax
    assert [event.detail.count("line") for event in held] == [5, 1]
    assert (await tax.ok("GET", "/v1/holds"))["data"] == []


async def test_a_hold_is_announced_once_per_reason(tax: InProcess) -> None:
    """A rate for elsewhere lets the engine be asked again, in vain and in silence."""
    await tax.harness.deliver(draft())
    await tax.work()
    await enter(tax, "us-nj-licence", jurisdiction="US-NJ")
    await tax.work()

    assert len(await tax.harness.published(TaxHeld)) == 1
    assert len((await tax.ok("GET", "/v1/holds"))["data"]) == 1


async def test_a_line_without_a_category_is_held(tax: InProcess) -> None:
    """The category decides the rate, so a line without one cannot be taxed at any."""
    await enter_new_york(tax)
    await tax.harness.deliver(draft([("", "10.00")]))
    await tax.work()

    (held,) = await tax.harness.published(TaxHeld)
    assert held.reason == "tax_code_missing"


async def test_one_held_draft_does_not_stop_others(tax: InProcess) -> None:
    """Everything else goes on."""
    await enter_new_york(tax)
    await tax.harness.deliver(draft(invoice_id="inv-held", tax_jurisdiction="US-NJ"))
    await tax.harness.deliver(draft(invoice_id="inv-fine"))
    await tax.work()

    assert [e.invoice_id for e in await tax.harness.published(TaxDetermined)] == ["inv-fine"]


async def test_a_rate_counts_from_its_day(tax: InProcess) -> None:
    """The invoice date picks the row; a later row leaves earlier invoices alone."""
    await enter_new_york(tax)
    await enter(tax, "us-ny-licence", rate="0.09", valid_from="2026-06-01")
    for day in (date(2026, 5, 31), date(2026, 6, 1)):
        await tax.harness.deliver(
            draft([("licence", "100.00")], invoice_id=f"inv-{day}", invoice_date=day)
        )
        await tax.work()

    assert [Decimal("8.88"), Decimal("9.00")] == [
        event.tax for event in await tax.harness.published(TaxDetermined)
    ]


async def test_a_correction_leaves_answers_alone_and_counts_from_then_on(tax: InProcess) -> None:
    """What was determined stays, with the row that decided it; the next draft sees version 2."""
    await enter_new_york(tax)
    await tax.harness.deliver(draft())
    await tax.work()

    corrected = await enter(tax, "us-ny-licence", rate="0.08")
    await tax.harness.deliver(draft(invoice_id="inv-next"))
    await tax.work()

    first = await tax.ok("GET", "/v1/determinations/inv-alder")
    second = await tax.ok("GET", "/v1/determinations/inv-next")
    assert corrected["version"] == 2
    assert (first["tax"], first["engine_version"]) == ("104.41", "eu-vat-0.1.0+2")
    assert (
        first["lines"][0]["rate"]["rate"],
        first["lines"][0]["rate"]["version"],
    ) == ("0.08875", 1)
    assert (
        second["lines"][0]["rate"]["rate"],
        second["lines"][0]["rate"]["version"],
    ) == ("0.08", 2)


async def test_a_determination_explains_itself(tax: InProcess) -> None:
    """Line, category, amount, the whole row, the engine and its version, by HTTP."""
    await enter_new_york(tax)
    await tax.harness.deliver(draft())
    await tax.work()

    answer = await tax.ok("GET", "/v1/determinations/inv-alder?revision=1")

    assert answer["lines"][3] == {
        "number": 4,
        "category": "licence",
        "net": "-19.54",
        "tax": "-1.73",
        "rate": {
            "rate_id": "us-ny-licence",
            "jurisdiction": "US-NY",
            "category": "licence",
            "name": "Sales tax",
            "rate": "0.08875",
            "valid_from": "2026-01-01",
            "version": 1,
            "origin": "entered",
        },
    }
    assert (
        answer["mode"],
        answer["currency"],
        answer["net"],
        answer["tax"],
    ) == ("per_line", "USD", "1326.36", "104.41")


async def test_the_answer_carries_the_question_as_its_cause(tax: InProcess) -> None:
    """The chain of causes is unbroken although a job publishes the answer."""
    await enter_new_york(tax)
    message = tax.harness.message(draft())
    await tax.harness.deliver(draft())
    await tax.work()

    async with tax.service.database.read() as reader:
        headers = dict(await reader.fetchval("SELECT headers FROM outbox WHERE key = 'alder'"))
    asked = {name: value.decode() for name, value in message.headers}
    assert asked["ce_id"] == headers["ce_causationid"]
    assert asked["ce_correlationid"] == headers["ce_correlationid"]


async def test_workers_that_race_answer_once(tax: InProcess) -> None:
    """Several replicas may ask the engine about one draft; one answer is kept."""
    await enter_new_york(tax)
    await tax.harness.deliver(draft())
    job = next(j for j in tax.service.jobs if j.name == "determine")

    await asyncio.gather(*(job.step() for _ in range(4)))

    assert len(await tax.harness.published(TaxDetermined)) == 1


async def test_waiting_drafts_count_as_open_work(tax: InProcess) -> None:
    """Idle means: no draft is unanswered that could be answered."""
    job = next(j for j in tax.service.jobs if j.name == "determine")
    assert job.pending is not None

    async def open_work() -> int:
        assert job.pending is not None
        async with tax.service.database.read() as reader:
            return await job.pending(reader)

    await tax.harness.deliver(draft())
    asked = await open_work()
    await tax.work()
    held = await open_work()
    await enter_new_york(tax)
    released = await open_work()
    await tax.work()

    assert [asked, held, released, await open_work()] == [1, 0, 1, 0]


@pytest.mark.parametrize("category", ["licence", "usage", "reservation", "service"])
async def test_german_vat_follows_its_history(tax: InProcess, category: str) -> None:
    """19 %, 16 % in the second half of 2020, 19 % again, for every category."""
    for day in ("2020-06-30", "2020-07-01", "2020-12-31", "2021-01-01"):
        await tax.harness.deliver(
            draft(
                [(category, "100.00")],
                invoice_id=f"inv-{day}",
                tax_jurisdiction="DE",
                currency="EUR",
                invoice_date=date.fromisoformat(day),
            )
        )
        await tax.work()

    assert [Decimal(19), Decimal(16), Decimal(16), Decimal(19)] == [
        event.tax for event in await tax.harness.published(TaxDetermined)
    ]


async def test_a_release_that_ships_the_rate_releases_what_waited_for_it(tax: InProcess) -> None:
    """New files in a release are a new version of the table, like an entered rate."""
    await tax.harness.deliver(draft([("licence", "100.00")]))
    await tax.work()
    shipped = read_shipped()
    more = Rate(
        "us-ny",
        "US-NY",
        "licence",
        "Sales tax",
        Decimal("0.04"),
        date(2020, 1, 1),
        origin=Origin.SHIPPED,
    )

    async def entered(jurisdiction: str) -> Entered:
        async with tax.service.database.read() as reader:
            return await store.entered_rates(reader, jurisdiction)

    released = TableEngine(Shipped("eu-vat-0.1.0+us-1", (*shipped.rows, more)), entered)
    while await determine_next(tax.service.database, released):
        pass

    (determined,) = await tax.harness.published(TaxDetermined)
    assert (Decimal("4.00"), "eu-vat-0.1.0+us-1+0") == (determined.tax, determined.engine_version)


class Broken:
    """An engine that cannot cope with one invoice."""

    def __init__(self, engine: TableEngine) -> None:
        self._engine = engine

    async def version(self) -> str:
        return await self._engine.version()

    async def determine(self, document: Document) -> Determination:
        if document.invoice_id == "inv-poison":
            raise RuntimeError("a defect")
        return await self._engine.determine(document)


async def test_a_draft_that_breaks_the_engine_does_not_stop_others(tax: InProcess) -> None:
    """It goes to the end of the queue, stays open, and is answered once the defect is mended."""
    for invoice_id in ("inv-poison", "inv-1", "inv-2"):
        await tax.harness.deliver(
            draft([("licence", "1.00")], invoice_id=invoice_id, tax_jurisdiction="DE")
        )
    none = Entered(0, (), frozenset())

    async def entered(jurisdiction: str) -> Entered:
        del jurisdiction
        return none

    broken = Broken(TableEngine(read_shipped(), entered))
    failures = 0
    for _ in range(5):
        try:
            await determine_next(tax.service.database, broken)
        except RuntimeError:
            failures += 1
    others = [event.invoice_id for event in await tax.harness.published(TaxDetermined)]
    await tax.work()

    assert (sorted(others), failures) == (["inv-1", "inv-2"], 3)
    assert len(await tax.harness.published(TaxDetermined)) == 3
