"""Invoices on their way to ConnectWise: once each, in order, all or reported."""

from __future__ import annotations

from decimal import Decimal

import pytest

from shared.contracts.psa_connector import DeliveryConfirmed, DeliveryRefused
from shared.runtime import audit
from support.psa_facts import MONTHLY, alder_may, invoice, line, recurring
from support.psa_world import CONNECTWISE_SEED, PsaWorld

FIVE = ["confirmed"] * 5
POSTS = ("connectwise", "POST", "/additions")


async def test_scenario_1_arrives_as_five_additions_c11(world: PsaWorld) -> None:
    """Extended prices sum to the invoice's net; each is announced with its id."""
    await world.alder()
    await world.deliver(alder_may())

    additions = await world.vendors.additions()
    assert [(a["product"]["id"], a["quantity"], a["unitPrice"]) for a in additions] == [
        (501, 43, Decimal("22.55")),
        (502, 6, Decimal("27.06")),
        (501, 1, Decimal("63.89")),
        (501, 1, Decimal("-19.54")),
        (503, 1, Decimal("150.00")),
    ]
    assert sum(a["extPrice"] for a in additions) == Decimal("1326.36")
    assert [a.get("cancelledDate", "")[:10] for a in additions] == ["", "", *["2026-05-31"] * 3]
    confirmed = await world.psa.harness.published(DeliveryConfirmed)
    assert [(e.source_id, e.external_id) for e in confirmed] == [
        (f"ALD-0002/{number}", str(a["id"])) for number, a in enumerate(additions, start=1)
    ]


async def test_pushing_twice_leaves_five_additions_g2(world: PsaWorld) -> None:
    """The same event again, and the same invoice in another event."""
    await world.alder()
    await world.deliver(alder_may(), alder_may())
    await world.psa.harness.deliver(alder_may(), id="another-envelope")
    await world.psa.work()

    assert await world.states() == FIVE
    assert len(await world.vendors.additions()) == 5


async def test_a_lost_reply_leaves_one_addition_g3(world: PsaWorld) -> None:
    """The PSA made the record and the connection broke: read back, not sent again."""
    await world.alder()
    await world.vendors.fault(*POSTS, "drop_after_commit")
    await world.deliver(alder_may())

    await world.until_states(*FIVE)

    assert len(await world.vendors.additions()) == 5
    assert len(await world.vendors.calls(*POSTS)) == 5


async def test_a_request_that_never_arrived_is_sent_again_g3(world: PsaWorld) -> None:
    """Nothing there after the time in which it could still arrive: one more POST."""
    await world.alder()
    await world.vendors.fault(*POSTS, "drop_before")
    await world.deliver(alder_may())
    assert (await world.states())[0] == "unknown"

    await world.until_states(*FIVE)

    assert len(await world.vendors.additions()) == 5
    assert len(await world.vendors.calls(*POSTS)) == 6


async def test_an_error_page_after_a_post_is_not_believed_g3(world: PsaWorld) -> None:
    """A 502 in HTML says nothing about the record."""
    await world.alder()
    await world.vendors.fault(*POSTS, "html_body", status=502)
    await world.deliver(alder_may())

    await world.until_states(*FIVE)

    assert len(await world.vendors.additions()) == 5


async def test_throttling_rests_the_whole_connection_g3(world: PsaWorld) -> None:
    """Retry-After holds for all targets of the connection, and is shown as a hold."""
    await world.alder()
    await world.map_contract("ASH-1", "connectwise", "251", "7002")
    await world.vendors.fault("connectwise", "GET", "/finance/agreements", "status", status=429,
                              retry_after=1)  # fmt: skip
    await world.deliver(alder_may())

    assert await world.holds() == [("throttled", "connection/connectwise")]
    await world.deliver(
        invoice("ASH-0001", "2026-05-01", line(1, "9.00", product_key="onboarding"),
                contract_id="ASH-1"),
    )  # fmt: skip
    assert await world.vendors.additions(7002) == []
    await world.until_states(*FIVE, "confirmed")
    assert await world.holds() == []


