"""Activity records: which subscriptions they touch, what they found and left."""

from __future__ import annotations

import pytest

from ingest.domain.audit_records import read_audit_record
from shared.kernel.errors import Invalid
from unit.ingest.history import START, SUBSCRIPTION, record_of, resource
from unit.ingest.sample_files import sample

SAMPLE = sample("get-a-record-of-partner-center-activity-by-user--03-response")["items"]


def test_the_published_order_record_creates_a_subscription() -> None:
    """An order in a string, a subscription id in capitals, no record id."""
    record = read_audit_record(SAMPLE[0])

    [touch] = record.touches
    assert touch.subscription_id == "488745b5-2086-4912-802c-6abb9f7c3638"
    assert touch.creates is True
    assert touch.after is not None
    assert touch.after["Quantity"] == 25
    assert record.has_provider_id is False
    assert record.key.startswith("hash:")
    assert record.key == read_audit_record(dict(reversed(SAMPLE[0].items()))).key


def test_the_published_licence_record_touches_no_subscription() -> None:
    """Kept, not refused."""
    record = read_audit_record(SAMPLE[1])

    assert record.touches == ()
    assert record.operation == "update_customer_user_licenses"


def test_an_order_that_is_not_shown_is_read_from_its_key_value_pairs() -> None:
    """`SubscriptionId-0` and `Quantity-0` are enough."""
    document = {k: v for k, v in SAMPLE[0].items() if k != "resourceNewValue"}

    [touch] = read_audit_record(document).touches

    assert touch.creates is True
    assert touch.after == {"offerId": "C0BD2E08-11AC-4836-BDC7-3712E744922F", "quantity": "25"}


def test_an_update_shows_before_and_after() -> None:
    """Both sides are JSON in strings."""
    record = record_of("r", START, resource(quantity=40), resource(quantity=45))

    touch = record.touch(SUBSCRIPTION)
    assert touch is not None
    assert touch.before is not None
    assert touch.after is not None
    assert (touch.before["Quantity"], touch.after["Quantity"]) == (40, 45)
    assert touch.creates is False


def test_a_refusal_carries_the_words_of_the_provider() -> None:
    """Whatever the record says about the reason."""
    told = record_of("x", START, None, resource(), status="failed", data={"ErrorCode": "900257"})
    silent = record_of("x", START, None, resource(), status="failed")

    assert told.words == "ErrorCode: 900257"
    assert silent.words == "update_subscription failed; no reason given"


def test_an_added_line_of_a_known_order_is_a_change() -> None:
    """Both versions of the order show the subscription."""
    line = {"SubscriptionId": SUBSCRIPTION, "Quantity": 5}
    record = record_of(
        "o", START, {"LineItems": [line]}, {"LineItems": [{**line, "Quantity": 8}]},
        operation="update_order", resource_type="order",
    )  # fmt: skip

    [touch] = record.touches
    assert (touch.creates, touch.after and touch.after["Quantity"]) == (False, 8)


@pytest.mark.parametrize("text", ["{not json", "[]", "null", "12"])
def test_unreadable_values_are_no_values(text: str) -> None:
    """The record is kept; it explains nothing."""
    document = {"operationDate": "2026-04-01T00:00:00Z", "operationType": "update_subscription",
                "resourceType": "subscription", "resourceNewValue": text,
                "customizedData": [{"key": "SubscriptionId", "value": SUBSCRIPTION}]}  # fmt: skip

    [touch] = read_audit_record(document).touches

    assert (touch.subscription_id, touch.after) == (SUBSCRIPTION, None)


def test_a_record_without_a_time_is_refused() -> None:
    """It has no place in a history."""
    with pytest.raises(Invalid, match="audit_record_undated"):
        read_audit_record({"id": "r"})
