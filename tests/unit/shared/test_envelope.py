"""The CloudEvents header map: fixed, tolerant on read, and complete."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import registry
from shared.contracts.envelope import Envelope
from shared.contracts.payments import PaymentFailed
from shared.kernel.errors import Invalid

words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)
envelopes = st.builds(
    Envelope,
    id=words,
    source=words,
    type=words,
    subject=words,
    time=st.datetimes(timezones=st.just(UTC)),
    key=words,
    correlation_id=words,
    causation_id=st.none() | words,
)


def payment_failed() -> PaymentFailed:
    return PaymentFailed(
        attempt_id="a1", invoice_id="i1", invoice_number="HUS-1", account_id="alder",
        amount=Decimal("1430.770"), currency="USD", provider="stripe", provider_payment_id=None,
        decline_code="insufficient_funds", decline_class="soft_funds",
    )  # fmt: skip


@given(envelopes)
def test_headers_round_trip(envelope: Envelope) -> None:
    """decode(encode(e)) == e, with unknown headers ignored."""
    headers = [*envelope.headers(), ("x-unknown", b"\xff")]

    assert envelope == Envelope.from_headers(headers)


def test_the_headers_of_a_message_are_these_bytes() -> None:
    """Golden bytes: a change here is a change of the wire."""
    envelope = Envelope(
        id="e-1", source="/tieout/payments", type=PaymentFailed.TYPE, subject="payment/a1",
        time=datetime(2026, 5, 1, 8, 30, tzinfo=UTC), key="alder", correlation_id="c-1",
    )  # fmt: skip

    assert envelope.headers() == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"e-1"),
        ("ce_source", b"/tieout/payments"),
        ("ce_type", b"tieout.payments.payment-failed.v1"),
        ("ce_subject", b"payment/a1"),
        ("ce_time", b"2026-05-01T08:30:00.000000Z"),
        ("ce_dataschema", b"urn:tieout:schema:tieout.payments.payment-failed.v1"),
        ("ce_partitionkey", b"alder"),
        ("ce_correlationid", b"c-1"),
        ("content-type", b"application/json"),
    ]


def test_money_travels_as_plain_decimal_strings() -> None:
    """Every digit, no exponent, no float."""
    assert b'"amount":"1430.770"' in payment_failed().encode()


@pytest.mark.parametrize("missing", ["ce_id", "ce_type", "ce_source", "ce_time", "ce_partitionkey"])
def test_a_missing_attribute_is_named(missing: str) -> None:
    """The dead letter says what was wrong."""
    envelope = Envelope("i", "s", "t", "x/1", datetime(2026, 1, 1, tzinfo=UTC), "k", "c")
    headers = [(name, value) for name, value in envelope.headers() if name != missing]

    with pytest.raises(Invalid, match=missing):
        Envelope.from_headers(headers)


def test_unknown_types_and_bodies_are_refused_with_a_code() -> None:
    """Never guessed at, never skipped."""
    when = datetime(2026, 1, 1, tzinfo=UTC)
    unknown = Envelope("i", "s", "tieout.nobody.nothing.v1", "x/1", when, "k", "c")
    known = Envelope("i", "s", PaymentFailed.TYPE, "x/1", when, "k", "c")

    with pytest.raises(Invalid, match="event_type_unknown"):
        registry.decode(unknown, b"{}")
    with pytest.raises(Invalid, match="event_malformed"):
        registry.decode(known, b"{}")
    assert payment_failed() == registry.decode(known, payment_failed().encode())