async def test_an_unmapped_product_blocks_only_its_invoice_g6(world: PsaWorld) -> None:
    """Nothing of that invoice goes out, everything of others does; the mapping releases it."""
    await world.alder()
    await world.map_contract("ASH-1", "connectwise", "251", "7002")
    strange = line(3, "30.00", product_key="backup")
    blocked = invoice("ALD-0002", "2026-05-01", recurring(1, 43, "22.55"), strange)
    other = invoice(
        "ASH-0001", "2026-05-01", line(1, "9.00", product_key="onboarding"), contract_id="ASH-1"
    )
    await world.deliver(blocked, other)

    keys = [row["key"] for row in await world.intents(source_id="ALD-0002")]
    assert await world.states() == ["blocked", "blocked", "confirmed"]
    assert await world.vendors.additions() == []
    assert await world.holds() == [("unmapped_product", "intent/ALD-0002/3")]
    refused = await world.psa.harness.published(DeliveryRefused)
    assert [(e.reason, e.source_id) for e in refused] == [("unmapped_product", "ALD-0002/3")]

    await world.map_product("connectwise", "backup", "503")
    await world.psa.work()

    assert await world.states() == ["confirmed"] * 3
    assert [row["key"] for row in await world.intents(source_id="ALD-0002")] == keys
    assert len(await world.vendors.additions()) == 2


async def test_a_contract_without_a_place_waits_and_is_released_g5(world: PsaWorld) -> None:
    """Unmapped is told once; the mapping plans it; what came meanwhile follows in order."""
    await world.connect("connectwise")
    later = invoice("ALD-0003", "2026-05-20", line(1, "5.00", product_key="onboarding"))
    await world.deliver(alder_may(), later)
    assert [hold[0] for hold in await world.holds()] == ["unmapped_company"]

    await world.map_contract("ALD-1", "connectwise", "250", "7001")
    await world.psa.work()

    assert [row["source_id"] for row in await world.intents(state="confirmed")] == [
        *[f"ALD-0002/{n}" for n in range(1, 6)],
        "ALD-0003/1",
    ]
    assert await world.holds() == []


async def test_a_contract_mapped_to_none_goes_nowhere_g5(world: PsaWorld) -> None:
    """On purpose: no hold, no intent."""
    await world.map_contract("ALD-1", None)
    await world.deliver(alder_may())

    assert (await world.intents(), await world.holds()) == ([], [])


async def test_a_prorating_agreement_blocks_the_run_c1(world: PsaWorld) -> None:
    """Nothing is written; repaired and retried, it goes out under the same keys."""
    await world.alder()
    edit = {"kind": "agreement", "id": 7001, "set": {"prorateFlag": True}}
    await world.vendors.control("connectwise", "POST", "/edit", edit)
    await world.deliver(alder_may())
    assert await world.holds() == [("agreement_prorates", "intent/ALD-0002/1")]
    assert await world.vendors.additions() == []

    edit["set"] = {"prorateFlag": False}
    await world.vendors.control("connectwise", "POST", "/edit", edit)
    first = (await world.intents())[0]
    answer = await world.psa.ok("POST", f"/v1/intents/{first['id']}:retry")
    await world.psa.work()

    assert (answer["state"], answer["key"]) == ("planned", first["key"])
    assert await world.states() == FIVE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"agreements": {"currency": "EUR"}}, "currency_mismatch"),
        ({"agreements": {"company": {"id": 251}}}, "agreement_company_mismatch"),
        ({"agreements": {"cancelledFlag": True}}, "agreement_inactive"),
        ({"agreements": {"invoiceProratedAdditionsFlag": True}}, "agreement_prorates"),
        ({"agreements": {"billingCycle": {"id": 4}}}, "billing_cycle_unsupported"),
        ({"catalog": {"inactiveFlag": True}}, "product_inactive"),
        ({"catalog": {"productClass": "Bundle"}}, "product_bundle"),
        ({"catalog": {"autoUpdateUnitPriceFlag": True}}, "product_auto_reprice"),
    ],
)
async def test_preflight_finds_what_would_compute_twice_c1(
    world: PsaWorld, change: dict[str, dict[str, object]], reason: str
) -> None:
    """Every condition of C1 against the PSA itself."""
    ((table, fields),) = change.items()
    first, *others = CONNECTWISE_SEED[table]
    await world.vendors.seed("connectwise", {**CONNECTWISE_SEED, table: [first | fields, *others]})
    await world.alder()
    await world.deliver(alder_may())

    assert [hold[0] for hold in await world.holds()] == [reason]
    assert await world.vendors.additions() == []


