"""Callbacks: believed by signature only, and secrets come from the tenant's own hosts."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psa_connector.domain.callbacks import require_own_host, verify
from shared.kernel.errors import Invalid

HOSTS = ("https://api-na.myconnectwise.net", "https://na.myconnectwise.net")


def signed(body: bytes, secret: str) -> str:
    key = hashlib.sha256(secret.encode()).digest()
    return base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()


def test_the_signature_is_the_documented_one() -> None:
    """HMAC-SHA256 of the body, keyed by the SHA-256 of the secret; a fixed example."""
    expected = "wXAkwAjqoZnc5HseDE28XND7q7tU2Ffubc1yyggFvIE="
    assert signed(b'{"ID":7001}', "secret") == expected
    verify(expected, b'{"ID":7001}', "secret")


@given(st.binary(max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_only_the_secret_signs(body: bytes, secret: str, other: str) -> None:
    """For any body and any two secrets."""
    verify(signed(body, secret), body, secret)
    if secret != other:
        with pytest.raises(Invalid):
            verify(signed(body, other), body, secret)


@pytest.mark.parametrize("header", [None, "", "é", "AAAA"])
def test_a_header_that_is_no_signature_is_refused(header: str | None) -> None:
    """Absent, empty, not even ASCII."""
    with pytest.raises(Invalid):
        verify(header, b"{}", "secret")


@pytest.mark.parametrize(
    "url",
    [
        "http://na.myconnectwise.net/key",
        "https://na.myconnectwise.net.evil.example/key",
        "https://evil.example/na.myconnectwise.net",
        "https://na.myconnectwise.net@evil.example/key",
        "https://user@na.myconnectwise.net/key",
        "https://na.myconnectwise.net:8443/key",
        "https://evil.example\\@na.myconnectwise.net/key",
        "//na.myconnectwise.net/key",
        "file:///etc/passwd",
        "https://[x",
        "https://[::1",
        "",
    ],
)
def test_a_secret_is_not_fetched_from_elsewhere_g8(url: str) -> None:
    """Whoever posts names the address: only hosts of the connection are asked."""
    with pytest.raises(Invalid):
        require_own_host(url, HOSTS)


def test_a_secret_is_fetched_from_the_connections_hosts() -> None:
    """The API's host and that of the user interface."""
    for host in HOSTS:
        require_own_host(f"{host}/v4_6_release/key?id=1", HOSTS)
