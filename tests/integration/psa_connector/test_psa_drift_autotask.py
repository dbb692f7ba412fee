"""Drift on Autotask contracts: units, prices and charges, found in one sweep, healed once."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from support.psa_facts import birch_may, change, elm_changes
from support.psa_world import PsaWorld

JUNE = datetime(2026, 6, 10, 9, tzinfo=UTC)
PERSON = 4


async def swept(world: PsaWorld) -> list[Any]:
    """One sweep and everything that follows from it; the drifts there are."""
    await world.psa.ok("POST", "/v1/sweeps", json={"connection_id": "autotask"})
    await world.psa.work()
    rows: list[Any] = (await world.psa.ok("GET", "/v1/drift"))["data"]
    return rows


async def edit(world: PsaWorld, kind: str, **what: Any) -> Any:
    return await world.vendors.control(
        "autotask", "POST", "/edit", {"kind": kind, "resource": PERSON, **what}
    )


async def adjusted(world: PsaWorld, day: str, units: int, **more: Any) -> None:
    """Somebody adjusts the E3 service by hand."""
    row = {"contractServiceID": 9001, "effectiveDate": f"{day}T00:00:00Z", "unitChange": units}
    await edit(world, "adjustment", create=row | more)


async def served(world: PsaWorld, *entries: Any, rows: str = "total") -> None:
    """E3 at 22 units since 9 June, swept clean on 10 June."""
    await world.vendors.control("autotask", "PATCH", "/tenant", {"unit_rows": rows})
    await world.elm()
    await world.deliver(*(entries or elm_changes()[:1]))
    world.psa.clock.set(JUNE)
    assert await swept(world) == []


async def units(world: PsaWorld) -> int:
    return (await world.vendors.units())["9001"]


def told(drift: Any) -> dict[str, tuple[str, str]]:
    return {f["field"]: (f["wanted"], f["found"]) for f in drift["fields"]}


@pytest.mark.parametrize("rows", ["total", "delta"])
async def test_changed_units_are_undone_by_an_opposing_adjustment(
    world: PsaWorld, rows: str
) -> None:
    """The automatic note of the contract names the person."""
    await served(world, rows=rows)
    await adjusted(world, "2026-06-10", 3)
    (drift,) = await swept(world)

    assert (drift["kind"], drift["state"]) == ("units_changed", "healed")
    assert drift["fields"][0] == {
        "field": "units on 2026-06-10", "wanted": "22", "last_seen": "22", "found": "25",
    }  # fmt: skip
    assert drift["edited_by"] == f"resource {PERSON}"
    assert "+3 effective 2026-06-10" in drift["evidence"]
    adjustments = (await world.vendors.state("autotask"))["adjustments"]
    assert [row["unitChange"] for row in adjustments] == [-8, 3, -3]
    assert await units(world) == 22


@pytest.mark.parametrize("rows", ["total", "delta"])
async def test_every_step_of_a_deviation_is_undone_on_its_day(world: PsaWorld, rows: str) -> None:
    """Raised on one day and lowered on another: proration is undone, too; once."""
    await served(world, rows=rows)
    await adjusted(world, "2026-06-09", 5)
    await adjusted(world, "2026-06-20", -7)
    await swept(world)
    (drift,) = await swept(world)

    assert drift["state"] == "healed"
    adjustments = (await world.vendors.state("autotask"))["adjustments"]
    assert [(row["effectiveDate"][:10], row["unitChange"]) for row in adjustments] == [
        ("2026-06-09", -8), ("2026-06-09", 5), ("2026-06-20", -7),
        ("2026-06-09", -5), ("2026-06-20", 7),
    ]  # fmt: skip


async def test_what_the_drift_had_stopped_goes_on_after_the_heal(world: PsaWorld) -> None:
    """A change meets foreign units and stops; the sweep puts them right and the change goes out."""
    await served(world)
    await adjusted(world, "2026-06-10", 3)
    await world.deliver(change("next", 22, 20, "2026-06-15"))
    assert (await world.states())[-1] == "drifted"
    await swept(world)

    assert await world.states() == ["confirmed"] * 3
    world.psa.clock.set(datetime(2026, 6, 16, tzinfo=UTC))
    assert await units(world) == 20


async def test_units_of_a_posted_period_are_reported_a3(world: PsaWorld) -> None:
    """Posted days stay as they are; the open ones after them are healed from their first day."""
    await served(world)
    await adjusted(world, "2026-06-10", 3)
    await world.vendors.control(
        "autotask", "POST", "/post", {"contract": 29, "through": "2026-06-10"}
    )
    drifts = {one["kind"]: one for one in await swept(world)}

    assert drifts["units_changed_after_posting"]["state"] == "reported"
    assert drifts["units_changed"]["state"] == "healed"
    adjustments = (await world.vendors.state("autotask"))["adjustments"]
    assert (adjustments[-1]["effectiveDate"][:10], adjustments[-1]["unitChange"]) == (
        "2026-06-12", -3,
    )  # fmt: skip
    again = {one["kind"]: one["state"] for one in await swept(world)}
    assert again == {"units_changed_after_posting": "reported", "units_changed": "healed"}


@pytest.mark.parametrize("rows", ["total", "delta"])
async def test_a_changed_price_is_restated_without_units_a2(world: PsaWorld, rows: str) -> None:
    """Only a price that we have put there is defended."""
    priced = change("p1", 30, 22, "2026-06-09", price_changed=True, unit_price=Decimal("37.42"))
    await served(world, priced, rows=rows)
    await adjusted(world, "2026-06-10", 0, adjustedUnitPrice=Decimal("35.00"))
    await swept(world)
    (drift,) = await swept(world)

    assert (drift["kind"], drift["state"]) == ("price_changed", "healed")
    last = (await world.vendors.state("autotask"))["adjustments"][-1]
    assert (last["unitChange"], last["adjustedUnitPrice"]) == (0, Decimal("37.42"))


async def test_a_price_that_was_there_before_us_stays(world: PsaWorld) -> None:
    """Our changes were of units only."""
    await served(world)
    await adjusted(world, "2026-06-10", 0, adjustedUnitPrice=Decimal("35.00"))

    assert await swept(world) == []


async def billed(world: PsaWorld) -> list[Any]:
    """Scenario 2's charges on the contract, swept clean."""
    await world.connect("autotask")
    await world.map_contract("BIR-AZ", "autotask", "175", "29")
    await world.deliver(birch_may())
    assert await swept(world) == []
    charges: list[Any] = (await world.vendors.state("autotask"))["charges"]
    return charges


