"""The webhook receiver: who is believed, what is stored, what is answered."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from integration.ingest.conftest import Scene
from support.partner_center import ALDER, ANNUAL

PATH = "/webhooks/partner-center"
CERTIFICATE = "http://sim/partner-center/certificates/notifications.cer"


def event(**changes: Any) -> dict[str, Any]:
    return {
        "EventName": "subscription-updated",
        "ResourceUri": f"https://api.partnercenter.microsoft.com/v1/customers/{ALDER}"
        f"/subscriptions/{ANNUAL}",
        "ResourceName": "subscription",
        "AuditUri": None,
        "ResourceChangeUtcDate": "2026-04-14T09:12:00.0000000+00:00",
        **changes,
    }


def signed(scene: Scene, body: bytes, **changes: str | None) -> dict[str, str]:
    headers: dict[str, str | None] = {
        "authorization": f"Signature {scene.partner.simulator.shop.certificate.sign(body)}",
        "x-ms-certificate-url": CERTIFICATE,
        "x-ms-signature-algorithm": "rsa-sha256",
        **changes,
    }
    return {name: value for name, value in headers.items() if value is not None}


async def post(scene: Scene, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return await scene.ingest.http.post(PATH, content=body, headers=headers)


async def deliveries(scene: Scene) -> list[dict[str, Any]]:
    return await scene.fetch("SELECT * FROM webhook_delivery ORDER BY received_at")


async def test_a_signed_notification_is_durable_before_it_is_answered(scene: Scene) -> None:
    """200, a row, and a look that waits for it."""
    body = json.dumps(event()).encode()

    answer = await post(scene, body, signed(scene, body))

    assert (answer.status_code, answer.json()["result"]) == (200, "accepted")
    [row] = await deliveries(scene)
    assert (row["id"], row["state"], row["body"]) == (answer.json()["id"], "pending", body)
    [check] = await scene.fetch("SELECT subscription_id, requested FROM subscription_check")
    assert check == {"subscription_id": ANNUAL, "requested": 1}


async def test_a_repeat_is_answered_and_not_acted_upon(scene: Scene) -> None:
    """Same event, resource and time, other bytes: the same notification."""
    for audit_uri in (None, "https://x/v1/auditrecords/a"):
        body = json.dumps(event(AuditUri=audit_uri)).encode()
        answer = await post(scene, body, signed(scene, body))

    assert (answer.status_code, answer.json()["result"]) == (200, "repeated")
    [row] = await deliveries(scene)
    assert row["receptions"] == 2
    [check] = await scene.fetch("SELECT requested FROM subscription_check")
    assert check["requested"] == 1


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"authorization": None}, 401, "signature_missing"),
        ({"authorization": "Bearer test"}, 401, "signature_missing"),
        ({"x-ms-certificate-url": None}, 400, "header_missing"),
        ({"x-ms-signature-algorithm": None}, 400, "header_missing"),
        ({"x-ms-signature-algorithm": "rsa-sha1"}, 401, "algorithm_refused"),
        ({"authorization": "Signature !!!"}, 401, "signature_malformed"),
        ({"authorization": "Signature QUJD"}, 401, "signature_wrong"),
        ({"x-ms-certificate-url": "https://evil.example/x.cer"}, 401,
         "certificate_address_refused"),
        ({"x-ms-certificate-url": CERTIFICATE.replace("notifications", "foreign")}, 401,
         "certificate_refused"),
    ],
)  # fmt: skip
async def test_what_the_provider_did_not_sign_is_refused_and_recorded(
    scene: Scene, changes: dict[str, str | None], status: int, code: str
) -> None:
    """A problem for the caller, a record for us, and nothing stored."""
    body = json.dumps(event()).encode()

    answer = await post(scene, body, signed(scene, body, **changes))

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert await deliveries(scene) == []
    [record] = await scene.audit("webhook.refused")
    assert record["reason"].startswith(code)
    assert record["actor"] == "anonymous"


@pytest.mark.parametrize("forgery", ["bad_signature", "foreign_chain"])
async def test_forgeries_of_the_simulated_provider_never_get_through(
    scene: Scene, forgery: str
) -> None:
    """A signature over other bytes, or a chain of one's own with the right names."""
    await scene.register()
    await scene.partner.switch(forgery=forgery)
    await scene.partner.pull("PUT", "/webhooks", {"delays": []})
    await scene.change(ANNUAL, quantity=45)

    await scene.partner.settled()

    assert await deliveries(scene) == []
    assert len(await scene.audit("webhook.refused")) == 1


