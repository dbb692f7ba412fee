"""Webhooks: believed by signature, kept once, acted on by reading, in whatever order they come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.contracts.payments import PaymentSucceeded
from support.stripe_account import API_KEY, FORMER_SECRET, Collection, invoice, signed

EVENTS = "SELECT event_id, state FROM provider_event ORDER BY event_id"
REFUSALS = "SELECT after, reason FROM audit WHERE action = 'webhook.refused' ORDER BY seq"


def event(payment_id: str = "pi_x", **changes: Any) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "created": 1_777_680_000,
        "data": {"object": {"id": payment_id, "object": "payment_intent", "metadata": {}}},
    } | changes


async def post(world: Collection, body: bytes, headers: dict[str, str]) -> Any:
    return await world.ours.http.post("/webhooks/stripe", content=body, headers=headers)


async def rows(world: Collection, sql: str) -> list[Any]:
    async with world.ours.service.database.read() as reader:
        return await reader.fetch(sql)


async def foreign_payment(world: Collection, **form: str) -> None:
    """Somebody else collects something on the same account."""
    answer = await world.control.post(
        "/stripe/v1/payment_intents",
        data={
            "amount": "5000",
            "currency": "usd",
            "customer": "cus_alder",
            "payment_method": "pm_alder",
            "confirm": "true",
            **form,
        },
        headers={"Authorization": f"Bearer {API_KEY}", "Stripe-Version": "2026-10-28.endive"},
    )
    assert answer.is_success, answer.text
    await world.settle()


async def test_the_answer_alone_confirms_nothing(world: Collection) -> None:
    """Until a signed webhook arrives, the money does not count."""
    await world.webhooks(mode="hold")
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()
    (waiting,) = await world.attempts()
    before = await world.ours.harness.published(PaymentSucceeded)

    await world.release()

    (attempt,) = await world.attempts()
    assert (waiting["state"], waiting["provider_status"]) == ("pending", "succeeded")
    assert before == []
    assert (attempt["state"], attempt["confirmed_by"]) == ("succeeded", "webhook")


async def test_a_lost_webhook_is_made_up_for_by_a_look(world: Collection) -> None:
    """After the waiting time the provider is asked, and not before."""
    await world.webhooks(mode="drop")
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()
    world.advance(minutes=14)
    await world.settle()
    before = await world.ours.harness.published(PaymentSucceeded)

    world.advance(minutes=1)
    await world.settle()

    (attempt,) = await world.attempts()
    assert before == []
    assert (attempt["state"], attempt["confirmed_by"]) == ("succeeded", "poll")
    assert len(await world.ours.harness.published(PaymentSucceeded)) == 1


@pytest.mark.parametrize("order", ["given", "reversed", "shuffled"])
async def test_repeats_and_any_order_end_the_same(world: Collection, order: str) -> None:
    """Processing, succeeded and all the rest, each three times."""
    await world.webhooks(mode="hold", copies=3)
    await world.profile("pm_debit")
    await world.ours.harness.deliver(invoice())
    await world.settle()
    (pending,) = await world.attempts()
    await world.lever(
        "POST",
        f"payment-intents/{pending['provider_payment_id']}/settle",
        json={"outcome": "succeed"},
    )

    await world.release(order=order, seed=7)

    assert [a["state"] for a in await world.attempts()] == ["succeeded"]
    assert len(await world.ours.harness.published(PaymentSucceeded)) == 1
    assert {"done", "ignored"} == {row["state"] for row in await rows(world, EVENTS)}


async def test_a_repeat_after_everything_changes_nothing(world: Collection) -> None:
    """The same event id days later."""
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()
    (intent,) = world.intents()
    kept = next(
        e
        for e in world.stripe.state.rows("events").values()
        if e["type"] == "payment_intent.succeeded"
    )
    world.advance(days=3)

    answer = await post(world, *signed(event(intent["id"], id=kept["id"]), world.clock.now()))
    await world.settle()

    assert (answer.status_code, answer.json()) == (200, {"received": True, "repeat": True})
    assert len(await world.ours.harness.published(PaymentSucceeded)) == 1


async def test_a_forged_webhook_is_refused_and_leaves_a_trace(world: Collection) -> None:
    """A problem, an audit record with a fingerprint, and nothing else."""
    body, headers = signed(event(), world.clock.now(), secret="whsec_of_a_forger")

    answer = await post(world, body, headers)
    await world.settle()

    (refusal,) = await rows(world, REFUSALS)
    assert (answer.status_code, answer.json()["code"]) == (400, "signature_mismatch")
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("signature_mismatch", len(body)) == (
        refusal["after"]["code"],
        refusal["after"]["bytes"],
    )
    assert "evt_1" not in str(dict(refusal))
    assert await rows(world, EVENTS) == []


async def test_a_forged_success_does_not_pay_an_invoice(world: Collection) -> None:
    """Even the right payment id helps nobody without the secret."""
    await world.webhooks(mode="hold")
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()
    (intent,) = world.intents()

    await post(world, *signed(event(intent["id"]), world.clock.now(), secret="whsec_of_a_forger"))
    await world.settle()

    assert [a["state"] for a in await world.attempts()] == ["pending"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "signature_missing"),
        ({"stripe-signature": "t=1"}, "signature_malformed"),
        ({"stripe-signature": "v1=00"}, "signature_malformed"),
    ],
)
async def test_an_unsigned_webhook_is_refused(
    world: Collection, headers: dict[str, str], code: str
) -> None:
    """Each with its reason in the trail."""
    answer = await post(world, b"{}", headers)

    (refusal,) = await rows(world, REFUSALS)
    assert (400, code) == (answer.status_code, answer.json()["code"])
    assert code == refusal["after"]["code"]


async def test_an_old_signature_is_refused(world: Collection) -> None:
    """Five minutes on the business clock, so that a recorded webhook cannot be played again."""
    body, headers = signed(event(), world.clock.now())
    world.advance(seconds=301)

    answer = await post(world, body, headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "signature_expired")


async def test_any_active_secret_is_believed(world: Collection) -> None:
    """While the secret is being replaced both sign."""
    answer = await post(world, *signed(event(), world.clock.now(), secret=FORMER_SECRET))

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"id": "evt_1"}',
        b'{"id":"e","type":"t","created":1e99,"data":{"object":{}}}',
        b'{"id":"e","type":"t","created":99999999999999,"data":{"object":{}}}',
        b'{"id":"e\\u0000","type":"t","created":1,"data":{"object":{}}}',
        b'{"id":"e\\ud800","type":"t","created":1,"data":{"object":{}}}',
        b"\xff\xfe",
    ],
)
async def test_a_signed_body_that_is_no_event_is_refused(world: Collection, body: bytes) -> None:
    """Never a crash, whatever is signed."""
    answer = await post(world, *signed(body, world.clock.now()))

    assert (answer.status_code, answer.json()["code"]) == (400, "event_malformed")


async def test_a_body_without_end_is_not_read(world: Collection) -> None:
    """The limit holds for what is really sent."""

    async def endless() -> Any:
        for _ in range(300):
            yield b"x" * 1024

    answer = await world.ours.http.post("/webhooks/stripe", content=endless())

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_wrongly_signed_delivery_comes_again(world: Collection) -> None:
    """Refused once, redelivered with the right signature, and then it counts."""
    await world.webhooks(delays=[0.01])
    await world.lever("PATCH", "switches", json={"bad_signatures": 1})
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()

    assert [a["state"] for a in await world.attempts()] == ["succeeded"]
    assert len(await rows(world, REFUSALS)) == 1


async def test_payments_of_others_are_left_alone(world: Collection) -> None:
    """Another integration may use the same account."""
    await foreign_payment(world)

    assert {"foreign", "ignored"} == {row["state"] for row in await rows(world, EVENTS)}
    assert await world.ours.harness.outbox() == []
    assert await world.holds() == []


async def test_a_payment_with_an_attempt_we_do_not_know_is_a_hold(world: Collection) -> None:
    """It carries our metadata and is not in our books: a person has to look."""
    await foreign_payment(world, **{"metadata[attempt_id]": "a-lost"})

    assert await world.holds() == ["unknown_payment"]


async def test_another_amount_under_our_attempt_is_a_hold(world: Collection) -> None:
    """What the provider says is checked like any other input before it counts as money."""
    await world.webhooks(mode="hold")
    await world.fault("drop_before", times=100)
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()
    (attempt,) = await world.attempts()
    await world.lever("DELETE", "faults")
    await foreign_payment(world, **{"metadata[attempt_id]": attempt["attempt_id"]})

    await world.release()

    assert "provider_mismatch" in await world.holds()
    assert [a["state"] for a in await world.attempts()] == ["unknown"]
    assert await world.ours.harness.published(PaymentSucceeded) == []


async def test_an_event_waits_while_the_provider_cannot_be_read(world: Collection) -> None:
    """It is durable, so it is acted on later."""
    await world.webhooks(mode="hold")
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()
    await world.fault("status", "payment_intents/", method="GET", status=403, times=100)
    await world.release()
    waiting = [a["state"] for a in await world.attempts()]

    await world.lever("DELETE", "faults")
    await world.hurry()
    await world.settle()

    assert waiting == ["pending"]
    assert [a["state"] for a in await world.attempts()] == ["succeeded"]


async def test_success_is_dated_by_the_provider(world: Collection) -> None:
    """The instant of the event, not the one at which we got round to it."""
    await world.webhooks(mode="hold")
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()
    world.advance(minutes=10)

    await world.release()

    (succeeded,) = await world.ours.harness.published(PaymentSucceeded)
    assert datetime(2026, 5, 2, 1, tzinfo=UTC) == succeeded.succeeded_at
