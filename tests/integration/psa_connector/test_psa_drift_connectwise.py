"""Drift on ConnectWise agreements: each kind found in one sweep, healed once, or only shown."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from shared.runtime.web import encode_cursor
from support.psa_facts import alder_may, invoice, line, recurring
from support.psa_world import PsaWorld

PERSON = "jane.doe"
WRITES = ("connectwise", "POST|PATCH|DELETE", "/additions")


async def swept(world: PsaWorld) -> list[Any]:
    """One sweep and everything that follows from it; the drifts there are."""
    await world.psa.ok("POST", "/v1/sweeps", json={})
    await world.psa.work()
    rows: list[Any] = (await world.psa.ok("GET", "/v1/drift"))["data"]
    return rows


async def edit(world: PsaWorld, kind: str, **what: Any) -> Any:
    return await world.vendors.control(
        "connectwise", "POST", "/edit", {"kind": kind, "by": PERSON, **what}
    )


async def pushed(world: PsaWorld, **settings: Any) -> list[Any]:
    """Scenario 1 delivered and swept clean."""
    await world.connect("connectwise", **settings)
    await world.map_contract("ALD-1", "connectwise", "250", "7001")
    await world.deliver(alder_may())
    assert await swept(world) == []
    return await world.vendors.additions()


def told(drift: Any) -> dict[str, tuple[str, str, str]]:
    return {f["field"]: (f["wanted"], f["last_seen"], f["found"]) for f in drift["fields"]}


async def billing(world: PsaWorld) -> None:
    """The PSA invoices May, the first period of the agreement."""
    await edit(world, "agreement", id=7001, set={"startDate": "2026-05-01T00:00:00Z"})
    await world.vendors.control("connectwise", "POST", "/invoice-run", {"agreement": 7001})


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/drift?state=wating", 422, "request_invalid"),
        (f"/v1/drift?cursor={encode_cursor('not a day', 'x')}", 422, "cursor_invalid"),
        (f"/v1/sweeps?cursor={encode_cursor('2026-05-01T00:00:00', 'x')}", 422, "cursor_invalid"),
    ],
    ids=["state", "cursor", "instant without a zone"],
)
async def test_a_question_that_makes_no_sense_is_refused(
    world: PsaWorld, path: str, status: int, code: str
) -> None:
    """A slip of the pen is no empty list, and a foreign cursor no defect."""
    answer = await world.psa.http.request("GET", path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_changed_addition_is_patched_back_whole_and_the_person_named(
    world: PsaWorld,
) -> None:
    """Quantity, price and text edited by hand: one PATCH with all owned fields."""
    before = await pushed(world)
    changes = {"quantity": 40, "unitPrice": Decimal("19.99"), "invoiceDescription": "x"}
    await edit(world, "addition", id=before[0]["id"], set=changes)
    (drift,) = await swept(world)

    assert (drift["kind"], drift["state"]) == ("record_changed", "healed")
    assert told(drift)["quantity"] == ("43", "43", "40")
    assert set(told(drift)) == {"quantity", "unitPrice", "invoiceDescription"}
    assert (drift["edited_by"], drift["source_id"]) == (PERSON, "ALD-0002/1")
    assert "quantity" in drift["evidence"]
    patches = await world.vendors.calls("connectwise", "PATCH", "/additions")
    assert len(patches) == 1
    assert [a["extPrice"] for a in await world.vendors.additions()] == [
        a["extPrice"] for a in before
    ]


async def test_healing_is_idempotent_g2(world: PsaWorld) -> None:
    """Two more sweeps find nothing and write nothing; a second edit is a drift of its own."""
    before = await pushed(world)
    await edit(world, "addition", id=before[0]["id"], set={"quantity": 40})
    await swept(world)
    writes = len(await world.vendors.calls(*WRITES))
    await swept(world)
    await swept(world)

    assert len(await world.vendors.calls(*WRITES)) == writes
    await edit(world, "addition", id=before[0]["id"], set={"quantity": 40})
    again = await swept(world)
    assert [one["state"] for one in again] == ["healed", "healed"]
    assert (await world.vendors.additions())[0]["quantity"] == 43


async def test_a_deleted_addition_is_made_again_under_its_key(world: PsaWorld) -> None:
    """And its later close finds the new one."""
    before = await pushed(world)
    await edit(world, "addition", id=before[0]["id"], delete=True)
    (drift,) = await swept(world)

    assert (drift["kind"], drift["state"], drift["edited_by"]) == (
        "record_missing", "healed", PERSON,
    )  # fmt: skip
    after = await world.vendors.additions()
    assert sum(a["extPrice"] for a in after) == Decimal("1326.36")
    assert after[-1]["customFields"] == before[0]["customFields"]

    await world.deliver(invoice("ALD-0003", "2026-06-01", recurring(1, 43, "22.55")))
    closed = {a["id"]: (a.get("cancelledDate") or "")[:10] for a in await world.vendors.additions()}
    assert closed[after[-1]["id"]] == "2026-05-31"
    assert len(await swept(world)) == 1


async def test_an_addition_ended_by_hand_is_opened_again(world: PsaWorld) -> None:
    """A last day that we did not set would stop what recurs."""
    before = await pushed(world)
    await edit(world, "addition", id=before[0]["id"], set={"cancelledDate": "2026-05-10T00:00:00Z"})
    (drift,) = await swept(world)

    assert told(drift) == {"cancelledDate": ("nothing", "nothing", "2026-05-10")}
    assert drift["state"] == "healed"
    assert not (await world.vendors.additions())[0].get("cancelledDate")


async def test_a_second_addition_with_our_key_is_removed(world: PsaWorld) -> None:
    """The lowest id stays."""
    before = await pushed(world)
    copy = {k: before[4][k] for k in ("product", "quantity", "unitPrice", "customFields",
            "effectiveDate", "cancelledDate", "billCustomer", "taxableFlag")}  # fmt: skip
    await edit(world, "addition", create=copy, agreement=7001)
    drifts = await swept(world)

    assert [(one["kind"], one["state"]) for one in drifts] == [("record_duplicated", "healed")]
    assert [a["id"] for a in await world.vendors.additions()] == [a["id"] for a in before]


async def test_a_foreign_addition_is_reported_once_and_never_touched(world: PsaWorld) -> None:
    """Somebody's own line on a managed agreement."""
    await pushed(world)
    own = {"product": {"id": 503}, "billCustomer": "Billable", "quantity": 1}
    made = await edit(world, "addition", agreement=7001, create=own)
    await swept(world)
    drifts = await swept(world)

    assert [(one["kind"], one["state"], one["external_id"]) for one in drifts] == [
        ("record_foreign", "reported", str(made["id"]))
    ]
    assert drifts[0]["edited_by"] == PERSON
    assert await world.holds() == []
    assert len(await world.vendors.additions()) == 6


