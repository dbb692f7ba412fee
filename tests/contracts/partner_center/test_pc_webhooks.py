"""Webhooks: provable origin, the vendor's payload, retries, and the ways a story can spoil them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import DNSName
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from shared.kernel.clock import FrozenClock
from simulators.contract import Contract
from simulators.exact_json import loads
from simulators.http_messages import Call
from simulators.partner_center.certificates import HOST
from simulators.partner_center.vendor_contract import definitions
from support.partner_center import ALDER, ANNUAL, TENANT, Partner, Receiver

HOOKS = "/webhooks/v1/registration"
WANTED = ["subscription-updated", "test-created", "invoice-ready"]


@pytest.fixture(autouse=True)
async def registered(partner: Partner) -> None:
    body = {"WebhookUrl": "http://tieout/webhooks/partner-center", "WebhookEvents": WANTED}
    answer = await partner.call("POST", HOOKS, body)
    assert answer.status_code == 200
    await partner.pull("PUT", "/webhooks", {"delays": [0.0] * 9})


async def certificate_of(partner: Partner, call: Call) -> x509.Certificate:
    address = call.headers["x-ms-certificate-url"]
    der = await partner.http.get(httpx.URL(address).path)
    return x509.load_der_x509_certificate(der.content)


def prove(call: Call, certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    scheme, signature = call.headers["authorization"].split(" ")
    assert (scheme, call.headers["x-ms-signature-algorithm"]) == ("Signature", "rsa-sha256")
    key.verify(base64.b64decode(signature), call.body, padding.PKCS1v15(), hashes.SHA256())


def chain_of(certificate: x509.Certificate, keys: Path) -> list[x509.Certificate]:
    root = x509.load_pem_x509_certificate((keys / "webhook-root.pem").read_bytes())
    verifier = PolicyBuilder().store(Store([root])).time(datetime(2026, 4, 14, tzinfo=UTC))
    return verifier.build_server_verifier(DNSName(HOST)).verify(certificate, [])


def verify(call: Call, certificate: x509.Certificate, keys: Path) -> None:
    prove(call, certificate)
    chain_of(certificate, keys)


async def change(partner: Partner, quantity: int) -> Any:
    body = {"subscription_id": ANNUAL, "quantity": quantity}
    return await partner.pull("POST", "/changes", body)


async def test_a_change_is_announced_with_a_signature_that_chains_to_the_exported_root(
    partner: Partner, receiver: Receiver, keys: Path
) -> None:
    """Origin is proven over the raw body by a certificate under the root that ingest trusts."""
    await change(partner, 45)
    await partner.settled()
    (call,) = receiver.calls
    certificate = await certificate_of(partner, call)
    prove(call, certificate)
    assert len(chain_of(certificate, keys)) == 2
    assert "O=Microsoft Corporation" in certificate.issuer.rfc4514_string()


async def test_the_payload_is_the_documented_one(partner: Partner, receiver: Receiver) -> None:
    """Names, addresses and seven fractional digits are the vendor's; there is no data in it."""
    record = (await change(partner, 45))["audit_record"]
    await partner.settled()
    event = loads(receiver.calls[0].body)
    expected = {
        "EventName": "subscription-updated",
        "ResourceUri": "https://api.partnercenter.microsoft.com/webhooks/v1"
        f"/customers/{ALDER}/subscriptions/{ANNUAL}",
        "ResourceName": "subscription",
        "AuditUri": "https://api.partnercenter.microsoft.com/auditactivity/v1/auditrecords/"
        + record["id"],
        "ResourceChangeUtcDate": "2026-04-14T09:12:00.0000000+00:00",
    }
    assert expected == event
    assert Contract([], definitions()).errors({"$ref": "#/$defs/webhook_event"}, event) == []
    assert (await partner.get("/auditactivity/v1/auditrecords/" + record["id"])) == record


async def test_two_changes_at_one_simulated_instant_differ_in_time(
    partner: Partner, receiver: Receiver
) -> None:
    """Time stands still in a story, but a receiver tells deliveries apart by their time."""
    await change(partner, 45)
    await change(partner, 43)
    await partner.settled()
    times = {loads(c.body)["ResourceChangeUtcDate"] for c in receiver.calls}
    assert len(times) == 2


@pytest.mark.parametrize("forgery", ["bad_signature", "foreign_chain"])
async def test_a_forgery_does_not_hold(
    forgery: str, partner: Partner, receiver: Receiver, keys: Path
) -> None:
    """A receiver under test can be shown a wrong signature and a chain that is not the vendor's."""
    await partner.switch(forgery=forgery)
    await change(partner, 45)
    await partner.settled()
    certificate = await certificate_of(partner, receiver.calls[0])
    with pytest.raises((InvalidSignature, VerificationError)):
        verify(receiver.calls[0], certificate, keys)


async def test_delivery_is_tried_ten_times_and_then_never_again(
    partner: Partner, receiver: Receiver
) -> None:
    """After ten refusals the event is lost, as documented."""
    receiver.statuses = [503] * 10
    await change(partner, 45)
    await partner.settled()
    told = await partner.pull("GET", "/webhooks?state=queued")
    assert (len(receiver.calls), told["counts"], told["deliveries"]) == (10, {"exhausted": 1}, [])


