"""Which webhooks are believed."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.domain.signature import verify
from shared.kernel.errors import Invalid

SECRET = "whsec_test"
SIGNED_AT = datetime.fromtimestamp(1_700_000_000, tz=UTC)
BODY = b'{"id":"evt_1"}'
V1 = "c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925"
HEADER = f"t=1700000000,v1={V1}"


def refusal(header: str | None, *, body: bytes = BODY, now: datetime = SIGNED_AT) -> str:
    with pytest.raises(Invalid) as refused:
        verify(header, body, secrets=[SECRET], now=now)
    return refused.value.code


def test_the_published_vector_is_believed() -> None:
    """Secret, time and body of a known example give the known signature."""
    assert verify(HEADER, BODY, secrets=[SECRET], now=SIGNED_AT) == SIGNED_AT


def test_any_active_secret_will_do() -> None:
    """While a secret is being replaced, both sign."""
    assert verify(HEADER, BODY, secrets=["whsec_new", SECRET], now=SIGNED_AT) == SIGNED_AT
    assert (
        verify(f"t=1700000000,v1=00,v1={V1},v0=aa", BODY, secrets=[SECRET], now=SIGNED_AT)
        == SIGNED_AT
    )


@pytest.mark.parametrize("seconds", [-300, 300])
def test_the_tolerance_is_five_minutes_both_ways(seconds: int) -> None:
    """At the bound it holds, one second later it does not."""
    near = SIGNED_AT + timedelta(seconds=seconds)
    far = near + timedelta(seconds=1 if seconds > 0 else -1)

    assert verify(HEADER, BODY, secrets=[SECRET], now=near) == SIGNED_AT
    assert refusal(HEADER, now=far) == "signature_expired"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "signature_missing"),
        ("", "signature_missing"),
        ("t=1700000000", "signature_malformed"),
        (f"v1={V1}", "signature_malformed"),
        (f"t=now,v1={V1}", "signature_malformed"),
        (f"t=-1,v1={V1}", "signature_malformed"),
        (f"t=99999999999,v1={V1}", "signature_malformed"),
        (f"t=٣,v1={V1}", "signature_malformed"),
        (f"t=1700000001,v1={V1}", "signature_mismatch"),
        ("t=1700000000,v1=", "signature_mismatch"),
        ("t=1700000000,v1=ü", "signature_mismatch"),
        (f"t=1700000000,v0={V1}", "signature_malformed"),
    ],
)
def test_anything_else_is_refused(header: str | None, code: str) -> None:
    """A missing, unreadable, old or forged signature each has its own code."""
    assert code == refusal(header)


def test_without_a_secret_nothing_is_believed() -> None:
    """An empty configuration is closed, not open."""
    with pytest.raises(Invalid) as refused:
        verify(HEADER, BODY, secrets=[], now=SIGNED_AT)

    assert refused.value.code == "signature_mismatch"


@given(st.binary(min_size=1, max_size=64), st.integers(0, 63), st.integers(1, 255))
def test_one_changed_byte_breaks_the_signature(body: bytes, place: int, flip: int) -> None:
    """The signature covers the raw bytes, not what they mean."""
    signed = hmac.new(SECRET.encode(), b"1700000000." + body, hashlib.sha256).hexdigest()
    place %= len(body)
    altered = body[:place] + bytes([body[place] ^ flip]) + body[place + 1 :]

    assert refusal(f"t=1700000000,v1={signed}", body=altered) == "signature_mismatch"
