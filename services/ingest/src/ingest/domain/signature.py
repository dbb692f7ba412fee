"""The headers of a signed webhook: what is there, what is allowed, what is refused and why.

The order of the checks is the vendor's: no signature is 401, a missing companion header is 400.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from shared.kernel.errors import Invalid

SIGNATURE_HEADERS = ("x-ms-signature", "authorization")
CERTIFICATE_HEADER = "x-ms-certificate-url"
ALGORITHM_HEADER = "x-ms-signature-algorithm"
MAX_SIGNATURE_BYTES = 2_048


class Algorithm(StrEnum):
    """RSA PKCS#1 v1.5 with these hashes; nothing weaker is accepted."""

    RSA_SHA256 = "rsa-sha256"
    RSA_SHA384 = "rsa-sha384"
    RSA_SHA512 = "rsa-sha512"


@dataclass(frozen=True, slots=True)
class SignedBy:
    """What the headers claim; nothing of it is proven yet."""

    signature: bytes
    certificate_url: str
    algorithm: Algorithm


class SignatureMissing(Invalid):
    """No signature, or none of the scheme: 401."""


class HeaderMissing(Invalid):
    """A companion header is missing: 400."""


def read_signature_headers(headers: Mapping[str, str]) -> SignedBy:
    """The claims in the headers; names in any casing.

    Raises:
        SignatureMissing: there is no `Signature <base64>`.
        HeaderMissing: certificate address or algorithm is missing.
        Invalid: `algorithm_refused`, `signature_malformed`.
    """
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    text = next((s for h in SIGNATURE_HEADERS if (s := _of_scheme(lower.get(h, "")))), "")
    if not text:
        raise SignatureMissing("signature_missing", "no Signature in x-ms-signature, Authorization")
    url, algorithm = lower.get(CERTIFICATE_HEADER, ""), lower.get(ALGORITHM_HEADER, "")
    for name, value in ((CERTIFICATE_HEADER, url), (ALGORITHM_HEADER, algorithm)):
        if not value:
            raise HeaderMissing("header_missing", f"{name} is missing")
    return SignedBy(_decoded(text), url, _allowed(algorithm))


def require_certificate_address(
    url: str, *, hosts: Collection[str], allow_http: bool = False
) -> None:
    """The address must be one we would call by ourselves: listed host, https, nothing hidden in it.

    A host is listed as `name` (default port; any port where http is allowed) or `name:port`.

    Raises:
        Invalid: `certificate_address_refused`.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").lower()
    except ValueError as error:
        raise Invalid("certificate_address_refused", "the address cannot be read") from error
    schemes = ("https", "http") if allow_http else ("https",)
    if parts.scheme not in schemes:
        raise Invalid("certificate_address_refused", f"scheme {parts.scheme!r} is not https")
    if parts.username or parts.password or parts.fragment:
        raise Invalid("certificate_address_refused", "the address carries more than an address")
    usual = port in (None, 443) or allow_http
    names = {f"{host}:{port}", host} if usual else {f"{host}:{port}"}
    if not names & {h.lower() for h in hosts}:
        raise Invalid("certificate_address_refused", f"host {host!r} is not on the list")


def _of_scheme(value: str) -> str:
    scheme, _, text = value.partition(" ")
    return text.strip() if scheme.casefold() == "signature" else ""


def _allowed(name: str) -> Algorithm:
    try:
        return Algorithm(name.casefold())
    except ValueError:
        raise Invalid("algorithm_refused", f"{name[:60]!r} is not accepted") from None


def _decoded(text: str) -> bytes:
    try:
        signature = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("signature_malformed", "the signature is not base64") from error
    if not 0 < len(signature) <= MAX_SIGNATURE_BYTES:
        raise Invalid("signature_malformed", f"a signature of {len(signature)} bytes")
    return signature
