"""Licence changes and charges on their way to Autotask: at once, in order, once each."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from shared.contracts.ingest import ChangeKind
from shared.contracts.psa_connector import DeliveryConfirmed
from support.psa_facts import BIRCH_LINES, E5, birch_may, change, elm_changes
from support.psa_world import AUTOTASK_SEED, PsaWorld

POSTS = ("autotask", "POST", "/ContractServiceAdjustments")
CHARGES = ("autotask", "POST", "/Charges")


async def adjustments(world: PsaWorld) -> list[tuple[int, str, int, Any, Any]]:
    state = await world.vendors.state("autotask")
    return [
        (
            row["serviceID"],
            row["effectiveDate"][:10],
            row["unitChange"],
            row.get("adjustedUnitPrice"),
            row.get("adjustedUnitCost"),
        )
        for row in state["adjustments"]
    ]


@pytest.mark.parametrize("rows", ["total", "delta"])
async def test_scenario_5_arrives_as_four_adjustments_c12(world: PsaWorld, rows: str) -> None:
    """Units after each change, price only where it changed or the service is new."""
    await world.vendors.control("autotask", "PATCH", "/tenant", {"unit_rows": rows})
    await world.elm()
    await world.deliver(*elm_changes())

    assert await adjustments(world) == [
        (77, "2026-06-09", -8, None, None),
        (78, "2026-06-09", 8, Decimal("59.90"), Decimal("49.10")),
        (77, "2026-07-12", -3, Decimal("37.42"), Decimal("31.71")),
        (77, "2026-07-15", -2, None, None),
    ]
    confirmed = await world.psa.harness.published(DeliveryConfirmed)
    assert {e.source_id for e in confirmed} == {"e1-E3", "e1-E5", "e2", "e3"}
    assert {e.target for e in confirmed} == {"29/sub-E3", "29/sub-E5"}


async def test_a_change_costs_three_calls_once_the_contract_is_known_a2(world: PsaWorld) -> None:
    """Units, adjustment, units."""
    await world.elm()
    first, *_ = elm_changes()
    await world.deliver(first)
    await world.vendors.control("autotask", "DELETE", "/journal")
    await world.deliver(change("next", 22, 25, "2026-06-20"))

    calls = await world.vendors.calls("autotask", "POST", "")
    assert [call["path"].rpartition("/v1.0/")[2] for call in calls] == [
        "ContractServiceUnits/query",
        "ContractServiceAdjustments",
        "ContractServiceUnits/query",
    ]


@pytest.mark.parametrize("rows", ["total", "delta"])
async def test_two_changes_on_one_day_both_survive_a2(world: PsaWorld, rows: str) -> None:
    """30 → 22 → 25 on the same day, delivered twice."""
    await world.vendors.control("autotask", "PATCH", "/tenant", {"unit_rows": rows})
    await world.elm()
    one, two = change("c1", 30, 22, "2026-06-09"), change("c2", 22, 25, "2026-06-09")
    await world.deliver(one, two, one, two)

    assert [row[2] for row in await adjustments(world)] == [-8, 3]
    world.psa.clock.set(one.recorded_at)
    assert await world.vendors.units() == {"9001": 25}


async def test_a_lost_reply_adjusts_once_g3(world: PsaWorld) -> None:
    """Units show that the change is there; it is not sent again."""
    await world.elm()
    await world.vendors.fault(*POSTS, "drop_after_commit")
    await world.deliver(change("c1", 30, 22, "2026-06-09"))

    await world.until_states("confirmed")

    assert [row[2] for row in await adjustments(world)] == [-8]
    assert len(await world.vendors.calls(*POSTS)) == 1


async def test_a_first_service_with_a_lost_reply_is_found_a1(world: PsaWorld) -> None:
    """Made by the request whose answer broke off, told apart by its units."""
    await world.elm()
    await world.vendors.fault(*POSTS, "drop_after_commit")
    _, upgrade, *_ = elm_changes()
    await world.deliver(upgrade, change(
        "more", 8, 9, "2026-06-10", subscription_id="sub-E5", product_key=E5,
    ))  # fmt: skip

    await world.until_states("confirmed", "confirmed")

    assert [row[:3] for row in await adjustments(world)] == [
        (78, "2026-06-09", 8),
        (78, "2026-06-10", 1),
    ]
    services = (await world.vendors.state("autotask"))["contract_services"]
    assert [s["serviceID"] for s in services] == [77, 78]


async def test_two_subscriptions_of_one_product_get_two_services_a1(world: PsaWorld) -> None:
    """Each its own with its own price, also when the first reply is lost."""
    await world.elm()
    await world.vendors.fault(*POSTS, "drop_after_commit")
    purchases = [
        change(
            f"p{n}", 0, 8, "2026-06-09", kind=ChangeKind.PURCHASED, product_key=E5,
            subscription_id=f"sub-{n}", price_changed=True, unit_price=Decimal(n),
        )
        for n in (50, 60)
    ]  # fmt: skip
    await world.deliver(*purchases)

    await world.until_states("confirmed", "confirmed")

    services = (await world.vendors.state("autotask"))["contract_services"]
    assert [s["serviceID"] for s in services] == [77, 78, 78]
    assert [(row[2], row[3]) for row in await adjustments(world)] == [(8, 50), (8, 60)]


async def test_an_opening_that_is_there_already_writes_nothing_a2(world: PsaWorld) -> None:
    """The service is linked to the subscription; the next change adjusts it."""
    await world.elm()
    opening = change(
        "open", 0, 30, "2025-07-12", kind=ChangeKind.OPENING,
        recorded_at="2026-06-05T00:00:00Z",
    )  # fmt: skip
    await world.deliver(opening, change("c1", 30, 22, "2026-06-09"))

    assert await world.states() == ["confirmed", "confirmed"]
    assert [row[2] for row in await adjustments(world)] == [-8]


async def test_drifted_units_stop_one_service_only_a2(world: PsaWorld) -> None:
    """A person re-added units; ours waits, the other subscription goes on; retried after repair."""
    await world.elm()
    human = {"contractServiceID": 9001, "effectiveDate": "2026-05-20T00:00:00Z", "unitChange": 1}
    edit = {"kind": "adjustment", "create": human}
    await world.vendors.control("autotask", "POST", "/edit", edit)
    await world.deliver(*elm_changes())

    rows = await world.intents()
    states = {row["source_id"]: row["state"] for row in rows}
    assert states == {
        "e1-E3": "drifted", "e1-E5": "confirmed", "e2": "planned", "e3": "planned",
    }  # fmt: skip
    assert await world.holds() == [("units_drifted", "intent/e1-E3")]

    human["unitChange"] = -1
    await world.vendors.control("autotask", "POST", "/edit", edit)
    drifted = next(row for row in rows if row["state"] == "drifted")
    await world.psa.ok("POST", f"/v1/intents/{drifted['id']}:retry")
    await world.psa.work()
    assert set(await world.states()) == {"confirmed"}


async def test_a_posted_period_refuses_and_the_words_are_shown_a3(world: PsaWorld) -> None:
    """HTTP 500 with errors is a no, not a fault."""
    await world.elm()
    posted = {"contract": 29, "through": "2026-06-30"}
    await world.vendors.control("autotask", "POST", "/post", posted)
    await world.deliver(change("c1", 30, 22, "2026-06-09"))

    (intent,) = await world.intents()
    assert (intent["state"], intent["reason"]) == ("rejected", "vendor_refused")
    assert "approved and posted" in intent["detail"]
    assert await adjustments(world) == []


async def test_a_change_before_the_contract_is_blocked_a3(world: PsaWorld) -> None:
    """Nothing is sent to be refused."""
    await world.elm()
    await world.deliver(change("c1", 30, 22, "2026-04-09"))

    assert await world.holds() == [("outside_contract_dates", "intent/c1")]
    assert await world.vendors.calls(*POSTS) == []


async def test_a_correction_of_an_opening_begins_with_the_contract_a3(world: PsaWorld) -> None:
    """The opening's day is before it; what is added there, and taken back, arrives all the same."""
    await world.elm()
    await world.deliver(
        change("o", 0, 30, "2026-04-09", kind=ChangeKind.OPENING),
        change("more", 30, 34, "2026-04-09", supersedes=("o",)),
        change("less", 34, 30, "2026-04-09", reverses="more"),
    )

    assert await world.holds() == []
    assert set(await world.states()) == {"confirmed"}
    starts_on = AUTOTASK_SEED["contracts"][0]["startDate"][:10]
    assert [row[1:3] for row in await adjustments(world)] == [(starts_on, 4), (starts_on, -4)]


