"""Cut-over: lines that somebody entered are adopted or dismissed, and nothing is billed twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from support.psa_facts import MONTHLY, alder_may, change, invoice, recurring
from support.psa_world import AUTOTASK_SEED, PsaWorld, Replica

SEATS: dict[str, Any] = {
    "product": {"id": 501}, "quantity": 43, "unitPrice": Decimal("22.55"), "taxableFlag": True,
    "billCustomer": "Billable", "effectiveDate": "2025-06-01T00:00:00Z",
}  # fmt: skip


async def entered(world: PsaWorld, **changes: Any) -> str:
    """A line that a person made long ago."""
    body = {"kind": "addition", "agreement": 7001, "create": SEATS | changes}
    made = await world.vendors.control("connectwise", "POST", "/edit", body)
    return str(made["id"])


async def proposals(world: PsaWorld, contract: str = "ALD-1") -> list[dict[str, Any]]:
    params = {"contract_id": contract}
    found: list[dict[str, Any]] = (await world.psa.ok("GET", "/v1/adoptions", params=params))[
        "data"
    ]
    return found


async def adopt(world: PsaWorld, proposal: dict[str, Any]) -> None:
    body = {name: proposal[name] for name in ("intent_id", "external_id")}
    await world.psa.ok("POST", "/v1/adoptions:confirm", json=body)


async def total(world: PsaWorld) -> Decimal:
    return sum((Decimal(one["extPrice"]) for one in await world.vendors.additions()), Decimal(0))


async def test_an_existing_line_stops_the_push_before_anything_is_written_c7(
    world: PsaWorld,
) -> None:
    """A second record beside it would bill the seats twice."""
    id = await entered(world)
    await world.alder()
    await world.deliver(alder_may())

    assert [one["id"] for one in await world.vendors.additions()] == [int(id)]
    assert await world.states() == ["blocked"] * 5
    assert ("existing_line", "intent/ALD-0002/1") in await world.holds()


async def test_an_adopted_line_is_not_written_again_c7(world: PsaWorld) -> None:
    """Its id is taken over; the invoice's sum is in the PSA once, to the cent."""
    id = await entered(world)
    await world.alder()
    await world.deliver(alder_may())
    (proposal,) = await proposals(world)
    await adopt(world, proposal)
    await world.psa.work()

    assert (proposal["external_id"], proposal["adoptable"]) == (id, True)
    assert await world.states() == ["confirmed"] * 5
    (first, *_) = await world.intents()
    assert first["external_id"] == id
    assert len(await world.vendors.additions()) == 5
    assert await total(world) == alder_may().net
    assert await proposals(world) == []


async def test_an_adopted_line_ends_when_its_successor_comes_c4(world: PsaWorld) -> None:
    """From then on it is like any line of ours."""
    id = await entered(world)
    await world.alder()
    await world.deliver(alder_may())
    await adopt(world, (await proposals(world))[0])
    await world.psa.work()
    await world.deliver(invoice("ALD-0003", "2026-06-01", recurring(1, 43, "22.55")))

    by_id = {str(one["id"]): one for one in await world.vendors.additions()}
    assert by_id[id]["cancelledDate"] == "2026-05-31T00:00:00Z"
    assert set(await world.states()) == {"confirmed"}


async def test_another_replica_and_a_crash_adopt_once_g2(world: PsaWorld, replica: Replica) -> None:
    """The reply to the PATCH is lost; another process finds the key."""
    await entered(world)
    await world.alder()
    await world.deliver(alder_may())
    await adopt(world, (await proposals(world))[0])
    await world.vendors.fault("connectwise", "PATCH", "/additions/", "drop_after_commit")
    await world.psa.work()
    async with replica() as other:
        await other.until_states(*["confirmed"] * 5)

    assert len(await world.vendors.additions()) == 5
    assert len(await world.vendors.calls("connectwise", "PATCH", "/additions/")) == 1


async def edit(world: PsaWorld, id: str, **told: Any) -> None:
    body = {"kind": "addition", "id": int(id), **told}
    await world.vendors.control("connectwise", "POST", "/edit", body)