async def test_a_body_changed_on_its_way_is_refused(scene: Scene) -> None:
    """One byte more than was signed."""
    body = json.dumps(event()).encode()

    answer = await post(scene, body + b" ", signed(scene, body))

    assert (answer.status_code, answer.json()["code"]) == (401, "signature_wrong")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{not json", "webhook_not_json"),
        (b"{}", "webhook_without_event"),
        (json.dumps(event(ResourceUri="https://x/")).encode(), "webhook_without_resource"),
    ],
)
async def test_signed_and_unusable_is_quarantined(scene: Scene, body: bytes, code: str) -> None:
    """202: it is ours to look at, the provider need not send it again."""
    first = await post(scene, body, signed(scene, body))
    again = await post(scene, body, signed(scene, body))

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["reason"] == code
    listed = (await scene.ingest.ok("GET", "/v1/quarantine?source=webhook"))["data"]
    assert [(row["code"], row["raw"]) for row in listed] == [(code, body.decode())]


async def test_a_notification_has_a_size_limit(scene: Scene) -> None:
    """Nobody can fill memory through the front door."""
    body = b" " * (256 * 1024 + 1)

    answer = await post(scene, body, signed(scene, body))

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_certificate_that_cannot_be_fetched_asks_for_another_try(scene: Scene) -> None:
    """503: nothing is proven either way, and the provider sends it ten times."""
    fault = {"kind": "status", "status": 500, "times": 1, "match": {"path": "notifications.cer"}}
    await scene.partner.pull("POST", "/faults", fault)
    body = json.dumps(event()).encode()

    first = await post(scene, body, signed(scene, body))
    second = await post(scene, body, signed(scene, body))

    assert (first.status_code, first.json()["code"]) == (503, "certificate_unavailable")
    assert second.status_code == 200
    assert await scene.audit("webhook.refused") == []


async def test_a_certificate_is_fetched_once(scene: Scene) -> None:
    """Kept by its address."""
    await scene.partner.pull("DELETE", "/journal")
    for second in range(3):
        body = json.dumps(event(ResourceChangeUtcDate=f"2026-04-14T09:12:0{second}Z")).encode()
        await post(scene, body, signed(scene, body))

    journal = await scene.partner.pull("GET", "/journal?path=notifications.cer")
    assert len(journal["entries"]) == 1
    assert len(await deliveries(scene)) == 3


async def test_other_events_are_kept_as_evidence(scene: Scene) -> None:
    """Stored, answered, and nothing else happens."""
    body = json.dumps(event(EventName="test-created", ResourceUri="https://x/test")).encode()

    answer = await post(scene, body, signed(scene, body))

    assert answer.status_code == 200
    [row] = await deliveries(scene)
    assert (row["event_name"], row["state"]) == ("test-created", "ignored")


async def test_the_receiver_registers_itself_once_a_tenant(scene: Scene) -> None:
    """A second registration replaces the first; events come in a header of their own."""
    first = await scene.ingest.ok(
        "POST", "/v1/webhook-registrations", json={"callback_url": "http://ingest/one"}
    )
    await scene.register()

    registration = await scene.partner.get("/webhooks/v1/registration")
    assert registration["WebhookUrl"] == "http://ingest/webhooks/partner-center"
    assert "subscription-updated" in first["events"]
    assert len(await scene.audit("webhook.registered")) == 2
