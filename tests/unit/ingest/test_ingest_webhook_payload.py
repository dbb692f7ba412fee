"""Notifications: what they name, and when two of them are the same one."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.webhooks import read_notification
from shared.kernel.errors import Invalid
from unit.ingest.sample_files import names, sample_text

CUSTOMER = "0C39D6D5-C70D-4C55-BC02-F620844F3FD1"
SUBSCRIPTION = "3f0c1a52-0000-4000-8000-000000000001"
AUDIT = "60d5c4bb-f78a-4200-a002-953d7cc1f5f8_4b2a6e33-8791-4386-bd2b-0d55baf25039_updatesubscription_638331855840159088"  # noqa: E501  # an id of the length they have


def body(**changes: Any) -> bytes:
    event = {
        "EventName": "subscription-updated",
        "ResourceUri": "https://api.partnercenter.microsoft.com/webhooks/v1"
        f"/customers/{CUSTOMER}/subscriptions/{SUBSCRIPTION}",
        "ResourceName": "subscription",
        "AuditUri": f"https://api.partnercenter.microsoft.com/auditactivity/v1/auditrecords/{AUDIT}",
        "ResourceChangeUtcDate": "2025-03-14T09:26:53.5897932+00:00",
        **changes,
    }
    return json.dumps(event).encode()


def test_the_ids_are_taken_out_of_the_addresses() -> None:
    """Both GUIDs and the id of the audit record; the addresses are never used."""
    notification = read_notification(body())

    assert notification.customer_id == CUSTOMER.lower()
    assert notification.subscription_id == SUBSCRIPTION
    assert notification.audit_record_id == AUDIT


@pytest.mark.parametrize(
    "path",
    ["/webhooks/v1", "/v1", "", "/somewhere/else"],
)
def test_any_path_before_the_customer_will_do(path: str) -> None:
    """The path differs between samples."""
    uri = f"http://host{path}/customers/{CUSTOMER}/subscriptions/{SUBSCRIPTION}"

    assert read_notification(body(ResourceUri=uri)).subscription_id == SUBSCRIPTION


def test_audit_url_is_the_other_name_of_audit_uri() -> None:
    """The documentation has both; null is allowed."""
    document = json.loads(body())
    other = {
        **{k: v for k, v in document.items() if k != "AuditUri"},
        "AuditUrl": document["AuditUri"],
    }

    assert read_notification(json.dumps(other).encode()).audit_record_id == AUDIT
    assert read_notification(body(AuditUri=None)).audit_record_id is None


@pytest.mark.parametrize("name", names("partner-center-webhook-events"))
def test_published_events_read(name: str) -> None:
    """Every event of the documentation, with its placeholders filled in."""
    text = sample_text(name)
    for placeholder in ("{{CustomerId}}", "{{SubscriptionId}}", "{{AuditId}}"):
        text = text.replace(placeholder, SUBSCRIPTION)

    notification = read_notification(text.encode())

    assert notification.event_name
    assert notification.id


def test_a_repeat_has_the_same_identity_and_a_later_event_another() -> None:
    """Event, resource and time together identify a notification."""
    first = read_notification(body())

    assert first.id == read_notification(body(AuditUri=None)).id
    assert first.id != read_notification(body(ResourceChangeUtcDate="2025-03-14T09:26:54Z")).id
    assert first.id != read_notification(body(EventName="test-created")).id


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "webhook_not_json"),
        (b"[]", "webhook_not_json"),
        (b"\xff\xfe", "webhook_not_json"),
        (b"{}", "webhook_without_event"),
        (body(EventName=""), "webhook_without_event"),
        (body(ResourceUri=None), "webhook_without_resource"),
        (body(ResourceUri="https://x/customers/../subscriptions/.."), "webhook_without_resource"),
        (body(ResourceUri="https://x/customers/a%2Fb/subscriptions/c"), "webhook_without_resource"),
        (body(ResourceUri="https://x/customers/a/subscriptions/c?d=e"), None),
        (body(ResourceChangeUtcDate="soon"), "time_malformed"),
    ],
)
def test_what_names_no_subscription_is_refused(raw: bytes, code: str | None) -> None:
    """An id that could leave its place in a path of ours is no id."""
    if code is None:
        assert read_notification(raw).subscription_id == "c"
        return
    with pytest.raises(Invalid) as refusal:
        read_notification(raw)

    assert refusal.value.code == code


def test_an_invoice_notification_names_its_invoice() -> None:
    """`invoice-ready` points at the invoice."""
    raw = body(EventName="invoice-ready", ResourceUri="https://x/v1/invoices/G000426001")

    assert read_notification(raw).invoice_id == "G000426001"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Nothing that is signed can crash the receiver."""
    with suppress(Invalid):
        assert read_notification(raw).event_name


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=20), st.lists, max_leaves=5))
def test_any_values_in_the_fields_are_read_or_refused(value: Any) -> None:
    """Types are not promised either."""
    for name in ("EventName", "ResourceUri", "AuditUri", "ResourceChangeUtcDate"):
        with suppress(Invalid):
            assert read_notification(body(**{name: value})).event_name