async def test_too_many_threads_is_waited_for_a8(world: PsaWorld) -> None:
    """A 500 about the thread threshold is no refusal."""
    await world.elm()
    words = {"errors": ["exceeds the thread threshold of 3 (Itgenatr005)"]}
    await world.vendors.fault(*POSTS, "status", status=500, body=words)
    await world.deliver(change("c1", 30, 22, "2026-06-09"))

    await world.until_states("confirmed")

    assert [row[2] for row in await adjustments(world)] == [-8]


async def test_a_plain_500_after_a_post_is_looked_up_g3(world: PsaWorld) -> None:
    """Without `errors` it says nothing about the record."""
    await world.elm()
    await world.vendors.fault(*POSTS, "status", status=500, body={"message": "boom"})
    await world.deliver(change("c1", 30, 22, "2026-06-09"))
    assert await world.states() == ["unknown"]

    await world.until_states("confirmed")

    assert [row[2] for row in await adjustments(world)] == [-8]


async def test_the_hourly_quota_rests_the_connection_g3(world: PsaWorld) -> None:
    """429 pauses every target; nothing is lost."""
    await world.elm()
    await world.vendors.fault("autotask", "POST", "/query", "status", status=429, retry_after=1)
    await world.deliver(*elm_changes())
    assert set(await world.states()) == {"planned"}

    async def done() -> bool:
        return set(await world.states()) == {"confirmed"}

    await world.until(done)

    assert len(await adjustments(world)) == 4