async def test_an_adopted_line_that_is_gone_is_written_anew_c7(world: PsaWorld) -> None:
    """Somebody deleted it between the yes and the write: the first plan counts again."""
    id = await entered(world)
    await world.alder()
    await world.deliver(alder_may())
    await adopt(world, (await proposals(world))[0])
    await edit(world, id, delete=True)
    await world.psa.work()

    assert await world.states() == ["confirmed"] * 5
    (first, *_) = await world.intents()
    assert first["external_id"] != id
    assert first["operation"]["effective_on"] == "2026-05-01"
    assert await total(world) == alder_may().net


async def test_an_adoption_is_withdrawn_and_the_line_asked_about_again_c7(
    world: PsaWorld,
) -> None:
    """Edited after the yes, it is refused; without the adoption it is a line like any other."""
    id = await entered(world)
    await world.alder()
    await world.deliver(alder_may())
    (proposal,) = await proposals(world)
    await adopt(world, proposal)
    await edit(world, id, set={"quantity": 44})
    await world.psa.work()
    refused = await world.holds()
    withdrawal = {"intent_id": proposal["intent_id"]}
    await world.psa.ok("POST", "/v1/adoptions:withdraw", json=withdrawal)
    await world.psa.work()
    again = await world.psa.http.post("/v1/adoptions:withdraw", json=withdrawal)

    assert ("vendor_refused", "intent/ALD-0002/1") in refused
    assert ("existing_line", "intent/ALD-0002/1") in await world.holds()
    assert [one["differences"] for one in await proposals(world)] == [["quantity is 44, not 43"]]
    assert (again.status_code, again.json()["code"]) == (409, "nothing_adopted")


async def test_an_adopted_line_can_still_be_dismissed_c7(world: PsaWorld) -> None:
    """It was something else after all: ours goes beside it, with its own days."""
    id = await entered(world)
    await world.alder()
    await world.deliver(alder_may())
    await adopt(world, (await proposals(world))[0])
    body = {"connection_id": "connectwise", "external_id": id}
    await world.psa.ok("POST", "/v1/adoptions:dismiss", json=body)
    await world.psa.work()
    late = await world.psa.http.post(
        "/v1/adoptions:withdraw", json={"intent_id": (await world.intents())[0]["id"]}
    )

    assert await world.states() == ["confirmed"] * 5
    assert len(await world.vendors.additions()) == 6
    assert (await world.intents())[0]["operation"]["effective_on"] == "2026-05-01"
    assert (late.status_code, late.json()["code"]) == (409, "intent_under_way")


async def test_a_dismissed_line_stays_and_ours_goes_beside_it_c7(world: PsaWorld) -> None:
    """A person said that it is something else."""
    id = await entered(world, quantity=3)
    await world.alder()
    await world.deliver(alder_may())
    (proposal,) = await proposals(world)
    body = {"connection_id": "connectwise", "external_id": id}
    await world.psa.ok("POST", "/v1/adoptions:dismiss", json=body)
    await world.psa.work()

    assert (proposal["adoptable"], proposal["differences"]) == (False, ["quantity is 3, not 43"])
    assert await world.states() == ["confirmed"] * 5
    assert len(await world.vendors.additions()) == 6


async def test_a_line_with_another_amount_is_not_adopted_c7(world: PsaWorld) -> None:
    """Nor one that is not there, nor for an intent that is delivered."""
    id = await entered(world, quantity=42)
    await world.alder()
    await world.deliver(alder_may())
    (first, *_) = await world.intents()

    async def code(external_id: str) -> tuple[int, str]:
        body = {"intent_id": first["id"], "external_id": external_id}
        answer = await world.psa.http.post("/v1/adoptions:confirm", json=body)
        return answer.status_code, answer.json()["code"]

    assert await code(id) == (409, "not_adoptable")
    assert await code("999") == (404, "line_unknown")
    repair = {"kind": "addition", "id": int(id), "set": {"quantity": 43}}
    await world.vendors.control("connectwise", "POST", "/edit", repair)
    await adopt(world, (await proposals(world))[0])
    await world.psa.work()
    assert await world.states() == ["confirmed"] * 5
    assert await code(id) == (409, "intent_under_way")


async def test_a_line_repaired_in_the_psa_needs_no_decision_c7(world: PsaWorld) -> None:
    """Cancelled with the month before: `:retry` looks again."""
    id = await entered(world)
    await world.alder()
    await world.deliver(alder_may())
    ended = {"kind": "addition", "id": int(id), "set": {"cancelledDate": "2026-04-30T00:00:00Z"}}
    await world.vendors.control("connectwise", "POST", "/edit", ended)
    await world.psa.ok("POST", f"/v1/intents/{(await world.intents())[0]['id']}:retry")
    await world.psa.work()

    assert await world.states() == ["confirmed"] * 5