async def test_a_changed_charge_is_patched_back_a7(world: PsaWorld) -> None:
    """PATCH to the child collection with the id in the body, all owned fields at once."""
    before = await billed(world)
    await edit(world, "charge", id=before[0]["id"], set={"unitPrice": Decimal("10"), "name": "x"})
    (drift,) = await swept(world)

    assert (drift["kind"], drift["state"]) == ("record_changed", "healed")
    assert told(drift) == {"unitPrice": ("53.18", "10"), "name": ("Virtual Machines", "x")}
    assert drift["edited_by"] == f"resource {PERSON}"
    (patch,) = await world.vendors.calls("autotask", "PATCH", "/Charges")
    assert patch["path"].endswith("/Contracts/29/Charges")
    (after, *_) = (await world.vendors.state("autotask"))["charges"]
    assert (after["unitPrice"], after["name"]) == (Decimal("53.18"), "Virtual Machines")


async def test_a_deleted_charge_is_made_again(world: PsaWorld) -> None:
    """Under the same key, once."""
    before = await billed(world)
    await edit(world, "charge", id=before[0]["id"], delete=True)
    await swept(world)
    (drift,) = await swept(world)

    assert (drift["kind"], drift["state"]) == ("record_missing", "healed")
    charges = (await world.vendors.state("autotask"))["charges"]
    keys = [one["internalPurchaseOrderNumber"] for one in charges]
    assert sorted(keys) == sorted(one["internalPurchaseOrderNumber"] for one in before)


async def test_a_second_charge_with_our_key_is_removed(world: PsaWorld) -> None:
    """The lowest id stays."""
    before = await billed(world)
    fields = ("contractID", "name", "datePurchased", "chargeType", "unitQuantity", "unitPrice",
              "productID", "internalPurchaseOrderNumber", "isBillableToCompany")  # fmt: skip
    await edit(world, "charge", create={k: before[0][k] for k in fields})
    (drift,) = await swept(world)

    assert (drift["kind"], drift["state"]) == ("record_duplicated", "healed")
    after = (await world.vendors.state("autotask"))["charges"]
    assert [one["id"] for one in after] == [one["id"] for one in before]


async def test_a_billed_charge_is_never_touched_a7(world: PsaWorld) -> None:
    """Changed and then approved and posted: an exception with the amount."""
    before = await billed(world)
    await edit(world, "charge", id=before[0]["id"], set={"unitPrice": Decimal("10")})
    await world.vendors.control(
        "autotask", "POST", "/post", {"contract": 29, "through": "2026-06-01"}
    )
    (drift,) = await swept(world)

    assert (drift["kind"], drift["state"]) == ("record_changed_after_billing", "reported")
    assert drift["difference"] == "-43.18"
    assert await world.vendors.calls("autotask", "PATCH|DELETE", "/Charges") == []


async def test_charges_of_others_are_not_looked_at(world: PsaWorld) -> None:
    """No key of ours, no business of ours; a key of ours that we never gave is shown."""
    before = await billed(world)
    row = {"contractID": 29, "name": "visit", "datePurchased": "2026-05-01T00:00:00Z",
           "chargeType": 31, "unitQuantity": 1, "unitPrice": 90, "billingCodeID": 5}  # fmt: skip
    await edit(world, "charge", create=row)
    assert await swept(world) == []
    await edit(world, "charge", create=row | {"internalPurchaseOrderNumber": "bcs-unknown"})
    (drift,) = await swept(world)

    assert (drift["kind"], drift["state"]) == ("record_foreign", "reported")
    assert len((await world.vendors.state("autotask"))["charges"]) == len(before) + 2


async def test_a_contract_that_is_inactive_is_shown_g5(world: PsaWorld) -> None:
    """And what drifted on it waits."""
    await served(world)
    await edit(world, "contract", id=29, set={"status": 0})
    await adjusted(world, "2026-06-10", 3)
    drifts = {one["kind"]: one["state"] for one in await swept(world)}

    assert drifts == {"target_changed": "reported", "units_changed": "waiting"}
    assert await units(world) == 25