async def test_scenario_2_arrives_as_eight_charges_c12(world: PsaWorld) -> None:
    """Amount, provider cost and day of each line; pushed twice, there once."""
    await world.connect("autotask")
    await world.map_contract("BIR-AZ", "autotask", "175", "29")
    await world.deliver(birch_may(), birch_may())

    charges = (await world.vendors.state("autotask"))["charges"]
    assert [(c["unitPrice"], c["unitCost"]) for c in charges] == [
        (Decimal(net), Decimal(cost)) for *_, net, cost in BIRCH_LINES
    ]
    assert {c["datePurchased"][:10] for c in charges} == {"2026-04-30"}
    assert {(c["unitQuantity"], c["chargeType"]) for c in charges} == {(Decimal(1), 31)}
    assert sum(c["unitPrice"] for c in charges) == Decimal("242.14")
    keys = [row["key"] for row in await world.intents()]
    assert [c["internalPurchaseOrderNumber"] for c in charges] == keys


async def test_a_charge_with_a_lost_reply_is_found_by_its_key_g3(world: PsaWorld) -> None:
    """The internal order number carries it."""
    await world.connect("autotask")
    await world.map_contract("BIR-AZ", "autotask", "175", "29")
    await world.vendors.fault(*CHARGES, "drop_after_commit")
    await world.deliver(birch_may())

    await world.until_states(*["confirmed"] * 8)

    assert len((await world.vendors.state("autotask"))["charges"]) == 8


async def test_a_user_that_moved_to_another_zone_is_followed_a8(world: PsaWorld) -> None:
    """The 401 of the old zone asks for the new one."""
    await world.elm()
    one, two = change("c1", 30, 22, "2026-06-09"), change("c2", 22, 25, "2026-06-10")
    await world.deliver(one)
    await world.vendors.control("autotask", "PATCH", "/tenant", {"zone": "zone9"})
    await world.deliver(two)

    assert await world.states() == ["confirmed", "confirmed"]


async def test_a_contract_of_another_type_takes_no_services_a1(world: PsaWorld) -> None:
    """Blocked before anything is sent."""
    hours = {**AUTOTASK_SEED["contracts"][0], "contractType": 4}
    seed = {**AUTOTASK_SEED, "contracts": [hours], "contract_services": []}
    await world.vendors.seed("autotask", seed)
    await world.elm()
    await world.deliver(change("c1", 0, 8, "2026-06-09", kind=ChangeKind.PURCHASED))

    assert await world.holds() == [("contract_not_recurring", "intent/c1")]


async def test_an_answer_of_another_shape_after_a_post_is_looked_up_g3(world: PsaWorld) -> None:
    """200 with a body that nobody expects: not confirmed, not repeated, found."""
    await world.elm()
    await world.vendors.fault(*POSTS, "status", status=200, body={"itemId": None})
    await world.deliver(change("c1", 30, 22, "2026-06-09"))
    assert await world.states() == ["unknown"]

    await world.until_states("confirmed")

    assert [row[2] for row in await adjustments(world)] == [-8]


async def test_a_psa_that_is_down_is_shown_and_comes_back_g3(world: PsaWorld) -> None:
    """Nothing is lost or rejected; after some tries a person can see it."""
    await world.elm()
    await world.vendors.fault("autotask", "POST", "Contract", "status", status=503, times=100)

    async def shown() -> bool:
        return await world.holds() == [("psa_unavailable", "intent/c1")]

    await world.psa.harness.deliver(change("c1", 30, 22, "2026-06-09"))
    await world.until(shown, within_s=90)
    assert await world.states() == ["planned"]

    await world.vendors.heal("autotask")
    await world.until_states("confirmed", within_s=60)
    assert await world.holds() == []
