"""The adapter suite on Autotask, and what only Autotask does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from contracts.psa_adapter_suite import Bench, PsaAdapterSuite, wanted
from psa_connector.clients.psa import Busy, Denied, Refused, Work
from psa_connector.domain.adjustments import draft_adjustment
from psa_connector.domain.adopting import adopted
from psa_connector.domain.charges import draft_charges
from psa_connector.domain.mapping import Place
from psa_connector.domain.operations import ContractCharge, Product, ServiceAdjustment
from psa_connector.domain.outcomes import Done, Write
from psa_connector.domain.verdicts import judge
from shared.kernel.clock import FrozenClock
from shared.runtime.http import loads
from support.psa_facts import birch_may, change, elm_changes
from support.psa_world import AUTOTASK_PRODUCTS, AUTOTASK_SEED, NOW, simulators

PLACE = Place("bench", "175", "29")
ADJUSTMENTS, CHARGES = "/ContractServiceAdjustments", "/Contracts/29/Charges"


def adjusting(entry: Any, external_id: str, service: str | None) -> Work:
    draft = draft_adjustment(entry, Product(entry.product.key, external_id))
    assert draft is not None
    return Work(f"bcs-{entry.entry_id}", PLACE, draft.operation, service=service)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with simulators(FrozenClock(NOW)) as running:

        async def count() -> int:
            state = await running.state("autotask")
            return len(state["adjustments"]) + len(state["charges"])

        charge = draft_charges(birch_may(), AUTOTASK_PRODUCTS)[0].operation
        assert isinstance(charge, ContractCharge)
        refused = replace(charge, product=Product("x", "999"))
        yield Bench(
            vendor="autotask",
            vendors=running,
            works=(
                adjusting(elm_changes()[0], "77", "9001"),
                adjusting(elm_changes()[1], "78", None),
                Work("bcs-charge", PLACE, charge),
            ),
            write_paths=(ADJUSTMENTS, ADJUSTMENTS, CHARGES),
            read_method="POST",
            count=count,
            unlike=Work("bcs-unlike", PLACE, refused),
        )


class TestAutotask(PsaAdapterSuite):
    """Every rule of the suite."""

    async def test_a_write_is_never_repeated_g3(self, bench: Bench) -> None:
        """Two works go to one path: one of them is enough to count."""
        await super().test_a_write_is_never_repeated_g3(
            replace(bench, works=bench.works[1:], write_paths=bench.write_paths[1:])
        )


async def test_amounts_and_ids_are_numbers_on_the_wire_g1(bench: Bench) -> None:
    """53.18 as it is, ids unquoted: an id sent as text finds nothing."""
    async with bench.client() as client:
        for work in bench.works:
            await client.write(work, await wanted(client, work))

    calls = await bench.vendors.calls("autotask", "POST", f"{ADJUSTMENTS}|{CHARGES}")
    linked, first, charge = [call["request_body"] for call in calls]
    assert '"contractServiceID":9001' in linked
    assert "adjustedUnitPrice" not in linked
    assert '"adjustedUnitPrice":59.90' in first
    assert '"unitPrice":53.18' in charge


@pytest.mark.parametrize("rows", ["total", "delta"])
async def test_units_are_read_in_both_habits_of_tenants_a2(bench: Bench, rows: str) -> None:
    """A second change of the same day builds on the first."""
    await bench.vendors.control("autotask", "PATCH", "/tenant", {"unit_rows": rows})
    again = adjusting(change("again", 22, 25, "2026-06-09"), "77", "9001")
    async with bench.client() as client:
        for work in (bench.works[0], again):
            await client.write(work, await wanted(client, work))
        assert isinstance(judge(again.operation, await client.observe(again)), Done)

    state = await bench.vendors.state("autotask")
    assert [row["unitChange"] for row in state["adjustments"]] == [-8, 3]


async def test_a_price_alone_is_restated_once_a2(bench: Bench) -> None:
    """No units change; the row's price shows that it is done."""
    priced = change("price", 30, 30, "2026-06-12", price_changed=True, unit_price=Decimal("37.42"))
    work = adjusting(priced, "77", "9001")
    async with bench.client() as client:
        write = await wanted(client, work)
        await client.write(work, write)
        assert isinstance(judge(work.operation, await client.observe(work)), Done)

    assert (write.unit_change, write.restate_price) == (0, True)


async def test_a_repeated_service_says_so_a1(bench: Bench) -> None:
    """Another subscription of the same product on the same contract."""
    entry = change("p", 0, 4, "2026-06-09", subscription_id="sub-2")
    work = replace(adjusting(entry, "77", None), taken=frozenset({"9001"}))
    async with bench.client() as client:
        write = await wanted(client, work)
        await client.write(work, write)

    assert write.repeats_service
    services = (await bench.vendors.state("autotask"))["contract_services"]
    assert len(services) == 2


async def test_charge_types_are_found_by_label_a6(bench: Bench) -> None:
    """The tenant's number for `Operational`, whatever it is."""
    async with bench.client() as client:
        await client.write(bench.works[2], Write())

    (charge,) = (await bench.vendors.state("autotask"))["charges"]
    assert charge["chargeType"] == 31


