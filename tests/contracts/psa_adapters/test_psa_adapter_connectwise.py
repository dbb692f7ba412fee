"""The adapter suite on ConnectWise, and what only ConnectWise does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from contracts.psa_adapter_suite import Bench, PsaAdapterSuite, wanted
from psa_connector.clients.psa import AdoptionGone, Busy, Denied, Refused, Work, WriteUnknown
from psa_connector.domain.additions import AdditionRules, draft_additions
from psa_connector.domain.adopting import adopted
from psa_connector.domain.mapping import Place
from psa_connector.domain.operations import Addition, AdditionClose, Product
from psa_connector.domain.outcomes import Done, Drift, Write
from psa_connector.domain.verdicts import judge
from shared.kernel.clock import FrozenClock
from support.psa_facts import alder_may, day
from support.psa_world import CONNECTWISE_PRODUCTS, CONNECTWISE_SEED, NOW, simulators

PLACE = Place("bench", "250", "7001")


def works() -> tuple[Work, ...]:
    drafts = draft_additions(
        alder_may(), mapped=CONNECTWISE_PRODUCTS, still_open=(), rules=AdditionRules()
    )
    return tuple(
        Work(f"bcs-bench{number}", PLACE, draft.operation) for number, draft in enumerate(drafts)
    )


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with simulators(FrozenClock(NOW)) as running:

        async def count() -> int:
            return len(await running.additions())

        recurring, *_, credit, _ = works()
        assert isinstance(recurring.operation, Addition)
        nothing = replace(recurring.operation, product=Product("x", "999"))
        yield Bench(
            vendor="connectwise",
            vendors=running,
            works=(recurring, credit),
            write_paths=("/additions", "/additions"),
            read_method="GET",
            count=count,
            unlike=replace(recurring, key="bcs-unlike", operation=nothing),
        )


class TestConnectWise(PsaAdapterSuite):
    """Every rule of the suite."""

    async def test_a_write_is_never_repeated_g3(self, bench: Bench) -> None:
        """Both works go to one path: one of them is enough to count."""
        await super().test_a_write_is_never_repeated_g3(
            replace(bench, works=bench.works[:1], write_paths=bench.write_paths[:1])
        )


async def test_amounts_keep_their_digits_on_the_wire_g1(bench: Bench) -> None:
    """22.55 leaves as 22.55, not as the nearest binary fraction."""
    async with bench.client() as client:
        for work in bench.works:
            await client.write(work, await wanted(client, work))

    bodies = [c["request_body"] for c in await bench.vendors.calls("connectwise", "POST", "")]
    assert '"unitPrice":22.55,' in bodies[0]
    assert '"unitPrice":-19.54,' in bodies[1]


async def test_a_close_is_compared_not_believed_c11(bench: Bench) -> None:
    """The returned record shows the last day, and the next look proves it."""
    async with bench.client() as client:
        written = await client.write(bench.works[0], Write())
        close = Work(
            "bcs-close", PLACE, AdditionClose("intent", day("2026-05-31")),
            closes=written.external_id,
        )  # fmt: skip
        await client.write(close, await wanted(client, close))

        assert judge(close.operation, await client.observe(close)) == Done(written.external_id)
        assert isinstance(
            judge(bench.works[0].operation, await client.observe(bench.works[0])), Done
        )


async def test_a_patch_that_did_nothing_is_refused_c11(bench: Bench) -> None:
    """200 with the old record: the false success of the vendor's PATCH."""
    async with bench.client() as client:
        written = await client.write(bench.works[0], Write())
        close = Work(
            "bcs-close", PLACE, AdditionClose("intent", day("2026-05-31")),
            closes=written.external_id,
        )  # fmt: skip
        unchanged = {"id": int(written.external_id)}
        await bench.vendors.fault(
            "connectwise", "PATCH", "/additions/", "status", status=200, body=unchanged
        )
        with pytest.raises(Refused):
            await client.write(close, Write())


async def test_a_changed_record_is_told_field_by_field(bench: Bench) -> None:
    """Price and quantity edited by a person."""
    async with bench.client() as client:
        written = await client.write(bench.works[0], Write())
        edit = {
            "kind": "addition",
            "id": int(written.external_id),
            "set": {"unitPrice": 23, "quantity": 40},
        }
        await bench.vendors.control("connectwise", "POST", "/edit", edit)
        verdict = judge(bench.works[0].operation, await client.observe(bench.works[0]))

    assert isinstance(verdict, Drift)
    assert "unitPrice is 23, not 22.55" in verdict.block.detail
    assert "quantity is 40, not 43" in verdict.block.detail


def by_hand(**changes: Any) -> dict[str, Any]:
    """The first work's line as a person entered it a year ago."""
    entered = {
        "product": {"id": 501}, "quantity": 43, "unitPrice": Decimal("22.55"), "taxableFlag": True,
        "billCustomer": "Billable", "effectiveDate": "2025-06-01T00:00:00Z",
        "invoiceDescription": "Entered by hand", "purchaseItemFlag": True,
    }  # fmt: skip
    return {"kind": "addition", "agreement": 7001, "create": entered | changes}


async def adopting(bench: Bench, **changes: Any) -> tuple[Work, str]:
    """A work that takes over the line that somebody entered."""
    made = await bench.vendors.control("connectwise", "POST", "/edit", by_hand(**changes))
    async with bench.client() as client:
        (line,) = await client.existing(PLACE)
    work = bench.works[0]
    operation = adopted(work.operation, line)
    return replace(work, operation=operation, adopts=line.external_id), str(made["id"])