async def test_only_the_first_push_of_a_product_asks_c7(world: PsaWorld) -> None:
    """Where a line of ours is, foreign ones of its product are a matter for sweeps."""
    await world.alder()
    await world.deliver(alder_may())
    await entered(world)
    await world.deliver(invoice("ALD-0003", "2026-06-01", recurring(1, 43, "22.55")))

    assert set(await world.states()) == {"confirmed"}


async def test_a_product_that_starts_later_asks_too_c7(world: PsaWorld) -> None:
    """Ours of another product is there already; the seats entered by hand are not ours for that.
    The agreement is listed once for the whole invoice."""
    await world.alder()
    monthly = recurring(1, 6, "27.06", product_key=MONTHLY, subscription_id="sub-B")
    await world.deliver(invoice("ALD-0001", "2026-04-01", monthly))
    await entered(world)
    before = len(await world.vendors.calls("connectwise", "GET", "/agreements/7001/additions"))
    lines = (recurring(1, 43, "22.55"), recurring(2, 2, "22.55", subscription_id="sub-C"))
    await world.deliver(invoice("ALD-0002", "2026-05-01", *lines))
    after = len(await world.vendors.calls("connectwise", "GET", "/agreements/7001/additions"))

    assert [reason for reason, _ in await world.holds()] == ["existing_line"]
    assert len(await world.vendors.additions()) == 2
    assert after - before == 1


async def test_a_second_contract_on_the_agreement_asks_for_itself_c7(world: PsaWorld) -> None:
    """Two contracts of a customer on one agreement: the second has a cut-over of its own."""
    await world.alder()
    await world.map_contract("ALD-2", "connectwise", "250", "7001")
    await world.deliver(alder_may())
    await entered(world, quantity=7)
    second = invoice("ALD-0009", "2026-05-01", recurring(1, 7, "22.55"), contract_id="ALD-2")
    await world.deliver(second)

    assert await world.holds() == [("existing_line", "intent/ALD-0009/1")]


async def test_a_key_that_is_not_in_the_ledger_is_not_ours_c7(world: PsaWorld) -> None:
    """Copied with its key from another agreement: it bills, and nobody here knows it."""
    copied = [{"id": 12, "caption": "BCS Key", "value": "bcs-of-another-agreement"}]
    await entered(world, customFields=copied)
    await world.alder()
    await world.deliver(alder_may())
    (proposal,) = await proposals(world)

    assert ("existing_line", "intent/ALD-0002/1") in await world.holds()
    assert proposal["differences"] == [
        "it carries bcs-of-another-agreement where our key would stand"
    ]


async def test_a_preview_tells_of_cut_over_c7(world: PsaWorld) -> None:
    """Blocked before the decision, an update after it."""
    await entered(world)
    await world.alder()
    await world.deliver(alder_may())

    async def told() -> list[tuple[str, str]]:
        rows = (await world.psa.ok("GET", "/v1/previews/invoices/ALD-0002"))["data"]
        return [(row["action"], row["reason"]) for row in rows]

    before = await told()
    await adopt(world, (await proposals(world))[0])
    await world.psa.work("plan_sources")

    assert before[0] == ("blocked", "existing_line")
    assert (await told())[:2] == [("update", "adopted"), ("create", "missing")]


async def test_an_ambiguous_service_is_linked_by_a_person_a1(world: PsaWorld) -> None:
    """Two services of one product with other units than ours: which one is the subscription's?"""
    services = [
        {"id": 9001, "contractID": 29, "serviceID": 77, "units": 12},
        {"id": 9002, "contractID": 29, "serviceID": 77, "units": 13},
    ]
    await world.vendors.seed("autotask", AUTOTASK_SEED | {"contract_services": services})
    await world.elm()
    await world.deliver(change("e1", 30, 22, "2026-06-09"))
    assert await world.holds() == [("service_ambiguous", "intent/e1")]

    found = await proposals(world, "ELM-1")
    await adopt(world, next(one for one in found if one["external_id"] == "9002"))
    await world.psa.work()

    assert {one["external_id"] for one in found} == {"9001", "9002"}
    assert await world.holds() == [("units_drifted", "intent/e1")]
