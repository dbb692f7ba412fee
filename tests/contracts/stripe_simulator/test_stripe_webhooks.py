"""Events of the simulated Stripe and their delivery: signed, twice, late, reordered, lost."""

from __future__ import annotations

from typing import Any

import pytest

from simulators.exact_json import loads
from simulators.stripe.signing import signature


def test_signature_of_the_published_vector() -> None:
    """Secret, time and body give the digest every client library gives."""
    header = signature("whsec_test", b'{"id":"evt_1"}', 1_700_000_000)

    assert header == (
        "t=1700000000,v1=c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925"
    )


async def test_payment_leaves_events_and_webhooks(client: Any, receiver: Any) -> None:
    """In order, signed with the account's secret at simulated time, over the raw body."""
    await client.pay(key="pay_1")
    await client.stripe.deliveries.settle()

    last = receiver.requests[-1]
    event = loads(last.content)
    assert receiver.types == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]
    assert last.headers["stripe-signature"] == signature("whsec_test", last.content, 1_777_626_000)
    assert event["data"]["object"]["status"] == "succeeded"
    assert event["request"]["idempotency_key"] == "pay_1"


async def test_event_holds_the_object_as_it_was(client: Any) -> None:
    """The first event still shows the unconfirmed intent."""
    await client.pay()

    listed = await client.ok("GET", "/events", type="payment_intent.created")

    assert listed["data"][0]["data"]["object"]["status"] == "requires_confirmation"


async def test_secret_comes_from_the_environment(
    client: Any, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the seed names none."""
    monkeypatch.setenv("TIEOUT_SIM_STRIPE_WEBHOOK_SECRET", "whsec_env")
    state = await client.control("GET", "/state")
    await client.control("PUT", "/state", {**state, "webhook_secret": ""})

    await client.pay()
    await client.stripe.deliveries.settle()

    request = receiver.requests[0]
    expected = signature("whsec_env", request.content, 1_777_626_000)
    assert request.headers["stripe-signature"] == expected


async def test_webhook_may_arrive_twice(client: Any, receiver: Any) -> None:
    """The same event id both times."""
    await client.control("PUT", "/webhooks", {"copies": 2})

    await client.ok("POST", "/payment_methods/pm_card_visa/attach", customer="cus_alder")
    await client.stripe.deliveries.settle()

    first, second = (loads(r.content)["id"] for r in receiver.requests)
    assert first == second


async def test_held_webhooks_go_out_in_another_order(client: Any, receiver: Any) -> None:
    """Nothing arrives until released; then the last one comes first."""
    await client.control("PUT", "/webhooks", {"mode": "hold"})
    await client.pay()
    before = list(receiver.requests)

    await client.control("POST", "/webhooks/release", {"order": "reversed"})
    await client.stripe.deliveries.settle()

    assert before == []
    assert receiver.types[0] == "payment_intent.succeeded"


async def test_lost_webhooks_are_found_by_listing_events(client: Any, receiver: Any) -> None:
    """delivery_success=false names what never arrived."""
    await client.control("PUT", "/webhooks", {"mode": "drop"})
    await client.pay()

    missed = await client.ok("GET", "/events", delivery_success="false")
    taken = await client.ok("GET", "/events", delivery_success="true")

    assert receiver.requests == []
    assert len(missed["data"]) == 3
    assert taken["data"] == []


async def test_refused_webhook_is_tried_again(client: Any, receiver: Any) -> None:
    """A 500 of the receiver, then success."""
    receiver.statuses = [500]
    await client.control("PUT", "/webhooks", {"delays": [0.01]})

    await client.ok("POST", "/payment_methods/pm_card_visa/attach", customer="cus_alder")
    await client.stripe.deliveries.settle()

    assert [r.method for r in receiver.requests] == ["POST", "POST"]


async def test_wrong_signature_can_be_ordered(client: Any, receiver: Any) -> None:
    """For the next attempt only."""
    await client.control("PATCH", "/switches", {"bad_signatures": 1})

    await client.pay()
    await client.stripe.deliveries.settle()

    good = [
        r.headers["stripe-signature"] == signature("whsec_test", r.content, 1_777_626_000)
        for r in receiver.requests
    ]
    assert good == [False, True, True]


async def test_endpoint_receives_only_what_it_asked_for(client: Any, receiver: Any) -> None:
    """Registered by control; others get everything."""
    await client.control("DELETE", "/webhook-endpoints")
    endpoint = {"url": "http://payments/x", "enabled_events": ["payment_intent.succeeded"]}
    await client.control("POST", "/webhook-endpoints", endpoint)

    await client.pay()
    await client.stripe.deliveries.settle()

    assert receiver.types == ["payment_intent.succeeded"]


async def test_bank_debit_speaks_through_webhooks(client: Any, receiver: Any) -> None:
    """Processing first, the result when the bank has spoken."""
    intent = (await client.pay(payment_method="pm_sepa", currency="eur")).json()
    path = f"/payment-intents/{intent['id']}/settle"
    await client.control("POST", path, {"outcome": "decline:insufficient_funds"})
    await client.stripe.deliveries.settle()

    assert receiver.types == [
        "payment_intent.created",
        "charge.pending",
        "payment_intent.processing",
        "charge.failed",
        "payment_intent.payment_failed",
    ]
