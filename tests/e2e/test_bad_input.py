"""What nobody should send: refused or set aside with a reason, while everything else goes on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from e2e.theatre import Theatre, shipped
from shared.contracts.envelope import Envelope
from shared.contracts.rating import CHARGES, ChargeRated
from shared.runtime.http import HttpClient
from shared.runtime.kafka import Producer

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack"), pytest.mark.timeout(600)]


def envelope(key: str, event_type: str) -> list[tuple[str, bytes]]:
    return Envelope(
        id=f"poison-{key}",
        source="/tieout/nobody",
        type=event_type,
        subject=key,
        time=datetime(2026, 5, 1, tzinfo=UTC),
        key=key,
        correlation_id="poison",
    ).headers()


# By the code that a person finds at the dead letter.
POISON = {
    "envelope_malformed": ([("ce_type", b"tieout.rating.charge-rated.v1")], b"{}"),
    "event_type_unknown": (envelope("event_type_unknown", "tieout.rating.gossip.v1"), b"{}"),
    "event_malformed": (envelope("event_malformed", ChargeRated.TYPE), b'{"amount": "many"}'),
}
WEBHOOK = {
    "EventName": "subscription-updated",
    "ResourceUri": "http://example/v1/customers/1/subscriptions/2",
    "ResourceName": "subscription",
    "AuditUri": "http://example/auditactivity/v1/auditrecords/3",
    "ResourceChangeUtcDate": "2026-05-01T00:00:00Z",
}


async def test_an_unsigned_webhook_is_refused_and_on_record(stage: Theatre) -> None:
    """Nobody moves a subscription by knowing the address of the receiver."""
    receiver = HttpClient(stage.addresses.http["ingest"], name="an attacker")
    try:
        answer = await receiver.request("POST", "/webhooks/partner-center", json=WEBHOOK)
    finally:
        await receiver.close()

    records = await stage.services.pages("ingest", "/v1/audit")
    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"]
    assert records[-1]["action"] == "webhook.refused"


async def test_poison_on_the_bus_is_set_aside_and_everything_else_ties_out(stage: Theatre) -> None:
    """Malformed and unknown events become dead letters with a reason; other keys flow."""
    await put_poison(stage.stack.bootstrap_servers)
    played = await stage.play(shipped("alder-dental"))
    letters = await stage.services.pages("invoicing", "/v1/dead-letters", status="pending")

    assert played.differences == []
    assert {row["error_code"] for row in letters} == set(POISON)
    assert all(row["error"] and row["key"] == row["error_code"] for row in letters)

    for row in letters:
        path = f"/v1/dead-letters/{row['id']}:discard"
        await stage.services.post("invoicing", path, {"reason": "sent by a test"})
    trail = await stage.services.pages("invoicing", "/v1/audit")
    verdict = await stage.services.post("invoicing", "/v1/audit:verify", {})
    assert await stage.services.pages("invoicing", "/v1/dead-letters", status="pending") == []
    assert [row["reason"] for row in trail if row["action"] == "dead-letter.discarded"] == [
        "sent by a test"
    ] * len(POISON)
    assert verdict["intact"]


async def put_poison(bootstrap_servers: str) -> None:
    """One message per way of being unusable, each under a key of its own."""
    producer = Producer({"bootstrap_servers": bootstrap_servers}, client_id="poison")
    await producer.start()
    for key, (headers, value) in POISON.items():
        sent = await producer.send(CHARGES, key=key.encode(), value=value, headers=headers)
        await sent
    await producer.stop()
