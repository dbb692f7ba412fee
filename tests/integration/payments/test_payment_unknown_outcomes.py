"""Whatever happens between us and the provider, an invoice is never charged twice."""

from __future__ import annotations

import asyncio

import pytest

from payments.clients.gateway import NotSent, Unclear
from payments.domain.attempt import Attempt, Report
from payments.store import attempts as store
from shared.contracts.payments import PaymentFailed, PaymentSucceeded
from support.stripe_account import Collection, invoice


async def charged(world: Collection) -> None:
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()


async def state(world: Collection) -> str:
    (attempt,) = await world.attempts()
    return str(attempt["state"])


async def test_an_answer_lost_after_the_effect_makes_one_payment(world: Collection) -> None:
    """Charged and not told: the same key brings the first answer back."""
    await world.fault("drop_after_commit")

    await charged(world)

    assert await state(world) == "succeeded"
    assert world.posts() == 2
    assert len(world.intents()) == 1
    assert len(await world.ours.harness.published(PaymentSucceeded)) == 1


async def test_a_connection_lost_before_the_effect_makes_one_payment(world: Collection) -> None:
    """Not charged and not told: the same key charges now."""
    await world.fault("drop_before")

    await charged(world)

    assert await state(world) == "succeeded"
    assert world.posts() == 2
    assert len(world.intents()) == 1


async def test_a_lost_decline_is_told_once(world: Collection) -> None:
    """Declines are remembered under their key as well."""
    await world.outcomes("decline:insufficient_funds", "succeed")
    await world.fault("drop_after_commit")

    await charged(world)

    assert await state(world) == "failed"
    assert len(world.charges()) == 1
    assert len(await world.ours.harness.published(PaymentFailed)) == 1


@pytest.mark.parametrize("kind", ["html_body", "status"])
async def test_a_broken_proxy_is_no_decline(world: Collection, kind: str) -> None:
    """502 and a page of HTML say nothing about the payment."""
    await world.fault(kind, status=502)

    await charged(world)

    assert await state(world) == "succeeded"
    assert len(world.intents()) == 1


async def test_an_unknown_outcome_fences_its_invoice(world: Collection) -> None:
    """While nobody knows, nobody may charge."""
    await world.fault("drop_before", times=2)
    await charged(world)

    refused = await world.charge_again("key-1")

    assert await state(world) == "unknown"
    assert (refused.status_code, refused.json()["code"]) == (409, "attempt_open")


async def test_it_is_looked_for_again_after_a_while(world: Collection) -> None:
    """Five minutes of business time later, and not before."""
    await world.fault("drop_before", times=2)
    await charged(world)
    world.advance(minutes=4)
    await world.settle()
    before = world.posts()

    world.advance(minutes=1)
    await world.settle()

    assert (before, world.posts()) == (2, 3)
    assert await state(world) == "succeeded"
    assert len(world.intents()) == 1


async def test_an_operator_may_look_at_once(world: Collection) -> None:
    """Looking charges nothing anew."""
    await world.fault("drop_before", times=2)
    await charged(world)
    (attempt,) = await world.attempts()

    await world.ours.ok("POST", f"/v1/attempts/{attempt['attempt_id']}:check")
    await world.settle()
    again = await world.ours.http.post(f"/v1/attempts/{attempt['attempt_id']}:check")

    assert await state(world) == "succeeded"
    assert len(world.intents()) == 1
    assert (again.status_code, again.json()["code"]) == (409, "attempt_settled")


async def blind(world: Collection) -> None:
    """The list cannot be read either; 403 is no passing trouble, so it is not retried at once."""
    await world.fault("status", method="GET", status=403, times=100)


async def test_after_23_hours_the_key_is_never_used_again(world: Collection) -> None:
    """Stripe may have forgotten it: the payment is found by its metadata instead."""
    await world.webhooks(mode="drop")
    await world.fault("drop_after_commit")
    await world.fault("status", status=503)
    await blind(world)
    await charged(world)
    assert await state(world) == "unknown"

    await world.lever("DELETE", "faults")
    world.advance(hours=23)
    sent = world.posts()
    await world.settle()

    assert await state(world) == "succeeded"
    assert sent == world.posts()
    assert len(world.intents()) == 1
    assert [len(await world.ours.harness.published(PaymentSucceeded))] == [1]


async def test_what_is_nowhere_to_be_found_did_not_happen(world: Collection) -> None:
    """A day after the last send a complete search proves it; then a new attempt may begin."""
    await world.fault("drop_before")
    await world.fault("status", status=503)
    await blind(world)
    await charged(world)
    await world.lever("DELETE", "faults")
    world.advance(hours=23, minutes=30)
    await world.settle()
    too_early = await state(world)

    world.advance(days=1)
    await world.settle()
    (failed,) = await world.ours.harness.published(PaymentFailed)
    await world.charge_again("key-1")
    await world.settle()

    assert too_early == "unknown"
    assert (failed.decline_code, failed.decline_class) == ("not_found_at_provider", "transient")
    assert [a["state"] for a in await world.attempts()] == ["failed", "succeeded"]
    assert len(world.intents()) == 1


