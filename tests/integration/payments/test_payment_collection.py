"""From a final invoice to collected money: once, confirmed, and with a reason when not."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from shared.contracts.payments import PaymentFailed, PaymentSucceeded
from shared.runtime import audit
from support.stripe_account import Collection, invoice


async def test_a_final_invoice_is_collected_once_and_confirmed(world: Collection) -> None:
    """One payment over the exact total, off-session, told as succeeded after a signed webhook."""
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()

    (intent,) = world.intents()
    (attempt,) = await world.attempts(invoice_id="inv-1")
    (succeeded,) = await world.ours.harness.published(PaymentSucceeded)
    assert (intent["amount"], intent["currency"], intent["status"]) == (143077, "usd", "succeeded")
    assert {
        "attempt_id": attempt["attempt_id"],
        "invoice_id": "inv-1",
        "invoice_number": "HC-US-000001",
    } == intent["metadata"]
    assert (
        attempt["state"],
        attempt["confirmed_by"],
        attempt["amount"],
    ) == ("succeeded", "webhook", "1430.77")
    assert (Decimal("1430.77"), "USD", "alder", intent["id"]) == (
        succeeded.amount,
        succeeded.currency,
        succeeded.account_id,
        succeeded.provider_payment_id,
    )
    assert await world.holds() == []


async def test_a_repeated_invoice_is_not_charged_again(world: Collection) -> None:
    """The same message, and the same invoice in another message."""
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.ours.harness.deliver(invoice())
    await world.ours.harness.deliver(invoice(), id="sent-again")
    await world.settle()
    await world.ours.harness.deliver(invoice(), id="sent-much-later")
    await world.settle()

    assert len(world.intents()) == 1
    assert len(await world.attempts()) == 1
    assert len(await world.ours.harness.published(PaymentSucceeded)) == 1


@pytest.mark.parametrize(
    ("total", "currency", "amount"),
    [("124589", "JPY", 124589), ("5.120", "KWD", 5120), ("292.99", "EUR", 29299)],
)
async def test_amounts_keep_their_minor_unit(
    world: Collection, total: str, currency: str, amount: int
) -> None:
    """A yen has no cents and a dinar has a thousand fils."""
    await world.profile()
    await world.ours.harness.deliver(invoice(total, currency=currency))
    await world.settle()

    (succeeded,) = await world.ours.harness.published(PaymentSucceeded)
    assert [amount] == [intent["amount"] for intent in world.intents()]
    assert Decimal(total) == succeeded.amount


@pytest.mark.parametrize(
    ("total", "reason"),
    [("0.00", "nothing_to_charge"), ("-67.56", "credit_balance"), ("10.00", "no_profile")],
)
async def test_an_invoice_that_is_not_charged_says_why(
    world: Collection, total: str, reason: str
) -> None:
    """Zero, credit, or no means to pay: on record, and nothing is sent."""
    if reason != "no_profile":
        await world.profile()
    await world.ours.harness.deliver(invoice(total))
    await world.settle()

    (attempt,) = await world.attempts(account_id="alder")
    assert ("not_charged", reason, total) == (
        attempt["state"],
        attempt["reason"],
        attempt["amount"],
    )
    assert world.posts() == 0


async def test_a_profile_that_comes_later_charges_only_on_request(world: Collection) -> None:
    """Old invoices stay as they are until somebody asks; asking twice charges once."""
    await world.ours.harness.deliver(invoice())
    await world.settle()
    await world.profile()
    await world.settle()
    untouched = world.posts()

    first = await world.charge_again("key-1")
    await world.settle()
    repeat = await world.charge_again("key-1")
    paid = await world.charge_again("key-2")
    await world.settle()

    assert untouched == 0
    assert (first.status_code, repeat.status_code) == (202, 202)
    assert first.json() == repeat.json()
    assert repeat.headers["idempotent-replayed"] == "true"
    assert (paid.status_code, paid.json()["code"]) == (409, "invoice_paid")
    assert [a["state"] for a in await world.attempts()] == ["not_charged", "succeeded"]
    assert [(a["seq"], a["trigger"]) for a in await world.attempts()] == [
        (1, "initial"),
        (2, "manual"),
    ]
    assert len(world.intents()) == 1


@pytest.mark.parametrize(
    ("invoice_id", "status", "code"),
    [("inv-unknown", 404, "invoice_unknown"), ("inv-1", 409, "no_profile")],
)
async def test_what_cannot_be_charged_is_refused(
    world: Collection, invoice_id: str, status: int, code: str
) -> None:
    """With the reason, and without an attempt."""
    await world.ours.harness.deliver(invoice())

    answer = await world.charge_again("key-1", invoice_id)

    assert (status, code) == (answer.status_code, answer.json()["code"])
    assert len(await world.attempts()) == 1


async def test_an_idempotency_key_is_required(world: Collection) -> None:
    """A request that makes money must be repeatable."""
    answer = await world.ours.http.post("/v1/attempts", json={"invoice_id": "inv-1"})

    assert answer.status_code == 422


async def test_parallel_requests_begin_one_attempt(world: Collection) -> None:
    """The fence is the database's: one open attempt per invoice, whoever asks."""
    await world.ours.harness.deliver(invoice())
    await world.profile()

    answers = await asyncio.gather(*(world.charge_again(f"key-{n}") for n in range(8)))
    await world.settle()

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7
    assert len(world.intents()) == 1