async def test_a_refused_delivery_arrives_on_a_later_attempt(
    partner: Partner, receiver: Receiver
) -> None:
    """An attempt is repeated with the same body until a 2xx answer."""
    receiver.statuses = [500, 503]
    await change(partner, 45)
    await partner.settled()
    assert len(receiver.calls) == 3
    assert len({c.body for c in receiver.calls}) == 1


async def test_held_webhooks_wait_and_go_out_in_the_wanted_order(
    partner: Partner, receiver: Receiver
) -> None:
    """A story can deliver the second change before the first."""
    await partner.pull("PUT", "/webhooks", {"mode": "hold"})
    for quantity in (45, 43, 44):
        await change(partner, quantity)
    held = (await partner.pull("GET", "/webhooks?state=held"))["deliveries"]
    released = await partner.pull("POST", "/webhooks/release", {"order": "shuffled", "seed": 3})
    await partner.settled()
    first = [d["id"] for d in held]
    assert sorted(released["released"]) == sorted(first)
    assert released["released"] != first
    bodies = {d["id"]: d["body"] for d in held}
    assert [c.body.decode() for c in receiver.calls] == [bodies[i] for i in released["released"]]


async def test_webhooks_come_twice_or_never_when_switched(
    partner: Partner, receiver: Receiver
) -> None:
    """Duplicates are byte-identical; dropped events leave only the audit record."""
    await partner.pull("PUT", "/webhooks", {"copies": 2})
    await change(partner, 45)
    await partner.settled()
    await partner.pull("PUT", "/webhooks", {"mode": "drop", "copies": 1})
    await change(partner, 46)
    await partner.settled()
    assert len(receiver.calls) == 2
    assert receiver.calls[0].body == receiver.calls[1].body
    assert len(await partner.audit()) == 2


async def test_a_refused_change_is_not_announced(
    partner: Partner, receiver: Receiver, clock: FrozenClock
) -> None:
    """Only what happened is announced."""
    answer = await partner.lever("POST", "/changes", {"subscription_id": ANNUAL, "quantity": 39})
    await partner.settled()
    assert (answer.status_code, receiver.calls) == (400, [])


async def test_the_signature_moves_to_its_own_header_on_request(
    partner: Partner, receiver: Receiver
) -> None:
    """`SignatureTokenToMsSignatureHeader` leaves Authorization free."""
    body = {
        "WebhookUrl": "http://tieout/hook",
        "WebhookEvents": WANTED,
        "SignatureTokenToMsSignatureHeader": True,
    }
    await partner.call("PUT", HOOKS, body)
    await change(partner, 45)
    await partner.settled()
    assert receiver.calls[0].headers["x-ms-signature"].startswith("Signature ")
    assert "authorization" not in receiver.calls[0].headers


async def test_a_validation_event_reports_its_delivery_and_is_limited(
    partner: Partner, receiver: Receiver
) -> None:
    """Two test events a minute; the result lists every attempt."""
    receiver.statuses = [500]
    first = await partner.call("POST", f"{HOOKS}/validationEvents")
    await partner.settled()
    result = await partner.get(f"{HOOKS}/validationEvents/{first.json()['correlationId']}")
    assert (result["status"], result["partnerId"]) == ("completed", TENANT)
    assert [r["responseCode"] for r in result["results"]] == ["500", "OK"]
    await partner.call("POST", f"{HOOKS}/validationEvents")
    third = await partner.call("POST", f"{HOOKS}/validationEvents")
    assert third.status_code == 429


async def test_registration_is_one_per_tenant_and_knows_its_event_names(partner: Partner) -> None:
    """Registering again replaces; an unknown event name is refused."""
    assert (await partner.get(HOOKS))["WebhookEvents"] == WANTED
    assert "invoice-ready" in await partner.get(f"{HOOKS}/events")
    body = {"WebhookUrl": "http://tieout/hook", "WebhookEvents": ["order-created"]}
    assert (await partner.call("POST", HOOKS, body)).status_code == 400


async def test_a_new_seed_keeps_the_registration_and_a_reset_does_not(partner: Partner) -> None:
    """A story seeds after the receiver has registered, and still wants its webhooks."""
    await partner.pull("PUT", "/state", {"customers": []})
    assert (await partner.get(HOOKS))["WebhookEvents"] == WANTED
    await partner.pull("DELETE", "/state")
    assert (await partner.call("GET", HOOKS)).status_code == 404


async def test_an_invoice_is_announced(partner: Partner, receiver: Receiver) -> None:
    """Publishing an invoice raises `invoice-ready` with its address."""
    invoice = {
        "id": "G000000426",
        "invoice_date": "2026-05-08",
        "period_start": "2026-04-01",
        "period_end": "2026-04-30",
        "currency": "EUR",
        "total": "187.31",
    }
    await partner.pull("POST", "/invoices", invoice)
    await partner.settled()
    event = loads(receiver.calls[0].body)
    assert (
        event["EventName"],
        event["ResourceUri"],
    ) == ("invoice-ready", "https://api.partnercenter.microsoft.com/v1/invoices/G000000426")