async def test_a_period_that_was_invoiced_takes_no_more_lines_c4(world: PsaWorld) -> None:
    """They would never be billed: blocked instead."""
    agreement = {**CONNECTWISE_SEED["agreements"][0], "startDate": "2026-05-01T00:00:00Z"}
    await world.vendors.seed("connectwise", {**CONNECTWISE_SEED, "agreements": [agreement]})
    await world.vendors.control("connectwise", "POST", "/invoice-run", {"agreement": 7001})
    await world.alder()
    await world.deliver(alder_may())

    assert [hold[0] for hold in await world.holds()] == ["period_already_invoiced"]


async def test_a_vendors_no_stops_only_its_agreement_g3(world: PsaWorld) -> None:
    """Rejected with the vendor's words; later lines of the target wait, other targets go on."""
    await world.alder()
    await world.map_contract("ASH-1", "connectwise", "251", "7002")
    no = {"code": "InvalidObject", "message": "Addition object is invalid",
          "errors": [{"code": "x", "message": "too odd", "field": "quantity"}]}  # fmt: skip
    await world.vendors.fault(*POSTS, "status", status=400, body=no)
    other = invoice(
        "ASH-0001", "2026-05-01", line(1, "9.00", product_key="onboarding"), contract_id="ASH-1"
    )
    await world.deliver(alder_may(), other)

    first = (await world.intents())[0]
    assert await world.states() == ["rejected", *["planned"] * 4, "confirmed"]
    assert first["detail"] == "Addition object is invalid; quantity: too odd"
    assert await world.holds() == [("vendor_refused", "intent/ALD-0002/1")]

    await world.psa.ok("POST", f"/v1/intents/{first['id']}:retry")
    await world.psa.work()
    assert await world.states() == [*FIVE, "confirmed"]


async def test_an_invoice_run_in_the_psa_is_waited_for_g3(world: PsaWorld) -> None:
    """409 while the agreement is held is no refusal."""
    await world.alder()
    held = {"agreement": 7001, "hold": True}
    await world.vendors.control("connectwise", "POST", "/invoice-run", held)
    await world.deliver(alder_may())
    assert await world.states() == ["planned"] * 5

    await world.vendors.control("connectwise", "POST", "/invoice-run", held | {"hold": False})
    await world.until_states(*FIVE)

    assert len(await world.vendors.additions()) == 5


async def test_an_upgrade_of_the_cloud_is_followed_g4(world: PsaWorld) -> None:
    """The codebase moves between two invoices; the first 404 asks where to."""
    await world.alder()
    await world.deliver(alder_may())
    await world.vendors.control("connectwise", "PATCH", "/tenant", {"codebase": "v2025_2/"})
    await world.deliver(
        invoice("ALD-0003", "2026-05-20", line(1, "5.00", product_key="onboarding"))
    )

    assert await world.states() == [*FIVE, "confirmed"]


async def test_without_the_custom_field_the_serial_number_carries_the_key_c2(
    world: PsaWorld,
) -> None:
    """The tenant did not set the field up; a lost reply is found all the same."""
    await world.vendors.seed("connectwise", {**CONNECTWISE_SEED, "custom_fields": []})
    await world.alder()
    await world.vendors.fault(*POSTS, "drop_after_commit")
    await world.deliver(alder_may())

    await world.until_states(*FIVE)

    additions = await world.vendors.additions()
    assert [a["serialNumber"] for a in additions] == [r["key"] for r in await world.intents()]