async def test_workers_that_race_send_once(world: Collection) -> None:
    """An attempt is claimed by one sender."""
    await world.profile()
    await world.ours.harness.deliver(invoice())
    (send,) = [job for job in world.ours.service.jobs if job.name == "send_attempts"]

    worked = await asyncio.gather(*(send.step() for _ in range(6)))
    await world.settle()

    assert worked.count(True) == 1
    assert world.posts() == 1


async def test_a_declined_card_is_told_with_its_class(world: Collection) -> None:
    """Told once, by the answer; the webhook that follows adds nothing, and nothing is retried."""
    await world.outcomes("decline:insufficient_funds")
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()

    (failed,) = await world.ours.harness.published(PaymentFailed)
    (attempt,) = await world.attempts()
    assert ("insufficient_funds", "soft_funds", world.intents()[0]["id"]) == (
        failed.decline_code,
        failed.decline_class,
        failed.provider_payment_id,
    )
    assert (
        attempt["state"],
        attempt["decline_code"],
        attempt["decline_class"],
    ) == ("failed", "insufficient_funds", "soft_funds")
    assert await world.ours.harness.published(PaymentSucceeded) == []
    assert world.posts() == 1


async def test_after_a_decline_a_new_attempt_has_a_new_key(world: Collection) -> None:
    """The old key would only repeat the decline."""
    await world.outcomes("decline:insufficient_funds", "succeed")
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()

    await world.charge_again("key-1")
    await world.settle()

    assert [a["state"] for a in await world.attempts()] == ["failed", "succeeded"]
    assert len(world.intents()) == 2
    assert len(await world.ours.harness.published(PaymentFailed)) == 1
    assert len(await world.ours.harness.published(PaymentSucceeded)) == 1


async def test_a_payer_who_must_be_present_is_a_decline(world: Collection) -> None:
    """Nobody is there to confirm an off-session charge."""
    await world.outcomes("requires_action")
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()

    (failed,) = await world.ours.harness.published(PaymentFailed)
    assert (failed.decline_code, failed.decline_class) == ("authentication_required", "needs_auth")


async def test_a_hard_decline_ends_the_method_and_a_new_one_begins_afresh(
    world: Collection,
) -> None:
    """A stolen card is never tried again, whatever the invoice; another card is."""
    await world.outcomes("decline:stolen_card")
    await world.profile()
    await world.ours.harness.deliver(invoice())
    await world.settle()
    profile = await world.ours.ok("GET", "/v1/profiles/alder")
    await world.profile()  # the same card again changes nothing
    await world.ours.harness.deliver(invoice(invoice_id="inv-2", number="HC-US-000002"))
    await world.settle()

    await world.profile("pm_other")
    await world.ours.harness.deliver(invoice(invoice_id="inv-3", number="HC-US-000003"))
    await world.settle()

    states = {a["invoice_id"]: (a["state"], a["reason"]) for a in await world.attempts()}
    assert (profile["usable"], profile["unusable_reason"]) == (False, "stolen_card")
    assert states == {
        "inv-1": ("failed", None),
        "inv-2": ("not_charged", "profile_unusable"),
        "inv-3": ("succeeded", None),
    }
    assert (await world.ours.ok("GET", "/v1/profiles/alder"))["usable"] is True