async def test_an_addition_that_lost_its_key_is_not_made_again(world: PsaWorld) -> None:
    """A second one would bill twice; a person puts the key back."""
    before = await pushed(world)
    changes = {"customFields": [{"id": 12, "caption": "BCS Key", "value": "mine"}]}
    await edit(world, "addition", id=before[0]["id"], set=changes)
    drifts = await swept(world)

    assert [(one["kind"], one["state"]) for one in drifts] == [("record_key_removed", "reported")]
    assert len(await world.vendors.additions()) == 5
    await edit(
        world, "addition", id=before[0]["id"], set={"customFields": before[0]["customFields"]}
    )
    assert [one["state"] for one in await swept(world)] == ["gone"]


async def test_what_is_invoiced_is_never_edited_c7(world: PsaWorld) -> None:
    """Changed and deleted after the PSA invoice: two exceptions with their amounts, no write."""
    before = await pushed(world)
    await billing(world)
    await edit(world, "addition", id=before[0]["id"], set={"quantity": 40})
    await edit(world, "addition", id=before[4]["id"], delete=True)
    writes = len(await world.vendors.calls(*WRITES))
    drifts = {one["kind"]: one for one in await swept(world)}

    changed, missing = (drifts[f"record_{k}_after_billing"] for k in ("changed", "missing"))
    assert (changed["difference"], missing["difference"]) == ("-67.65", "-150.00")
    assert changed["state"] == missing["state"] == "reported"
    assert len(await world.vendors.calls(*WRITES)) == writes
    assert sorted(reason for reason, _ in await world.holds()) == [
        "drift_record_changed_after_billing", "drift_record_missing_after_billing",
    ]  # fmt: skip
    answer = await world.psa.http.request("POST", f"/v1/drift/{changed['id']}:approve")
    assert (answer.status_code, answer.json()["code"]) == (409, "drift_not_healable")


async def test_a_deleted_psa_invoice_opens_the_month_again_c9(world: PsaWorld) -> None:
    """The evidence is the list of invoices, asked each time: then the drift can be healed."""
    before = await pushed(world)
    await billing(world)
    await edit(world, "addition", id=before[0]["id"], set={"quantity": 40})
    await swept(world)
    (made,) = (await world.vendors.state("connectwise"))["invoices"]
    await edit(world, "invoice", id=made["id"], delete=True)
    drifts = {one["kind"]: one["state"] for one in await swept(world)}

    assert drifts == {"record_changed_after_billing": "gone", "record_changed": "healed"}
    assert (await world.vendors.additions())[0]["quantity"] == 43