async def test_a_line_is_adopted_by_our_key_alone_c7(bench: Bench) -> None:
    """One record, its days and words as they were; custom fields of others are kept."""
    fields = [
        {"id": 12, "caption": "BCS Key", "screen": "additions"},
        {"id": 13, "caption": "Cost centre", "screen": "additions"},
    ]
    await bench.vendors.seed("connectwise", {**CONNECTWISE_SEED, "custom_fields": fields})
    theirs = [{"id": 13, "caption": "Cost centre", "value": "North"}]
    work, id = await adopting(bench, customFields=theirs)
    async with bench.client() as client:
        written = await client.write(work, await wanted(client, work))
        assert judge(work.operation, await client.observe(work)) == Done(id)

    (addition,) = await bench.vendors.additions()
    values = {field["caption"]: field["value"] for field in addition["customFields"]}
    assert (written.external_id, values) == (id, {"BCS Key": work.key, "Cost centre": "North"})
    assert addition["invoiceDescription"] == "Entered by hand"
    assert addition["effectiveDate"] == "2025-06-01T00:00:00Z"
    assert await bench.vendors.calls("connectwise", "POST", "/additions") == []


async def test_a_line_with_unset_fields_is_adopted_c7(bench: Bench) -> None:
    """Null or absent is as good as nothing; a first day is a day, whatever hour it carries."""
    unset = dict.fromkeys(
        ("invoiceDescription", "unitCost", "lessIncluded", "purchaseItemFlag", "cancelledDate")
    )
    line = {"id": 30_000, "agreementId": 7001, **by_hand()["create"], **unset}
    line["effectiveDate"] = "2025-06-01T05:00:00Z"
    await bench.vendors.seed("connectwise", {**CONNECTWISE_SEED, "additions": [line]})
    async with bench.client() as client:
        (shown,) = await client.existing(PLACE)
        work = bench.works[0]
        adopt = replace(work, operation=adopted(work.operation, shown), adopts="30000")
        await client.write(adopt, await wanted(client, adopt))
        assert judge(adopt.operation, await client.observe(adopt)) == Done("30000")

    (addition,) = await bench.vendors.additions()
    assert addition["purchaseItemFlag"] is False


async def test_a_line_that_changed_since_is_not_adopted_c7(bench: Bench) -> None:
    """Between the yes and the write somebody edited it, took it, or deleted it."""
    work, id = await adopting(bench)
    other = [{"id": 12, "caption": "BCS Key", "value": "bcs-other"}]
    edits: tuple[dict[str, Any], ...] = (
        {"set": {"quantity": 44}},
        {"set": {"quantity": 43, "customFields": other}},
        {"delete": True},
    )
    for edit in edits:
        told = {"kind": "addition", "id": int(id), **edit}
        await bench.vendors.control("connectwise", "POST", "/edit", told)
        async with bench.client() as client:
            with pytest.raises((Refused, AdoptionGone), match="to adopt"):
                await client.write(work, Write())

    assert await bench.vendors.calls("connectwise", "PATCH", "/additions") == []


async def test_an_adoption_with_a_lost_reply_is_seen_g3(bench: Bench) -> None:
    """The key is the proof, as for any other write."""
    work, id = await adopting(bench)
    await bench.vendors.fault("connectwise", "PATCH", "/additions/", "drop_after_commit")
    async with bench.client() as client:
        with pytest.raises(WriteUnknown):
            await client.write(work, Write())
        assert judge(work.operation, await client.observe(work)) == Done(id)


async def test_lists_are_read_to_their_end_g4(bench: Bench) -> None:
    """More additions than a page holds; ours is found among them."""
    others = [
        {"id": 20_000 + n, "agreementId": 7001, "product": {"id": 501}, "quantity": 1}
        for n in range(1_200)
    ]
    seed = {**CONNECTWISE_SEED, "custom_fields": [], "additions": others}
    await bench.vendors.seed("connectwise", seed)
    async with bench.client() as client:
        await client.write(bench.works[0], await wanted(client, bench.works[0]))
        seen = judge(bench.works[0].operation, await client.observe(bench.works[0]))

    assert isinstance(seen, Done)


async def test_an_unknown_company_is_denied_g8(bench: Bench) -> None:
    """companyinfo answers null."""
    async with bench.client(company_id="nobody") as client:
        with pytest.raises(Denied):
            await client.observe(bench.works[0])


async def test_a_record_in_use_is_busy_g3(bench: Bench) -> None:
    """409 while an invoice run holds the agreement: later, not never."""
    hold = {"agreement": 7001, "hold": True}
    await bench.vendors.control("connectwise", "POST", "/invoice-run", hold)
    async with bench.client() as client:
        with pytest.raises(Busy):
            await client.write(bench.works[0], Write())


async def test_the_codebase_is_asked_again_after_a_404_g4(bench: Bench) -> None:
    """An upgrade between two calls."""
    async with bench.client() as client:
        await wanted(client, bench.works[0])
        await bench.vendors.control("connectwise", "PATCH", "/tenant", {"codebase": "v2026_1/"})
        await client.write(bench.works[0], Write())

    (addition,) = await bench.vendors.additions()
    assert addition["unitPrice"] == Decimal("22.55")