async def test_a_request_that_stripe_refuses_is_for_an_operator(world: Collection) -> None:
    """An unknown customer is our mistake, not a decline of the payer's bank."""
    await world.profile(provider_customer_id="cus_nobody")
    await world.ours.harness.deliver(invoice())
    await world.settle()

    (failed,) = await world.ours.harness.published(PaymentFailed)
    assert (
        failed.decline_code,
        failed.decline_class,
        failed.provider_payment_id,
    ) == ("resource_missing", "config", None)


async def test_a_debit_succeeds_when_the_bank_says_so(world: Collection) -> None:
    """Pending for days, then told once."""
    await world.profile("pm_debit")
    await world.ours.harness.deliver(invoice())
    await world.settle()
    (pending,) = await world.attempts()

    world.advance(days=4)
    await world.settle()
    intent_id = pending["provider_payment_id"]
    await world.lever("POST", f"payment-intents/{intent_id}/settle", json={"outcome": "succeed"})
    await world.settle()

    assert (pending["state"], pending["provider_status"]) == ("pending", "processing")
    assert [a["state"] for a in await world.attempts()] == ["succeeded"]
    assert len(await world.ours.harness.published(PaymentSucceeded)) == 1


async def test_a_returned_debit_fails(world: Collection) -> None:
    """The same way, other end."""
    await world.profile("pm_debit")
    await world.ours.harness.deliver(invoice())
    await world.settle()
    (pending,) = await world.attempts()

    await world.lever(
        "POST",
        f"payment-intents/{pending['provider_payment_id']}/settle",
        json={"outcome": "decline:insufficient_funds"},
    )
    await world.settle()

    (failed,) = await world.ours.harness.published(PaymentFailed)
    assert failed.decline_class == "soft_funds"


async def test_the_chain_of_causes_reaches_the_payment(world: Collection) -> None:
    """Jobs and webhooks lie in between, and the payment still names the invoice as its cause."""
    await world.profile()
    message = world.ours.harness.message(invoice())
    await world.ours.harness.deliver(invoice())
    await world.settle()

    async with world.ours.service.database.read() as reader:
        headers = dict(
            await reader.fetchval(
                "SELECT headers FROM outbox WHERE topic = 'tieout.payments.payments.v1'"
            )
        )
        verdict = await audit.verify(reader)
    asked = {name: value.decode() for name, value in message.headers}
    assert asked["ce_id"] == headers["ce_causationid"]
    assert asked["ce_correlationid"] == headers["ce_correlationid"]
    assert verdict.intact


async def test_attempts_are_listed_page_by_page(world: Collection) -> None:
    """Each once, oldest first."""
    for n in range(5):
        await world.ours.harness.deliver(invoice(invoice_id=f"inv-{n}", number=f"N-{n}"))
        world.advance(minutes=1)

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await world.ours.ok("GET", "/v1/attempts", params={"limit": "2", **cursor})
        seen += [row["invoice_id"] for row in answer["data"]]
        if answer["next_cursor"] is None:
            break
        cursor = {"cursor": answer["next_cursor"]}

    assert [f"inv-{n}" for n in range(5)] == seen


async def test_open_work_is_visible(world: Collection) -> None:
    """Idle means: nothing to send, nothing to act on, nothing due to be looked for."""

    async def open_work() -> int:
        count = 0
        async with world.ours.service.database.read() as reader:
            for job in world.ours.service.jobs:
                assert job.pending is not None
                count += await job.pending(reader)
        return count

    await world.profile()
    await world.ours.harness.deliver(invoice())
    to_send = await open_work()
    await world.settle()

    assert [to_send, await open_work()] == [1, 0]