async def test_a_charge_can_go_to_a_billing_code_a6(bench: Bench) -> None:
    """`billing_code:5` in the mapping."""
    operation = bench.works[2].operation
    assert isinstance(operation, ContractCharge)
    coded = replace(operation, product=Product("azure", "billing_code:5"))
    work = Work("bcs-coded", PLACE, coded)
    async with bench.client() as client:
        await client.write(work, Write())
        assert isinstance(judge(coded, await client.observe(work)), Done)
        facts = await client.product_facts([coded])

    assert facts["billing_code:5"].active


async def test_a_charge_is_adopted_by_its_order_number_a7(bench: Bench) -> None:
    """PATCH to the collection with the id in the body, nothing but our key in it."""
    work = bench.works[2]
    async with bench.client() as client:
        made = await client.write(replace(work, key=""), Write())
        (line,) = await client.existing(PLACE)
        adopt = replace(work, operation=adopted(work.operation, line), adopts=line.external_id)
        written = await client.write(adopt, await wanted(client, adopt))
        assert judge(adopt.operation, await client.observe(adopt)) == Done(made.external_id)

    (charge,) = (await bench.vendors.state("autotask"))["charges"]
    (patch,) = await bench.vendors.calls("autotask", "PATCH", CHARGES)
    assert written.external_id == made.external_id == str(charge["id"])
    assert charge["internalPurchaseOrderNumber"] == work.key
    assert sorted(loads(patch["request_body"])) == ["id", "internalPurchaseOrderNumber"]


async def test_lists_are_read_to_their_end_g4(bench: Bench) -> None:
    """Three pages of companies: the next page is asked for with the same verb and body."""
    companies = [{"id": 20_000 + n, "companyName": f"Company {n}"} for n in range(1_100)]
    seed: dict[str, Any] = {**AUTOTASK_SEED}
    await bench.vendors.seed("autotask", seed | {"companies": [*seed["companies"], *companies]})
    async with bench.client() as client:
        places = await client.places()

    calls = await bench.vendors.calls("autotask", "POST", "/Companies/query")
    assert len(places.companies) == 1_101
    assert len({call["request_body"] for call in calls}) == 1
    assert len(calls) == 3


async def test_the_zone_is_asked_again_when_the_user_moved_g4(bench: Bench) -> None:
    """Credentials that the old zone refuses are tried once in the new one."""
    async with bench.client() as client:
        await client.places()
        await bench.vendors.control("autotask", "PATCH", "/tenant", {"zone": "zone2"})
        await client.write(bench.works[2], Write())

    assert await bench.count() == 1
    assert len(await bench.vendors.calls("autotask", "GET", "(?i)zoneinformation")) == 2


async def test_four_at_a_time_never_reach_one_entity_a8(bench: Bench) -> None:
    """Twelve looks at once; the tenant never sees a fourth."""
    async with bench.client() as client:
        await asyncio.gather(*[client.observe(bench.works[0]) for _ in range(12)])

    limits = await bench.vendors.control("autotask", "GET", "/limits")
    assert limits["most_running"] <= 3


async def test_the_thread_threshold_is_busy_not_refused_g3(bench: Bench) -> None:
    """A 500 whose text asks to wait."""
    words = {"errors": ["exceeds the thread threshold of 3 for this endpoint (Itgenatr005)."]}
    await bench.vendors.fault("autotask", "POST", ADJUSTMENTS, "status", status=500, body=words)
    async with bench.client() as client:
        with pytest.raises(Busy):
            await client.write(bench.works[0], Write("9001", -8))


async def test_units_are_whole_and_never_below_zero_a2(bench: Bench) -> None:
    """The vendor's validation comes as 500 with errors: refused."""
    async with bench.client() as client:
        with pytest.raises(Refused) as refused:
            await client.write(bench.works[0], Write("9001", -31))

    assert "-1 units" in str(refused.value)


async def test_an_unknown_user_is_denied_g8(bench: Bench) -> None:
    """Zone information answers 500 with errors."""
    async with bench.client(username="nobody@msp.example") as client:
        with pytest.raises(Denied):
            await client.observe(bench.works[0])


async def test_credentials_are_not_sent_to_a_foreign_zone_g8(bench: Bench) -> None:
    """The zone must be the vendor's own domain over TLS, or the host we were given."""
    body = {"zoneName": "x", "url": "https://autotask.net.evil.example/atservicesrest/"}
    await bench.vendors.fault("autotask", "GET", "ZoneInformation", "status", status=200, body=body)
    async with bench.client() as client:
        with pytest.raises(Denied) as denied:
            await client.observe(bench.works[0])

    assert "evil.example" in str(denied.value)


def test_a_service_adjustment_is_what_the_bench_sends_first(bench: Bench) -> None:
    """The suite's order of works is what the tests above rely on."""
    assert isinstance(bench.works[0].operation, ServiceAdjustment)