async def test_an_invoice_between_the_sweep_and_the_heal_stops_it_c9(world: PsaWorld) -> None:
    """Evidence is refreshed before each write; the heal waits for a person, who sees why."""
    before = await pushed(world, drift_record_changed="approve")
    await edit(world, "addition", id=before[0]["id"], set={"quantity": 40})
    (drift,) = await swept(world)
    assert drift["state"] == "waiting"
    await billing(world)
    await world.psa.ok("POST", f"/v1/drift/{drift['id']}:approve")
    await world.psa.work()

    shown = await world.psa.ok("GET", f"/v1/drift/{drift['id']}")
    assert shown["state"] == "failed"
    assert "is billed already" in shown["detail"]
    assert (await world.vendors.additions())[0]["quantity"] == 40


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"prorateFlag": True}, "agreement_prorates"),
        ({"invoiceProratedAdditionsFlag": True}, "agreement_prorates"),
        ({"cancelledFlag": True}, "agreement_inactive"),
        ({"company": {"id": 251}}, "agreement_company_mismatch"),
        ({"currency": {"id": 2, "currencyCode": "EUR"}}, "currency_mismatch"),
    ],
)
async def test_a_changed_agreement_is_shown_and_stops_healing_c1(
    world: PsaWorld, change: dict[str, Any], reason: str
) -> None:
    """Nothing is written into it before a person has looked; once repaired, healing goes on."""
    before = await pushed(world)
    (agreement, *_) = (await world.vendors.state("connectwise"))["agreements"]
    await edit(world, "agreement", id=7001, set=change)
    await edit(world, "addition", id=before[0]["id"], set={"quantity": 40})
    drifts = {one["kind"]: one for one in await swept(world)}

    assert set(told(drifts["target_changed"])) == {reason}
    assert drifts["record_changed"]["state"] == "waiting"
    assert (await world.vendors.additions())[0]["quantity"] == 40

    undone = {name: agreement.get(name) for name in change}
    await edit(world, "agreement", id=7001, set=undone)
    states = {one["kind"]: one["state"] for one in await swept(world)}
    assert states == {"target_changed": "gone", "record_changed": "healed"}


async def test_every_decision_is_in_the_audit_trail_g7(world: PsaWorld) -> None:
    """Found, healing, delivered, healed, with both sides and the actor."""
    before = await pushed(world)
    await edit(world, "addition", id=before[0]["id"], set={"quantity": 40})
    (drift,) = await swept(world)

    async with world.psa.service.database.read() as reader:
        rows = await reader.fetch("SELECT action, object, before, after FROM audit ORDER BY seq")
    actions = [row["action"] for row in rows if row["object"] == f"drift/{drift['id']}"]
    assert sorted(actions) == ["drift.found", "drift.healed", "drift.healing"]
    found = next(row for row in rows if row["action"] == "drift.found")
    assert found["before"] == {"quantity": "43"}
    assert found["after"]["found"] == {"quantity": "40"}
    assert found["after"]["edited_by"] == PERSON


async def test_a_dismissed_drift_returns_when_something_else_is_there(world: PsaWorld) -> None:
    """Left alone for a reason; a further edit shows what was seen last."""
    before = await pushed(world, drift_record_changed="report")
    await edit(world, "addition", id=before[0]["id"], set={"quantity": 40})
    (drift,) = await swept(world)
    await world.psa.ok("POST", f"/v1/drift/{drift['id']}:dismiss", json={"reason": "agreed"})
    assert [one["state"] for one in await swept(world)] == ["dismissed"]

    await edit(world, "addition", id=before[0]["id"], set={"quantity": 41})
    (drift,) = await swept(world)
    assert drift["state"] == "reported"
    assert told(drift)["quantity"] == ("43", "40", "41")


async def test_nothing_read_from_the_psa_changes_what_we_want(world: PsaWorld) -> None:
    """Operations in the ledger are those of the invoice, whatever somebody does there."""
    before = await pushed(world)
    planned = {row["id"]: row["operation"] for row in await world.intents(source_id="ALD-0002")}
    await edit(world, "addition", id=before[0]["id"], set={"quantity": 99})
    await edit(world, "addition", id=before[1]["id"], delete=True)
    await swept(world)

    after = {row["id"]: row["operation"] for row in await world.intents(source_id="ALD-0002")}
    assert {id: after[id] for id in planned} == planned
    assert len(after) == len(planned) + 2


async def test_a_sweep_waits_while_the_connection_rests_g3(world: PsaWorld) -> None:
    """429: the whole connection pauses, the sweep goes on afterwards from where it was."""
    await pushed(world)
    await world.vendors.fault(
        "connectwise", "GET", "/additions", "status", status=429, retry_after=1
    )
    await swept(world)

    async def states() -> list[str]:
        return sorted(one["state"] for one in (await world.psa.ok("GET", "/v1/sweeps"))["data"])

    async def done() -> bool:
        return await states() == ["done", "done"]

    assert await states() == ["done", "running"]

    await world.until(done)


async def test_sweeps_come_by_schedule_once_a_day(world: PsaWorld) -> None:
    """A day of business time after the connection was made, and a day after that."""
    await world.alder()
    await world.deliver(
        alder_may(), invoice("ALD-0009", "2026-05-20", line(1, "5.00", product_key="onboarding"))
    )
    assert (await world.psa.ok("GET", "/v1/sweeps"))["data"] == []
    world.psa.clock.advance(timedelta(hours=25))
    await world.psa.work()
    await world.psa.work()

    (sweep,) = (await world.psa.ok("GET", "/v1/sweeps"))["data"]
    assert (sweep["state"], sweep["requested_by"], sweep["targets"]) == ("done", "schedule", 1)