async def test_after_the_last_look_a_person_decides(world: Collection) -> None:
    """The fence stays, the question is visible, and one request asks again."""
    await world.webhooks(mode="drop")
    await world.fault("drop_after_commit")
    await world.fault("status", status=503, times=100)
    await blind(world)
    await charged(world)
    for _ in range(10):
        world.advance(days=1)
        await world.settle()
    stuck = (await state(world), await world.holds())
    refused = await world.charge_again("key-1")

    await world.lever("DELETE", "faults")
    (attempt,) = await world.attempts()
    await world.ours.ok("POST", f"/v1/attempts/{attempt['attempt_id']}:check")
    await world.settle()

    assert stuck == ("unknown", ["unknown_outcome"])
    assert refused.status_code == 409
    assert (await state(world), await world.holds()) == ("succeeded", [])
    assert len(world.intents()) == 1


async def test_a_sender_that_died_before_sending(world: Collection) -> None:
    """In flight and no sender: the outcome is unknown, and the key makes looking safe."""
    await world.profile()
    await world.ours.harness.deliver(invoice())
    async with world.ours.service.database.transaction() as tx:
        await store.claim_to_send(tx)
    await world.settle()
    waiting = (await state(world), world.posts())

    await world.hurry()
    await world.settle()

    assert waiting == ("in_flight", 0)
    assert await state(world) == "succeeded"
    assert len(world.intents()) == 1


async def test_a_sender_that_died_after_sending(world: Collection) -> None:
    """Charged, and killed before it could write the answer down."""
    await world.webhooks(mode="drop")
    await world.profile()
    await world.ours.harness.deliver(invoice())
    async with world.ours.service.database.transaction() as tx:
        kept = await store.claim_to_send(tx)
    assert kept is not None
    await world.account.charge(kept.attempt)

    await world.hurry()
    await world.settle()
    world.advance(minutes=15)
    await world.settle()

    assert await state(world) == "succeeded"
    assert len(world.charges()) == 1
    assert len(await world.ours.harness.published(PaymentSucceeded)) == 1


async def test_a_crash_of_the_provider_after_taking_it_down(world: Collection) -> None:
    """Its 500 is remembered under the key and the payment is stalled: it is cancelled once the
    waiting time is over, so that it cannot wake up beside a new attempt."""
    await world.outcomes("api_error", "succeed")
    await charged(world)
    stalled = await state(world)
    world.advance(minutes=15)
    await world.settle()
    (failed,) = await world.ours.harness.published(PaymentFailed)

    await world.charge_again("key-1")
    await world.settle()

    assert stalled == "pending"
    assert (failed.decline_code, failed.decline_class) == ("canceled", "transient")
    assert [intent["status"] for intent in world.intents()] == ["canceled", "succeeded"]
    assert len(world.charges()) == 1


async def test_too_many_requests_only_delay(world: Collection) -> None:
    """Nothing was taken, so the attempt goes back and is sent after a pause."""
    await world.fault("status", status=429, retry_after=1)
    await charged(world)
    waiting = await state(world)

    await world.hurry()
    await world.settle()

    assert waiting == "created"
    assert await state(world) == "succeeded"
    assert world.posts() == 2


async def test_wrong_credentials_are_a_hold_and_no_failure(world: Collection) -> None:
    """Nobody declined anything: mend the key, and the attempt goes its way."""
    world.stripe.state.api_keys = ["sk_test_another"]
    await charged(world)
    waiting = (await state(world), await world.holds())

    world.stripe.state.api_keys = []
    await world.hurry()
    await world.settle()

    assert waiting == ("created", ["provider_refuses_credentials"])
    assert (await state(world), await world.holds()) == ("succeeded", [])


async def test_a_webhook_may_overtake_the_answer(
    world: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The confirmation is acted on while our own request is still open; told once."""
    charge = world.account.charge

    async def overtaken(attempt: Attempt) -> Report | NotSent | Unclear:
        ending = await charge(attempt)
        await world.stripe.deliveries.settle()
        await world.ours.work("process_events")
        seen.append(await state(world))
        return ending

    seen: list[str] = []
    monkeypatch.setattr(world.account, "charge", overtaken)

    await charged(world)

    assert seen == ["succeeded"]
    assert await state(world) == "succeeded"
    assert len(await world.ours.harness.published(PaymentSucceeded)) == 1


async def test_a_webhook_settles_what_our_own_request_could_not(
    world: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is lost and the webhook is faster than our second look."""
    charge = world.account.charge

    async def overtaken(attempt: Attempt) -> Report | NotSent | Unclear:
        ending = await charge(attempt)
        await world.stripe.deliveries.settle()
        await world.ours.work("process_events")
        return ending

    monkeypatch.setattr(world.account, "charge", overtaken)
    await world.fault("drop_after_commit")

    await charged(world)

    assert await state(world) == "succeeded"
    assert world.posts() == 1


async def test_looks_that_race_change_nothing_twice(world: Collection) -> None:
    """Several replicas may look; the outcome is written down once."""
    await world.webhooks(mode="drop")
    await charged(world)
    world.advance(minutes=15)
    (check,) = [job for job in world.ours.service.jobs if job.name == "check_attempts"]

    await asyncio.gather(*(check.step() for _ in range(4)))
    await world.settle()

    assert await state(world) == "succeeded"
    assert len(await world.ours.harness.published(PaymentSucceeded)) == 1