async def test_the_next_month_closes_and_succeeds_c11(world: PsaWorld) -> None:
    """May's open additions end on 31 May, June's begin; a subscription that ended has none."""
    await world.alder()
    await world.deliver(alder_may())
    june = invoice("ALD-0003", "2026-06-01", recurring(1, 44, "22.55"))
    await world.deliver(june)

    additions = await world.vendors.additions()
    assert [
        (a["product"]["id"], a["effectiveDate"][:10], a.get("cancelledDate", "")[:10])
        for a in additions
    ] == [
        (501, "2026-05-01", "2026-05-31"),
        (502, "2026-05-01", "2026-05-31"),
        (501, "2026-05-01", "2026-05-31"),
        (501, "2026-05-01", "2026-05-31"),
        (503, "2026-05-01", "2026-05-31"),
        (501, "2026-06-01", ""),
    ]
    kinds = [row["kind"] for row in await world.intents(state="confirmed")]
    assert kinds == [*["addition"] * 5, "addition_close", "addition_close", "addition"]
    periods = [
        (await world.vendors.control("connectwise", "POST", "/invoice-run", {"agreement": 7001}))
        for _ in range(1)
    ]
    assert periods  # the PSA's own run is another suite's business; it must not stumble


async def test_a_close_with_a_lost_reply_is_not_repeated_c11(world: PsaWorld) -> None:
    """A PATCH is looked up like any other write."""
    await world.alder()
    await world.deliver(alder_may())
    await world.vendors.fault("connectwise", "PATCH", "/additions/", "drop_after_commit")
    await world.deliver(invoice("ALD-0003", "2026-06-01", recurring(1, 44, "22.55")))

    await world.until_states(*FIVE, *["confirmed"] * 3)

    assert len(await world.vendors.calls("connectwise", "PATCH", "/additions/")) == 2


async def test_a_human_edit_of_our_record_is_drift_not_overwritten(world: PsaWorld) -> None:
    """A reply got lost, somebody changed the record before we looked again."""
    await world.alder()
    await world.vendors.fault(*POSTS, "drop_after_commit")
    await world.psa.harness.deliver(alder_may())
    await world.psa.service.jobs[1].step()
    made = (await world.vendors.additions())[0]
    edit = {"kind": "addition", "id": made["id"], "set": {"unitPrice": 1}}
    await world.vendors.control("connectwise", "POST", "/edit", edit)

    async def drifted() -> bool:
        return (await world.states())[0] == "drifted"

    await world.until(drifted)

    (first, *_) = await world.intents()
    assert first["reason"] == "record_differs"
    assert "unitPrice is 1, not 22.55" in first["detail"]
    assert len(await world.vendors.additions()) == 1


async def test_wrong_credentials_stop_the_connection_and_are_shown_g8(world: PsaWorld) -> None:
    """No intent is rejected for it; the corrected connection goes on at once."""
    await world.alder()
    await world.vendors.control("connectwise", "PATCH", "/tenant", {"private_key": "rotated"})
    await world.deliver(alder_may())
    assert await world.holds() == [("credentials_refused", "connection/connectwise")]
    assert await world.states() == ["planned"] * 5

    await world.vendors.control("connectwise", "PATCH", "/tenant", {"private_key": "sim-private"})
    await world.connect("connectwise")
    await world.psa.work()

    assert await world.states() == FIVE


async def test_every_write_is_in_the_audit_trail_g7(world: PsaWorld) -> None:
    """Connection, target, key, body hash, vendor request id; the chain holds."""
    await world.alder()
    await world.deliver(alder_may())

    async with world.psa.service.database.read() as reader:
        rows = await reader.fetch("SELECT after FROM audit WHERE action = 'psa.delivered'")
        verdict = await audit.verify(reader)
    first = rows[0]["after"]
    assert len(rows) == 5
    assert (first["connection"], first["target"], first["wrote"]) == ("connectwise", "7001", True)
    assert len(first["request_hash"]) == 64
    assert first["vendor_request_id"].startswith("cw-")
    assert verdict.intact


async def test_an_invoice_in_the_psa_is_taxed_by_one_side_c10(world: PsaWorld) -> None:
    """`engine`: nothing taxable, our tax as a line on its mapped product."""
    await world.connect("connectwise", tax_mode="engine")
    await world.map_product("connectwise", "tax:NY sales tax", "503")
    await world.map_contract("ALD-1", "connectwise", "250", "7001")
    await world.deliver(alder_may())

    additions = await world.vendors.additions()
    assert {a["taxableFlag"] for a in additions} == {False}
    assert sum(a["extPrice"] for a in additions) == alder_may().total
    assert MONTHLY  # the products of the story stay mapped
