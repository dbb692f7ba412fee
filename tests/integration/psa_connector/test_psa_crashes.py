"""Processes that die, replicas that race: exactly one record is left, and the order holds."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from support.psa_facts import E5, alder_may, change, elm_changes
from support.psa_world import IMPATIENT, PsaWorld, Replica

ADJUSTMENT = ("autotask", "POST", "/ContractServiceAdjustments")


async def fault_taken(world: PsaWorld) -> None:
    """The request that the fault waits for has reached the vendor."""
    async with asyncio.timeout(10):
        while (await world.vendors.control("autotask", "GET", "/faults"))["faults"]:
            await asyncio.sleep(0.005)


async def killed_during(world: PsaWorld, *, calls: int, vendor: str) -> None:
    """A writer that is gone once so many requests have arrived; nothing of it cleans up."""
    step = world.psa.service.jobs[1].step
    writer = asyncio.ensure_future(step())
    while len(await world.vendors.calls(vendor, "POST", "")) < calls and not writer.done():
        await asyncio.sleep(0.005)
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)


@pytest.mark.parametrize("kind", ["latency_ms", "drop_before", "drop_after_commit"])
async def test_death_between_sending_and_answer_leaves_one_record_g3(
    replica: Replica, kind: str
) -> None:
    """The request arrives late, never, or before the death: a new process finds out which."""
    async with replica(**IMPATIENT) as first:
        await first.elm()
        await first.psa.harness.deliver(change("c1", 30, 22, "2026-06-09"))
        await first.vendors.fault(*ADJUSTMENT, kind, ms=600)
        step = asyncio.ensure_future(first.psa.service.jobs[1].step())
        await fault_taken(first)
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
    async with replica(**IMPATIENT) as second:
        await second.until_states("confirmed")

        rows = (await second.vendors.state("autotask"))["adjustments"]
        assert [row["unitChange"] for row in rows] == [-8]


@pytest.mark.parametrize("after_calls", range(6))
async def test_death_at_any_call_leaves_one_record_g3(replica: Replica, after_calls: int) -> None:
    """After the claim, during preflight, looking, writing or reading back."""
    async with replica(**IMPATIENT) as first:
        await first.elm()
        await first.psa.harness.deliver(change("c1", 30, 22, "2026-06-09"))
        await killed_during(first, calls=after_calls, vendor="autotask")
    async with replica(**IMPATIENT) as second:
        await second.until_states("confirmed")

        rows = (await second.vendors.state("autotask"))["adjustments"]
        assert [row["unitChange"] for row in rows] == [-8]


async def test_death_in_the_middle_of_an_invoice_resumes_it_g3(replica: Replica) -> None:
    """Two lines were there, the third was under way."""
    async with replica(**IMPATIENT) as first:
        await first.alder()
        await first.psa.harness.deliver(alder_may())
        await killed_during(first, calls=0, vendor="connectwise")
        for _ in range(2):
            await first.psa.service.jobs[1].step()
        await killed_during(first, calls=3, vendor="connectwise")
    async with replica(**IMPATIENT) as second:
        await second.until_states(*["confirmed"] * 5)

        additions = await second.vendors.additions()
        assert sum(a["extPrice"] for a in additions) == Decimal("1326.36")


async def test_replicas_share_the_work_and_never_a_target(replica: Replica) -> None:
    """Two processes, twenty subscriptions, three changes each: every target in order, once."""
    subscriptions = [f"sub-{n:02}" for n in range(20)]
    changes = [
        change(
            f"{subscription}/{step}", before, after, f"2026-06-{10 + step}",
            subscription_id=subscription, product_key=E5, price_changed=step == 0,
        )
        for step, (before, after) in enumerate([(0, 5), (5, 9), (9, 7)])
        for subscription in subscriptions
    ]  # fmt: skip
    async with replica() as one, replica() as two:
        await one.elm()
        for entry in changes:
            await one.psa.harness.deliver(entry)
        writers = [one.psa.work("send_intents"), two.psa.work("send_intents")]
        await asyncio.gather(*writers, *[one.psa.work("send_intents") for _ in range(3)])
        await one.until_states(*["confirmed"] * 60)

        state = await one.vendors.state("autotask")
        by_service: dict[int, list[int]] = {}
        for row in state["adjustments"]:
            by_service.setdefault(row["contractServiceID"], []).append(row["unitChange"])
        limits = await one.vendors.control("autotask", "GET", "/limits")
    assert list(by_service.values()) == [[5, 4, -2]] * 20
    assert limits["most_running"] <= 3


async def test_a_slow_target_does_not_hold_up_the_others(replica: Replica) -> None:
    """One subscription's request hangs; another's is confirmed meanwhile."""
    async with replica() as world:
        await world.elm()
        await world.vendors.fault(*ADJUSTMENT, "latency_ms", ms=2_000)
        e3, e5, *_ = elm_changes()
        await world.psa.harness.deliver(e3)
        await world.psa.harness.deliver(e5)
        slow = asyncio.ensure_future(world.psa.service.jobs[1].step())
        await fault_taken(world)
        await world.psa.service.jobs[1].step()

        states = {row["source_id"]: row["state"] for row in await world.intents()}
        assert states == {"e1-E3": "sending", "e1-E5": "confirmed"}
        await slow
        assert set(await world.states()) == {"confirmed"}
