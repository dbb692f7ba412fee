"""The claims of a signed webhook: what must be there, what is allowed, where it may point."""

from __future__ import annotations

import base64

import pytest

from ingest.domain.signature import (
    Algorithm,
    HeaderMissing,
    SignatureMissing,
    read_signature_headers,
    require_certificate_address,
)
from shared.kernel.errors import Invalid

URL = "https://3psostorageacct.blob.core.windows.net/cert/notifications.cer"
SIGNED = base64.b64encode(b"signature").decode()


def headers(**changes: str | None) -> dict[str, str]:
    given = {
        "Authorization": f"Signature {SIGNED}",
        "X-MS-Certificate-Url": URL,
        "X-MS-Signature-Algorithm": "rsa-sha256",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    return {name: value for name, value in given.items() if value is not None}


def test_the_three_headers_are_read() -> None:
    """Signature, certificate address, algorithm."""
    claim = read_signature_headers(headers())

    assert (claim.signature, claim.certificate_url) == (b"signature", URL)
    assert claim.algorithm is Algorithm.RSA_SHA256


def test_the_signature_may_have_its_own_header() -> None:
    """Registered with `SignatureTokenToMsSignatureHeader`."""
    given = headers(Authorization="Bearer x") | {"x-ms-signature": f"signature {SIGNED}"}

    assert read_signature_headers(given).signature == b"signature"


@pytest.mark.parametrize("value", [None, "", "Bearer abc", "Signature", "Signature "])
def test_no_signature_is_no_signature(value: str | None) -> None:
    """Another scheme is none either."""
    with pytest.raises(SignatureMissing):
        read_signature_headers(headers(Authorization=value))


@pytest.mark.parametrize("name", ["X_MS_Certificate_Url", "X_MS_Signature_Algorithm"])
def test_a_missing_companion_is_another_fault(name: str) -> None:
    """The vendor's sample answers 400 for it, not 401."""
    with pytest.raises(HeaderMissing):
        read_signature_headers(headers(**{name: None}))


@pytest.mark.parametrize(
    "name", ["rsa-sha1", "rsa-md5", "hmac-sha256", "none", "RSA-SHA224", "rsa"]
)
def test_weak_or_unknown_algorithms_are_refused(name: str) -> None:
    """SHA-256 and stronger only."""
    with pytest.raises(Invalid, match="algorithm_refused"):
        read_signature_headers(headers(X_MS_Signature_Algorithm=name))


def test_the_algorithm_is_read_in_any_casing() -> None:
    """`RSA-SHA512` is `rsa-sha512`."""
    claim = read_signature_headers(headers(X_MS_Signature_Algorithm="RSA-SHA512"))

    assert claim.algorithm is Algorithm.RSA_SHA512


@pytest.mark.parametrize("text", ["Signature §§", "Signature abc", f"Signature {'QUJD' * 1000}"])
def test_what_is_no_base64_of_sane_length_is_refused(text: str) -> None:
    """Before any certificate is fetched."""
    with pytest.raises(Invalid, match="signature_malformed"):
        read_signature_headers(headers(Authorization=text))


HOST = "3psostorageacct.blob.core.windows.net"


@pytest.mark.parametrize(
    ("url", "allow_http", "fine"),
    [
        (URL, False, True),
        (URL.replace("https", "HTTPS"), False, True),
        (URL.replace(HOST, HOST.upper()), False, True),
        (URL.replace("https", "http"), False, False),
        (URL.replace("https", "http"), True, True),
        (URL.replace("https", "file"), True, False),
        (f"https://{HOST}.evil.example/x", False, False),
        (f"https://evil.example/{HOST}", False, False),
        (f"https://user:pw@{HOST}/x", False, False),
        (f"https://{HOST}@evil.example/x", False, False),
        (f"https://{HOST}:8443/x", False, False),
        (f"https://{HOST}:443/x", False, True),
        (f"https://{HOST}/x#y", False, False),
        ("https://169.254.169.254/latest", False, False),
        ("https://[::1]/x", False, False),
        ("https://[", False, False),
        ("", False, False),
        (f"https://{HOST}:99999/x", False, False),
    ],
)
def test_only_listed_hosts_over_https_are_called(url: str, allow_http: bool, fine: bool) -> None:
    """The header would otherwise let a caller bring his own certificate, or make us call anyone."""
    if fine:
        require_certificate_address(url, hosts={HOST}, allow_http=allow_http)
        return
    with pytest.raises(Invalid, match="certificate_address_refused"):
        require_certificate_address(url, hosts={HOST}, allow_http=allow_http)


def test_a_port_is_part_of_the_listing() -> None:
    """The local stack lists host and port."""
    require_certificate_address(
        "http://127.0.0.1:47003/partner-center/certificates/notifications.cer",
        hosts={"127.0.0.1:47003"},
        allow_http=True,
    )
